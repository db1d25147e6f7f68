//! The command line.
//!
//! Programs that wrap this one use single-dash long flags (`-config FILE`); [`modernized`] turns them into the usual
//! form before they are parsed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::command::{ImportArguments, UsageArguments};
use crate::logins::LoginArguments;

/// One gateway for every AI client and every account and key you own.
///
/// Without a command it serves. Without a configuration file it serves on 127.0.0.1:8317.
#[derive(Debug, Parser)]
#[command(name = "cli-proxy-api", version, args_conflicts_with_subcommands = false)]
pub(crate) struct Arguments {
    /// Configuration file; `config.yaml` in the working directory by default
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Add a built-in provider that needs no account, and print lines to try
    #[arg(long)]
    pub(crate) demo: bool,

    /// Address to serve on, instead of the configured one
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(crate) host: Option<String>,

    /// Port to serve on, instead of the configured one; 0 takes a free one
    #[arg(long, value_name = "PORT", global = true)]
    pub(crate) port: Option<u16>,

    /// Serve other machines although no client keys are configured
    #[arg(long, global = true)]
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
    /// Whether the output is for a program, so that nothing but JSON may stand in it.
    pub(crate) fn prints_json(&self) -> bool {
        match &self.command {
            Some(Command::Explain { json, .. }) => *json,
            Some(Command::Usage(usage)) => usage.is_for_programs(),
            Some(Command::Import(import)) => import.is_for_programs(),
            _ => self.login.json,
        }
    }
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve (the default)
    Serve,
    /// Validate the configuration and print the effective settings, secrets masked
    Check,
    /// Use the logins of other programs on this machine, and undo that
    Import(ImportArguments),
    /// Say which credential a request for a model would use now, and why not each other one
    Explain {
        /// The model, as a client names it
        #[arg(long)]
        model: String,
        /// The conversation, as the client names it in a header
        #[arg(long)]
        session: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Sum up the requests of the past: tokens, times and costs, from the usage ledger
    Usage(UsageArguments),
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
    use super::*;

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
