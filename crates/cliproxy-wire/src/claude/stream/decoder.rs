//! Reading an upstream's stream.

use std::collections::{BTreeMap, HashMap};

use crate::codec::{StreamDecoder, UpstreamContext};
use crate::fault::{Fault, Kind};
use crate::format::Format;
use crate::json::{self, Raw, Reader};
use crate::model::{CandidateMeta, Event, Ext, Response, Stop, Str};
use crate::sse::Frame;
use crate::usage::Counts;

use super::super::stop;
use super::frame::Members;
use super::open::Open;

/// As many frames in a row may be unreadable before the stream counts as broken.
const MAX_UNREADABLE: u32 = 3;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    context: UpstreamContext,
    id: Option<Str>,
    is_started: bool,
    is_ended: bool,
    /// The open blocks by ordinal, which is the order in which they began. Boxed: nearly always there is one, and a map
    /// makes room for eleven.
    open: BTreeMap<u32, Box<Open>>,
    /// The ordinals of open blocks by the upstream's index.
    ordinals: HashMap<u64, u32>,
    blocks: u32,
    calls: u32,
    counts: Counts,
    stop: Option<Stopped>,
    ext: Ext,
    unreadable: u32,
}

/// What `message_delta` said of the end.
#[derive(Debug)]
struct Stopped {
    reason: Option<String>,
    sequence: Option<String>,
    details: Option<Raw>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(context: UpstreamContext) -> Self {
        Self {
            context,
            id: None,
            is_started: false,
            is_ended: false,
            open: BTreeMap::new(),
            ordinals: HashMap::new(),
            blocks: 0,
            calls: 0,
            counts: Counts::new(Format::Claude),
            stop: None,
            ext: Ext::new(),
            unreadable: 0,
        }
    }

    fn data(&mut self, name: Option<&str>, data: &str, out: &mut Vec<Event>) {
        if data.trim() == "[DONE]" {
            return;
        }
        let mut members = match Members::read(data) {
            Ok(members) => members,
            Err(error) => {
                self.unreadable += 1;
                if self.unreadable >= MAX_UNREADABLE {
                    let message = format!("the upstream's stream cannot be read: {error}");
                    self.fail(Fault::new(Kind::BadUpstream, message), out);
                } else {
                    out.push(Event::Warning(format!("unreadable frame skipped: {error}")));
                }
                return;
            }
        };
        self.unreadable = 0;
        if members.kind.is_empty() {
            members.kind = name.unwrap_or_default().to_owned().into();
        }
        if members.kind == "error" || (members.has_error && !members.kind.starts_with("content_block")) {
            let fault =
                crate::fault::in_success(Format::Claude, &mut Reader::new(data)).unwrap_or_else(|| {
                    Fault::new(Kind::BadUpstream, "the upstream reported an error without a message")
                });
            self.fail(fault, out);
            return;
        }
        match &*members.kind {
            "message_start" => self.message_start(&members, out),
            "content_block_start" => self.block_start(&members, out),
            "content_block_delta" => self.block_delta(members, out),
            "content_block_stop" => self.block_stop(members.index, out),
            "message_delta" => self.message_delta(&members, out),
            "message_stop" => self.end(out),
            _ => out.push(Event::Ping),
        }
    }

    fn message_start(&mut self, members: &Members<'_>, out: &mut Vec<Event>) {
        let message = members.message.unwrap_or("{}");
        if self.is_started {
            let id = Raw::new(message).get("id").and_then(|id| id.to_text());
            if id.as_deref() != self.id.as_deref() {
                out.push(Event::Warning(
                    "a second message began inside the first and was ignored".to_owned(),
                ));
            }
            return;
        }
        let mut response = Response::new(Format::Claude);
        // The text was checked with the frame; members of unexpected kinds stop the reading, not the stream.
        let outcome = Reader::new(message).object(|key, value| {
            match key {
                "id" => response.id = value.opt(Reader::str)?.map(Str::from),
                "model" => response.model = value.opt(Reader::str)?.map(Str::from),
                "usage" => self.counts.read(value)?,
                "container" | "context_management" => {
                    if let Some(raw) = value.opt(Reader::to_raw)? {
                        self.ext.set(key, raw);
                    }
                }
                _ => {}
            }
            Ok(())
        });
        if let Err(error) = outcome {
            out.push(Event::Warning(format!("the start of the message is odd: {error}")));
        }
        self.id.clone_from(&response.id);
        self.start(response, out);
    }

    fn start(&mut self, mut response: Response, out: &mut Vec<Event>) {
        self.is_started = true;
        let usage = self.counts.is_seen().then(|| self.counts.usage());
        response.service_tier = usage.as_ref().and_then(|usage| usage.tier.clone());
        response.usage.clone_from(&usage);
        out.push(Event::Start(Box::new(response)));
        if let Some(usage) = usage {
            out.push(Event::Usage(Box::new(usage)));
        }
    }

    /// Content before the message began: some look-alikes leave the start out.
    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if !self.is_started {
            self.start(Response::new(Format::Claude), out);
        }
    }

    fn block_start(&mut self, members: &Members<'_>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        let index = members.index.unwrap_or_else(|| u64::from(self.blocks));
        self.stop_block(index, out);
        let content_block = members.block.unwrap_or("{}");
        self.open_block(index, content_block, out);
    }

    fn open_block(&mut self, index: u64, content_block: &str, out: &mut Vec<Event>) {
        let (request_id, calls) = (&self.context.request_id, self.calls);
        let missing_id = |name: &str| crate::id::call(request_id, 0, calls, name);
        match Open::start(index, self.blocks, content_block, missing_id, out) {
            Ok(open) => {
                self.calls += u32::from(open.is_call());
                self.ordinals.insert(index, self.blocks);
                self.open.insert(self.blocks, Box::new(open));
                self.blocks += 1;
            }
            // All that a call can lack is its name.
            Err(_) if json::member(content_block, "type") == Some("\"tool_use\"") => {
                self.fail(Fault::unnamed_call(), out);
            }
            Err(error) => out.push(Event::Warning(format!("a block was skipped: {error}"))),
        }
    }

    fn block_delta(&mut self, members: Members<'_>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        let index = members.index.or_else(|| self.last_index()).unwrap_or_default();
        if !self.ordinals.contains_key(&index) {
            let Some(kind) = members.delta.block_kind() else {
                out.push(Event::Warning("a delta for a block that never began was skipped".to_owned()));
                return;
            };
            let content_block = if kind == "text" {
                r#"{"type":"text","text":""}"#
            } else {
                r#"{"type":"thinking","thinking":""}"#
            };
            self.open_block(index, content_block, out);
        }
        let ordinal = self.ordinals.get(&index);
        let Some(open) = ordinal.and_then(|ordinal| self.open.get_mut(ordinal)) else { return };
        if let Err(error) = open.piece(members.delta, out) {
            out.push(Event::Warning(format!("a delta was skipped: {error}")));
        }
    }

    fn block_stop(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        if let Some(index) = index.or_else(|| self.last_index()) {
            self.stop_block(index, out);
        }
    }

    fn stop_block(&mut self, index: u64, out: &mut Vec<Event>) {
        let ordinal = self.ordinals.remove(&index);
        if let Some(open) = ordinal.and_then(|ordinal| self.open.remove(&ordinal)) {
            open.stop(out);
        }
    }

    /// The index of the block that began last, for frames that leave theirs out.
    fn last_index(&self) -> Option<u64> {
        self.open.last_key_value().map(|(_, open)| open.index)
    }

    fn message_delta(&mut self, members: &Members<'_>, out: &mut Vec<Event>) {
        self.ensure_started(out);
        if let Some(usage) = members.usage
            && self.counts.read(&mut Reader::new(usage)).is_ok()
        {
            out.push(Event::Usage(Box::new(self.counts.usage())));
        }
        let delta = &members.delta;
        if delta.stop_reason.is_some() || self.stop.is_none() {
            self.stop = Some(Stopped {
                reason: delta.stop_reason.as_deref().map(str::to_owned),
                sequence: delta.stop_sequence.as_deref().map(str::to_owned),
                details: delta.stop_details.map(Raw::new),
            });
        }
        if let Some(container) = delta.container {
            self.ext.set("container", Raw::new(container));
        }
        if let Some(management) = members.context_management {
            self.ext.set("context_management", Raw::new(management));
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        self.ordinals.clear();
        for open in std::mem::take(&mut self.open).into_values() {
            open.stop(out);
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.ensure_started(out);
        self.close(out);
        self.is_ended = true;
        let stopped = self.stop.take();
        let stop: Stop = match &stopped {
            Some(stopped) => stop::read(
                stopped.reason.as_deref(),
                stopped.sequence.as_deref(),
                stopped.details.as_ref().map(Raw::as_str),
                self.calls > 0,
            ),
            None => stop::read(None, None, None, self.calls > 0),
        };
        if let Some(details) = stopped.and_then(|stopped| stopped.details) {
            let mut meta = CandidateMeta::default();
            meta.ext.set("stop_details", details);
            out.push(Event::CandidateMeta { candidate: 0, meta: Box::new(meta) });
        }
        let status = stop::status(stop.reason);
        out.push(Event::CandidateStop { candidate: 0, stop });
        out.push(Event::End { status, ext: std::mem::take(&mut self.ext) });
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.close(out);
        self.is_ended = true;
        out.push(Event::Error(Box::new(fault)));
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.is_ended {
            return;
        }
        match frame {
            Frame::Comment => out.push(Event::Ping),
            Frame::Data { event, data } => self.data(*event, data, out),
        }
    }

    fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Event>) {
        if self.is_ended {
            return;
        }
        let has_reason = self.stop.as_ref().is_some_and(|stop| stop.reason.is_some());
        match broken {
            // The reason is the end; only its confirmation is missing.
            None if has_reason => self.end(out),
            None => self.fail(Fault::truncated(), out),
            Some(fault) => self.fail(fault, out),
        }
    }
}
