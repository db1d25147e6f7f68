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

use super::{Candidate, Open, Said};

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
                let said = Said { block, bytes: start..self.text.len(), citations: Vec::new() };
                self.said.push(said);
                self.annotate(self.said.len() - 1, out);
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

    /// Cites in the texts from this one on what is known to be cited there and was not yet.
    fn annotate(&mut self, from: usize, out: &mut Vec<Event>) {
        if let (Some(raw), None) = (&self.grounding, &self.sources) {
            self.sources = Some(Grounding::read(raw));
        }
        for said in self.said.iter_mut().skip(from) {
            let mut found = Vec::new();
            if let Some(grounding) = &self.sources {
                grounding.annotations(&self.text, &said.bytes, &mut found);
            }
            if let Some(citations) = &self.citations {
                cited(citations, &self.text, &said.bytes, &mut found);
            }
            found.retain(|citation| !said.citations.contains(citation));
            let (candidate, block) = (self.index, said.block);
            out.extend(found.iter().cloned().map(|citation| {
                let delta = Delta::Annotation(citation);
                Event::Delta { candidate, block, delta }
            }));
            said.citations.append(&mut found);
        }
    }

    /// Whether it calls a tool that nobody knows.
    pub(crate) fn has_unnamed_call(&self) -> bool {
        self.is_unnamed || self.partial.as_ref().is_some_and(|partial| partial.name.is_empty())
    }

    /// Whether it calls a tool with arguments that nobody can put together.
    pub(crate) fn has_garbled_call(&self) -> bool {
        self.is_garbled || self.partial.as_ref().is_some_and(|partial| partial.is_garbled)
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
        if self.is_cited_late {
            self.annotate(0, out);
        }
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
