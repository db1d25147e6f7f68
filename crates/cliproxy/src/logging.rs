//! The application log: one line an event, fields as `key=value`, on standard output or in a file.

use std::fmt::{self, Debug, Write as _};
use std::io;

use cliproxy_server::logs::{self, Logs, short_id};
use tracing::field::{Field, Visit};
use tracing::{Event, Level as Severity, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Changes the level while the process runs.
#[derive(Clone)]
pub(crate) struct Level(reload::Handle<Targets, tracing_subscriber::Registry>);

impl Level {
    /// Shows debug lines of our own crates, or not.
    pub(crate) fn set_debug(&self, is_debug: bool) {
        if let Err(error) = self.0.reload(targets(is_debug)) {
            tracing::warn!("cannot change the log level: {error}");
        }
    }
}

fn targets(is_debug: bool) -> Targets {
    let own = if is_debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("cliproxy", own)
        .with_target("cliproxy_core", own)
        .with_target("cliproxy_server", own)
        .with_target("cli_proxy_api", own)
}

/// Starts logging.
pub(crate) fn start(is_debug: bool, logs: &Logs) -> Level {
    use std::io::IsTerminal as _;
    let (filter, handle) = reload::Layer::new(targets(is_debug));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stdout().is_terminal())
        .event_format(Line { logs: logs.clone() })
        .with_writer(Output { logs: logs.clone() });
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(handle)
}

/// Standard output, or the file in its place.
#[derive(Clone)]
struct Output {
    logs: Logs,
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A file that cannot be written must not cost the log.
        if self.logs.is_to_file() && self.logs.append(bytes) {
            return Ok(bytes.len());
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Time, level, message, `key=value`; in a file the request's id stands before the message, as panels read it.
///
/// The usual format of the library dresses every field for a terminal and then leaves the dress off. The line that
/// ends a request has a dozen fields, and was a sixth of what a small request costs.
struct Line {
    logs: Logs,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.logs.is_to_file() {
            return in_file(writer, event);
        }
        SystemTime.format_time(&mut writer)?;
        writer.write_str(level(*event.metadata().level(), writer.has_ansi_escapes()))?;
        let mut fields = Fields { line: Plain(writer), result: Ok(()), has_id: false };
        event.record(&mut fields);
        fields.result?;
        fields.line.0.write_char('\n')
    }
}

/// A line of a file: `[time] [request] [level] [place] message key=value`.
fn in_file(mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let mut id = RequestId::default();
    event.record(&mut id);
    let level = match *metadata.level() {
        Severity::ERROR => "error",
        Severity::WARN => "warn ",
        Severity::INFO => "info ",
        Severity::DEBUG | Severity::TRACE => "debug",
    };
    let file =
        metadata.file().and_then(|file| file.rsplit(['/', '\\']).next()).unwrap_or_else(|| metadata.target());
    write!(writer, "[{}] [{}] [{level}] ", logs::stamp(), short_id(&id.0))?;
    write!(writer, "[{file}:{}]", metadata.line().unwrap_or_default())?;
    let mut fields = Fields { line: Plain(writer), result: Ok(()), has_id: true };
    event.record(&mut fields);
    fields.result?;
    fields.line.0.write_char('\n')
}

/// The id of the request that an event is about.
#[derive(Default)]
struct RequestId(String);

impl Visit for RequestId {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == REQUEST_ID {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == REQUEST_ID {
            value.clone_into(&mut self.0);
        }
    }
}

const REQUEST_ID: &str = "request_id";

fn level(severity: Severity, has_colors: bool) -> &'static str {
    match (severity, has_colors) {
        (Severity::ERROR, false) => " ERROR",
        (Severity::WARN, false) => "  WARN",
        (Severity::INFO, false) => "  INFO",
        (Severity::DEBUG, false) => " DEBUG",
        (Severity::TRACE, false) => " TRACE",
        (Severity::ERROR, true) => " \x1b[31mERROR\x1b[0m",
        (Severity::WARN, true) => "  \x1b[33mWARN\x1b[0m",
        (Severity::INFO, true) => "  \x1b[32mINFO\x1b[0m",
        (Severity::DEBUG, true) => " \x1b[34mDEBUG\x1b[0m",
        (Severity::TRACE, true) => " \x1b[35mTRACE\x1b[0m",
    }
}

struct Fields<'w> {
    line: Plain<'w>,
    result: fmt::Result,
    /// The request's id stands elsewhere already.
    has_id: bool,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Plain<'_>) -> fmt::Result) {
        if self.result.is_ok() && !(self.has_id && field.name() == REQUEST_ID) {
            self.result = self.line.name(field.name()).and_then(|()| write(&mut self.line));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| write!(line, "{value:?}"));
    }

    /// Quoted only where its end would not be seen.
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
        if field.name() == "message" || (!value.is_empty() && value.bytes().all(is_plain)) {
            self.field(field, |line| line.write_str(value));
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// Text of others in our log: what steers a terminal is written out.
struct Plain<'w>(Writer<'w>);

impl Plain<'_> {
    fn name(&mut self, name: &str) -> fmt::Result {
        self.0.write_char(' ')?;
        if name == "message" {
            return Ok(());
        }
        self.0.write_str(name)?;
        self.0.write_char('=')
    }
}

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(steers) {
            return self.0.write_str(text);
        }
        for character in text.chars() {
            if steers(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written, without the time.
    fn logged(work: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(Line { logs: Logs::default() })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.split_once(' ').unwrap().1.to_owned()
    }

    #[test]
    fn fields_follow_the_message_and_are_quoted_where_their_end_would_not_be_seen() {
        let line = logged(|| {
            tracing::info!(
                model = "gpt-5(high)",
                path = "a b",
                empty = "",
                count = 3,
                id = %"req_1",
                none = None::<u64>,
                "served"
            );
        });
        assert_eq!(line, " INFO served model=gpt-5(high) path=\"a b\" empty=\"\" count=3 id=req_1\n");
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let line = logged(|| tracing::warn!(model = "a\x1b[2Jb\r", "it said \x1b]0;x\x07"));
        assert_eq!(line, " WARN it said \\u{1b}]0;x\\u{7} model=\"a\\u{1b}[2Jb\\r\"\n");
    }
}
