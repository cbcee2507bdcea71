//! The completion scripts, for the commands and options that the help shows.

use clap::Command;
use clap_complete::Shell;

use super::arguments::Arguments;

/// The script of a shell.
pub(super) fn script(shell: Shell) -> String {
    let mut command = Arguments::shown();
    if !matches!(shell, Shell::Bash | Shell::Zsh) {
        command = with_values_as_commands(command);
    }
    // Generate into memory first, because the library panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "surfstore", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The same, with a command for each value of an argument such as `leader`. The library's scripts for fish, elvish and
/// PowerShell complete the values of options at most, but commands of commands everywhere.
fn with_values_as_commands(program: Command) -> Command {
    // The library's own command `help` would have a command for each value too.
    let mut built = program.clone();
    built.build();
    let help = built
        .find_subcommand("help")
        .map(|help| named_as(help).subcommands(program.get_subcommands().map(named_as)));
    program.mut_subcommands(values_as_commands).disable_help_subcommand(true).subcommands(help)
}

fn values_as_commands(command: Command) -> Command {
    let values: Vec<_> = command
        .get_positionals()
        .flat_map(|argument| argument.get_possible_values())
        .map(|value| value.get_name().to_owned())
        // The script for fish would take the command itself for this value, which is already typed.
        .filter(|value| value != command.get_name())
        .collect();
    if values.is_empty() {
        return command;
    }
    let options: Vec<_> =
        command.get_arguments().filter(|argument| !argument.is_positional()).cloned().collect();
    let values = values.into_iter().map(|value| Command::new(value).args(&options));
    named_as(&command).args(&options).subcommands(values).disable_help_subcommand(true)
}

/// A command with this name and description alone.
fn named_as(command: &Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned()).about(about)
}
