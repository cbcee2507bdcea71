#!/bin/sh
# clap 4.6.9 and clap_complete 4.6.11 from crates.io, feature `unstable-dynamic`.
#
# For a word that is still empty, the engine returns the long options together with the values of the positional
# argument. So a shell never inserts the only value there is, and if there is none it inserts the dashes that all options
# have in common.
#
# Seen, the candidates for `example go ` with one value, and with none:
#     harbour --colour --help
#     --colour --help
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir src
cat > Cargo.toml <<'END_OF_MANIFEST'
[package]
name = "example"
version = "0.0.0"
edition = "2021"

[dependencies]
clap = "=4.6.9"
clap_complete = { version = "=4.6.11", features = ["unstable-dynamic"] }
END_OF_MANIFEST
cat > src/main.rs <<'END_OF_SOURCE'
use clap::{Arg, Command};
use clap_complete::engine::{complete, ArgValueCompleter, CompletionCandidate};

fn main() {
    for values in [vec!["harbour"], vec![]] {
        let given = move |_: &std::ffi::OsStr| values.iter().map(CompletionCandidate::new).collect::<Vec<_>>();
        let place = Arg::new("place").add(ArgValueCompleter::new(given));
        let colour = Arg::new("colour").long("colour");
        let mut command =
            Command::new("example").subcommand(Command::new("go").arg(place).arg(colour));
        let words = ["example", "go", ""].map(Into::into).to_vec();
        let candidates = complete(&mut command, words, 2, None).unwrap();
        let candidates: Vec<_> = candidates.iter().map(|it| it.get_value().to_string_lossy()).collect();
        println!("{}", candidates.join(" "));
    }
}
END_OF_SOURCE
seen=$(cargo run -q --target-dir target)
if [ "$seen" != "harbour --colour --help
--colour --help" ]; then
    echo "changed: $seen" >&2
    exit 1
fi
echo "$seen"
