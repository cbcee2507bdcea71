//! Words as shells read them, and candidates as shells insert them.

/// How quotes and backslashes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// As in bash and zsh.
    Posix,
    /// In fish, a backslash escapes quotes and backslashes between single quotes, too.
    Fish,
    /// In PowerShell, a grave accent escapes, and a quote in quotes is doubled.
    PowerShell,
}

/// The quote that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
    /// `$'`, whose escapes are others.
    Dollar,
}

/// A word of a command line, which may lack its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word as it is typed.
    raw: String,
    /// What the shell makes of it, without expansions.
    pub(super) value: String,
    rules: Rules,
    quote: Quote,
    /// Whether the last character is a backslash that escapes the next one.
    is_escaped: bool,
    /// Whether the last character is a dollar sign without quotes.
    is_dollar: bool,
    /// Whether the last character has closed quotes.
    was_closed: bool,
    /// Whether the shell expands what is typed, so that it is not known what the word becomes.
    is_expanded: bool,
}

/// The words of a line. The last one, which may be empty, ends where the line ends.
pub(super) fn split(line: &str, rules: Rules) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word::new(rules);
    for character in line.chars() {
        let is_between =
            character.is_ascii_whitespace() && word.quote == Quote::None && !word.is_escaped;
        if !is_between {
            word.push(character);
        } else if !word.raw.is_empty() {
            words.push(std::mem::replace(&mut word, Word::new(rules)));
        }
    }
    words.push(word);
    words
}

impl Word {
    fn new(rules: Rules) -> Word {
        let (raw, value) = (String::new(), String::new());
        Word {
            raw,
            value,
            rules,
            quote: Quote::None,
            is_escaped: false,
            is_dollar: false,
            was_closed: false,
            is_expanded: false,
        }
    }

    /// A word as it is typed.
    pub(super) fn read(raw: &str, rules: Rules) -> Word {
        let mut word = Word::new(rules);
        raw.chars().for_each(|character| word.push(character));
        word
    }

    /// Adds the next character.
    fn push(&mut self, character: char) {
        self.raw.push(character);
        let was_dollar = std::mem::take(&mut self.is_dollar);
        let was_closed = std::mem::take(&mut self.was_closed);
        if std::mem::take(&mut self.is_escaped) {
            let is_escape = match self.quote {
                _ if self.rules == Rules::PowerShell => true,
                Quote::None => true,
                Quote::Single => matches!(character, '\'' | '\\'),
                Quote::Double | Quote::Dollar => matches!(character, '"' | '\\' | '$' | '`'),
            };
            if !is_escape {
                self.value.push('\\');
            }
            self.value.push(character);
            return;
        }
        if self.rules == Rules::PowerShell {
            return self.push_for_powershell(was_closed, character);
        }
        self.is_expanded |= match self.quote {
            Quote::None => "$`*?[{".contains(character),
            Quote::Double => "$`".contains(character),
            Quote::Single | Quote::Dollar => false,
        };
        match (self.quote, character) {
            (Quote::Single, '\\') if self.rules == Rules::Fish => self.is_escaped = true,
            (Quote::None | Quote::Double | Quote::Dollar, '\\') => self.is_escaped = true,
            (Quote::None, '\'') if was_dollar => self.quote = Quote::Dollar,
            (Quote::None, '\'') => self.quote = Quote::Single,
            (Quote::None, '"') => self.quote = Quote::Double,
            (Quote::Single | Quote::Dollar, '\'') | (Quote::Double, '"') => {
                self.quote = Quote::None
            }
            (_, _) => {
                self.is_dollar = self.quote == Quote::None && character == '$';
                self.value.push(character);
            }
        }
    }

    fn push_for_powershell(&mut self, was_closed: bool, character: char) {
        match (self.quote, character) {
            (Quote::None | Quote::Double, '`') => self.is_escaped = true,
            (Quote::None, '\'' | '"') => {
                self.quote = if character == '"' { Quote::Double } else { Quote::Single };
                // The same quote twice is one within them.
                let last = self.raw.chars().rev().nth(1);
                if was_closed && last == Some(character) {
                    self.value.push(character);
                }
            }
            (Quote::Single, '\'') | (Quote::Double, '"') => {
                self.quote = Quote::None;
                self.was_closed = true;
            }
            (_, _) => self.value.push(character),
        }
    }

    /// What replaces the end of this word in bash, so that its value becomes this one. What is typed already stays.
    pub(super) fn completed(&self, value: &str, replaced: &str) -> Option<String> {
        // A typed tilde stays only in paths.
        let is_home = self.raw.starts_with('~');
        if self.is_expanded || is_home && !value.starts_with("~/") {
            return None;
        }
        let rest = value.strip_prefix(&self.value)?;
        let kept = self.raw.strip_suffix(replaced)?.len();
        // The candidate has its own backslashes.
        let typed = if self.is_escaped { self.raw.strip_suffix('\\')? } else { &self.raw };
        let mut completed = typed.get(kept..)?.to_owned();
        for character in rest.chars() {
            match (self.quote, character) {
                (Quote::None, _) => {
                    if !is_plain_in_bash(character) {
                        completed.push('\\');
                    }
                }
                (Quote::Single, '\'') => completed.push_str("'\\'"),
                // Between these quotes a backslash before it would stay.
                (Quote::Double, '!') | (Quote::Dollar, _) => return None,
                (Quote::Double, '"' | '\\' | '$' | '`') => completed.push('\\'),
                (Quote::Single | Quote::Double, _) => {}
            }
            completed.push(character);
        }
        // At the end, readline closes the quotes, unless the last character looks as if they were closed.
        match self.quote {
            Quote::Single if value.ends_with('\'') => completed.push('\''),
            Quote::Double if value.ends_with('"') => completed.push('"'),
            _ => {}
        }
        Some(completed)
    }
}

fn is_plain_in_bash(character: char) -> bool {
    !character.is_ascii() || character.is_ascii_alphanumeric() || "_-./,:=@%+".contains(character)
}

/// The value as PowerShell reads it. When its versions before 7.3 call a program, they lose double quotes, and take a
/// backslash at the end for an escape. It does not expand a tilde in quotes, but completes such paths itself.
pub(super) fn quoted_for_powershell(value: &str) -> Option<String> {
    if value.contains('"') || value.ends_with('\\') || value.starts_with("~/") {
        return None;
    }
    // Without quotes, it would divide an option of one dash at a dot.
    let is_option = value.starts_with('-') && value.contains(['.', ':']);
    if !is_option && value.chars().all(|c| c.is_alphanumeric() || "_-./:=+\\".contains(c)) {
        return Some(value.to_owned());
    }
    let mut quoted = String::from("'");
    for character in value.chars() {
        // These end a text in quotes, unless they are doubled.
        if "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(character) {
            quoted.push(character);
        }
        quoted.push(character);
    }
    Some(quoted + "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_shells_read_them() {
        for (raw, value) in [
            ("a.txt", "a.txt"),
            (r"my\ file", "my file"),
            ("'my file'", "my file"),
            ("\"my file", "my file"),
            (r#""a\"b\c""#, r#"a"b\c"#),
            (r"'a\'", r"a\"),
            ("a'b c'd", "ab cd"),
            (r"it\'s", "it's"),
            ("été", "été"),
            (r"a\", "a"),
        ] {
            assert_eq!(Word::read(raw, Rules::Posix).value, value, "{raw}");
        }
        for (raw, value) in [(r"'it\'s", "it's"), (r"'a\b\\c'", r"a\b\c"), (r"my\ file", "my file")]
        {
            assert_eq!(Word::read(raw, Rules::Fish).value, value, "{raw}");
        }
        for (raw, value) in [
            ("'it''s", "it's"),
            ("'''a'", "'a"),
            ("\"a`\"b\"\"c\"", "a\"b\"c"),
            ("my` file", "my file"),
            ("a`''b'", "a'b"),
            (r"C:\a\", r"C:\a\"),
            ("'a`b'", "a`b"),
            ("$(x)", "$(x)"),
        ] {
            assert_eq!(Word::read(raw, Rules::PowerShell).value, value, "{raw}");
        }
        for (line, rules) in [
            ("surfstore  get -f 'my conf' a\\ b\"c d\" ", Rules::Posix),
            ("surfstore  get -f 'my conf' a` b\"c d\" ", Rules::PowerShell),
        ] {
            let values: Vec<_> = split(line, rules).into_iter().map(|word| word.value).collect();
            assert_eq!(values, ["surfstore", "get", "-f", "my conf", "a bc d", ""]);
        }
    }

    #[test]
    fn in_bash_what_is_typed_stays_and_the_rest_is_quoted_as_it_was_begun() {
        for (raw, replaced, value, completed) in [
            ("", "", "a.txt", Some("a.txt")),
            ("m", "m", "my file", Some(r"my\ file")),
            (r"my\ f", r"my\ f", "my file", Some(r"my\ file")),
            ("\"my f", "my f", "my file", Some("my file")),
            ("'it", "it", "it's", Some(r"it'\''s")),
            ("\"a", "a", "a$\"b", Some(r#"a\$\"b"#)),
            // The shell expands what is typed.
            ("cost$", "cost$", "cost$HOME", None),
            ("\"cost$", "cost$", "cost$HOME", None),
            (r"cost\$", r"cost\$", "cost$HOME", Some(r"cost\$HOME")),
            ("'cost$", "cost$", "cost$HOME", Some("cost$HOME")),
            ("a*", "a*", "a*b", None),
            ("~ro", "~ro", "~root", None),
            (r"\~ro", r"\~ro", "~root", Some(r"\~root")),
            ("\"a", "a", "a\"", Some(r#"a\"""#)),
            ("'a", "a", "a'", Some(r"a'\'''")),
            ("\"a", "a", "a!b", None),
            ("a", "a", "a!b", Some(r"a\!b")),
            ("$'a", "a", "ab", None),
            ("a:b", "b", "a:bc", Some("bc")),
            ("--output=j", "j", "--output=json", Some("json")),
            (r"a\", r"a\", "a b", Some(r"a\ b")),
            ("~/d", "~/d", "~/dir/", Some("~/dir/")),
            ("", "", "~x", Some(r"\~x")),
            ("", "", "été", Some("été")),
            ("x", "x", "a", None),
            ("a", "other", "ab", None),
        ] {
            let word = Word::read(raw, Rules::Posix);
            assert_eq!(word.completed(value, replaced).as_deref(), completed, "{raw} {value}");
        }
    }

    #[test]
    fn powershell_gets_quotes_if_it_needs_them() {
        for (value, quoted) in [
            ("a.txt", Some("a.txt")),
            ("my file", Some("'my file'")),
            ("it's", Some("'it''s'")),
            ("it\u{2019}s", Some("'it\u{2019}\u{2019}s'")),
            ("$(x)", Some("'$(x)'")),
            ("~/a", None),
            ("~a", Some("'~a'")),
            ("-a.txt", Some("'-a.txt'")),
            ("été", Some("été")),
            ("a\"b", None),
            ("a\\", None),
        ] {
            assert_eq!(quoted_for_powershell(value).as_deref(), quoted, "{value}");
        }
    }
}
