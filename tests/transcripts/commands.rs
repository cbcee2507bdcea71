//! The commands of a scenario: one line of text each.

use std::sync::Arc;

use surfstore::metadata::Update;
use surfstore::raft::{
    AppendEntries, AppendOutcome, AppendReply, Call, Command, Compaction, Entry, Identity,
    LogIndex, Position, Reply, RoleName, Roster, Round, ServerId, Term, Timer,
};
use surfstore::value::Value;

use crate::links::{Links, server};
use crate::sets::{SIZE_MAX, Set};
use crate::stage::Stage;
use crate::text;

/// Every command and how it is written; the first must be `servers`.
pub(crate) const COMMANDS: [(&str, &str); 29] = [
    ("servers", "servers COUNT [with short logs]"),
    ("log", "log SERVER: TERM ... in term TERM"),
    ("elect", "elect SERVER"),
    ("timeout", "timeout SERVER start|silence|election|campaign|hurry|patience|heartbeat|fate"),
    ("deliver", "deliver LINK ..."),
    ("settle", "settle [LINK ...]"),
    ("drop", "drop LINK ..."),
    ("delay", "delay LINK ..."),
    ("release", "release LINK ..."),
    ("expire", "expire LINK ..."),
    ("duplicate", "duplicate LINK ..."),
    ("cut", "cut LINK ..."),
    ("heal", "heal LINK ..."),
    ("close", "close LINK ..."),
    ("update", "update SERVER FILE VERSION HASH ..."),
    ("read", "read SERVER"),
    ("hangup", "hangup SERVER CALL"),
    ("crash", "crash SERVER"),
    ("restore", "restore SERVER"),
    ("end", "end SERVER"),
    ("launch", "launch SERVER [among SERVER ...]"),
    ("draw", "draw SERVER MILLISECONDS ms"),
    ("pass", "pass MILLISECONDS ms"),
    ("status", "status"),
    ("logs", "logs"),
    ("files", "files"),
    ("rosters", "rosters"),
    ("save", "save NAME"),
    ("back", "back to NAME"),
];

/// The commands about links and what is in flight on them.
const LINK_COMMANDS: [&str; 10] = [
    "deliver",
    "settle",
    "drop",
    "delay",
    "release",
    "expire",
    "duplicate",
    "cut",
    "heal",
    "close",
];

/// A hash that makes an update as large as an append may be, so that it is sent alone.
const LARGE: &str = "1MiB";

/// Applied entries are dropped as soon as they outweigh the map, and each leaf of a map is sent alone.
const SHORT_LOGS: Compaction =
    Compaction { log_bytes_min: 0, log_bytes_max: usize::MAX, piece_bytes_max: 1 };

/// Executes the command on the stage that the first one set up. Returns the resulting lines.
pub(crate) fn perform(stage: &mut Option<Stage>, command: &str) -> Result<Vec<String>, String> {
    let words: Vec<_> = command.split_whitespace().collect();
    if let ["servers", count, rest @ ..] = words.as_slice() {
        let compaction = match rest {
            [] => Compaction::default(),
            ["with", "short", "logs"] => SHORT_LOGS,
            _ => return Err("it is `> servers COUNT` or `> servers COUNT with short logs`".into()),
        };
        if stage.is_some() {
            return Err("a scenario has one set of servers".into());
        }
        let count = number(count)?;
        let size = u8::try_from(count).ok().filter(|size| (1..=SIZE_MAX).contains(size));
        *stage = Some(Stage::new(size.ok_or("there are 1 to 10 servers")?, compaction));
        return Ok(Vec::new());
    }
    let stage = stage.as_mut().ok_or("a scenario begins with `> servers COUNT`")?;
    match words.as_slice() {
        ["quietly", rest @ ..] => stage.quietly(|stage| stage.carry_out(rest))?,
        all => stage.carry_out(all)?,
    }
    stage.take_lines()
}

impl Stage {
    fn carry_out(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["elect", id] => {
                let id = self.named(id)?;
                self.quietly(|stage| stage.elect(id))
            }
            ["timeout", id, name] => self.time_out(self.named(id)?, timer(name)?),
            ["log", id, rest @ ..] => {
                let id = self.named(id.trim_end_matches(':'))?;
                self.quietly(|stage| stage.set_up_log(id, rest))
            }
            ["update", id, name, version, hashes @ ..] => {
                let version = version.parse().map_err(|_| format!("`{version}` is no version"))?;
                let hashes = hashes.iter().map(|hash| value(hash)).collect();
                let update = Update { name: (*name).into(), version, hashes };
                self.call(self.named(id)?, Call::Update(update));
                Ok(())
            }
            ["read", id] => {
                self.call(self.named(id)?, Call::ReadFiles);
                Ok(())
            }
            ["hangup", id, call] => {
                let number = number(call.trim_start_matches('c'))?;
                self.hang_up(self.named(id)?, number);
                Ok(())
            }
            ["crash", id] => self.control(self.named(id)?, Call::Crash),
            ["restore", id] => self.control(self.named(id)?, Call::Restore),
            ["end", id] => {
                self.end(self.named(id)?);
                Ok(())
            }
            ["launch", id] => self.launch(server(id, self.size())?, None),
            ["launch", id, "among", set @ ..] => {
                self.launch(server(id, SIZE_MAX)?, Some(Set::parse(set)?))
            }
            ["draw", id, random, "ms"] => self.clock.draw(self.named(id)?, number(random)?),
            ["pass", duration, "ms"] => {
                let duration = number(duration)?;
                self.quietly(|stage| stage.pass(duration))
            }
            ["save", name] => {
                self.save(name);
                Ok(())
            }
            ["back", "to", name] => self.go_back(name),
            [table @ ("status" | "logs" | "files" | "rosters")] => {
                self.show(table);
                Ok(())
            }
            ["settle"] => self.on_links("settle", &["*"]),
            [verb, links @ ..] if !links.is_empty() => self.on_links(verb, links),
            _ => Err(usage(words)),
        }
    }

    /// The server of that name, which has a process.
    fn named(&self, name: &str) -> Result<ServerId, String> {
        let id = server(name, self.size())?;
        if self.has_ended(id) { Err(format!("the process of {name} has ended")) } else { Ok(id) }
    }

    /// The commands about messages in flight, and about the links themselves.
    fn on_links(&mut self, verb: &str, words: &[&str]) -> Result<(), String> {
        if !LINK_COMMANDS.contains(&verb) {
            return Err(usage(&[verb]));
        }
        let links = Links::parse(words, self.size())?;
        let all = links.all(self.size()).into_iter();
        let count = match verb {
            "settle" => self.settle(&links)?,
            "release" => self.network.release(&links),
            "expire" => self.expire(&links),
            "duplicate" => self.network.duplicate(&links),
            "cut" => all.filter(|link| self.network.cut(*link)).count(),
            "heal" => all.filter(|link| self.network.heal(*link)).count(),
            "close" => all.filter(|(from, to)| self.close(*from, *to)).count(),
            _ => self.on_messages(verb, &links),
        };
        if count == 0 {
            Err(format!("there is nothing to {verb} on {}", words.join(" ")))
        } else {
            Ok(())
        }
    }

    fn on_messages(&mut self, verb: &str, links: &Links) -> usize {
        let messages = self.network.take(links);
        let count = messages.len();
        match verb {
            "deliver" => messages.into_iter().for_each(|message| self.arrive(message)),
            "drop" => messages.iter().for_each(|message| self.lose(message)),
            _ => self.network.hold_back(messages),
        }
        count
    }

    /// A call of the operator, which is always executed; if it has no effect, a line says so.
    fn control(&mut self, id: ServerId, call: Call) -> Result<(), String> {
        let before = self.server(id).clone();
        self.ask(id, call);
        if *self.server(id) == before {
            self.say(&format!("{}: no change", text::server_name(id)));
        }
        Ok(())
    }

    /// Every follower's election timer expires, this server's first, and messages arrive until it leads. What it then
    /// sends stays in flight.
    fn elect(&mut self, id: ServerId) -> Result<(), String> {
        for follower in self.ids() {
            let is_peer = self.set(id) == self.set(follower);
            if is_peer && self.clock.role_timer(follower) == Some(Timer::Silence) {
                self.time_out(follower, Timer::Silence)?;
            }
        }
        match self.clock.role_timer(id) {
            Some(Timer::Start) => self.time_out(id, Timer::Start)?,
            _ => self.time_out(id, Timer::Election)?,
        }
        let everywhere = Links::everywhere(self.size());
        while self.server(id).role() != RoleName::Leader {
            let name = text::server_name(id);
            let next = self.network.take_first(&everywhere);
            self.arrive(next.ok_or(format!("{name} is not elected"))?);
        }
        Ok(())
    }

    /// Gives a server the log of a figure, by an append such as a leader of that term would have sent it.
    fn set_up_log(&mut self, id: ServerId, words: &[&str]) -> Result<(), String> {
        let (terms, term) = match words {
            [terms @ .., "in", "term", term] => (terms, number(term)?),
            _ => return Err(usage(&["log"])),
        };
        let terms = terms.iter().map(|term| number(term)).collect::<Result<Vec<_>, _>>()?;
        let first = text::first_incarnation(ServerId(0));
        let members = self.ids().map(|id| (id, text::first_incarnation(id))).collect();
        let command = Command::Roster(Arc::new(Roster { history: first, members }));
        let entry = |term: &u64| Entry { term: Term(*term), command: command.clone() };
        let leader = self.server(ServerId((id.0 + 1) % self.size()));
        // It also has the entry of its own term.
        let last_log = Position { term: Term(term), index: LogIndex(terms.len() as u64).next() };
        let request = AppendEntries {
            sender: Identity {
                term: Term(term),
                history: Some(first),
                last_log,
                ..leader.identity()
            },
            receiver: None,
            prev_log: Position::default(),
            entries: terms.iter().map(entry).collect(),
            leader_commit: LogIndex::default(),
            round: Round::default().next(),
            // So that it is known who holds what, but no server is known as the leader.
            has_majority: false,
        };
        match self.ask(id, Call::AppendEntries(request)) {
            Some(Reply::Append(AppendReply { outcome: AppendOutcome::Accepted, .. })) => Ok(()),
            _ => Err("no leader of that term can have sent such a log".into()),
        }
    }

    fn show(&mut self, table: &str) {
        for id in self.ids() {
            let line = if self.has_ended(id) { "ended".into() } else { self.row(table, id) };
            self.say(&format!("{}  {line}", text::server_name(id)));
        }
    }

    fn row(&self, table: &str, id: ServerId) -> String {
        let server = self.server(id);
        let is_of_its_set = |other: ServerId| self.set(id) == self.set(other);
        let set = self.living().filter(|(other, _)| is_of_its_set(*other));
        match table {
            "status" => text::status(server, self.clock.role_timer(id)),
            "logs" => text::row(server),
            "rosters" => text::roster(server, set.map(|(_, server)| server)),
            _ => text::file_map(server.files()),
        }
    }
}

fn usage(words: &[&str]) -> String {
    let name = words.first().copied().unwrap_or_default();
    match COMMANDS.iter().find(|(command, _)| *command == name) {
        Some((_, form)) => format!("`{name}` is written: {form}"),
        None => {
            let all: Vec<_> = COMMANDS.iter().map(|(command, _)| *command).collect();
            format!("there is no command `{name}`; the commands are {}", all.join(", "))
        }
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

fn timer(name: &str) -> Result<Timer, String> {
    let all = [
        Timer::Start,
        Timer::Silence,
        Timer::Election,
        Timer::Campaign,
        Timer::Hurry,
        Timer::Patience,
        Timer::Heartbeat,
        Timer::Fate,
    ];
    let mut named = all.into_iter().filter(|timer| text::timer_name(*timer) == name);
    named.next().ok_or(usage(&["timeout"]))
}

fn value(hash: &str) -> Value {
    if hash == LARGE { Value::Base64(vec![0; 1 << 20].into()) } else { hash.into() }
}
