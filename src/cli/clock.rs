//! The time of day, as people's clocks show it.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use tz::{TimeZone, UtcDateTime};

/// The seconds of a day.
const DAY: i64 = 86400;

/// A clock that shows local time.
#[derive(Debug)]
pub(super) struct Clock {
    /// `None` if it is not known; the clock then shows UTC, and says so.
    zone: Option<TimeZone>,
}

impl Clock {
    /// A clock in the time zone that `TZ` names, or else in that of the system.
    pub(super) fn new() -> Clock {
        let zone = match env::var("TZ") {
            Ok(named) => TimeZone::from_posix_tz(&named),
            Err(_) => TimeZone::local(),
        };
        Clock { zone: zone.ok() }
    }

    /// The time now, as `HH:MM:SS` or `HH:MM:SS UTC`.
    pub(super) fn now(&self) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at(i64::try_from(since.as_secs()).unwrap_or_default())
    }

    /// The time so many seconds after 1970 began in UTC.
    fn at(&self, seconds: i64) -> String {
        let found = self.zone.as_ref().and_then(|zone| zone.find_local_time_type(seconds).ok());
        let offset = found.map(|found| i64::from(found.ut_offset()));
        let time = seconds.saturating_add(offset.unwrap_or_default()).rem_euclid(DAY);
        let utc = if offset.is_none() { " UTC" } else { "" };
        format!("{:02}:{:02}:{:02}{utc}", time / 3600, time / 60 % 60, time % 60)
    }
}

/// The date in UTC, as `YYYY-MM-DD`, so many seconds after 1970 began.
pub(super) fn date(seconds: i64) -> Option<String> {
    let date = UtcDateTime::from_timespec(seconds, 0).ok()?;
    Some(format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.month_day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_local_in_summer_and_winter_or_said_to_be_utc() {
        let berlin = Clock { zone: TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").ok() };
        // Noon in January and in July of 2026.
        let (january, july) = (1_768_478_400, 1_784_116_800);
        assert_eq!((berlin.at(january), berlin.at(july)), ("13:00:00".into(), "14:00:00".into()));
        assert_eq!(Clock { zone: None }.at(january + 3661), "13:01:01 UTC");
    }
}
