//! The end of websockets, which outlive the requests that opened them.
//!
//! A module of its own because the accept loop, which knows when the end begins, does not see them: a connection that was
//! upgraded is none of its connections any more. They end in two steps: conversations of clients when the answer that runs
//! is over, and pages that serve as credentials when nobody waits for an answer of theirs any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Longest wait for pages to take leave; nothing depends on it.
const LEAVE: Duration = Duration::from_secs(1);

/// All websockets that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets {
    /// Conversations of clients.
    pub(crate) conversations: Ends,
    /// Pages.
    pub(crate) pages: Ends,
}

/// When sockets of one kind are to end, and which of them have not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    end: CancellationToken,
    open: TaskTracker,
}

impl Ends {
    /// Counts a socket as open for as long as the token lives.
    pub(crate) fn enter(&self) -> TaskTrackerToken {
        self.open.token()
    }

    /// Whether they are to end.
    pub(crate) fn has_come(&self) -> bool {
        self.end.is_cancelled()
    }

    /// Waits until they are to end.
    pub(crate) async fn come(&self) {
        self.end.cancelled().await;
    }

    /// Ends them and waits until they have.
    async fn all(&self) {
        self.end.cancel();
        self.open.close();
        self.open.wait().await;
    }
}

impl Sockets {
    /// Ends the conversations and waits until each has had its answer.
    pub(crate) async fn finish(&self) {
        self.conversations.all().await;
    }

    /// Lets the pages go.
    pub(crate) async fn leave(&self) {
        drop(tokio::time::timeout(LEAVE, self.pages.all()).await);
    }
}
