#!/bin/sh
# clap 4.6.9 and clap_complete 4.6.11 from crates.io.
#
# The scripts for bash and zsh complete the possible values of a positional argument. Those for fish, elvish and
# PowerShell do not have them at all, although they complete subcommands in the same place. The values of an option are
# completed by fish as well. The library's engine, which a script asks at each Tab, completes both in all five shells
# (feature `unstable-dynamic`).
#
# Seen, the number of lines with a value of the positional argument, and of the option:
#     bash 1 1, zsh 1 1, fish 0 1, elvish 0 0, powershell 0 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir src
cat > Cargo.toml <<'END'
[package]
name = "example"
version = "0.0.0"
edition = "2021"

[dependencies]
clap = "=4.6.9"
clap_complete = "=4.6.11"
END
cat > src/main.rs <<'END'
use clap::{Arg, Command};
use clap_complete::Shell::{Bash, Elvish, Fish, PowerShell, Zsh};

fn main() {
    let place = Arg::new("place").value_parser(["harbour", "island"]);
    let colour = Arg::new("colour").long("colour").value_parser(["crimson", "indigo"]);
    let mut told = Vec::new();
    for shell in [Bash, Zsh, Fish, Elvish, PowerShell] {
        let mut command = Command::new("example")
            .subcommand(Command::new("go").arg(place.clone()).arg(colour.clone()));
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "example", &mut script);
        let script = String::from_utf8(script).unwrap();
        let lines = |word| script.lines().filter(|line| line.contains(word)).count();
        told.push(format!("{shell} {} {}", lines("harbour"), lines("crimson")));
    }
    println!("{}", told.join(", "));
}
END
seen=$(cargo run -q --target-dir target)
if [ "$seen" != "bash 1 1, zsh 1 1, fish 0 1, elvish 0 0, powershell 0 0" ]; then
    echo "changed: $seen" >&2
    exit 1
fi
echo "$seen"
