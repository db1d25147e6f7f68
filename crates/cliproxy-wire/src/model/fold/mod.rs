//! The two bridges between a stream and a body: [`Fold`] gathers events into a response, [`unfold`] lays a response out
//! as events. No format has one of its own.
//!
//! They are inverse to each other: whatever a body says is also said by the events it is laid out as. That is what
//! lets a client have a body from an upstream that only streams, and a stream from one that cannot.

mod block;

use std::collections::BTreeMap;

use self::block::Builder;
use super::{
    Block, BlockKind, Candidate, CandidateMeta, Channel, Content, Delta, Event, Ext, Reasoning, Response,
    Status, Stop, StopReason, Str, Text, ToolCall, Usage,
};
use crate::fault::Fault;
use crate::json::Raw;

/// Longest piece of text in one delta.
const PIECE: usize = 16 * 1024;

/// Gathers events into a response.
#[derive(Debug, Default)]
pub struct Fold {
    response: Option<Response>,
    candidates: BTreeMap<u32, Gathered>,
    is_ended: bool,
}

/// A candidate in the making.
#[derive(Debug, Default)]
struct Gathered {
    blocks: BTreeMap<u32, Builder>,
    meta: CandidateMeta,
    stop: Option<Stop>,
}

impl Fold {
    /// Takes one event in. What comes before the start or after the end is ignored.
    pub fn event(&mut self, event: Event) {
        if self.is_ended {
            return;
        }
        match event {
            Event::Start(start) => {
                self.response.get_or_insert(Response { status: Status::Completed, ..*start });
            }
            Event::BlockStart { candidate, block, kind } => {
                self.candidate(candidate).blocks.entry(block).or_insert_with(|| Builder::new(kind));
            }
            Event::Delta { candidate, block, delta } => {
                if let Some(builder) = self.block(candidate, block) {
                    builder.add(delta);
                }
            }
            Event::BlockStop { candidate, block, full: Some(full) } => {
                if let Some(builder) = self.block(candidate, block) {
                    builder.full = Some(full);
                }
            }
            Event::CandidateMeta { candidate, meta } => self.candidate(candidate).meta.take(*meta),
            Event::CandidateStop { candidate, stop } => self.candidate(candidate).stop = Some(stop),
            Event::Usage(usage) => {
                if let Some(response) = &mut self.response {
                    response.usage.get_or_insert_with(Usage::default).merge(&usage);
                }
            }
            Event::End { status, ext } => self.end(status, &ext),
            Event::Error(fault) => self.end(Status::Failed(*fault), &Ext::new()),
            Event::BlockStop { full: None, .. } | Event::Warning(_) | Event::Ping => {}
        }
    }

    /// The response so far; failed if the stream ended by an error or did not end. `None` before the start.
    pub fn finish(mut self) -> Option<Response> {
        if !self.is_ended {
            self.end(Status::Failed(Fault::truncated()), &Ext::new());
        }
        let mut response = self.response?;
        let is_failed = matches!(response.status, Status::Failed(_));
        response.candidates =
            self.candidates.into_iter().map(|(index, gathered)| gathered.finish(index, is_failed)).collect();
        Some(response)
    }

    fn candidate(&mut self, index: u32) -> &mut Gathered {
        self.candidates.entry(index).or_default()
    }

    fn block(&mut self, candidate: u32, block: u32) -> Option<&mut Builder> {
        self.candidates.get_mut(&candidate)?.blocks.get_mut(&block)
    }

    fn end(&mut self, status: Status, ext: &Ext) {
        // An error may come before anything else; the caller then still gets to see it.
        if self.response.is_none() {
            let Status::Failed(_) = status else { return };
        }
        self.is_ended = true;
        if let Some(response) = &mut self.response {
            response.status = status;
            for (name, value) in ext.iter() {
                response.ext.set(name, value.clone());
            }
        }
    }
}

impl Gathered {
    fn finish(self, index: u32, is_failed: bool) -> Candidate {
        let blocks: Vec<Block> = self.blocks.into_values().map(Builder::finish).collect();
        let stop = self.stop.unwrap_or_else(|| {
            let calls = blocks.iter().any(|block| matches!(block.content, Content::ToolCall(_)));
            Stop::new(match (is_failed, calls) {
                (true, _) => StopReason::Error,
                (false, true) => StopReason::ToolUse,
                (false, false) => StopReason::EndTurn,
            })
        });
        let CandidateMeta { grounding, url_context, citations, safety, ext } = self.meta;
        Candidate { index, blocks, stop, grounding, url_context, citations, safety, ext }
    }
}

impl CandidateMeta {
    /// Takes over what `newer` says; an empty value never replaces one that says something.
    fn take(&mut self, newer: Self) {
        let keep = |slot: &mut Option<Raw>, value: Option<Raw>| {
            if let Some(value) = value
                && (slot.is_none() || !value.is_empty())
            {
                *slot = Some(value);
            }
        };
        keep(&mut self.grounding, newer.grounding);
        keep(&mut self.url_context, newer.url_context);
        keep(&mut self.citations, newer.citations);
        keep(&mut self.safety, newer.safety);
        for (name, value) in newer.ext.iter() {
            self.ext.set(name, value.clone());
        }
    }
}

/// Lays a response out as events that fold back into it.
pub fn unfold(response: &Response, out: &mut Vec<Event>) {
    let start = Response {
        origin: response.origin,
        id: response.id.clone(),
        model: response.model.clone(),
        created: response.created,
        candidates: Vec::new(),
        usage: response.usage.clone(),
        service_tier: response.service_tier.clone(),
        system_fingerprint: response.system_fingerprint.clone(),
        status: Status::Completed,
        ext: response.ext.clone(),
    };
    out.push(Event::Start(Box::new(start)));
    for candidate in &response.candidates {
        unfold_candidate(candidate, &response.status, out);
    }
    if let Status::Failed(fault) = &response.status {
        if let Some(usage) = &response.usage {
            out.push(Event::Usage(Box::new(usage.clone())));
        }
        out.push(Event::Error(Box::new(fault.clone())));
        return;
    }
    if response.candidates.is_empty() {
        out.push(Event::CandidateStop { candidate: 0, stop: Stop::new(StopReason::EndTurn) });
    }
    if let Some(usage) = &response.usage {
        out.push(Event::Usage(Box::new(usage.clone())));
    }
    // Which members come with the start and which with the end is each format's own affair.
    out.push(Event::End { status: response.status.clone(), ext: response.ext.clone() });
}

fn unfold_candidate(candidate: &Candidate, status: &Status, out: &mut Vec<Event>) {
    let index = candidate.index;
    for (ordinal, block) in (0..).zip(&candidate.blocks) {
        unfold_block(index, ordinal, block, out);
    }
    let meta = CandidateMeta {
        grounding: candidate.grounding.clone(),
        url_context: candidate.url_context.clone(),
        citations: candidate.citations.clone(),
        safety: candidate.safety.clone(),
        ext: candidate.ext.clone(),
    };
    if meta != CandidateMeta::default() {
        out.push(Event::CandidateMeta { candidate: index, meta: Box::new(meta) });
    }
    // A failed answer has no reason to stop of its own, unless its source said one.
    let is_cut = matches!(status, Status::Failed(_)) && candidate.stop == Stop::new(StopReason::Error);
    if !is_cut || is_blank(candidate) {
        out.push(Event::CandidateStop { candidate: index, stop: candidate.stop.clone() });
    }
}

/// True when no other event would mention the candidate.
fn is_blank(candidate: &Candidate) -> bool {
    *candidate == Candidate::new(candidate.index, candidate.stop.clone())
}

fn unfold_block(candidate: u32, block: u32, value: &Block, out: &mut Vec<Event>) {
    let mut deltas = Vec::new();
    let kind = match &value.content {
        Content::Text(text) => {
            text_deltas(text, &mut deltas);
            BlockKind::Text
        }
        Content::Refusal(text) => {
            deltas.extend(pieces(text).map(|piece| Delta::Refusal(piece.to_owned())));
            BlockKind::Refusal
        }
        Content::Reasoning(reasoning) => {
            reasoning_deltas(reasoning, &mut deltas);
            BlockKind::Reasoning { id: reasoning.id.clone(), is_redacted: reasoning.is_redacted }
        }
        Content::ToolCall(call) => {
            deltas.extend(pieces(call.arguments.as_str()).map(|piece| Delta::Arguments(piece.to_owned())));
            call_kind(call)
        }
        Content::Hosted(hosted) => BlockKind::Hosted(Box::new(hosted.clone())),
        Content::Image(image) => BlockKind::Image(Box::new(image.clone())),
        Content::Audio(audio) => BlockKind::Audio(Box::new(audio.clone())),
        Content::Document(document) => BlockKind::Document(Box::new(document.clone())),
        Content::Native(native) => BlockKind::Native(native.clone()),
        // No stream of any provider has these; only the full block below says them.
        Content::Video(_) | Content::SearchResult(_) | Content::ToolResult(_) => BlockKind::Text,
    };
    out.push(Event::BlockStart { candidate, block, kind });
    out.extend(deltas.into_iter().map(|delta| Event::Delta { candidate, block, delta }));
    let full = needs_full(value).then(|| Box::new(value.clone()));
    out.push(Event::BlockStop { candidate, block, full });
}

fn call_kind(call: &ToolCall) -> BlockKind {
    BlockKind::ToolCall {
        call_id: Str::clone(&call.call_id),
        is_id_synthetic: call.is_id_synthetic,
        item_id: call.item_id.clone(),
        name: Str::clone(&call.name),
        namespace: call.namespace.clone(),
        kind: call.kind,
        native: call.native.clone(),
        caller: call.caller.clone(),
        opaque: call.opaque.clone(),
    }
}

fn text_deltas(text: &Text, deltas: &mut Vec<Delta>) {
    deltas.extend(pieces(&text.text).map(|piece| Delta::Text(piece.to_owned())));
    deltas.extend(text.logprobs.clone().map(Delta::Logprobs));
    deltas.extend(text.annotations.iter().cloned().map(Delta::Annotation));
    deltas.extend(text.opaque.clone().map(Delta::Opaque));
}

fn reasoning_deltas(reasoning: &Reasoning, deltas: &mut Vec<Delta>) {
    for (channel, parts) in [(Channel::Summary, &reasoning.summary), (Channel::Raw, &reasoning.raw)] {
        for (part, text) in (0..).zip(parts) {
            let pieces = pieces(text);
            deltas.extend(pieces.map(|piece| Delta::Reasoning { channel, part, text: piece.to_owned() }));
        }
    }
    deltas.extend(reasoning.opaque.iter().cloned().map(Delta::Opaque));
}

/// True when start and deltas do not say everything.
fn needs_full(block: &Block) -> bool {
    if block.cache.is_some() || !block.ext.is_empty() {
        return true;
    }
    match &block.content {
        // By contract a hosted tool's stop carries the block.
        Content::Hosted(_) | Content::Video(_) | Content::SearchResult(_) | Content::ToolResult(_) => true,
        Content::Reasoning(reasoning) => reasoning.summary.iter().chain(&reasoning.raw).any(Str::is_empty),
        Content::ToolCall(call) => call.arguments != block::arguments(call.kind, call.arguments.as_str()),
        _ => false,
    }
}

/// The text in pieces of bounded size, cut between characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, tail) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}
