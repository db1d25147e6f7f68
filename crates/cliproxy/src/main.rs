//! `cli-proxy-api`: parse, set up logging, dispatch, exit code. Everything else is in the libraries.

mod arguments;
mod command;
mod logging;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    println_version();
    let arguments = arguments::Arguments::parse_from(arguments::modernized(std::env::args_os()));
    match command::run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Wrappers look for this line first, whatever the mode.
#[expect(clippy::print_stdout, reason = "the line is for the terminal and for programs that wrap this one")]
fn println_version() {
    println!("CLIProxyAPI Version: {}, Commit: none, BuiltAt: unknown", env!("CARGO_PKG_VERSION"));
}

#[expect(clippy::print_stderr, reason = "a failed start is told where the user looks")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
