"""Checks the document for the authors of clients against the programs that run, so that its code is not stale."""

import re
import textwrap

# A link to a program, and the block of code that follows it. Those in Rust are examples of the crate, which `cargo test`
# builds.
SHOWN = re.compile(
    r"\]\(\.\./(?:tests/interop/clients|examples)/([\w.]+)\)[^\n]*\n\n```\w+\n(.*?)\n```\n", re.DOTALL
)

INDENTS = ("", " " * 2, " " * 4, " " * 8)


def check(here):
    """Checks that every program is shown, and that it contains each paragraph shown of it, in that order."""
    document = (here / "../../docs/clients.md").read_text(encoding="utf-8")
    shown = dict(SHOWN.findall(document))
    folders = [here / "clients", here / "../../examples"]
    programs = {path.name: path.read_text(encoding="utf-8") for folder in folders for path in folder.iterdir()}
    assert shown.keys() == programs.keys(), f"not the programs that run: {shown.keys() ^ programs.keys()}"
    assert len(shown) == document.count("```") // 2, "there is a block of code that belongs to no program"
    for name, block in shown.items():
        rest = "\n" + programs[name]
        for paragraph in block.split("\n\n"):
            places = [rest.find(f"\n{textwrap.indent(paragraph, indent)}\n") for indent in INDENTS]
            assert max(places) >= 0, f"this is not in {name}, or not in that order:\n{paragraph}"
            rest = rest[max(places) + 1:]
    return f"shows what {len(shown)} programs do"
