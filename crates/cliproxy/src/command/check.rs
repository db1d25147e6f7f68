//! `check`: would the server start, and with what.

use std::path::Path;
use std::process::ExitCode;

use cliproxy_core::config::{Source, check, env};

#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(super) fn run(source: &Source) -> ExitCode {
    let outcome = check::check(source, &env::with_dotenv(Path::new(".")));
    print!("{}", outcome.text);
    if outcome.is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
