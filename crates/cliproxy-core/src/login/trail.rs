//! What a login was told so far: kept on disk from the first token on, and told again to a login that is finished later.

use std::collections::VecDeque;

use serde_json::Value;

use super::journal::{Entry, Note, Told};
use crate::oauth::Answer;
use crate::store::blocking;

/// See the module.
#[derive(Default)]
pub(crate) struct Trail {
    /// Where it is kept; `None` where nothing outlives the process, and once keeping has failed.
    entry: Option<Entry>,
    /// What was told before there was anything to lose.
    unwritten: Vec<Note>,
    /// What an earlier process was told.
    earlier: VecDeque<Note>,
    standing: Standing,
}

/// How far a login is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nothing has come.
    #[default]
    Before,
    /// An answer has come; whether it is a token is not known.
    Received,
    /// The conversation went on with what came.
    Beyond,
}

impl Trail {
    /// A login that begins.
    pub(crate) fn new(entry: Option<Entry>) -> Self {
        Self { entry, ..Self::default() }
    }

    /// A login that an earlier process began. `now` is in Unix seconds.
    pub(crate) fn earlier(entry: Entry, notes: VecDeque<Note>, now: u64) -> Self {
        Self { entry: Some(entry), ..Self::default() }.again(notes, now)
    }

    /// The same from the beginning, with these notes.
    pub(crate) fn again(self, notes: VecDeque<Note>, now: u64) -> Self {
        let mut earlier: VecDeque<Note> = VecDeque::new();
        for note in notes {
            match note {
                Note::Renewed(told) => replace_last(&mut earlier, told),
                Note::Saving(_) => {}
                note => earlier.push_back(note),
            }
        }
        for note in &mut earlier {
            age(note, now);
        }
        Self { entry: self.entry, earlier, ..Self::default() }
    }

    /// Whether what comes next was told before.
    pub(crate) fn is_told_again(&self) -> bool {
        matches!(self.earlier.front(), Some(Note::Answer(_)))
    }

    /// The answer to the next request, where an earlier process has it.
    pub(crate) fn answered_before(&mut self) -> Option<Answer> {
        let Some(Note::Answer(told)) = self.earlier.front() else { return None };
        let answer = told.answer();
        self.earlier.pop_front();
        if answer.is_some() {
            self.standing = Standing::Received;
        }
        answer
    }

    /// What was said to the next question, where an earlier process heard it.
    pub(crate) fn said_before(&mut self) -> Option<String> {
        match self.earlier.front() {
            Some(Note::Said(_)) => match self.earlier.pop_front() {
                Some(Note::Said(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// A request that may be repeated is about to be sent.
    pub(crate) fn asking(&mut self) {
        if self.standing == Standing::Received {
            self.standing = Standing::Beyond;
        }
    }

    /// An answer came to a request that may be repeated. After a token it can be asked for again.
    pub(crate) fn told(&mut self, answer: &Answer, now: u64) {
        if self.standing == Standing::Before && self.entry.is_some() {
            self.unwritten.push(Note::Answer(Told::new(answer, now)));
        }
    }

    /// What was spent is gone and this came for it: it is durable when this returns.
    pub(crate) async fn received(&mut self, answer: &Answer, now: u64) {
        self.standing = Standing::Received;
        self.keep(Note::Answer(Told::new(answer, now))).await;
    }

    /// A person answered a question.
    pub(crate) async fn said(&mut self, text: &str) {
        let note = Note::Said(text.to_owned());
        match self.standing {
            Standing::Before => self.unwritten.push(note),
            Standing::Received | Standing::Beyond => self.keep(note).await,
        }
    }

    /// The account is about to be saved under this id.
    pub(crate) async fn saving(&mut self, id: &str) {
        if self.standing != Standing::Before {
            self.keep(Note::Saving(id.to_owned())).await;
        }
    }

    /// The token that was received was exchanged for this one.
    pub(crate) async fn renewed(&mut self, answer: &Answer, now: u64) {
        self.keep(Note::Renewed(Told::new(answer, now))).await;
    }

    /// What came goes into its file next, also when it cannot be written down.
    async fn keep(&mut self, note: Note) {
        let Some(mut entry) = self.entry.take() else { return };
        let mut notes = std::mem::take(&mut self.unwritten);
        notes.push(note);
        let kept = blocking(move || {
            let written = entry.write(&notes);
            (entry, written)
        });
        if let Some((entry, written)) = kept.await {
            self.entry = Some(entry);
            if let Err(error) = written {
                tracing::error!("what came back for a login cannot be written down: {error}");
            }
        }
    }

    /// Whether a token came that would be lost with the entry.
    pub(crate) fn has_received(&self) -> bool {
        self.standing == Standing::Beyond && self.entry.is_some()
    }

    /// Nothing is left to be done.
    pub(crate) async fn end(self) {
        if let Some(entry) = self.entry {
            blocking(move || entry.end()).await;
        }
    }
}

fn replace_last(notes: &mut VecDeque<Note>, told: Told) {
    if let Some(last) = notes.iter_mut().rev().find(|note| matches!(note, Note::Answer(_))) {
        *last = Note::Answer(told);
    }
}

/// A token that is told again lives that much shorter.
fn age(note: &mut Note, now: u64) {
    let Note::Answer(told) = note else { return };
    let Some(mut answer) = told.answer() else { return };
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return };
    let lifetime = body.get("access_token").and_then(|_| body.get("expires_in")?.as_u64());
    let (Some(lifetime), Some(body)) = (lifetime, body.as_object_mut()) else { return };
    let left = lifetime.saturating_sub(now.saturating_sub(told.at()));
    body.insert("expires_in".to_owned(), left.into());
    answer.body = serde_json::to_vec(&body).unwrap_or_default().into();
    *told = Told::new(&answer, told.at());
}
