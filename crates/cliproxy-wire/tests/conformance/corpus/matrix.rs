//! Every recorded answer for every client: however the bytes arrive, each client gets the same texts, calls, thinking,
//! reason to stop and usage, as a body and as a stream. Every recorded request for every upstream: each hears the same.

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::estimate::{self, Family, Input};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::model::{Event, Response, Status};
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use super::estimate::is_told;
use super::passage::{self, Aim, client, upstreams};
use super::recorded::{Exchange, exchanges};
use crate::said::compare;
use crate::{meaning, reader, support};

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

/// The answer of an exchange, and the events that tell it, which are the same however their bytes arrive.
fn answer(exchange: &Exchange) -> Option<(Response, Vec<Event>)> {
    let (response, whole) = passage::answer(exchange)?;
    for seed in exchange.stream().map_or(0..0, |_| 0..3) {
        let stream = exchange.stream().unwrap_or_default().as_bytes();
        let lengths = if seed == 0 { vec![1] } else { support::random_lengths(seed) };
        let again = passage::events(exchange.format, passage::upstream(exchange), stream, &lengths);
        assert!(again.as_ref() == Some(&whole), "{} {lengths:?}", exchange.id);
    }
    Some((response, whole))
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
                    // The tier has its place at the start of a Claude stream, where most upstreams do not know it yet.
                    different.retain(|line| {
                        to != Format::Claude || !line.starts_with(".usage.service_tier: null")
                    });
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

fn every_request_for_every_upstream(from: Format, least: usize) {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for exchange in exchanges(from).iter().filter(|exchange| exchange.is_generation()) {
        let Some(Ok(request)) = passage::request(exchange) else { continue };
        for (profile, model) in upstreams() {
            let encoded = Aim::at(&profile, model)
                .with(&request, |target| format::encode_request(request.clone(), target));
            // What cannot be said there is refused, which other tests look at.
            let Ok(encoded) = encoded else { continue };
            let path = RequestContext { model: "m", stream: request.stream, ..RequestContext::default() };
            let again = format::decode_request(profile.format, &encoded.body, path).unwrap();
            for line in meaning::differences(&request, &encoded, &again) {
                wrong.push(format!("{} for {} {model}: {line}", exchange.id, profile.name));
            }
            // What was written counts as what was meant: estimates are made of either. Files in a provider's store have no
            // kind any more, and schemas may be written more tersely.
            let family = Family::of(model);
            let meant = estimate::request(&encoded.request, family);
            let written = Input::of_body(profile.format, encoded.body.into(), family).tokens();
            if is_told(exchange, &request) && meant.abs_diff(written) > 16 + meant / 5 {
                wrong.push(format!("{} for {} {model}: {written} of {meant}", exchange.id, profile.name));
            }
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(seen == 0 || seen >= least, "{seen} requests written");
}

#[test]
fn every_recorded_chat_request_says_the_same_to_every_upstream() {
    every_request_for_every_upstream(Format::Chat, 7_000);
}

#[test]
fn every_recorded_responses_request_says_the_same_to_every_upstream() {
    every_request_for_every_upstream(Format::Responses, 4_500);
}

#[test]
fn every_recorded_claude_request_says_the_same_to_every_upstream() {
    every_request_for_every_upstream(Format::Claude, 4_000);
}

#[test]
fn every_recorded_gemini_request_says_the_same_to_every_upstream() {
    every_request_for_every_upstream(Format::Gemini, 4_000);
}
