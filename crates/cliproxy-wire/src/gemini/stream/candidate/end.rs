//! The end of a candidate: its last blocks, what it was grounded in, why it stopped.

use crate::codec::UpstreamContext;
use crate::fault::{Fault, Kind};
use crate::gemini::grounding::{Grounding, cited};
use crate::gemini::stop;
use crate::json::Raw;
use crate::model::{
    BlockKind, Channel, Delta, Event, Hosted, HostedKind, HostedPhase, Native, Stop, StopReason,
};
use crate::{Format, id};

use super::{Candidate, Open};

impl Candidate {
    /// Closes the open block.
    pub(crate) fn close(&mut self, out: &mut Vec<Event>) {
        let block = match std::mem::take(&mut self.open) {
            Open::None => return,
            Open::Text { block, start, .. } => {
                if let Some(left) = self.text_channel.finish() {
                    self.text.push(left);
                    self.delta(block, Delta::Text(left.to_string()), out);
                }
                self.annotate(block, start, out);
                block
            }
            Open::Reasoning { block } => {
                if let Some(left) = self.thought_channel.finish() {
                    let delta =
                        Delta::Reasoning { channel: Channel::Summary, part: 0, text: left.to_string() };
                    self.delta(block, delta, out);
                }
                block
            }
            Open::Audio { block, .. } => block,
        };
        out.push(Event::BlockStop { candidate: self.index, block, full: None });
    }

    fn annotate(&self, block: u32, start: usize, out: &mut Vec<Event>) {
        let mut annotations = Vec::new();
        if let Some(grounding) = &self.grounding {
            Grounding::read(grounding).annotations(&self.text, start, &mut annotations);
        }
        if let Some(citations) = &self.citations {
            cited(citations, &self.text, start, &mut annotations);
        }
        for annotation in annotations {
            self.delta(block, Delta::Annotation(annotation), out);
        }
    }

    /// Whether it calls a tool that nobody knows.
    pub(crate) fn has_unnamed_call(&self) -> bool {
        self.is_unnamed || self.partial.as_ref().is_some_and(|partial| partial.name.is_empty())
    }

    /// Why there is no answer: the model tried a call, failed at it and said nothing else.
    pub(crate) fn failure(&self) -> Option<Fault> {
        let word = self.finish.as_deref().filter(|_| !self.is_heard && self.partial.is_none())?;
        let stop = stop::decode(word, false, self.finish_message.as_deref());
        (stop.reason == StopReason::MalformedToolCall).then(|| {
            let words = stop.explanation.as_deref().unwrap_or(word);
            let message = format!("the model made a tool call that cannot be read: {words}");
            Fault { is_upstream: true, ..Fault::new(Kind::BadUpstream, message) }
        })
    }

    /// Stops the candidate: closes what is open, tells of the search, gives the reason.
    pub(crate) fn stop(
        &mut self,
        blocked: Option<Stop>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> StopReason {
        self.finish_partial(context, out);
        self.close(out);
        self.search(context, out);
        let stop = match (&self.finish, blocked) {
            (None, Some(stop)) => stop,
            (word, _) => {
                let word = word.as_deref().unwrap_or("STOP");
                stop::decode(word, self.calls > 0, self.finish_message.as_deref())
            }
        };
        let reason = stop.reason;
        out.push(Event::CandidateStop { candidate: self.index, stop });
        reason
    }

    /// A search that only the metadata tells of, as the hosted call it was.
    fn search(&mut self, context: &UpstreamContext, out: &mut Vec<Event>) {
        let Some(raw) = self.grounding.clone().filter(|_| !self.has_search) else { return };
        let Grounding { queries, mut sources, .. } = Grounding::read(&raw);
        if queries.is_empty() {
            return;
        }
        sources.retain(|source| !source.url.is_empty());
        let hosted = Hosted {
            phase: HostedPhase::Both,
            kind: HostedKind::WebSearch,
            id: id::hex("ws_", 48, &[&context.request_id, "search", &self.index.to_string()]).into(),
            status: Some("completed".into()),
            input: Some(Raw::object(|input| {
                input.opt_str("query", queries.first().map(String::as_str));
                input.array("queries", |list| queries.iter().for_each(|query| list.str(query)));
            })),
            output: Some(Raw::array(|list| {
                for source in &sources {
                    list.object(|found| {
                        found.str("url", &source.url);
                        found.str("title", &source.title);
                    });
                }
            })),
            error: None,
            native: Native { format: Format::Gemini, value: raw },
        };
        self.whole(BlockKind::Hosted(Box::new(hosted)), out);
    }
}
