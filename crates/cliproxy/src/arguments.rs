//! The command line.
//!
//! Programs that wrap this one use single-dash long flags (`-config FILE`); [`modernized`] turns them into the usual
//! form before they are parsed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

use crate::command::{
    AccountsArguments, CompletionsArguments, DoctorArguments, ExplainArguments, ImportArguments,
    KeysArguments, LogsArguments, ManArguments, UsageArguments,
};
use crate::logins::LoginArguments;

/// What stands below the list of flags.
const EXAMPLES: &str = "\
Examples:
  cli-proxy-api --demo           serve with models that need no account, to try it out
  cli-proxy-api --claude-login   log in; each login is one of the flags above
  cli-proxy-api import           find the logins of other programs on this machine
  cli-proxy-api                  serve
  cli-proxy-api accounts         see who can serve, and who cannot and why
  cli-proxy-api doctor           find what is wrong and what to do about it

Flags may have one dash or two.";

/// What concerns the configuration, and may stand before and behind every command.
const CONFIGURATION: &str = "Configuration";

/// One gateway for every AI client and every account and key you own.
///
/// Without a command it serves. Without a configuration file it serves on 127.0.0.1:8317.
#[derive(Debug, Parser)]
#[command(name = "cli-proxy-api", version, args_conflicts_with_subcommands = false, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Configuration file; `config.yaml` in the working directory by default
    #[arg(long, value_name = "FILE", global = true, help_heading = CONFIGURATION, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Add a built-in provider that needs no account, and print lines to try
    #[arg(long)]
    pub(crate) demo: bool,

    /// Address to serve on, instead of the configured one
    #[arg(long, value_name = "ADDRESS", global = true, help_heading = CONFIGURATION)]
    pub(crate) host: Option<String>,

    /// Port to serve on, instead of the configured one; 0 takes a free one
    #[arg(long, value_name = "PORT", global = true, help_heading = CONFIGURATION)]
    pub(crate) port: Option<u16>,

    /// Serve other machines although no client keys are configured
    #[arg(long, global = true, help_heading = CONFIGURATION)]
    pub(crate) allow_unauthenticated_remote: bool,

    /// A management key for this machine only, chosen by the program that starts this one
    #[arg(long, value_name = "KEY", hide = true)]
    pub(crate) password: Option<String>,

    #[command(flatten)]
    pub(crate) login: LoginArguments,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Arguments {
    /// Whether wrappers of the existing program may have started this, who look for the version line first. The other
    /// commands are our own, and their output is nothing but what was asked for.
    pub(crate) fn begin_with_version(&self) -> bool {
        matches!(self.command, None | Some(Command::Serve)) && !self.login.json
    }

    /// Whether this starts a server.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, None | Some(Command::Serve)) && !self.login.is_wanted()
    }
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve (the default)
    Serve,
    /// Validate the configuration and print the effective settings, secrets masked
    Check,
    /// Look for what keeps the gateway from working, and say what to do about it
    Doctor(DoctorArguments),
    /// List the accounts: whether they serve and why not, their tokens, what is left of their quotas
    Accounts(AccountsArguments),
    /// List the client keys and upstream keys of the configuration, masked
    Keys(KeysArguments),
    /// Use the logins of other programs on this machine, and undo that
    Import(ImportArguments),
    /// Say which credential a request for a model would use now, and why not each other one
    Explain(ExplainArguments),
    /// Sum up the requests of the past: tokens, times and costs, from the usage ledger
    Usage(UsageArguments),
    /// Show the log files of a server, filtered, and as they grow
    Logs(LogsArguments),
    /// Print a script that makes a shell complete commands and flags
    Completions(CompletionsArguments),
    /// Print the manual page, or write the pages of all commands into a directory
    Man(ManArguments),
}

/// Long flags of one dash become those of two.
pub(crate) fn modernized(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_literal = false;
    arguments
        .enumerate()
        .map(|(position, argument)| {
            is_literal |= argument == "--";
            let Some(text) = argument.to_str().filter(|_| position > 0 && !is_literal) else {
                return argument;
            };
            let is_long = text.len() > 2 && text.starts_with('-') && !text.starts_with("--");
            let is_word = text.chars().nth(1).is_some_and(char::is_alphabetic);
            if is_long && is_word { format!("-{text}").into() } else { argument }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_and_every_flag_says_what_it_is_for() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        command.build();
        let mut commands = vec![&command];
        while let Some(command) = commands.pop() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let is_plain = !help.is_empty() && !help.ends_with('.');
                assert!(
                    is_plain && help.starts_with(char::is_uppercase),
                    "{name} {}: {help}",
                    argument.get_id()
                );
            }
            commands.extend(command.get_subcommands().filter(|below| below.get_name() != "help"));
        }
    }

    #[test]
    fn single_dash_flags_are_understood() {
        let given = ["cli-proxy-api", "-config", "/tmp/c.yaml", "-port=0", "--demo", "-h", "--", "-x"];
        let modern = modernized(given.iter().map(OsString::from));
        let expected = ["cli-proxy-api", "--config", "/tmp/c.yaml", "--port=0", "--demo", "-h", "--", "-x"];
        assert_eq!(modern, expected.map(OsString::from));
        let parsed = Arguments::try_parse_from(modern.into_iter().take(5)).unwrap();
        assert_eq!(parsed.config, Some("/tmp/c.yaml".into()));
        assert_eq!(parsed.port, Some(0));
        assert!(parsed.demo);
    }
}
