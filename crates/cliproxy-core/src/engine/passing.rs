//! A stream of the images interface on its way: bytes pass, and what they say of costs and errors is read along.

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{self, Fault};
use cliproxy_wire::json;
use cliproxy_wire::model::Usage;
use cliproxy_wire::sse::{self, Frame, StreamReader};

use super::pipe::LONGEST_FRAME;
use super::single::cost;

/// The state between chunks.
#[derive(Debug)]
pub(super) struct Passing {
    reader: StreamReader,
    seen: Seen,
    /// What came before the first event: an error instead of one is still a refusal.
    held: Vec<Bytes>,
}

#[derive(Debug, Default)]
struct Seen {
    has_begun: bool,
    /// An image has come whole.
    is_complete: bool,
    usage: Option<Usage>,
    fault: Option<Fault>,
}

impl Seen {
    fn frame(&mut self, frame: &Frame<'_>) {
        let Frame::Data { event, data } = *frame else { return };
        if json::member(data, "error").is_some_and(|error| error != "null") {
            let hints = fault::HeaderHints::default();
            self.fault.get_or_insert_with(|| fault::decode(Format::Chat, 200, &hints, data.as_bytes()));
            return;
        }
        self.has_begun = true;
        let kind = json::member(data, "type").map(|kind| kind.trim_matches('"'));
        self.is_complete |=
            kind.or(event).is_some_and(|kind| kind.ends_with(".completed")) || data == "[DONE]";
        self.usage = cost(data.as_bytes()).or_else(|| self.usage.take());
    }
}

impl Passing {
    pub(super) fn new() -> Self {
        Self { reader: StreamReader::new(LONGEST_FRAME), seen: Seen::default(), held: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) {
        let seen = &mut self.seen;
        if let Err(fault) = self.reader.push(&bytes, &mut |frame| seen.frame(&frame)) {
            return self.fail(fault, out);
        }
        self.held.push(bytes);
        if self.seen.has_begun {
            out.append(&mut self.held);
        }
    }

    pub(super) fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Bytes>) {
        let seen = &mut self.seen;
        let read = self.reader.finish(&mut |frame| seen.frame(&frame)).map(|_ending| ());
        let fault = broken.or_else(|| read.err()).or_else(|| (!self.seen.is_complete).then(Fault::truncated));
        match fault {
            Some(fault) if self.seen.fault.is_none() => self.fail(fault, out),
            _ => out.append(&mut self.held),
        }
    }

    /// What the client has must not look complete when it is not.
    fn fail(&mut self, fault: Fault, out: &mut Vec<Bytes>) {
        if self.seen.has_begun && self.seen.fault.is_none() {
            let mut frame = b"\n\n".to_vec();
            sse::event(&mut frame, "error", |out| fault::write_chat_error(out, &fault));
            out.push(frame.into());
        }
        self.seen.fault.get_or_insert(fault);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.seen.has_begun
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.seen.fault.as_ref()
    }

    pub(super) fn usage(&self) -> Usage {
        self.seen.usage.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA==\"}\n\nevent: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA==\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}\n\n";

    fn passed(stream: &str, size: usize, broken: Option<Fault>) -> (Passing, String) {
        let (mut passing, mut out) = (Passing::new(), Vec::new());
        for chunk in stream.as_bytes().chunks(size) {
            passing.push(Bytes::copy_from_slice(chunk), &mut out);
        }
        passing.finish(broken, &mut out);
        (passing, String::from_utf8(out.concat()).unwrap())
    }

    #[test]
    fn bytes_pass_and_costs_are_read_along() {
        for size in [1, 7, STREAM.len()] {
            let (passing, out) = passed(STREAM, size, None);
            assert_eq!((out.as_str(), passing.fault()), (STREAM, None));
            assert_eq!(passing.usage().total(), 7);
        }
    }

    #[test]
    fn what_breaks_off_ends_with_an_error() {
        let cut = STREAM.split_inclusive("\n\n").next().unwrap();
        for (stream, broken) in [(cut, None), (STREAM, Some(Fault::truncated()))] {
            let (passing, out) = passed(stream, 7, broken);
            assert!(passing.fault().is_some() && out.contains("event: error\ndata: {\"error\":"), "{out}");
        }
    }

    #[test]
    fn an_error_instead_of_an_image_is_a_refusal() {
        let (passing, out) =
            passed("data: {\"error\":{\"message\":\"no\",\"code\":\"rate_limit_exceeded\"}}\n\n", 7, None);
        assert!(!passing.has_begun() && passing.fault().is_some(), "{out}");
    }
}
