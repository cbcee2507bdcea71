//! Dates with a time, which only hash lists contain.

/// A date and a time in the form of ISO 8601, as it was written: servers return it, and never calculate with it.
///
/// XML-RPC's own form is `19980717T14:08:55`. Hyphens in the date, a time without colons, a fraction of a second and a
/// time zone are accepted too, because clients send them. Nothing else is: some clients could not read the whole map if
/// one file in it had a date that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTime(Box<str>);

impl DateTime {
    /// The date and time written like this, or `None` if the text does not have that form. The ranges of the numbers
    /// are not checked.
    pub fn new(text: &str) -> Option<DateTime> {
        has_form(text).then(|| DateTime(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn has_form(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let is_zone = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['+', '-']).is_some_and(|zone| is_any(zone, &["00:00", "0000", "00"]));
    is_any(date, &["00000000", "0000-00-00"])
        && is_any(time, &["00:00:00", "000000"])
        && is_fraction
        && is_zone
}

/// Whether the text has one of these forms, in which a 0 stands for any digit.
fn is_any(text: &str, forms: &[&str]) -> bool {
    let fits = |(byte, of_form): (u8, u8)| match of_form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == of_form,
    };
    forms.iter().any(|form| text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_and_time_is_kept_as_it_was_written() {
        for text in [
            "19980717T14:08:55",
            "1998-07-17T14:08:55",
            "19980717T140855",
            "19980717T14:08:55.123",
            "19980717T14:08:55Z",
            "1998-07-17T14:08:55.5+02:00",
            "19980717T14:08:55-0700",
            "19980717T14:08:55+02",
            "00000000T00:00:00",
        ] {
            assert_eq!(DateTime::new(text).expect("it has the form").as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_no_date_and_time() {
        for text in [
            "",
            "T",
            "yesterday",
            "19980717",
            "14:08:55",
            "19980717 14:08:55",
            "19980717t14:08:55",
            " 19980717T14:08:55",
            "19980717T14:08:55 ",
            "1998-0717T14:08:55",
            "19980717T14:08",
            "19980717T14:08:55.",
            "19980717T14:08:55.x",
            "19980717T14:08:55ZZ",
            "19980717T14:08:55+2",
            "19980717T14:08:55+",
            "1998071\u{663}T14:08:55",
            "19980717T14:08:5<",
        ] {
            assert_eq!(DateTime::new(text), None, "{text}");
        }
    }
}
