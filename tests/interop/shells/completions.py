"""Lets bash, zsh, fish and elvish load their completion scripts, and complete command lines.

The command lines are typed at a terminal, a Tab at their end. Ctrl-T then makes the shell print its line.
"""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]

# How long a shell may take for its start, and for one line.
SECONDS = 20

# What is typed, and the line after the Tab. The folder has the file `config.txt` and the folder `pages`.
LINES = {
    "surfstore stat": "surfstore status",
    "surfstore import --ver": "surfstore import --versions",
    "surfstore status -o j": "surfstore status -o json",
    "surfstore crash l": "surfstore crash leader",
    "surfstore crash a": "surfstore crash all",
    "surfstore crash 9": "surfstore crash 9",
    "surfstore crash -o json l": "surfstore crash -o json leader",
    "surfstore restore a": "surfstore restore all",
    "surfstore restore le": "surfstore restore le",
    "surfstore call --at l": "surfstore call --at leader",
    "surfstore ls -f conf": "surfstore ls -f config.txt",
    "surfstore doctor conf": "surfstore doctor config.txt",
    "surfstore import conf": "surfstore import config.txt",
    "surfstore man --all pa": "surfstore man --all pages/",
    "surfstore man cra": "surfstore man crash",
    "surfstore help cra": "surfstore help crash",
    "surfstore completions z": "surfstore completions zsh",
    "surfstore ls --js": "surfstore ls --js",
    "surfstore serve": "surfstore serve",
}

# The script of each shell, in a folder of the test.
SCRIPTS = {"bash": "surfstore.bash", "zsh": "functions/_surfstore", "fish": "surfstore.fish", "elvish": "surfstore.elv"}

# The candidates after a space, for shells that can list them.
CANDIDATES = {
    "surfstore crash ": {"leader", "all", *"0123456789"},
    "surfstore restore ": {"all", *"0123456789"},
}

BASH_RC = """
PS1='READY '
bind 'set bell-style none'
source <(cat surfstore.bash)
report() { printf 'LINE<%s>\\n' "$READLINE_LINE"; READLINE_LINE=; }
bind -x '"\\C-t": report'
"""

ZSH_RC = """
PS1='READY '
setopt no_beep
fpath=($PWD/functions $fpath)
autoload -Uz compinit
compinit -u -d $PWD/dump
report() { print -r -- "LINE<$BUFFER>"; BUFFER=; zle reset-prompt }
zle -N report
bindkey '^T' report
"""


ELVISH_RC = """
eval (slurp < surfstore.elv)
set edit:prompt = { print 'READY ' }
set edit:rprompt = { }
set edit:insert:binding[Ctrl-T] = { print "LINE<"$edit:current-command">\n" > /dev/tty; set edit:current-command = '' }
"""

# The library's script for elvish completes neither paths nor what follows an option. If there is nothing to add, as
# after an id, elvish opens a list, in which Ctrl-T means nothing.
NOT_ELVISH = {"surfstore status -o j", "surfstore crash -o json l", "surfstore call --at l", "surfstore ls -f conf",
              "surfstore doctor conf", "surfstore import conf", "surfstore man --all pa", "surfstore crash 9"}


class Shell:
    """A shell at a terminal of its own, which has printed its first prompt."""

    def __init__(self, command, folder):
        self.name, self.text = command[0], ""
        self.process, self.line = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            variables = {**os.environ, "TERM": "xterm", "ZDOTDIR": str(folder), "HOME": str(folder)}
            os.execvpe(command[0], command, variables)
        self.until("READY ")

    def until(self, pattern):
        """Reads until the text matches, and returns the match. What was read up to its end is forgotten."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.text)):
            rest = deadline - time.monotonic()
            is_there = 0 < rest and select.select([self.line], [], [], rest)[0]
            assert is_there, f"{self.name}: no {pattern} in {self.text!r}"
            self.text += os.read(self.line, 4096).decode(errors="replace")
        self.text = self.text[found.end():]
        return found

    def completed(self, typed):
        """What the shell makes of the line at a Tab."""
        os.write(self.line, f"{typed}\t\x14".encode())
        return self.until("LINE<([^>]*)>").group(1).rstrip()

    def end(self):
        """Ends the process that this one has started."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.line)


def check_at_terminal(command, folder, without=()):
    """Types all lines but some into the shell."""
    shell = Shell(command, folder)
    try:
        for typed, completed in LINES.items():
            if typed in without:
                continue
            got = shell.completed(typed)
            assert got == completed, f"{command[0]}: {typed!r} became {got!r}, not {completed!r}"
    finally:
        shell.end()


def fish(line, folder):
    """The candidates of fish, without their descriptions. It has a command for them."""
    ask = 'source surfstore.fish; complete -C "$argv[1]"'
    command = ["fish", "--no-config", "-c", ask, line]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and not ended.stderr, f"fish: {line!r}: {ended.stderr}"
    return {candidate.split("\t")[0] for candidate in ended.stdout.splitlines()}


def check_fish(folder):
    """Asks fish for the candidates of all lines."""
    for typed, completed in LINES.items():
        expected = {completed.rpartition(" ")[2]} if completed != typed or typed.endswith("9") else set()
        got = fish(typed, folder)
        assert got == expected, f"fish: {typed!r}: {got}, not {expected}"
    for typed, expected in CANDIDATES.items():
        got = fish(typed, folder)
        assert got == expected, f"fish: {typed!r}: {got}, not {expected}"


def main():
    """Writes the scripts, and lets the shells use them."""
    program = ["cargo", "run", "-q", "--release", "--locked", "--bin", "surfstore", "--", "completions"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        (folder / "functions").mkdir()
        (folder / "pages").mkdir()
        (folder / "config.txt").touch()
        for shell, path in SCRIPTS.items():
            with open(folder / path, "w", encoding="utf-8") as script:
                subprocess.run([*program, shell], cwd=ROOT, stdout=script, check=True)
        (folder / ".bashrc").write_text(BASH_RC, encoding="utf-8")
        (folder / ".zshrc").write_text(ZSH_RC, encoding="utf-8")
        check_at_terminal(["bash", "--noprofile", "--rcfile", ".bashrc", "-i"], folder)
        check_at_terminal(["zsh", "-i"], folder)
        (folder / "rc.elv").write_text(ELVISH_RC, encoding="utf-8")
        check_at_terminal(["elvish", "-rc", "rc.elv"], folder, NOT_ELVISH)
        check_fish(folder)
    print(f"{', '.join(SCRIPTS)} complete up to {len(LINES)} command lines")


if __name__ == "__main__":
    sys.exit(main())
