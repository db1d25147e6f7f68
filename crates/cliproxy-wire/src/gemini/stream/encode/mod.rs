//! A client's stream: events to chunks, as server-sent events or as the elements of one JSON array.
//!
//! Clients of this format know neither comments nor event names nor an end mark; anything but `data: ` lines and blank
//! lines breaks some of them. Calls are written whole, and blocks one after the other: what belongs to a later block
//! waits until its turn.

mod head;
mod line;

use std::collections::BTreeMap;

use super::super::answer::response_id;
use crate::codec::{ClientContext, StreamEncoder};
use crate::fault::{self, Fault};
use crate::model::{CandidateMeta, Delta, Event, Ext, Show, Usage};
use crate::{Format, usage};

use head::Head;
use line::{Line, Pending};

/// Writes a stream for a client of this format.
#[derive(Debug)]
pub struct Encoder {
    context: ClientContext,
    head: Head,
    usage: Option<Usage>,
    is_native: bool,
    is_over: bool,
    /// By candidate. Boxed: nearly always there is one, and a map makes room for eleven.
    lines: BTreeMap<u32, Box<Line>>,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub fn new(context: ClientContext) -> Self {
        let head = Head {
            id: String::new(),
            model: String::new(),
            is_sse: context.is_sse,
            is_enveloped: context.is_enveloped,
            is_open: false,
        };
        Self { context, head, usage: None, is_native: false, is_over: false, lines: BTreeMap::new() }
    }

    fn name(&mut self, id: Option<&str>, model: Option<&str>) {
        self.head.id = response_id(id, &self.context);
        self.context.model(model).clone_into(&mut self.head.model);
    }

    fn end(&mut self, ext: &Ext, out: &mut Vec<u8>) {
        self.is_over = true;
        if self.head.id.is_empty() {
            self.name(None, None);
        }
        self.lines.entry(0).or_default();
        let feedback = ext.get("promptFeedback").filter(|_| self.is_native);
        let is_blocked = feedback.is_some() && self.lines.values().all(|line| !line.has_content);
        let last = self.lines.keys().next_back().copied();
        for (&index, line) in &mut self.lines {
            let usage = self.usage.as_ref().filter(|_| Some(index) == last);
            let is_native = self.is_native;
            self.head.chunk(out, |object| {
                if !is_blocked {
                    object.array("candidates", |list| {
                        list.object(|candidate| line.finish(index, is_native, candidate));
                    });
                }
                object.opt_raw("promptFeedback", feedback);
                if let Some(usage) = usage {
                    object.object("usageMetadata", |object| usage::write_gemini(usage, object));
                }
            });
            if is_blocked {
                break;
            }
        }
        self.close(out);
    }

    fn error(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.is_over = true;
        self.head.frame(out, |out| fault::write_gemini_error(out, fault));
        self.close(out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.head.is_sse {
            out.push(b']');
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        let is_shown = self.context.show != Show::Hidden;
        match event {
            Event::Start(start) => {
                self.is_native = start.origin == Format::Gemini;
                self.name(start.id.as_deref(), start.model.as_deref());
                self.usage = start.usage;
            }
            Event::BlockStart { candidate, block, kind } => {
                let line = self.lines.entry(candidate).or_default();
                // Nearly always one waits alone.
                if line.queue.is_empty() {
                    line.queue.reserve_exact(1);
                }
                line.queue.push_back(Pending::new(block, kind));
                if line.queue.len() == 1 {
                    line.begin(candidate, &mut self.head, out);
                }
            }
            Event::Delta { candidate, block, delta } => {
                let line = self.lines.entry(candidate).or_default();
                match line.queue.binary_search_by_key(&block, |pending| pending.block).ok() {
                    Some(0) => line.delta(candidate, delta, is_shown, &mut self.head, out),
                    Some(at) => {
                        if let Some(pending) = line.queue.get_mut(at) {
                            pending.held.push(delta);
                        }
                    }
                    None => {
                        if let Delta::Annotation(citation) = &delta {
                            line.cite(block, citation);
                        }
                    }
                }
            }
            Event::BlockStop { candidate, block, full } => {
                let line = self.lines.entry(candidate).or_default();
                let at = line.queue.binary_search_by_key(&block, |pending| pending.block);
                if let Some(pending) = at.ok().and_then(|at| line.queue.get_mut(at)) {
                    pending.is_stopped = true;
                    pending.full = full;
                }
                line.advance(candidate, is_shown, &mut self.head, out);
            }
            Event::CandidateMeta { candidate, meta } => {
                let line = self.lines.entry(candidate).or_default();
                merge(&mut line.meta, *meta);
            }
            Event::CandidateStop { candidate, stop } => {
                let line = self.lines.entry(candidate).or_default();
                line.stop(candidate, stop, is_shown, &mut self.head, out);
            }
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(&usage),
            Event::End { ext, .. } => self.end(&ext, out),
            Event::Error(fault) => self.error(&fault, out),
            Event::Ping | Event::Warning(_) => {}
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.is_over {
            out.push(b'\n');
        }
    }
}

fn merge(known: &mut CandidateMeta, newer: CandidateMeta) {
    let CandidateMeta { grounding, url_context, citations, safety, ext } = newer;
    for (slot, value) in [
        (&mut known.grounding, grounding),
        (&mut known.url_context, url_context),
        (&mut known.citations, citations),
        (&mut known.safety, safety),
    ] {
        if value.is_some() {
            *slot = value;
        }
    }
    for (name, value) in ext.iter() {
        known.ext.set(name, value.clone());
    }
}
