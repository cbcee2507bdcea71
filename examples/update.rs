//! Gives a file its next version and reads the map back, with the client library:
//! `cargo run --example update -- CONFIG NAME [HASH]...`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::env;
use std::path::Path;

use anyhow::bail;
use surfstore::client::blocking::Client;
use surfstore::client::{FileUpdate, Limits, Outcome};
use surfstore::config::Config;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [config, name, hashes @ ..] = arguments.as_slice() else {
        bail!("usage: update CONFIG NAME [HASH]...");
    };

    let config = Config::read(Path::new(config))?;
    let mut client = Client::new(&config.servers, Limits::default());

    // Only to show it: every call below finds the leader by itself.
    let (id, _) = client.leader()?;
    println!("server {id} is the leader");

    let stored = client.files()?.get(name.as_str()).map_or(0, |file| file.version);
    let update = FileUpdate {
        name: name.as_str().into(),
        version: stored + 1,
        hashes: hashes.iter().map(|hash| hash.as_str().into()).collect(),
    };
    match client.update(&update)? {
        // True: a majority holds the update.
        Outcome::Applied => println!("{name} has version {}", update.version),
        // False: another client was faster. The update had no effect and will have none.
        Outcome::Refused { stored } => {
            bail!("{name} has version {stored:?}: read the map and decide again")
        }
        // The update may have taken effect, or may still do so. Only the map shows which.
        Outcome::Unknown { reason } => bail!("outcome unknown: {reason}"),
    }

    for (name, file) in client.files()?.iter().filter(|(_, file)| !file.is_deleted()) {
        println!("{name} {} {:?}", file.version, file.hashes);
    }
    Ok(())
}
