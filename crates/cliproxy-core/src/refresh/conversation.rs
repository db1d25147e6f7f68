//! One renewal's conversation with an identity provider, with the journal around what it spends.

use std::time::Duration;

use super::journal::{Entry, Intent, Journal};
use super::{Task, passing};
use crate::oauth::{Answer, Input, Kept, Refusal, Request, Step};
use crate::provider::Renewal;
use crate::store::{Changes, blocking};

/// A conversation that waits longer than this is not about a renewal.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Machines whose clocks differ more than this have one that is wrong.
const LARGEST_SKEW: u64 = 300;

/// A conversation under way.
pub(super) struct Conversation<'a> {
    flow: Renewal,
    task: &'a Task<'a>,
    journal: Option<Journal>,
    fingerprint: String,
    entry: Option<Entry>,
    /// What an earlier process was answered.
    replayed: Option<Answer>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is spent yet.
    Before,
    /// The answer has come; whether it is one is not known.
    Answered,
    /// The conversation went on with what came back.
    Beyond,
}

/// A conversation that yielded nothing.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) refusal: Refusal,
    /// The answer that was written down is good and must not be forgotten.
    pub(super) keeps_answer: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        flow: Renewal,
        task: &'a Task<'a>,
        journal: Option<Journal>,
        fingerprint: String,
    ) -> Self {
        Self { flow, task, journal, fingerprint, entry: None, replayed: None, stage: Stage::Before }
    }

    /// A conversation whose exchange has been performed already.
    pub(super) fn replaying(flow: Renewal, task: &'a Task<'a>, answer: Answer) -> Self {
        Self { replayed: Some(answer), ..Self::new(flow, task, None, String::new()) }
    }

    /// The entry in the journal about it.
    pub(super) fn into_entry(self) -> Option<Entry> {
        self.entry
    }

    pub(super) async fn run(&mut self) -> Result<Changes, Failed> {
        let mut input = Input::Start;
        loop {
            let next = match self.flow.step(input) {
                Step::Done(changes) => return Ok(changes),
                Step::Refused(refusal) => Err(refusal),
                Step::Send(request) => {
                    if self.stage == Stage::Answered {
                        self.stage = Stage::Beyond;
                    }
                    Ok(told(self.task.line.send(request).await))
                }
                Step::Redeem(request) => self.redeem(request).await,
                Step::Wait(pause) => {
                    tokio::time::sleep(pause.min(LONGEST_WAIT)).await;
                    Ok(Input::Elapsed)
                }
                Step::Ask(_) | Step::Visit(_) | Step::Show(_) => Err(Refusal::out_of_turn()),
            };
            input = next.map_err(|refusal| Failed { refusal, keeps_answer: self.stage == Stage::Beyond })?;
        }
    }

    /// Spends a token, with the journal around it.
    async fn redeem(&mut self, request: Request) -> Result<Input, Refusal> {
        if let Some(answer) = self.replayed.take() {
            self.stage = Stage::Answered;
            return Ok(Input::Answer(answer));
        }
        self.begin().await?;
        let sent = self.task.line.send(request).await;
        if let Ok(answer) = &sent {
            self.warn_of_clock(answer);
            if answer.status.is_success() {
                self.stage = Stage::Answered;
                self.keep(answer.clone()).await;
            }
        }
        Ok(told(sent))
    }

    /// Says in the journal what is about to be spent.
    async fn begin(&mut self) -> Result<(), Refusal> {
        if self.task.ending.is_cancelled() {
            return Err(passing("the program is ending"));
        }
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let intent = Intent {
            account: self.task.account.id().as_str().to_owned(),
            fingerprint: self.fingerprint.clone(),
            begun: (self.task.now)(),
        };
        let begun = blocking(move || journal.begin(&intent)).await;
        match begun.ok_or_else(|| passing("the program is ending"))? {
            Ok(entry) => self.entry = Some(entry),
            // Nothing that could be lost.
            Err(_) if !self.task.provider.spends_tokens() => {}
            Err(error) => {
                return Err(passing(&format!(
                    "the token is not renewed, because what comes back could not be written down: {error}"
                )));
            }
        }
        Ok(())
    }

    /// Writes an answer down before anybody uses it. When that fails the token is used all the same: it goes into the
    /// file next.
    async fn keep(&mut self, answer: Answer) {
        let Some(mut entry) = self.entry.take() else { return };
        let kept = blocking(move || {
            let written = entry.write(&[Kept::from(&answer)]);
            (entry, written)
        });
        if let Some((entry, written)) = kept.await {
            self.entry = Some(entry);
            if let Err(error) = written {
                tracing::error!(account = %self.task.account.id(), "what came back for a refresh token cannot be written down: {error}");
            }
        }
    }

    /// Ends of tokens are counted from this machine's clock, so a wrong one does no harm here; it is worth a word.
    fn warn_of_clock(&self, answer: &Answer) {
        let date = answer.headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let stamp = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let Some(theirs) = stamp.and_then(|stamp| u64::try_from(stamp.timestamp().as_second()).ok()) else {
            return;
        };
        let ours = (self.task.now)();
        if theirs.abs_diff(ours) > LARGEST_SKEW {
            let (by, direction) = (theirs.abs_diff(ours), if ours > theirs { "ahead of" } else { "behind" });
            tracing::warn!(
                account = %self.task.account.id(),
                "this machine's clock is {by} s {direction} the identity provider's; set it"
            );
        }
    }
}

fn told(sent: Result<Answer, String>) -> Input {
    match sent {
        Ok(answer) => Input::Answer(answer),
        Err(why) => Input::Lost(why),
    }
}
