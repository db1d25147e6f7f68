//! Lines on their way to standard output, written by a thread of their own: whoever logs only appends to a buffer.
//!
//! A line that ends a request would else cost that request a system call, and a terminal or pipe that nobody reads would
//! hold up the traffic. Lines that come within a few milliseconds of each other go out together; warnings and errors do not
//! wait. What is buffered is written before the program ends. When nobody takes the lines, more than the bound are counted
//! instead of kept, and their number is told once somebody does. What a server says to programs that wrap it goes the same
//! way, from the first line on: a pipe that is full already keeps no server from serving.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines wait for others.
const GATHERING: Duration = Duration::from_millis(5);
/// Most bytes that wait.
const BOUND: usize = 1 << 20;
/// How long the end of the program waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something came for a writer who has nothing to do, or that is urgent.
    came: Condvar,
    /// Everything has been written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    n_lost: u64,
    writer: Writer,
    is_urgent: bool,
    is_ending: bool,
}

/// What the writing thread does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    /// There is none: who logs writes.
    #[default]
    Absent,
    /// It waits for lines.
    Idle,
    Busy,
}

impl Lines {
    /// Those of this process; they are written at the latest when the ending is dropped.
    ///
    /// # Errors
    /// When the system has no thread to write them.
    pub(crate) fn begin() -> io::Result<(Self, Ending)> {
        let lines = Self::default();
        let ending = lines.start(io::stdout())?;
        Ok((lines, ending))
    }

    /// Says something that is no entry of the log.
    pub(crate) fn say(&self, text: &str) {
        self.take(format!("{text}\n").as_bytes(), true);
    }

    /// Starts the thread. Until [`Ending`] is dropped it writes what comes.
    fn start(&self, out: impl Write + Send + 'static) -> io::Result<Ending> {
        self.0.lock().writer = Writer::Busy;
        let shared = Arc::clone(&self.0);
        let started = std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write(out));
        if started.is_err() {
            self.0.lock().writer = Writer::Absent;
        }
        started.map(|_runs_to_the_end| Ending(self.clone()))
    }

    /// Takes a line.
    pub(super) fn take(&self, line: &[u8], is_urgent: bool) {
        let mut state = self.0.lock();
        if state.writer == Writer::Absent {
            drop(state);
            drop(io::stdout().lock().write_all(line));
            return;
        }
        if state.waiting.len() + line.len() > BOUND {
            state.n_lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        let wakes = state.writer == Writer::Idle || (is_urgent && !state.is_urgent);
        // Woken once.
        state.writer = Writer::Busy;
        state.is_urgent |= is_urgent;
        drop(state);
        if wakes {
            self.0.came.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            if state.waiting.is_empty() {
                state.writer = Writer::Idle;
                self.written.notify_all();
                let nothing = |state: &mut State| state.waiting.is_empty() && !state.is_ending;
                state = self.came.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
                state.writer = Writer::Busy;
            }
            let others = |state: &mut State| !state.is_urgent && !state.is_ending;
            let waited = self.came.wait_timeout_while(state, GATHERING, others);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_urgent = false;
            std::mem::swap(&mut state.waiting, &mut lines);
            let n_lost = std::mem::take(&mut state.n_lost);
            if lines.is_empty() && state.is_ending {
                state.writer = Writer::Absent;
                self.written.notify_all();
                return;
            }
            drop(state);
            // A terminal that is gone is no reason to stop serving.
            drop(out.write_all(&lines).and_then(|()| out.flush()));
            if n_lost > 0 {
                drop(writeln!(out, "{n_lost} lines of the log were lost here, because nobody read them"));
            }
            lines.clear();
            lines.shrink_to(BOUND / 16);
        }
    }
}

/// Dropped when the program ends: waits until everything has been written.
pub(crate) struct Ending(Lines);

impl Drop for Ending {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.is_ending = true;
        shared.came.notify_one();
        // Nobody may be reading any more.
        let writes = |state: &mut State| state.writer != Writer::Absent;
        drop(shared.written.wait_timeout_while(state, PATIENCE, writes));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands on what is written, piece by piece, and takes a piece only once the one before was taken.
    struct Slow(mpsc::SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.send(text).map_err(|_gone| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_came_before_the_end_is_written() {
        let (sender, written) = mpsc::sync_channel(100);
        let lines = Lines::default();
        let ending = lines.start(Slow(sender)).unwrap();
        for number in 0..100 {
            lines.take(format!("{number}\n").as_bytes(), number % 7 == 0);
        }
        drop(ending);
        let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(written.iter().collect::<String>().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_that_nobody_reads_hold_nobody_up_and_are_counted() {
        let (sender, written) = mpsc::sync_channel(0);
        let lines = Lines::default();
        let ending = lines.start(Slow(sender)).unwrap();
        let line = "x".repeat(BOUND / 2 - 1) + "\n";
        lines.take(b"first\n", true);
        for _ in 0..4 {
            lines.take(line.as_bytes(), false);
        }
        let mut all = String::new();
        while !all.contains("were lost") {
            all.push_str(&written.recv().unwrap());
        }
        drop(ending);
        assert!(all.starts_with("first\n"), "{all:.40}");
        let told = all.lines().find_map(|line| line.split(" lines of the log").next()?.parse().ok());
        let n_lost: usize = told.unwrap();
        assert_eq!(all.matches('\n').count() - 2 + n_lost, 4, "{n_lost}");
        assert!(n_lost >= 1);
    }
}
