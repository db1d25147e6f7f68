//! What makes a request one request for those who keep records, whatever becomes of its attempts.

use std::sync::atomic::{AtomicBool, Ordering};

/// A request as sinks tell it from others. It is recorded once: who closes the ticket does it.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    is_kept: bool,
    is_closed: AtomicBool,
}

impl Ticket {
    /// A ticket with a number that no other one of this process has.
    pub fn new(number: u64, is_kept: bool) -> Self {
        Self { number, is_kept, is_closed: AtomicBool::new(false) }
    }

    /// The number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the configuration wanted requests to be kept when this one came.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Closes it; true for who comes first.
    pub(crate) fn close(&self) -> bool {
        !self.is_closed.swap(true, Ordering::Relaxed)
    }

    /// Whether the request is on record.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}
