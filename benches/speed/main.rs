//! How fast the servers are: processes of their own, called over sockets. `cargo bench --bench speed`
//!
//! Every answer is checked, and in the end the map: a benchmark whose servers do not do their work has no figures.
//! `docs/speed.md` says what is measured and how it is asked for.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::process::ExitCode;

#[path = "../common/mod.rs"]
mod common;

mod attacker;
mod bare;
mod calls;
mod catchup;
mod cluster;
mod connection;
mod etcd;
mod failover;
mod figures;
mod files;
mod growth;
mod idle;
mod load;
mod machine;
mod others;
mod plot;
mod report;
mod settings;
mod usage;
mod write;

use etcd::Etcd;
use report::Report;
use settings::Settings;

fn main() -> ExitCode {
    // The benchmark starts itself as the bare server.
    if let Some(port) = bare::port() {
        bare::serve(port);
        return ExitCode::SUCCESS;
    }
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let machine = machine::sentence();
    println!("{machine}\n");
    let mut report = Report::default();
    for part in &settings.parts {
        measure(part, &mut report, &settings);
    }
    match settings.folder.map(|folder| write::write(&folder, &machine, &report)) {
        Some(Err(error)) => {
            eprintln!("the results cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn measure(part: &str, report: &mut Report, settings: &Settings) {
    match part {
        "calls" => {
            let mut etcd = if settings.etcd { Etcd::start() } else { None };
            for servers in &settings.servers {
                let etcd = etcd.as_mut().filter(|_| *servers == etcd::SERVERS);
                calls::measure(report, settings, *servers, etcd);
            }
        }
        "failover" => failover::measure(report, settings.failovers),
        "catchup" => catchup::measure(report, settings),
        "growth" => growth::measure(report, settings),
        "idle" => idle::measure(report),
        "others" => others::measure(report, settings),
        _ => unreachable!("only known parts are taken"),
    }
}
