//! Every recorded answer for every client: however the bytes arrive, each client gets the same texts, calls, thinking,
//! reason to stop and usage, as a body and as a stream.

use cliproxy_wire::codec::{ClientContext, UpstreamContext};
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{
    Arguments, Candidate, Content, Event, Request, Response, Show, Status, StopReason, Summary, Usage,
};
use cliproxy_wire::normalize::{arguments, id};
use cliproxy_wire::profile::{Profile, ToolIdRule};
use cliproxy_wire::sse::{Ending, StreamReader};

use serde_json::Value;

use super::recorded::{Exchange, exchanges};
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

/// What a candidate says, as far as a client's format can say it.
#[derive(Debug, PartialEq)]
struct Said {
    /// Texts, calls and thinking in their order; texts that follow each other are one.
    pieces: Vec<Piece>,
    stop: StopReason,
    sequence: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Refusal(String),
    /// Without blank lines, which stand for the ends of parts in some formats.
    Thinking(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

fn said(to: Format, response: &Response) -> Vec<Said> {
    let most = if matches!(to, Format::Chat | Format::Gemini) { usize::MAX } else { 1 };
    let candidates = response.candidates.iter().take(most);
    candidates
        .map(|candidate| {
            let mut pieces = Vec::new();
            let is_cut = candidate.stop.reason == StopReason::MaxTokens;
            for block in &candidate.blocks {
                match &block.content {
                    Content::Text(text) => push_text(&mut pieces, &text.text),
                    Content::Refusal(text) if matches!(to, Format::Claude | Format::Gemini) => {
                        push_text(&mut pieces, text);
                    }
                    Content::Refusal(text) => pieces.push(Piece::Refusal(text.to_string())),
                    Content::Reasoning(reasoning) => push_thinking(&mut pieces, &reasoning.text()),
                    Content::ToolCall(call) => {
                        let id = match to {
                            Format::Claude => id::fit(&call.call_id, ToolIdRule::Word { max: 256 }),
                            _ => (&*call.call_id).into(),
                        };
                        pieces.push(Piece::Call {
                            id: id.into_owned(),
                            name: call.name.to_string(),
                            arguments: if is_cut { String::new() } else { input(to, &call.arguments) },
                        });
                    }
                    _ => {}
                }
            }
            let (stop, sequence) = stop(to, candidate.stop.reason, candidate.stop.sequence.as_deref());
            if let Some(text) = explanation(to, candidate) {
                pieces.push(Piece::Refusal(text.to_owned()));
            }
            let mut said = Said { pieces, stop, sequence };
            if to == Format::Chat {
                said.pieces = in_one_message(said.pieces);
            }
            said
        })
        .collect()
}

/// The explanation of a stop, where the format says it in a refusal that the answer does not hold yet.
fn explanation(to: Format, candidate: &Candidate) -> Option<&str> {
    let is_said = candidate.blocks.iter().any(|block| matches!(block.content, Content::Refusal(_)));
    let is_filtered = matches!(candidate.stop.reason, StopReason::ContentFilter | StopReason::Refusal);
    let is_told =
        to == Format::Chat || (to == Format::Responses && candidate.stop.reason == StopReason::Refusal);
    let is_due = is_told && is_filtered && !is_said;
    candidate.stop.explanation.as_deref().filter(|text| is_due && !text.is_empty())
}

/// Arguments without the white space between their tokens; free-form input is a member of an object where a format has
/// nothing else.
fn input(to: Format, arguments: &Arguments) -> String {
    match arguments {
        Arguments::Json(text) => serde_json::from_str::<Value>(&arguments::object(text)).unwrap().to_string(),
        Arguments::Text(text) if matches!(to, Format::Claude | Format::Gemini) => {
            serde_json::json!({"input": &**text}).to_string()
        }
        Arguments::Text(text) => text.to_string(),
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn push_thinking(pieces: &mut Vec<Piece>, text: &str) {
    let text = text.replace("\n\n", "");
    match pieces.last_mut() {
        Some(Piece::Thinking(last)) => last.push_str(&text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Thinking(text)),
    }
}

/// Chat has one text, one thinking and one list of calls.
fn in_one_message(pieces: Vec<Piece>) -> Vec<Piece> {
    let (mut texts, mut refusals, mut thinking, mut calls) =
        (Vec::new(), Vec::new(), String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(text) => texts.push(text),
            Piece::Refusal(text) => refusals.push(text),
            Piece::Thinking(text) => thinking.push_str(&text),
            Piece::Call { .. } => calls.push(piece),
        }
    }
    let mut all = Vec::new();
    if !thinking.is_empty() {
        all.push(Piece::Thinking(thinking));
    }
    if !texts.is_empty() {
        all.push(Piece::Text(texts.join("\n\n")));
    }
    if !refusals.is_empty() {
        all.push(Piece::Refusal(refusals.concat()));
    }
    all.extend(calls);
    all
}

/// What is left of a stop in a format, by the table of reasons.
fn stop(to: Format, reason: StopReason, sequence: Option<&str>) -> (StopReason, Option<String>) {
    use StopReason as Reason;
    let left = match (to, reason) {
        (Format::Claude, Reason::ContentFilter | Reason::Recitation) => Reason::Refusal,
        (Format::Claude, Reason::StopSequence) if sequence.is_some() => Reason::StopSequence,
        (Format::Claude, Reason::ContextWindow) => Reason::ContextWindow,
        (Format::Claude, Reason::MalformedToolCall | Reason::Other | Reason::StopSequence) => Reason::EndTurn,
        (Format::Gemini, Reason::Refusal) => Reason::ContentFilter,
        (_, Reason::ContextWindow) => Reason::MaxTokens,
        (Format::Chat | Format::Responses, Reason::Refusal | Reason::Recitation) => Reason::ContentFilter,
        (Format::Chat | Format::Responses, Reason::MalformedToolCall | Reason::Other) => Reason::EndTurn,
        (Format::Claude, Reason::Pause | Reason::Compaction) => reason,
        (_, Reason::StopSequence | Reason::Pause | Reason::Compaction) => Reason::EndTurn,
        (_, reason) => reason,
    };
    let sequence = sequence.filter(|_| left == Reason::StopSequence);
    (left, sequence.map(str::to_owned))
}

/// The counts that every format has.
fn counts(usage: Option<&Usage>) -> Option<[u64; 4]> {
    let usage = usage?.clone().clamped();
    Some([
        usage.input.unwrap_or(0),
        usage.cache_read.unwrap_or(0),
        usage.output.unwrap_or(0),
        usage.reasoning.unwrap_or(0),
    ])
}

/// Whether an answer holds what a format tells in words of its own: code that ran, pictures.
fn is_told_in_text(to: Format, response: &Response) -> bool {
    let blocks = response.candidates.iter().flat_map(|candidate| &candidate.blocks);
    matches!(to, Format::Chat | Format::Claude)
        && blocks.map(|block| &block.content).any(|content| {
            matches!(content, Content::Hosted(_) | Content::Image(_) | Content::Audio(_) | Content::Native(_))
        })
}

fn compare(what: &str, to: Format, source: &Response, again: &Response) {
    if is_told_in_text(to, source) {
        // The texts are all there, with others among them.
        let found = format!("{:?}", said(to, again));
        for block in source.candidates.iter().take(1).flat_map(|candidate| &candidate.blocks) {
            let Some(text) = block.as_text() else { continue };
            for part in text.text.split("\n\n") {
                assert!(found.contains(format!("{part:?}").trim_matches('"')), "{what}: {part:?} in {found}");
            }
        }
    } else {
        assert_eq!(said(to, again), said(to, source), "{what}");
    }
    if source.usage.is_some() {
        assert_eq!(counts(again.usage.as_ref()), counts(source.usage.as_ref()), "{what}");
    }
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
