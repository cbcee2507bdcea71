//! How fast the servers are: separate processes, called over sockets. `cargo bench --bench speed`
//!
//! Every answer is checked, and the map at the end: a benchmark whose servers do not do their work gives no figures.
//! `docs/speed.md` describes what is measured and how to run it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::process::ExitCode;

mod attack;
mod attacker;
mod bare;
mod calls;
mod catchup;
mod cluster;
mod connection;
mod durable;
mod etcd;
mod failover;
mod figures;
mod files;
mod growth;
mod idle;
mod latency;
mod load;
mod machine;
mod others;
mod plot;
mod report;
mod settings;
mod traffic;
mod usage;
mod visibility;
mod write;

use report::Report;
use settings::Settings;

/// Something to measure, by its name.
type Part = (&'static str, fn(&mut Report, &Settings));

/// What can be measured, in this order.
const PARTS: [Part; 11] = [
    ("calls", calls::measure),
    ("latency", latency::measure),
    ("failover", failover::measure),
    ("catchup", catchup::measure),
    ("growth", growth::measure),
    ("durable", durable::measure),
    ("idle", idle::measure),
    ("traffic", traffic::measure),
    ("visibility", visibility::measure),
    ("others", others::measure),
    ("attack", attack::measure),
];

fn main() -> ExitCode {
    // The benchmark starts itself as the bare server.
    if let Some(port) = bare::port() {
        bare::serve(port);
        return ExitCode::SUCCESS;
    }
    let settings = match Settings::read(&PARTS.map(|(name, _)| name)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let machine = machine::sentence();
    println!("{machine}\n");
    let mut report = Report::default();
    for (name, measure) in PARTS {
        if settings.parts.is_empty() || settings.parts.iter().any(|part| part == name) {
            measure(&mut report, &settings);
        }
    }
    let are_kept = report.judge();
    match settings.folder.map(|folder| write::write(&folder, &machine, &report)) {
        Some(Err(error)) => {
            eprintln!("the results cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ if settings.bounds && !are_kept => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
