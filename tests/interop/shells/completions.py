"""Lets bash, zsh, fish and elvish load their completion scripts, and complete command lines.

The command lines are typed at a terminal, a Tab at their end. Ctrl-T then makes the shell print its line. Names of
files come from running servers, whose ports are the arguments.
"""
import codecs
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

# The folder with the program that the scripts call.
PROGRAMS = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"

# The names of stored files, and how often each is updated.
STORED = {"alpha.txt": 2, "dolphin": 1, "my file": 1, "it's": 1, 'say "hi"': 1, "cost$HOME": 1, "back\\slash": 1,
          "wild*?[a-z]": 1, "semi;colon&": 1, "pipe|<out>`x`": 1, "bang!!x": 1, "key=value": 1, "zone:one": 1,
          "~home": 1, "hash #x": 1, "round(s){}": 1, "\u00fcber": 1, "\u6f22\u5b57": 1, "line\nbreak": 1, "-dash": 1}

# Deleted files.
DELETED = ["delta", "dolphins"]

# What is typed, and the line after the Tab. The folder has the folder `pages` and three configurations: `config.txt`,
# which SURFSTORE_CONFIG names, and `two words.txt` have running servers, `down.txt` two servers that do not run.
LINES = {
    "surfstore stat": "surfstore status",
    "surfstore import --ver": "surfstore import --versions",
    "surfstore status -o j": "surfstore status -o json",
    "surfstore crash l": "surfstore crash leader",
    "surfstore crash a": "surfstore crash all",
    "surfstore crash 2": "surfstore crash 2",
    "surfstore crash 3": "surfstore crash 3",
    "surfstore status --output=j": "surfstore status --output=json",
    "surfstore crash -o json l": "surfstore crash -o json leader",
    "surfstore restore a": "surfstore restore all",
    "surfstore restore le": "surfstore restore le",
    "surfstore call --at l": "surfstore call --at leader",
    "surfstore ls -f conf": "surfstore ls -f config.txt",
    "surfstore ls -f ~/conf": "surfstore ls -f ~/config.txt",
    "surfstore doctor conf": "surfstore doctor config.txt",
    "surfstore import conf": "surfstore import config.txt",
    "surfstore man --all pa": "surfstore man --all pages/",
    "surfstore man cra": "surfstore man crash",
    "surfstore help cra": "surfstore help crash",
    "surfstore completions z": "surfstore completions zsh",
    "surfstore ls --js": "surfstore ls --js",
    "surfstore serve": "surfstore serve",
    "surfstore get al": "surfstore get alpha.txt",
    "surfstore version al": "surfstore version alpha.txt",
    "surfstore update al": "surfstore update alpha.txt",
    "surfstore update alpha.txt ": "surfstore update alpha.txt 3",
    "surfstore update new.txt ": "surfstore update new.txt 1",
    "surfstore get dol": "surfstore get dolphin",
    "surfstore get de": "surfstore get delta",
    "surfstore get line": "surfstore get line",
    "surfstore get -- -d": "surfstore get -- -dash",
    "surfstore get -f 'two words.txt' al": "surfstore get -f 'two words.txt' alpha.txt",
    "surfstore get -f down.txt al": "surfstore get -f down.txt al",
    "surfstore get -f down.txt ": "surfstore get -f down.txt",
    "surfstore crash --config=down.txt 2": "surfstore crash --config=down.txt 2",
}

# What is typed of an argument, and what the argument becomes.
WORDS = {"my": "my file", "'my f": "my file", "it": "it's", "sa": 'say "hi"', "cost": "cost$HOME",
         "back": "back\\slash", "wild": "wild*?[a-z]", "semi": "semi;colon&", "pipe": "pipe|<out>`x`", "bang": "bang!!x", "ke": "key=value",
         "key=": "key=value", "zo": "zone:one", "zone:": "zone:one", "ha": "hash #x", "ro": "round(s){}",
         "\u00fc": "\u00fcber", "\u6f22": "\u6f22\u5b57"}

# The same, in shells that read these quotes alike.
POSIX_WORDS = {"my\\ f": "my file", '"my f': "my file", '"cos': "cost$HOME", "'pi": "pipe|<out>`x`", '"sa': 'say "hi"',
               "\\~": "~home", "it\\'": "it's"}

# The script of each shell, in a folder of the test.
SCRIPTS = {"bash": "surfstore.bash", "zsh": "functions/_surfstore", "fish": "surfstore.fish", "elvish": "surfstore.elv"}

# The candidates after a space, for shells that can list them.
CANDIDATES = {
    "surfstore crash ": {"leader", "all", *"012"},
    "surfstore restore ": {"all", *"012"},
    "surfstore crash -f down.txt ": {"leader", "all", *"01"},
    "surfstore get d": {"dolphin"},
    "surfstore get ": {name for name in STORED if name not in ("line\nbreak", "-dash")},
}

BASH_RC = """
PS1='READY '
bind 'set bell-style none'
source <(cat surfstore.bash)
report() { printf 'LINE<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE=; }
bind -x '"\\C-t": report'
"""

ZSH_RC = """
PS1='READY '
setopt no_beep
fpath=($PWD/functions $fpath)
autoload -Uz compinit
compinit -u -d $PWD/dump
report() { print -r -- "LINE<<$BUFFER>>"; BUFFER=; zle reset-prompt }
zle -N report
bindkey '^T' report
"""


# If there is nothing to add to the word, or if it needs quotes, elvish opens a list. Ctrl-T takes its first line.
ELVISH_RC = """
eval (slurp < surfstore.elv)
set edit:prompt = { print 'READY ' }
set edit:rprompt = { }
fn report { print "LINE<<"$edit:current-command">>\n" > /dev/tty; set edit:current-command = '' }
set edit:insert:binding[Ctrl-T] = $report~
set edit:completion:binding[Ctrl-T] = { edit:completion:accept; report }
"""

FISH_CONFIG = """
source surfstore.fish
function fish_greeting; end
function fish_prompt; printf 'READY '; end
function report; printf 'LINE<<%s>>\\n' (commandline); commandline ''; end
bind \\ct report
"""

# What is a candidate already.
WHOLE = {"surfstore crash 2"}

# Elvish puts a value with an equals sign into quotes.
NOT_ELVISH = {"surfstore status --output=j"}

# How a shell prints the words of a line, and a command whose arguments they are.
PRINTING = {
    "bash": (["bash", "--norc", "-c"], "printf '%s\\n'"),
    "zsh": (["zsh", "-f", "-c"], "printf '%s\\n'"),
    "fish": (["fish", "--no-config", "-c"], "printf '%s\\n'"),
    "elvish": (["elvish", "-norc", "-c"], "e:printf '%s\\n'"),
}


def variables(folder):
    """The environment of the shells."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    own = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PATH": path, "SURFSTORE_CONFIG": str(folder / "config.txt")}
    return {**os.environ, **own, "ZDOTDIR": str(folder), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


class Shell:
    """A shell at a terminal of its own, which has printed its first prompt."""

    def __init__(self, command, folder):
        self.name, self.text = command[0], ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.process, self.line = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, variables(folder))
        self.until("READY ")

    def until(self, pattern):
        """Reads until the text matches, and returns the match. What was read up to its end is forgotten."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.text)):
            rest = deadline - time.monotonic()
            is_there = 0 < rest and select.select([self.line], [], [], rest)[0]
            assert is_there, f"{self.name}: no {pattern} in {self.text!r}"
            self.text += self.decoder.decode(os.read(self.line, 4096))
        self.text = self.text[found.end():]
        return found

    def completed(self, typed):
        """What the shell makes of the line at a Tab."""
        os.write(self.line, f"{typed}\t\x14".encode())
        return self.until("LINE<<(.*?)>>\r?\n").group(1).rstrip()

    def end(self):
        """Ends the process that this one has started."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.line)


def words_of(name, line, folder):
    """The words of a line, as the shell reads them."""
    command, printing = PRINTING[name]
    ended = subprocess.run([*command, f"{printing} {line}"], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{name}: {line}: {ended.stderr}"
    return ended.stdout.splitlines()


def check_at_terminal(command, folder, words, without=()):
    """Types all lines but some into the shell, and the beginnings of these words."""
    name = command[0]
    shell = Shell(command, folder)
    try:
        for typed, completed in LINES.items():
            if typed in without:
                continue
            got = shell.completed(typed)
            if name == "elvish":
                # It replaces the tilde itself.
                completed = completed.replace("~", str(folder))
            assert got == completed, f"{name}: {typed!r} became {got!r}, not {completed!r}"
        for typed, completed in words.items():
            line = shell.completed(f"surfstore get {typed}")
            got = words_of(name, line, folder)
            assert got == ["surfstore", "get", completed], f"{name}: {typed!r} became {line!r}, which is {got}"
    finally:
        shell.end()


def fish(line, folder):
    """The candidates of fish, without their descriptions. It has a command for them."""
    ask = 'source surfstore.fish; complete -C "$argv[1]"'
    command = ["fish", "--no-config", "-c", ask, line]
    ended = subprocess.run(command, cwd=folder, env=variables(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and not ended.stderr, f"fish: {line!r}: {ended.stderr}"
    return {candidate.split("\t")[0] for candidate in ended.stdout.splitlines()}


def check_fish(folder):
    """Asks fish for the candidates of all lines."""
    for typed, completed in LINES.items():
        is_completed = completed != typed.rstrip() or typed in WHOLE
        expected = {completed.rpartition(" ")[2]} if is_completed else set()
        got = fish(typed, folder)
        assert got == expected, f"fish: {typed!r}: {got}, not {expected}"
    for typed, expected in CANDIDATES.items():
        got = fish(typed, folder)
        assert got == expected, f"fish: {typed!r}: {got}, not {expected}"


def surfstore(arguments, folder):
    """Runs the program, which must succeed, and returns its stdout."""
    command = [PROGRAMS / "surfstore", *arguments]
    ended = subprocess.run(command, cwd=folder, env=variables(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{arguments}: {ended.stderr}"
    return ended.stdout


def write_files(folder, ports):
    """Writes the configurations, the scripts, and what the shells read at their start."""
    for name, ports in {"config.txt": ports, "two words.txt": ports, "down.txt": [1, 2]}.items():
        lines = [f"M: {len(ports)}", *(f"metadata{place}: localhost:{port}" for place, port in enumerate(ports)), ""]
        (folder / name).write_text("\n".join(lines), encoding="ascii")
    for name in ("functions", "pages", "fish"):
        (folder / name).mkdir()
    for shell, path in SCRIPTS.items():
        (folder / path).write_text(surfstore(["completions", shell], folder), encoding="utf-8")
    starts = {".bashrc": BASH_RC, ".zshrc": ZSH_RC, "rc.elv": ELVISH_RC, "fish/config.fish": FISH_CONFIG}
    for name, text in starts.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(ports):
    """Stores files, and lets the shells complete their names and all else."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        write_files(folder, ports)
        for name, versions in STORED.items():
            for version in range(1, versions + 1):
                surfstore(["update", "--", name, str(version), "hash"], folder)
        for name in DELETED:
            surfstore(["update", name, "1", "0"], folder)
        check_at_terminal(["bash", "--noprofile", "--rcfile", ".bashrc", "-i"], folder, {**WORDS, **POSIX_WORDS})
        check_at_terminal(["zsh", "-i"], folder, {**WORDS, **POSIX_WORDS})
        check_at_terminal(["fish", "-i"], folder, {**WORDS, **POSIX_WORDS})
        check_at_terminal(["elvish", "-rc", "rc.elv"], folder, WORDS, NOT_ELVISH)
        check_fish(folder)
    print(f"{', '.join(SCRIPTS)} complete up to {len(LINES)} command lines, and {len(WORDS)} words")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
