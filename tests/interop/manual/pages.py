"""Checks the manual pages of all programs with mandoc, groff and man, and what readers see at 80 and 60 columns."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Examples keep their lines, however narrow the terminal is.
EXAMPLE = "surfstore export -f a.txt | surfstore import - -f b.txt"

# The mark of a broken word. The pages themselves have only the ASCII character, as in names of options.
HYPHEN = "\u2010"


def run(*command, **variables):
    """The command's stdout. It must succeed and have nothing to say on stderr."""
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert ended.returncode == 0, f"exit code {ended.returncode} of {command}\n{ended.stdout}{ended.stderr}"
    assert not ended.stderr, f"{command} said {ended.stderr}"
    return ended.stdout


def shown(page, columns):
    """The page as text, as `man` shows it in so many columns."""
    settings = {"MANWIDTH": str(columns), "MANPAGER": "cat", "LC_ALL": "C.UTF-8"}
    return run("man", "--encoding=UTF-8", "--warnings=w", "-l", page, **settings)


def check(folder):
    """Checks the pages in the folder, and returns how many there are."""
    pages = sorted(folder.iterdir())
    for page in pages:
        run("mandoc", "-T", "lint", "-W", "warning", page)
        run("groff", "-man", "-ww", "-Tutf8", "-z", page)
        for columns in (80, 60):
            text = shown(page, columns)
            lines = text.splitlines()
            # Only examples may be longer than the line, because a command line must not be broken.
            examples = text.partition("\nEXAMPLES\n")[2]
            wide = [line for line in lines if columns < len(line) and line not in examples]
            assert not wide, f"{page.name} at {columns} columns: {wide}"
            assert lines[0].count(page.stem + "(1)") == 2, f"{page.name} at {columns} columns: {lines[0]}"
            assert HYPHEN not in text, f"{page.name} at {columns} columns: a word is broken\n{text}"
    for columns in (80, 60):
        assert f"\n       {EXAMPLE}\n" in shown(folder / "surfstore-import.1", columns), "an example is broken"
    # The line by which `apropos` finds a page.
    for page in pages:
        name = run("lexgrog", page).partition('"')[2]
        assert name.startswith(f"{page.stem} - "), name
    return len(pages)


def main():
    """Writes the pages, and checks them."""
    with tempfile.TemporaryDirectory() as folder:
        manual = ["cargo", "run", "-q", "--release", "--locked", "--bin", "surfstore", "--", "man", "--all", folder]
        # A date that builds of packages tell; without one, mandoc warns that there is none.
        variables = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
        subprocess.run(manual, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, check=True)
        print(f"{check(pathlib.Path(folder))} manual pages without a warning")


if __name__ == "__main__":
    sys.exit(main())
