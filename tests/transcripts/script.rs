//! A scenario as text: comments, commands and, after each command, its result.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::commands::perform;

/// A scenario as read, or as played.
#[derive(Debug)]
pub(crate) struct Script(Vec<Item>);

#[derive(Debug)]
struct Item {
    number: usize,
    /// A comment, an empty line or a command.
    line: String,
    /// The result of a command.
    expected: Vec<String>,
    got: Vec<String>,
}

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Script, String> {
        let mut items: Vec<Item> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let last = items.last_mut().filter(|item| item.line.starts_with("> "));
            if line.is_empty() || line.starts_with('#') || line.starts_with("> ") {
                let (expected, got) = (Vec::new(), Vec::new());
                items.push(Item { number, line: line.into(), expected, got });
            } else if let (true, Some(command)) = (line.starts_with("  "), last) {
                command.expected.push(line.into());
            } else {
                return Err(format!(
                    "{number}: this is neither a comment (#), a command (>) nor what came of one"
                ));
            }
        }
        if !text.starts_with("# ") {
            return Err("1: a scenario begins with a comment that says what it is about".into());
        }
        if !items.iter().any(|item| item.line.starts_with("> ")) {
            return Err("1: a scenario without a command".into());
        }
        Ok(Script(items))
    }

    /// Plays every command, from the beginning.
    pub(crate) fn play(mut self) -> Result<Script, String> {
        let mut stage = None;
        for item in &mut self.0 {
            if let Some(command) = item.line.strip_prefix("> ") {
                // A server that detects a bug in itself panics: the command that led to it is named all the same.
                let step = AssertUnwindSafe(|| perform(&mut stage, command));
                let stopped = || Err("a server stopped itself; its words are above".into());
                item.got = catch_unwind(step)
                    .unwrap_or_else(|_| stopped())
                    .map_err(|complaint| format!("{}: {command}\n  {complaint}", item.number))?;
            }
        }
        Ok(self)
    }

    /// The first line that came out differently.
    pub(crate) fn difference(&self, file: &str) -> Option<String> {
        let item = self.0.iter().find(|item| item.expected != item.got)?;
        let place = item
            .expected
            .iter()
            .zip(&item.got)
            .take_while(|(expected, got)| expected == got)
            .count();
        let line =
            |lines: &[String]| lines.get(place).map_or("  nothing more", String::as_str).to_owned();
        let (number, command) = (item.number + 1 + place, &item.line);
        let (expected, got) = (line(&item.expected), line(&item.got));
        Some(format!("{file}:{number}: after `{command}`\n  expected{expected}\n  got     {got}"))
    }

    /// The scenario with its results.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.iter().flat_map(|item| std::iter::once(&item.line).chain(&item.got));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# A single server.\n> servers 1\n> timeout S1 heartbeat\n";

    fn complaint(text: &str) -> String {
        Script::parse(text).and_then(Script::play).expect_err("it is refused")
    }

    #[test]
    fn the_first_line_that_differs_is_named_with_its_command() {
        let script = Script::parse(&format!("{HEAD}  S1: timer heartbeat\n  S1: sleeps\n"))
            .and_then(Script::play);
        let difference = script.unwrap().difference("a.txt").unwrap();
        let expected = "a.txt:5: after `> timeout S1 heartbeat`\n  expected  S1: sleeps\n  got       nothing more";
        assert_eq!(difference, expected);
    }

    #[test]
    fn a_scenario_is_written_with_what_came_of_it_and_then_differs_no_more() {
        let text = Script::parse(&format!("{HEAD}  S1: sleeps\n\n# End.\n"))
            .and_then(Script::play)
            .unwrap()
            .text();
        assert_eq!(text, format!("{HEAD}  S1: timer heartbeat\n\n# End.\n"));
        let again = Script::parse(&text).and_then(Script::play).unwrap();
        assert_eq!(again.difference("a.txt"), None);
    }

    #[test]
    fn what_is_no_scenario_is_refused() {
        assert_eq!(complaint(""), "1: a scenario begins with a comment that says what it is about");
        assert_eq!(complaint("# Only a comment.\n"), "1: a scenario without a command");
        let stray = "2: this is neither a comment (#), a command (>) nor what came of one";
        assert_eq!(complaint("# A comment.\n  S1: timer heartbeat\n> servers 1\n"), stray);
        assert_eq!(complaint("# A comment.\nservers 1\n"), stray);
    }

    #[test]
    fn a_command_that_cannot_be_done_is_refused_in_one_sentence() {
        let table = [
            ("crash S1", "2: crash S1\n  a scenario begins with `> servers COUNT`"),
            ("servers 11", "2: servers 11\n  there are 1 to 10 servers"),
        ];
        for (command, expected) in table {
            assert_eq!(complaint(&format!("# A comment.\n> {command}\n")), expected);
        }
        let table = [
            ("servers 3", "a scenario has one set of servers"),
            (
                "timeout S1",
                "`timeout` is written: timeout SERVER start|silence|election|campaign|hurry|patience|heartbeat|fate",
            ),
            ("timeout S1 fate", "S1's timer fate does not run; its role's is: heartbeat"),
            ("timeout S2 election", "there is no server S2 among 1"),
            ("deliver S1", "`S1` is no link: write S1->S2, S1-S2, S1-* or *"),
            ("settle", "there is nothing to settle on *"),
            ("pass a ms", "`a` is no number"),
            ("back to a", "nothing is saved as a"),
            ("launch S1", "S1 runs"),
            ("launch S2 among S1 S3", "S2 is not among them"),
            ("launch S2 among S1 S1", "a set has each server once"),
        ];
        for (command, expected) in table {
            assert_eq!(
                complaint(&format!("{HEAD}> {command}\n")),
                format!("4: {command}\n  {expected}")
            );
        }
        assert!(
            complaint(&format!("{HEAD}> restor S1\n"))
                .contains("there is no command `restor`; the commands are servers,")
        );
    }
}
