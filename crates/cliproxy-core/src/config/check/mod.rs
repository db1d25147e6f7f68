//! What `cli-proxy-api check` says about a configuration.
//!
//! It goes the same way as a start of the server, so what it accepts the server accepts. Every
//! secret is masked; the text may be pasted into a public report.

mod effective;
mod outline;

use super::Source;
use super::diagnostic::Diagnostic;
use super::settings::{Settings, Store};
use crate::env::{self, Env};

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the server would start.
    pub is_usable: bool,
    /// The text for people.
    pub text: String,
}

/// Reads and validates the source and describes the result.
pub fn check(source: &Source, env: &dyn Env) -> Outcome {
    let file = source.path.as_deref();
    let name = file.map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
    let render = |kind: &str, list: &[Diagnostic]| {
        let lines = list.iter().map(|diagnostic| format!("{kind}: {}", diagnostic.render(file)));
        lines.flat_map(|line| [line, "\n".to_owned()]).collect::<String>()
    };
    match Settings::load(source, env) {
        Err(problems) => Outcome {
            is_usable: false,
            text: format!(
                "{}{}{name}: not usable, {}, {}\n",
                render("problem", &problems.list),
                render("warning", &problems.warnings),
                counted(problems.list.len(), "problem"),
                counted(problems.warnings.len(), "warning"),
            ),
        },
        Ok(loaded) => {
            let absent = loaded.content_hash.is_none() && file.is_some();
            let state = if absent { "no such file, defaults apply" } else { "usable" };
            Outcome {
                is_usable: true,
                text: format!(
                    "{}{name}: {state}, {}\n\n{}{}",
                    render("warning", &loaded.warnings),
                    counted(loaded.warnings.len(), "warning"),
                    environment(&loaded.settings, env),
                    effective::render(&loaded.settings),
                ),
            }
        }
    }
}

/// What is in force although the file does not say it.
fn environment(settings: &Settings, env: &dyn Env) -> String {
    let mut notes = vec![format!("store: {}", settings.store.name())];
    if settings.store != Store::File {
        notes.push("the store keeps its own copy of the configuration".to_owned());
    }
    if settings.management.lock.password.is_some() {
        notes.push(format!("{} adds a management key", env::MANAGEMENT_PASSWORD));
    }
    if env.get(env::AMP_API_KEY).is_some() {
        notes.push(format!("{} is set", env::AMP_API_KEY));
    }
    if !settings.payload.is_empty() {
        notes.push(format!("payload: {}", counted(settings.payload.len(), "rule")));
    }
    notes.iter().flat_map(|note| ["# ", note, "\n"]).collect()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests;
