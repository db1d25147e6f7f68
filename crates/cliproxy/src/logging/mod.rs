//! The application log: one line an event, fields as `key=value`, on standard output or in a file.

mod lines;

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Write as _};
use std::io;

use cliproxy_server::logs::{self, Logs, short_id};
use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level as Severity, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use self::lines::Lines;

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
pub(crate) fn start(is_debug: bool, logs: &Logs, lines: &Lines) -> Level {
    use std::io::IsTerminal as _;
    let (filter, handle) = reload::Layer::new(targets(is_debug));
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(io::stdout().is_terminal())
        .event_format(Line { logs: logs.clone() })
        .with_writer(Output { logs: logs.clone(), lines: lines.clone() });
    tracing_subscriber::registry().with(filter).with(layer).init();
    Level(handle)
}

/// Standard output, or the file in its place.
struct Output {
    logs: Logs,
    lines: Lines,
}

impl<'o> MakeWriter<'o> for Output {
    type Writer = Entry<'o>;

    fn make_writer(&'o self) -> Entry<'o> {
        Entry { output: self, is_urgent: true }
    }

    fn make_writer_for(&'o self, about: &Metadata<'_>) -> Entry<'o> {
        Entry { output: self, is_urgent: *about.level() <= Severity::WARN }
    }
}

/// Takes one line.
struct Entry<'o> {
    output: &'o Output,
    is_urgent: bool,
}

impl io::Write for Entry<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Output { logs, lines } = self.output;
        // A file is written at once, since panels ask for what has just happened. One that cannot be written must not cost
        // the log.
        if !(logs.is_to_file() && logs.append(bytes)) {
            lines.take(bytes, self.is_urgent);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        let mut line = Plain(LINE.take());
        write_time(&mut line.0)?;
        line.0.push_str(level(*event.metadata().level(), writer.has_ansi_escapes()));
        line.fields(event, false)?;
        writer.write_str(&line.0)?;
        line.keep();
        Ok(())
    }
}

thread_local! {
    /// Room for a line, kept from one to the next.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
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
    let mut line = Plain(LINE.take());
    write!(line.0, "[{}] [{}] [{level}] ", logs::stamp(), short_id(&id.0))?;
    write!(line.0, "[{file}:{}]", metadata.line().unwrap_or_default())?;
    line.fields(event, true)?;
    writer.write_str(&line.0)?;
    line.keep();
    Ok(())
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

/// Longer lines are rare, and their room is given back.
const LONGEST_KEPT: usize = 1024;

/// The time to the microsecond. What changes once a second is kept for that long.
fn write_time(out: &mut impl fmt::Write) -> fmt::Result {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = Timestamp::now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() || text.is_empty() {
            *second = now.as_second();
            text.clear();
            write!(text, "{}", now.strftime("%Y-%m-%dT%H:%M:%S."))?;
        }
        out.write_str(text)
    })?;
    let mut digits = *b"000000Z";
    let mut left = now.subsec_nanosecond().unsigned_abs() / 1000;
    for digit in digits.iter_mut().take(6).rev() {
        *digit = digit_of(left);
        left /= 10;
    }
    out.write_str(std::str::from_utf8(&digits).unwrap_or_default())
}

/// The last digit of a number.
fn digit_of(number: impl Into<u64>) -> u8 {
    b'0' + u8::try_from(number.into() % 10).unwrap_or_default()
}

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

struct Fields<'l> {
    line: &'l mut Plain,
    result: fmt::Result,
    /// The request's id stands elsewhere already.
    has_id: bool,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Plain) -> fmt::Result) {
        if self.result.is_ok() && !(self.has_id && field.name() == REQUEST_ID) {
            self.line.name(field.name());
            self.result = write(self.line);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| write!(line, "{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let mut digits = [b'0'; 20];
        let (mut left, mut start) = (value, digits.len());
        for digit in digits.iter_mut().rev() {
            *digit = digit_of(left);
            (left, start) = (left / 10, start - 1);
            if left == 0 {
                break;
            }
        }
        let text = digits.get(start..).and_then(|digits| std::str::from_utf8(digits).ok());
        self.field(field, |line| line.0.write_str(text.unwrap_or_default()));
    }

    /// Quoted only where its end would not be seen.
    fn record_str(&mut self, field: &Field, value: &str) {
        if !value.is_empty() && value.bytes().all(is_plain) {
            self.field(field, |line| line.0.write_str(value));
        } else if field.name() == "message" {
            self.field(field, |line| line.write_str(value));
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// Whether a character needs no quotes.
fn is_plain(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "out of bounds it would not compile")]
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            plain[byte as usize] = !matches!(byte, b'"' | b'=' | b'\\');
            byte += 1;
        }
        plain
    };
    PLAIN.get(usize::from(byte)).copied().unwrap_or_default()
}

/// A line. Text of others in it: what steers a terminal is written out.
struct Plain(String);

impl Plain {
    /// Everything that an event says, and the end of the line.
    fn fields(&mut self, event: &Event<'_>, has_id: bool) -> fmt::Result {
        let mut fields = Fields { line: self, result: Ok(()), has_id };
        event.record(&mut fields);
        fields.result?;
        self.0.push('\n');
        Ok(())
    }

    fn name(&mut self, name: &str) {
        self.0.push(' ');
        if name != "message" {
            self.0.push_str(name);
            self.0.push('=');
        }
    }

    /// Keeps the room for the next line.
    fn keep(mut self) {
        if self.0.capacity() <= LONGEST_KEPT {
            self.0.clear();
            LINE.set(self.0);
        }
    }
}

impl fmt::Write for Plain {
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
    fn numbers_and_the_time_are_written_as_they_are() {
        let line = logged(|| tracing::info!(none = 0, one = 7u64, most = u64::MAX, minus = -3, "n"));
        assert_eq!(line, " INFO n none=0 one=7 most=18446744073709551615 minus=-3\n");
        let mut time = String::new();
        write_time(&mut time).unwrap();
        assert_eq!((time.len(), time.get(19..20)), (27, Some(".")), "{time}");
        let written: Timestamp = time.parse().unwrap();
        assert!(Timestamp::now().as_second() - written.as_second() <= 1, "{time}");
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let line = logged(|| tracing::warn!(model = "a\x1b[2Jb\r", "it said \x1b]0;x\x07"));
        assert_eq!(line, " WARN it said \\u{1b}]0;x\\u{7} model=\"a\\u{1b}[2Jb\\r\"\n");
    }
}
