//! Changing single frames of an event stream while every other byte passes as it came.
//!
//! Works on lines, because a frame's data nearly always is one line: untouched lines go out as slices of the chunk they
//! came in, and only a line that is cut by the end of a chunk waits for its rest. Data spread over several lines is
//! gathered and goes out as one line.

use bytes::Bytes;
use memchr::memchr2;

use super::edit::Changes;
use super::items::Items;
use crate::format::Format;

/// Length of the longest line end.
const LINE_END: usize = 2;

/// The state between chunks.
#[derive(Debug)]
pub(super) struct Lines {
    format: Format,
    changes: Changes,
    /// What came so far, where the end may leave it out.
    items: Option<Items>,
    /// A line whose end has not arrived.
    held: Vec<u8>,
    /// Data whose first line was no whole value.
    gathered: Option<Vec<u8>>,
    /// The last byte was CR, so LF belongs to the line before.
    after_return: bool,
    /// The line before was left out.
    is_left_out: bool,
    /// The frame's data was left out, so its blank line goes too.
    is_frame_left_out: bool,
}

/// What happens to a line.
enum Fate {
    Keep,
    LeaveOut,
    Replace(Vec<u8>),
}

impl Lines {
    pub(super) fn new(format: Format, changes: Changes) -> Self {
        Self {
            format,
            items: changes.restores_output.then(Items::default),
            changes,
            held: Vec::new(),
            gathered: None,
            after_return: false,
            is_left_out: false,
            is_frame_left_out: false,
        }
    }

    pub(super) fn push(&mut self, chunk: &Bytes, out: &mut Vec<Bytes>) {
        let mut at = 0;
        if !self.held.is_empty() {
            let Some(end) = memchr2(b'\n', b'\r', chunk) else {
                self.held.extend_from_slice(chunk);
                return;
            };
            at = end + 1;
            let mut line = std::mem::take(&mut self.held);
            line.extend_from_slice(chunk.get(..at).unwrap_or_default());
            self.whole(line, out);
        }
        // What is untouched since then goes out in one piece.
        let mut from = at;
        let mut replaced = None;
        while let Some(length) = chunk.get(at..).and_then(|rest| memchr2(b'\n', b'\r', rest)) {
            let end = at + length + 1;
            let fate = self.fate(chunk.get(at..end).unwrap_or_default());
            if !matches!(fate, Fate::Keep) {
                follow(replaced.take(), chunk.slice(from..at), out);
                from = end;
            }
            if let Fate::Replace(line) = fate {
                replaced = Some(line);
            }
            at = end;
        }
        follow(replaced, chunk.slice(from..at), out);
        self.held.extend_from_slice(chunk.get(at..).unwrap_or_default());
    }

    /// The rest, when the stream ended as it should.
    pub(super) fn finish(&mut self, out: &mut Vec<Bytes>) {
        let line = std::mem::take(&mut self.held);
        if !line.is_empty() {
            self.whole(line, out);
        }
        if let Some(data) = self.gathered.take() {
            emit(out, self.joined(&data).into());
        }
    }

    fn whole(&mut self, line: Vec<u8>, out: &mut Vec<Bytes>) {
        match self.fate(&line) {
            Fate::Keep => emit(out, line.into()),
            Fate::LeaveOut => {}
            Fate::Replace(line) => emit(out, line.into()),
        }
    }

    /// Decides about a line, which ends with its terminator unless the stream ends before it.
    fn fate(&mut self, line: &[u8]) -> Fate {
        let is_second_half =
            std::mem::replace(&mut self.after_return, line.ends_with(b"\r")) && line == b"\n";
        if is_second_half {
            return if self.is_left_out { Fate::LeaveOut } else { Fate::Keep };
        }
        let fate = self.judge(line);
        self.is_left_out = matches!(fate, Fate::LeaveOut);
        fate
    }

    fn judge(&mut self, line: &[u8]) -> Fate {
        let content = line.strip_suffix(b"\n").or_else(|| line.strip_suffix(b"\r")).unwrap_or(line);
        if content.is_empty() {
            if let Some(data) = self.gathered.take() {
                let mut joined = self.joined(&data);
                joined.extend_from_slice(line);
                return Fate::Replace(joined);
            }
            let leaves_out = std::mem::take(&mut self.is_frame_left_out);
            return if leaves_out { Fate::LeaveOut } else { Fate::Keep };
        }
        let Some(value) = content.strip_prefix(b"data:") else { return Fate::Keep };
        let data = value.trim_ascii();
        if let Some(gathered) = &mut self.gathered {
            gathered.push(b'\n');
            gathered.extend_from_slice(data);
            return Fate::LeaveOut;
        }
        if data.starts_with(b"{") && !data.ends_with(b"}") {
            self.gathered = Some(data.to_vec());
            return Fate::LeaveOut;
        }
        let Ok(text) = std::str::from_utf8(data) else { return Fate::Keep };
        let changed = self.changes.frame(self.format, text);
        let changed = match &mut self.items {
            Some(items) => changed.map(|changed| items.frame(changed)),
            None => changed,
        };
        match changed {
            None => {
                self.is_frame_left_out = true;
                Fate::LeaveOut
            }
            Some(changed) if *changed == *text => Fate::Keep,
            Some(changed) => {
                let start = line.len() - content.len();
                let head = content.len() - value.trim_ascii_start().len();
                let tail = content.len() - (value.len() - value.trim_ascii_end().len());
                let mut new = Vec::with_capacity(line.len() + changed.len() - text.len() + LINE_END);
                new.extend_from_slice(content.get(..head).unwrap_or_default());
                new.extend_from_slice(changed.as_bytes());
                new.extend_from_slice(content.get(tail..).unwrap_or_default());
                new.extend_from_slice(line.get(line.len() - start..).unwrap_or_default());
                Fate::Replace(new)
            }
        }
    }

    /// Gathered data as one line, or as it came where it is no JSON.
    fn joined(&mut self, data: &[u8]) -> Vec<u8> {
        let mut line = Vec::with_capacity(data.len() + 8);
        let text = String::from_utf8_lossy(data);
        let changed = self.changes.frame(self.format, &text);
        let Some(mut changed) = changed else {
            self.is_frame_left_out = true;
            return line;
        };
        if let Some(items) = &mut self.items {
            changed = items.frame(changed);
        }
        for part in changed.split('\n') {
            line.extend_from_slice(b"data: ");
            line.extend_from_slice(part.as_bytes());
            line.push(b'\n');
        }
        line
    }
}

/// Gives out a line that was replaced and what follows it untouched; the end of its frame goes with it, since whatever
/// goes out by itself costs a chunk of its own.
fn follow(replaced: Option<Vec<u8>>, untouched: Bytes, out: &mut Vec<Bytes>) {
    let Some(mut line) = replaced else { return emit(out, untouched) };
    if untouched.len() <= LINE_END {
        line.extend_from_slice(&untouched);
        return emit(out, line.into());
    }
    emit(out, line.into());
    emit(out, untouched);
}

pub(super) fn emit(out: &mut Vec<Bytes>, bytes: Bytes) {
    if !bytes.is_empty() {
        out.push(bytes);
    }
}
