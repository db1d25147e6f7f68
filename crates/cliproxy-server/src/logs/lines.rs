//! Lines of the application log for panels and terminals: those after a time, the last of them, or those behind a cursor.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::store::{MAIN, rotations};

/// Lines of one answer.
const MOST: usize = 20_000;
/// Longest line that is read; of a longer one the rest is left out.
const LONGEST: usize = 64 << 10;
/// So much of a file's beginning distinguishes it from others.
const HEAD: u64 = 128;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Lines later than this, in Unix seconds.
    pub after: u64,
    /// So many lines: the first behind a cursor, else the last.
    pub limit: Option<usize>,
    /// Where an earlier answer ended.
    pub cursor: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The lines.
    pub texts: VecDeque<String>,
    /// Lines that were looked at.
    pub scanned: u64,
    /// The latest time that was seen.
    pub latest: u64,
    /// Where the next answer goes on.
    pub cursor: String,
    /// The cursor's file is gone; everything is shown again.
    pub is_reset: bool,
}

/// A place in the log: a file by its beginning, and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: String,
    offset: u64,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (file, offset) = text.split_once('.')?;
        Some(Self { file: file.to_owned(), offset: offset.parse().ok()? })
    }

    fn written(&self) -> String {
        format!("{}.{}", self.file, self.offset)
    }
}

/// Reads those lines of a directory's log that are wanted; each line that could be shown is looked at once, in their
/// order. Blocks.
///
/// # Errors
/// When the files cannot be read.
pub fn read(directory: &Path, asked: &Asked, mut is_wanted: impl FnMut(&str) -> bool) -> io::Result<Lines> {
    let mut paths = rotations(directory)?;
    paths.push(directory.join(MAIN));
    let wanted = asked.cursor.as_deref().and_then(Place::parse);
    let start = wanted.as_ref().and_then(|place| found(&paths, place));
    let mut answer = Lines {
        latest: asked.after,
        is_reset: asked.cursor.is_some() && start.is_none(),
        ..Lines::default()
    };
    let (first, mut offset) = start.unwrap_or((0, 0));
    let most = asked.limit.unwrap_or(MOST).min(MOST);
    // Behind a cursor nothing is left out: what does not fit comes with the next answer.
    let most_at_once = start.is_some().then_some(most);
    let mut place = Place { file: NOTHING.to_owned(), offset: 0 };
    for path in paths.iter().skip(first) {
        let Some(file) = opened(path)? else { continue };
        let is_older =
            start.is_none() && path.file_name() != Some(MAIN.as_ref()) && is_before(&file, asked.after);
        if is_older {
            continue;
        }
        place = Place { file: identity(&file)?, offset };
        let mut take = Take { after: asked.after, most_at_once, is_wanted: &mut is_wanted };
        let is_full = read_file(file, &mut place.offset, &mut answer, &mut take)?;
        while answer.texts.len() > most {
            answer.texts.pop_front();
        }
        if is_full {
            break;
        }
        offset = 0;
    }
    answer.cursor = place.written();
    Ok(answer)
}

/// Stands for a log without any line.
const NOTHING: &str = "0";

/// Where a place is among the files.
fn found(paths: &[PathBuf], place: &Place) -> Option<(usize, u64)> {
    if place.file == NOTHING {
        return Some((paths.len().checked_sub(1)?, 0));
    }
    let is_it = |path: &PathBuf| {
        let Ok(Some(file)) = opened(path) else { return false };
        let is_long = file.metadata().is_ok_and(|metadata| metadata.len() >= place.offset);
        is_long && identity(&file).is_ok_and(|known| known == place.file)
    };
    Some((paths.iter().position(is_it)?, place.offset))
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nothing was written to a file since a time.
fn is_before(file: &File, time: u64) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| since.as_secs() < time)
}

/// What distinguishes a file from others: its first line, which a rename does not change.
fn identity(mut file: &File) -> io::Result<String> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD).read_to_end(&mut head)?;
    let whole = (head.len() as u64 == HEAD).then_some(head.len());
    let Some(end) = head.iter().position(|byte| *byte == b'\n').or(whole) else {
        return Ok(NOTHING.to_owned());
    };
    let line = String::from_utf8_lossy(head.get(..end).unwrap_or_default());
    Ok(cliproxy_wire::id::hex("", 12, &[&line]))
}

/// Which lines are taken.
struct Take<'a> {
    after: u64,
    /// So many are enough.
    most_at_once: Option<usize>,
    is_wanted: &'a mut dyn FnMut(&str) -> bool,
}

/// Reads the lines of a file from `offset` on, and says whether there are enough of them.
fn read_file(mut file: File, offset: &mut u64, answer: &mut Lines, take: &mut Take<'_>) -> io::Result<bool> {
    file.seek(SeekFrom::Start(*offset))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut is_later = take.after == 0;
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        // Half a line is written at this moment; it comes next time.
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok(false);
        }
        *offset += length as u64;
        answer.scanned += 1;
        line.truncate(LONGEST);
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        // A line without a time belongs to the one before it.
        if let Some(time) = time(&text) {
            answer.latest = answer.latest.max(time);
            is_later = time > take.after;
        }
        if is_later && (take.is_wanted)(&text) {
            answer.texts.push_back(text);
            if take.most_at_once.is_some_and(|most| answer.texts.len() >= most) {
                return Ok(true);
            }
            if answer.texts.len() > MOST {
                answer.texts.pop_front();
            }
        }
    }
}

/// The time at the start of a line, which is in the machine's time zone.
fn time(line: &str) -> Option<u64> {
    let text = line.strip_prefix('[')?.get(..19)?;
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let seconds = civil.to_zoned(TimeZone::system()).ok()?.timestamp().as_second();
    u64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use cliproxy_core::store::atomic;

    use super::*;

    fn line(second: u64, word: &str) -> String {
        let stamp = jiff::Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        let zoned = stamp.to_zoned(TimeZone::system());
        format!("[{}] [--------] [info ] [x:1] {word}\n", zoned.strftime("%Y-%m-%d %H:%M:%S"))
    }

    fn put(directory: &Path, name: &str, text: &str) {
        atomic::write(&directory.join(name), text.as_bytes()).unwrap();
    }

    fn words(answer: &Lines) -> Vec<&str> {
        answer.texts.iter().map(|line| line.rsplit(' ').next().unwrap()).collect()
    }

    fn every(_line: &str) -> bool {
        true
    }

    const T: u64 = 1_790_000_000;

    #[test]
    fn lines_after_a_time_are_shown_with_those_that_belong_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        put(path, "main-2026-09-01T00-00-00.000.log", &line(T, "a"));
        put(path, MAIN, &format!("{}  more of b\n{}half", line(T + 1, "b"), line(T + 2, "c")));
        let all = read(path, &Asked::default(), every).unwrap();
        assert_eq!(words(&all), ["a", "b", "b", "c"]);
        assert_eq!((all.scanned, all.latest, all.is_reset), (4, T + 2, false));
        let later = read(path, &Asked { after: T + 1, ..Asked::default() }, every).unwrap();
        assert_eq!(words(&later), ["c"]);
        let last = read(path, &Asked { limit: Some(2), ..Asked::default() }, every).unwrap();
        assert_eq!(words(&last), ["b", "c"]);
        let none = read(&path.join("nowhere"), &Asked { after: 7, ..Asked::default() }, every).unwrap();
        assert_eq!((none.texts.len(), none.latest), (0, 7));
    }

    #[test]
    fn a_cursor_loses_no_line_of_the_same_second_and_none_over_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        put(path, MAIN, &line(T, "a"));
        let first = read(path, &Asked::default(), every).unwrap();
        put(path, MAIN, &(line(T, "a") + &line(T, "b")));
        let behind = |cursor: &str, limit| Asked { cursor: Some(cursor.to_owned()), limit, after: 0 };
        let second = read(path, &behind(&first.cursor, None), every).unwrap();
        assert_eq!(words(&second), ["b"]);
        std::fs::rename(path.join(MAIN), path.join("main-2026-09-01T00-00-00.000.log")).unwrap();
        put(path, MAIN, &(line(T + 1, "c") + &line(T + 1, "d")));
        let third = read(path, &behind(&first.cursor, Some(2)), every).unwrap();
        assert_eq!(words(&third), ["b", "c"]);
        let fourth = read(path, &behind(&third.cursor, Some(2)), every).unwrap();
        assert_eq!((words(&fourth), fourth.is_reset), (vec!["d"], false));
        put(path, MAIN, &line(T + 9, "new"));
        let reset = read(path, &behind(&fourth.cursor, None), every).unwrap();
        assert!(reset.is_reset && words(&reset).contains(&"new"));
        assert!(read(path, &behind("nonsense", None), every).unwrap().is_reset);
    }

    #[test]
    fn an_empty_log_has_a_cursor_that_shows_what_comes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let nothing = read(path, &Asked::default(), every).unwrap();
        put(path, MAIN, &line(T, "a"));
        let asked = Asked { cursor: Some(nothing.cursor), ..Asked::default() };
        let answer = read(path, &asked, every).unwrap();
        assert_eq!((words(&answer), answer.is_reset), (vec!["a"], false));
    }

    #[test]
    fn of_a_long_log_the_last_of_the_lines_that_are_wanted_are_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let lines: Vec<String> =
            (0..100).map(|second| line(T + second, &format!("w{}", second % 10))).collect();
        put(path, MAIN, &lines.concat());
        let asked = Asked { limit: Some(3), ..Asked::default() };
        let answer = read(path, &asked, |line| line.ends_with("w7")).unwrap();
        assert_eq!((words(&answer), answer.scanned), (vec!["w7", "w7", "w7"], 100));
    }
}
