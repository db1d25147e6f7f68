//! The flags of logins. Those that choose one are made from the list of logins, so a new provider needs no line here.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use cliproxy_core::oauth::Login;
use cliproxy_core::provider::LOGINS;

const HEADING: &str = "Logins";

/// What concerns logins.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct LoginArguments {
    #[command(flatten)]
    pub(crate) wanted: Wanted,

    /// Google project of the login: one, several with commas between, or ALL
    #[arg(long = "project_id", visible_alias = "project-id", value_name = "PROJECT")]
    pub(crate) project: Option<String>,

    /// Import a Google service account's key file for Vertex AI
    #[arg(long, value_name = "FILE")]
    pub(crate) vertex_import: Option<PathBuf>,

    /// Model prefix of the imported account
    #[arg(long, value_name = "PREFIX")]
    pub(crate) vertex_import_prefix: Option<String>,

    /// Show the address of the login instead of opening a browser
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) no_browser: bool,

    /// Port on which the browser's return is awaited; 0 takes the usual one
    #[arg(long, value_name = "PORT", default_value = "0", hide_default_value = true)]
    pub(crate) oauth_callback_port: u16,

    /// Print one JSON object per event, and exit with an honest code
    #[arg(long)]
    pub(crate) json: bool,
}

impl LoginArguments {
    /// Whether a login or an import is asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.0.is_some() || self.vertex_import.is_some()
    }
}

/// The login that the command line asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted(pub(crate) Option<&'static Login>);

impl FromArgMatches for Wanted {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // Of several the first of the list is meant, as programs that wrap this one expect.
        let is_set =
            |login: &&&'static Login| matches.get_one::<bool>(login.name).is_some_and(|&is_set| is_set);
        Ok(Self(LOGINS.iter().find(is_set).copied()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Wanted {
    fn augment_args(command: Command) -> Command {
        LOGINS.iter().fold(command, |command, login| {
            command.arg(
                Arg::new(login.name)
                    .long(login.name)
                    .help(login.about)
                    .help_heading(HEADING)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .value_name("BOOL")
                    .hide_possible_values(true)
                    .value_parser(clap::value_parser!(bool)),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, modernized};
    use clap::Parser as _;

    fn wanted(arguments: &[&str]) -> Option<&'static str> {
        let arguments = ["cli-proxy-api"].iter().chain(arguments).map(std::ffi::OsString::from);
        Arguments::try_parse_from(modernized(arguments)).unwrap().login.wanted.0.map(|login| login.name)
    }

    #[test]
    fn the_first_of_the_list_is_meant() {
        assert_eq!(wanted(&[]), None);
        for login in LOGINS {
            assert_eq!(wanted(&[&format!("-{}", login.name)]), Some(login.name));
        }
        assert_eq!(wanted(&["-kimi-login", "--claude-login", "-login"]), Some("login"));
        assert_eq!(wanted(&["-codex-login=false", "-qwen-login=true", "-no-browser"]), Some("qwen-login"));
    }
}
