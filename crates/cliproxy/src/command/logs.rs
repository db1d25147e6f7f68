//! `logs`: lines of the application log that a server writes to files, filtered, and as they come.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use cliproxy_core::config::Source;
use cliproxy_server::logs::{Asked, Places, read, short_id};
use serde_json::json;

use super::show::print;

/// How often the files are looked at for what is new.
const PACE: Duration = Duration::from_millis(250);

/// What `logs` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogsArguments {
    /// Only lines of this level, and of those that are more severe
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Only lines of this request, by its id or the first eight digits of it
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only lines that hold this text, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Show so many lines at most, the last ones
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    lines: u16,
    /// Go on with what is written from now on
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object a line, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn of(word: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error].into_iter().find(|level| level.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line of a file, taken apart: `[time] [request] [level] [place] text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line<'a> {
    time: &'a str,
    request: &'a str,
    level: Level,
    place: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for what goes on with the line before it.
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut next = || {
            let (part, behind) = rest.strip_prefix('[')?.split_once(']')?;
            rest = behind.strip_prefix(' ').unwrap_or(behind);
            Some(part)
        };
        let (time, request, level, place) = (next()?, next()?, next()?, next()?);
        Some(Self { time, request, level: Level::of(level.trim())?, place, text: rest })
    }
}

/// Which lines are wanted. One that goes on with another is wanted if that one is.
struct Filter {
    level: Option<Level>,
    request: Option<String>,
    text: Option<String>,
    is_wanted: bool,
}

impl Filter {
    fn new(arguments: &LogsArguments) -> Self {
        let short = |id: &String| match short_id(id) {
            "--------" => id.to_lowercase(),
            short => short.to_lowercase(),
        };
        Self {
            level: arguments.level,
            request: arguments.request.as_ref().map(short),
            text: arguments.text.as_ref().map(|text| text.to_lowercase()),
            is_wanted: true,
        }
    }

    fn takes(&mut self, line: &str) -> bool {
        let has_text = |text: &String| line.to_lowercase().contains(text);
        if let Some(parsed) = Line::parse(line) {
            self.is_wanted = self.level.is_none_or(|least| parsed.level >= least)
                && self.request.as_ref().is_none_or(|id| parsed.request.eq_ignore_ascii_case(id))
                && self.text.as_ref().is_none_or(has_text);
        }
        self.is_wanted
    }
}

pub(super) fn run(arguments: &LogsArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = super::settings(source)?;
    let places = Places::of(&settings);
    let directory = places.chosen().context("there is no place for log files")?;
    let mut filter = Filter::new(arguments);
    let asked = Asked { limit: Some(arguments.lines.into()), ..Asked::default() };
    let first = look(directory, &asked, &mut filter)?;
    if first.scanned == 0 && !arguments.json {
        let why = if settings.logging.to_file { "nothing was written yet" } else { OFF };
        print(&format!("no log files in {}: {why}\n", directory.display()));
    }
    let mut written = Written { is_json: arguments.json };
    if !written.lines(first.texts.iter()) || !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let follow = async {
        let mut cursor = first.cursor;
        loop {
            tokio::time::sleep(PACE).await;
            let asked = Asked { cursor: Some(cursor), ..Asked::default() };
            let next = look(directory, &asked, &mut filter)?;
            if !written.lines(next.texts.iter()) {
                return Ok(ExitCode::SUCCESS);
            }
            cursor = next.cursor;
        }
    };
    super::runtime()?.block_on(follow)
}

const OFF: &str = "the log goes to standard output; set `logging-to-file: true` in config.yaml";

fn look(
    directory: &Path,
    asked: &Asked,
    filter: &mut Filter,
) -> anyhow::Result<cliproxy_server::logs::Lines> {
    read(directory, asked, |line| filter.takes(line))
        .with_context(|| format!("cannot read the log files in {}", directory.display()))
}

struct Written {
    is_json: bool,
}

impl Written {
    /// Prints lines; `false` when nobody reads any more.
    fn lines<'a>(&mut self, lines: impl Iterator<Item = &'a String>) -> bool {
        let text: String =
            lines.map(|line| if self.is_json { json(line) } else { format!("{line}\n") }).collect();
        text.is_empty() || print(&text)
    }
}

/// A line for programs; one that goes on with another has its text alone.
fn json(line: &str) -> String {
    let value = match Line::parse(line) {
        Some(Line { time, request, level, place, text }) => {
            let request = Some(request).filter(|request| *request != "--------");
            json!({"time": time, "request": request, "level": level.word(), "place": place, "text": text})
        }
        None => json!({"text": line}),
    };
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[2026-11-29 00:40:10] [0123abcd] [warn ] [attempt.rs:12] it said [no] model=m";

    fn filter(level: Option<Level>, request: Option<&str>, text: Option<&str>) -> Filter {
        let (request, text) = (request.map(str::to_owned), text.map(str::to_owned));
        Filter::new(&LogsArguments { level, request, text, lines: 1, follow: false, json: false })
    }

    #[test]
    fn a_line_is_taken_apart_and_what_follows_it_is_none() {
        let line = Line::parse(LINE).unwrap();
        assert_eq!((line.request, line.level, line.text), ("0123abcd", Level::Warn, "it said [no] model=m"));
        for other in ["", "  more", "[x] y", "[a] [b] [loud] [c] d"] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
    }

    #[test]
    fn lines_are_wanted_by_level_request_and_text_with_those_that_go_on_with_them() {
        for (mut filter, is_wanted) in [
            (filter(None, None, None), true),
            (filter(Some(Level::Info), None, None), true),
            (filter(Some(Level::Error), None, None), false),
            (filter(None, Some("req_0123ABCDef"), None), true),
            (filter(None, Some("0123abcd"), Some("MODEL=m")), true),
            (filter(None, Some("0123"), None), false),
            (filter(None, None, Some("other")), false),
        ] {
            assert_eq!(filter.takes(LINE), is_wanted);
            assert_eq!(filter.takes("  and more"), is_wanted);
        }
    }
}
