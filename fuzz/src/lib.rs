//! What the fuzz targets check, one function each.
//!
//! Everything here takes bytes from strangers. Beyond "nothing panics" the targets check what the layers promise:
//! framing that does not depend on chunking, edits that keep JSON whole, events that keep their contract, encoders that
//! write JSON whatever they were given.

use std::collections::BTreeSet;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::catalog;
use cliproxy_wire::codec::{ClientContext, Strictness, Target, UpstreamContext};
use cliproxy_wire::format::{self, RequestContext};
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{Raw, Reader};
use cliproxy_wire::lane::{self, AnswerEnvelope, Changes, Relay, Rewrite};
use cliproxy_wire::model::{Delta, Event, Request};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::Table;
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::sse::{Ending, Frame, StreamReader};

const LIMIT: usize = 1 << 20;

/// The first byte decides where to cut, the rest is the input.
fn cut(data: &[u8]) -> (usize, &[u8]) {
    let Some((first, rest)) = data.split_first() else { return (0, data) };
    (usize::from(*first) % (rest.len() + 1), rest)
}

fn frames(pieces: &[&[u8]]) -> (Vec<String>, Option<Ending>) {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| found.push(format!("{frame:?}"));
    let mut reader = StreamReader::new(LIMIT);
    for piece in pieces {
        reader.push(piece, &mut each).expect("input below the limit");
    }
    let ending = reader.finish(&mut each).ok();
    (found, ending)
}

/// Framing does not depend on chunking.
pub fn sse(data: &[u8]) {
    let (at, data) = cut(data);
    let (left, right) = data.split_at(at);
    let whole = frames(&[data]);
    assert_eq!(frames(&[left, right]), whole);
    if data.len() < 200 {
        assert_eq!(frames(&data.chunks(1).collect::<Vec<_>>()), whole);
    }
}

/// The first line is a path, the second a value, the rest the text to edit.
pub fn patch(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\n');
    let (Some(path), Some(value), Some(text)) = (parts.next(), parts.next(), parts.next()) else { return };
    let path = Path::parse(path);
    let Ok(value) = Raw::parse(value) else { return };
    // Depth is limited in sum, and no edit of ours comes near.
    if value.as_str().bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 50 {
        return;
    }
    let is_json = Raw::parse(text).is_ok();
    let before = patch::get(text, &path);
    for edit in [
        Edit::set(path.clone(), value.clone()),
        Edit::set_default(path.clone(), value.clone()),
        Edit::remove(path.clone()),
        Edit::rename(path.clone(), "other"),
    ] {
        let Ok(edited) = patch::apply(text, &[edit.clone()]) else {
            assert!(!is_json, "{edit:?}");
            continue;
        };
        // What is malformed where no edit looks stays as it was, for others to refuse.
        assert!(!is_json || Raw::parse(&edited).is_ok(), "{edit:?} made {edited}");
        if edit == Edit::set_default(path.clone(), value.clone()) && before.is_some() {
            assert_eq!(edited, text);
        }
    }
}

/// The passthrough lanes alter nothing unless asked, at any chunking.
pub fn relay(data: &[u8]) {
    let (at, data) = cut(data);
    let run = |format: Format, changes: &Changes, cuts: &[usize]| {
        let mut relay = Relay::new(format, changes.clone(), LIMIT);
        let mut out = Vec::new();
        let mut rest = Bytes::copy_from_slice(data);
        for cut in cuts {
            let piece = rest.split_to((*cut).min(rest.len()));
            relay.push(piece, &mut out).expect("input below the limit");
        }
        relay.push(rest, &mut out).expect("input below the limit");
        let ending = relay.finish(&mut out).ok();
        (out.concat(), ending, relay.tap().usage(), relay.is_truncated())
    };
    for format in Format::ALL {
        let plain = run(format, &Changes::default(), &[]);
        assert_eq!(run(format, &Changes::default(), &[at]), plain);
        if plain.1 == Some(Ending::Stream) && !plain.0.is_empty() {
            // Only a frame that was cut may be missing.
            assert!(data.starts_with(&plain.0) && (plain.3 || plain.0 == data));
        }
        let changes = Changes {
            model: Some("alias".to_owned()),
            hides_usage: true,
            envelope: AnswerEnvelope::Unwrap,
            is_sse: None,
            ..Changes::default()
        };
        assert_eq!(run(format, &changes, &[at]), run(format, &changes, &[]));
        let _body = lane::body(format, Bytes::copy_from_slice(data), &changes);
    }
}

/// A request that is understood can be written for every upstream, or is refused with a reason.
pub fn request(format: Format, data: &[u8]) {
    if let Ok(seen) = lane::peek(format, data) {
        let untouched = lane::rewrite(format, seen.text, &Rewrite::default()).expect("a body that was read");
        assert_eq!(untouched, seen.text);
    }
    let Ok(request) = format::decode_request(
        format,
        data,
        RequestContext { model: "gemini-2.5-pro", stream: true, ..RequestContext::default() },
    ) else {
        return;
    };
    for (profile, model) in [
        (Profile::openai_chat(), "gpt-5.1"),
        (Profile::compatible(), "some-model"),
        (Profile::openai_responses(), "gpt-5.1"),
        (Profile::codex(), "gpt-5-codex"),
        (Profile::claude(), "claude-sonnet-4-5"),
        (Profile::gemini(), "gemini-2.5-pro"),
        (Profile::code_assist(), "gemini-3-pro-preview"),
    ] {
        encode(&request, &profile, model);
    }
}

fn encode(request: &Request, profile: &Profile, model: &str) {
    let caps = catalog::caps(model);
    let table = Table::default();
    let schemas = Cleaned::default();
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let target = Target {
            profile,
            caps: &caps,
            model,
            suffix: None,
            stream: request.stream,
            scope: None,
            strictness,
            table: &table,
            schemas: &schemas,
            memory: None,
            repair: None,
        };
        if let Ok(encoded) = format::encode_request(request.clone(), &target) {
            let mut reader = Reader::from_bytes(&encoded.body).expect("bodies are UTF-8");
            reader.skip().and_then(|()| reader.finish()).expect("bodies are JSON");
        }
    }
}

/// Whatever comes, the events keep their contract, do not depend on chunking, and every encoder can write them.
pub fn stream(format: Format, data: &[u8]) {
    let (at, data) = cut(data);
    let (left, right) = data.split_at(at);
    let events = decode(format, &[left, right]);
    assert_eq!(format!("{events:?}"), format!("{:?}", decode(format, &[data])));
    check(&events);
    for client in Format::ALL {
        let context = ClientContext::new(&Request::new(client, "model"), "req", 0);
        let mut encoder = format::stream_encoder(client, context);
        let mut out = Vec::new();
        for event in &events {
            encoder.event(event.clone(), &mut out);
        }
        std::str::from_utf8(&out).expect("streams are UTF-8");
    }
}

fn decode(format: Format, pieces: &[&[u8]]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut decoder = format::stream_decoder(format, UpstreamContext::new(&profile(format), "req"));
    let mut reader = StreamReader::new(LIMIT);
    for piece in pieces {
        reader.push(piece, &mut |frame| decoder.frame(&frame, &mut events)).expect("input below the limit");
    }
    let ending = reader.finish(&mut |frame| decoder.frame(&frame, &mut events));
    if let Ok(Ending::Body(body)) = &ending {
        let _response = format::decode_response(format, body, &UpstreamContext::new(&profile(format), "req"));
    }
    decoder.finish(ending.err(), &mut events);
    events
}

fn profile(format: Format) -> Profile {
    match format {
        Format::Chat => Profile::compatible(),
        Format::Responses => Profile::openai_responses(),
        Format::Claude => Profile::claude(),
        Format::Gemini => Profile::code_assist(),
    }
}

/// The contract of events, as `cliproxy_wire::model` states it.
fn check(events: &[Event]) {
    let (mut is_begun, mut is_over) = (false, false);
    let mut open = BTreeSet::new();
    let mut started: Vec<(u32, u32)> = Vec::new();
    let mut stopped_candidates = BTreeSet::new();
    for event in events {
        assert!(!is_over, "{event:?} after the end");
        match event {
            Event::Start(_) => assert!(!std::mem::replace(&mut is_begun, true), "a second start"),
            Event::BlockStart { candidate, block, .. } => {
                let count = started.iter().filter(|(known, _)| known == candidate).count();
                assert_eq!(usize::try_from(*block).ok(), Some(count), "blocks count without gaps");
                assert!(!stopped_candidates.contains(candidate), "a block of a stopped candidate");
                started.push((*candidate, *block));
                open.insert((*candidate, *block));
            }
            // Citations may come for a block that has stopped.
            Event::Delta { candidate, block, delta: Delta::Annotation(_) } => {
                assert!(started.contains(&(*candidate, *block)), "{event:?} of a block that never was");
                assert!(!stopped_candidates.contains(candidate), "{event:?} of a stopped candidate");
            }
            Event::Delta { candidate, block, .. } => {
                assert!(open.contains(&(*candidate, *block)), "{event:?} of a block that is not open");
            }
            Event::BlockStop { candidate, block, .. } => {
                assert!(open.remove(&(*candidate, *block)), "{event:?} of a block that is not open");
            }
            Event::CandidateStop { candidate, .. } => {
                assert!(
                    open.iter().all(|(known, _)| known != candidate),
                    "a candidate stops with open blocks"
                );
                assert!(stopped_candidates.insert(*candidate), "a candidate stops twice");
            }
            Event::End { .. } => {
                is_over = true;
                assert!(stopped_candidates.contains(&0), "candidate 0 is stopped");
                assert!(started.iter().all(|(candidate, _)| stopped_candidates.contains(candidate)));
            }
            Event::Error(_) => {
                is_over = true;
                assert!(open.is_empty(), "open blocks before an error");
            }
            _ => {}
        }
        let is_free = matches!(event, Event::Ping | Event::Warning(_) | Event::Error(_));
        assert!(is_begun || is_free, "{event:?} before the start");
    }
    assert!(is_over, "a stream without end: {events:?}");
    assert!(open.is_empty());
}
