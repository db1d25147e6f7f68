//! Every recorded answer for every client: however the bytes arrive, each client gets the same texts, calls, thinking,
//! reason to stop and usage, as a body and as a stream.

use cliproxy_wire::codec::{ClientContext, UpstreamContext};
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{Event, Request, Response, Show, Status, Summary};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::sse::{Ending, StreamReader};

use serde_json::Value;

use super::recorded::{Exchange, exchanges};
use crate::said::compare;
use crate::{reader, support};

fn upstream(exchange: &Exchange) -> UpstreamContext {
    let profile = match exchange.format {
        Format::Chat => Profile::compatible(),
        Format::Responses => Profile::openai_responses(),
        Format::Claude => Profile::claude(),
        Format::Gemini => Profile::gemini(),
    };
    let mut context = UpstreamContext::new(&profile, "req_fx");
    context.has_think_tags = exchange.value["provider"] == "gpustack";
    context
}

fn client(format: Format, response: &Response) -> ClientContext {
    let mut context = ClientContext::new(&Request::new(format, "m"), "req_fx", 1_785_500_000);
    context.show = Show::Summary(Summary::Auto);
    context.include_usage = true;
    context.now = || 1_785_500_003;
    context.is_legacy_functions = format == Format::Chat
        && response.candidates.iter().any(|candidate| {
            matches!(&candidate.stop.native, Some((Format::Chat, word)) if **word == *"function_call")
        });
    context
}

/// The events of a stream whose bytes arrive in pieces of these lengths; `None` when it is no stream.
fn events(exchange: &Exchange, stream: &str, lengths: &[usize]) -> Option<Vec<Event>> {
    let mut decoder = format::stream_decoder(exchange.format, upstream(exchange));
    let mut frames = StreamReader::new(32 << 20);
    let mut out = Vec::new();
    let mut rest = stream.as_bytes();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        frames.push(piece, &mut |frame| decoder.frame(&frame, &mut out)).unwrap();
        rest = after;
    }
    let ending = frames.finish(&mut |frame| decoder.frame(&frame, &mut out)).unwrap();
    decoder.finish(None, &mut out);
    (ending == Ending::Stream).then_some(out)
}

fn folded(events: &[Event]) -> Option<Response> {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    fold.finish()
}

/// The answer as a body for a client, read as that client reads it.
fn through_body(what: &str, to: Format, response: &Response) -> Value {
    let written = format::encode_response(to, response, &client(to, response));
    let context = UpstreamContext::new(&Profile::compatible(), "req_fx");
    let again = format::decode_response(to, &written, &context);
    let again =
        again.unwrap_or_else(|fault| panic!("{what}: {fault:?} in {}", String::from_utf8_lossy(&written)));
    compare(what, to, response, &again);
    serde_json::from_slice(&written).unwrap()
}

/// The answer as a stream for a client, read as that client reads it.
fn through_stream(what: &str, to: Format, events: &[Event], response: &Response) -> Value {
    let stream = support::write(to, &client(to, response), events.to_vec());
    let outcome = std::panic::catch_unwind(|| reader::read(to, &stream));
    let body = outcome.unwrap_or_else(|_| panic!("{what}: {stream}"));
    let context = UpstreamContext::new(&Profile::compatible(), "req_fx");
    let again = format::decode_response(to, body.to_string().as_bytes(), &context);
    let again = again.unwrap_or_else(|fault| panic!("{what}: {fault:?} in {body}"));
    compare(what, to, response, &again);
    body
}

/// The answer of an exchange, and the events that tell it: those of the recorded stream, which are the same however its
/// bytes arrive, or the recorded body laid out.
fn answer(exchange: &Exchange) -> Option<(Response, Vec<Event>)> {
    if let Some(stream) = exchange.stream() {
        let whole = events(exchange, stream, &[usize::MAX])?;
        for seed in 0..3 {
            let lengths = if seed == 0 { vec![1] } else { support::random_lengths(seed) };
            let again = events(exchange, stream, &lengths);
            assert!(again.as_ref() == Some(&whole), "{} {lengths:?}", exchange.id);
        }
        return Some((folded(&whole)?, whole));
    }
    let body = exchange.body().filter(|_| exchange.is_success())?;
    let bytes = serde_json::to_vec(body).unwrap();
    let response = format::decode_response(exchange.format, &bytes, &upstream(exchange)).ok()?;
    let mut events = Vec::new();
    unfold(&response, &mut events);
    Some((response, events))
}

fn every_answer_for_every_client(from: Format, least: [usize; 2]) {
    let mut seen = [0; 2];
    let mut wrong = Vec::new();
    // Two recordings hold two messages each; they only have to be read without harm.
    let is_sound = |exchange: &&Exchange| exchange.is_generation() && !exchange.has("anomalous-stream");
    for exchange in exchanges(from).iter().filter(is_sound) {
        let Some((response, events)) = answer(exchange) else { continue };
        seen[usize::from(exchange.stream().is_some())] += 1;
        for to in Format::ALL {
            let what = format!("{} for {}", exchange.id, to.name());
            let outcome = std::panic::catch_unwind(|| match response.status {
                Status::Failed(_) => {
                    reader::failed(to, &support::write(to, &client(to, &response), events.clone()));
                }
                Status::Cancelled => {}
                _ => {
                    let body = through_body(&what, to, &response);
                    let streamed = through_stream(&what, to, &events, &response);
                    let mut different =
                        support::differences(&reader::plain(to, streamed), &reader::plain(to, body));
                    // Members beyond the format that its own upstream wrote into a body have no place in streams.
                    different.retain(|line| to != from || !line.contains(": null | "));
                    assert!(different.is_empty(), "{what}: {different:#?}");
                }
            });
            if outcome.is_err() {
                wrong.push(what);
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(seen == [0; 2] || (seen[0] >= least[0] && seen[1] >= least[1]), "bodies and streams: {seen:?}");
}

#[test]
fn every_recorded_chat_answer_says_the_same_to_every_client() {
    every_answer_for_every_client(Format::Chat, [450, 140]);
}

#[test]
fn every_recorded_responses_answer_says_the_same_to_every_client() {
    every_answer_for_every_client(Format::Responses, [300, 120]);
}

#[test]
fn every_recorded_claude_answer_says_the_same_to_every_client() {
    every_answer_for_every_client(Format::Claude, [280, 100]);
}

#[test]
fn every_recorded_gemini_answer_says_the_same_to_every_client() {
    every_answer_for_every_client(Format::Gemini, [300, 90]);
}
