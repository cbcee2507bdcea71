#!/bin/sh
# roff 1.1.1 from crates.io, which clap_mangen writes manual pages with.
#
# An argument of a control line that has a space is quoted, but an empty one is written as nothing. So the arguments
# behind it move forward: in `.TH`, a page without a date shows the version in the place of the date, and no version.
# Programs that read roff see an empty argument only if it is written as "".
#
# Seen:
#     .TH example 1  "example 1.0"
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
roff = "=1.1.1"
END
cat > src/main.rs <<'END'
fn main() {
    let mut page = roff::Roff::new();
    // The title, the section, the date and the version.
    page.control("TH", ["example", "1", "", "example 1.0"]);
    print!("{}", page.to_roff());
}
END
cargo run -q --target-dir target > page
line=$(grep '^\.TH' page)
if [ "$line" != '.TH example 1  "example 1.0"' ]; then
    echo "changed: an empty argument is written as $line" >&2
    exit 1
fi
echo "$line"
