//! What an answer says to a client, as far as the client's format can say it.

use cliproxy_wire::format::Format;
use cliproxy_wire::model::{Arguments, Candidate, Content, Response, StopReason, Usage};
use cliproxy_wire::normalize::{arguments, id};
use serde_json::Value;

/// What a candidate says, as far as a client's format can say it.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    /// Texts, calls and thinking in their order; texts that follow each other are one.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) stop: StopReason,
    pub(crate) sequence: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
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

pub(crate) fn said(to: Format, response: &Response) -> Vec<Said> {
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
                        let id = id::fit(&call.call_id, to.tool_id());
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
pub(crate) fn counts(usage: Option<&Usage>) -> Option<[u64; 4]> {
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
    let mut contents =
        response.candidates.iter().flat_map(|candidate| &candidate.blocks).map(|block| &block.content);
    match to {
        Format::Chat | Format::Claude => contents.any(|content| {
            matches!(content, Content::Hosted(_) | Content::Image(_) | Content::Audio(_) | Content::Native(_))
        }),
        Format::Responses => contents.any(|content| matches!(content, Content::Audio(_))),
        Format::Gemini => false,
    }
}

pub(crate) fn compare(what: &str, to: Format, source: &Response, again: &Response) {
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
