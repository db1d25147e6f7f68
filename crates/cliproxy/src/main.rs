//! `cli-proxy-api`: parse, set up logging, dispatch, exit code. Everything else is in the libraries.

mod arguments;
mod command;
mod logging;
mod logins;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let parsed = arguments::Arguments::try_parse_from(arguments::modernized(std::env::args_os()));
    // A server says it itself.
    if parsed.as_ref().map_or(true, |arguments| arguments.begin_with_version() && !arguments.serves()) {
        // A reader that has left is no reason not to do what was asked.
        writeln!(std::io::stdout(), "{}", version()).ok();
    }
    let result = match parsed {
        Ok(arguments) => command::run(&arguments),
        Err(usage) => {
            // Help and wrong flags alike; a closed terminal reads neither.
            drop(usage.print());
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Wrappers look for this line first.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("CLIProxyAPI Version: {version}, Commit: none, BuiltAt: unknown")
}

/// A failed start is told where the user looks.
fn report(error: &anyhow::Error) {
    writeln!(std::io::stderr(), "error: {error:#}").ok();
}
