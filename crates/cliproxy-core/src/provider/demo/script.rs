//! What each demo model says: a list of events with the pause before each, a pure function of model and request.

use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::model::{
    Anchor, BlockKind, CallKind, Channel, Content, Delta, Event, Ext, Opaque, OpaqueKind, OutputFormat,
    Owner, Request, Response, Role, Status, Stop, StopReason, Str, Tool, ToolChoice, ToolResult, Usage,
};

use super::sample;
use crate::upstream::LocalEnding;

/// The pace of a quick human reader.
const WORD: Duration = Duration::from_millis(25);

/// An answer, ready to be played.
#[derive(Debug)]
pub(super) struct Script {
    model: Str,
    pace: Duration,
    thoughts: String,
    text: String,
    calls: Vec<(Str, Str, String)>,
    input_tokens: u64,
    max_tokens: Option<u64>,
    fault: Option<FaultPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultPoint {
    Cut,
    Stall,
    Error,
    Garbage,
}

impl Script {
    pub(super) fn of(model: &str, request: &Request) -> Self {
        let said = last_user_text(request);
        let mut script = Self {
            model: model.into(),
            pace: WORD,
            thoughts: String::new(),
            text: String::new(),
            calls: Vec::new(),
            input_tokens: words_of(request),
            max_tokens: request.max_output_tokens,
            fault: None,
        };
        let schema = match &request.output.format {
            OutputFormat::JsonSchema { schema, .. } => Some(sample::of_schema(&schema.to_value())),
            OutputFormat::JsonObject => Some("{\"demo\":true}".to_owned()),
            OutputFormat::Text | OutputFormat::Mime(_) => None,
        };
        match model {
            "demo-tools" => script.use_tools(request, &said),
            "demo-think" => {
                script.thoughts =
                    format!("The user wrote {} words. I repeat them.", said.split_whitespace().count());
                script.text = schema.unwrap_or_else(|| echo(request, &said));
            }
            "demo-long" => {
                script.pace = Duration::from_millis(2);
                script.text = (1..=2000).map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
            }
            "demo-slow" => {
                script.pace = Duration::from_secs(1);
                script.text = echo(request, &said);
            }
            _ => {
                script.text = schema.unwrap_or_else(|| echo(request, &said));
                script.fault = match model {
                    "demo-cut" => Some(FaultPoint::Cut),
                    "demo-stall" => Some(FaultPoint::Stall),
                    "demo-error" => Some(FaultPoint::Error),
                    "demo-garbage" => Some(FaultPoint::Garbage),
                    _ => None,
                };
            }
        }
        script
    }

    fn use_tools(&mut self, request: &Request, said: &str) {
        let results = last_results(request);
        if !results.is_empty() {
            let answers: Vec<String> = results.iter().map(|result| text_of(&result.content)).collect();
            self.text = format!("The tool answered: {}", answers.join("; "));
            return;
        }
        if request.tool_choice == Some(ToolChoice::None) {
            self.text = echo(request, said);
            return;
        }
        let wanted = match &request.tool_choice {
            Some(ToolChoice::Named { name, .. }) => Some(name),
            _ => None,
        };
        let functions: Vec<_> = request
            .tools
            .iter()
            .filter_map(|tool| match tool {
                Tool::Function { name, schema, .. } => Some((name, schema.as_ref())),
                Tool::Custom { .. } | Tool::Hosted { .. } => None,
            })
            .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
            .collect();
        if functions.is_empty() {
            "I call a tool when one is offered; this request offers none.".clone_into(&mut self.text);
            return;
        }
        // Saying "parallel" or "both" shows parallel calls, also to clients that offer one tool only.
        let is_parallel = ["parallel", "both", "two"].iter().any(|word| said.to_lowercase().contains(word));
        let count = if is_parallel && request.parallel_tool_calls != Some(false) { 2 } else { 1 };
        let turn = request.turns.len().to_string();
        for (ordinal, (name, schema)) in functions.iter().cycle().take(count).enumerate() {
            let arguments =
                schema.map_or_else(|| "{}".to_owned(), |schema| sample::of_schema(&schema.to_value()));
            let id = cliproxy_wire::id::base62("toolu_", 24, &[said, &turn, &ordinal.to_string(), name]);
            self.calls.push((id.into(), Str::clone(name), arguments));
        }
    }

    /// What ids are derived from.
    pub(super) fn seed(&self) -> &str {
        if self.text.is_empty() { &self.model } else { &self.text }
    }

    pub(super) fn ending(&self) -> LocalEnding {
        match self.fault {
            Some(FaultPoint::Cut) => LocalEnding::Cut,
            Some(FaultPoint::Stall) => LocalEnding::Stall,
            _ => LocalEnding::Complete,
        }
    }

    pub(super) fn is_garbage(&self) -> bool {
        self.fault == Some(FaultPoint::Garbage)
    }

    /// The events with the pause before each.
    pub(super) fn events(&self) -> Vec<(Duration, Event)> {
        let mut play = Play { events: Vec::new(), pace: self.pace, block: 0, words: 0 };
        let usage = Usage { input: Some(self.input_tokens), ..Usage::default() };
        let start = Response {
            model: Some(Str::clone(&self.model)),
            usage: Some(usage.clone()),
            ..Response::new(Format::Claude)
        };
        play.push(Event::Start(Box::new(start)));
        let mut reasoning = 0;
        if !self.thoughts.is_empty() {
            play.words(BlockKind::Reasoning { id: None, is_redacted: false }, &self.thoughts, None, |text| {
                Delta::Reasoning { channel: Channel::Summary, part: 0, text }
            });
            let signature = Opaque {
                owner: Owner::Anthropic,
                kind: OpaqueKind::ClaudeSignature,
                scope: None,
                model: None,
                data: cliproxy_wire::id::base62("ErUBdemo", 40, &[&self.thoughts]).into(),
                anchor: Anchor::This,
            };
            play.delta(Delta::Opaque(signature));
            play.stop();
            reasoning = play.words;
        }
        let mut reason = StopReason::EndTurn;
        if !self.text.is_empty() {
            let limit = self.max_tokens.map(|limit| limit.saturating_sub(reasoning));
            let was_cut = play.words(BlockKind::Text, &self.text, limit, Delta::Text);
            if was_cut {
                reason = StopReason::MaxTokens;
            }
            if let Some(fault) = self.fault {
                // Half of the text, then the fault.
                let half = play.events.len() / 2;
                play.events.truncate(half.max(3));
                if fault == FaultPoint::Error {
                    let fault = Fault::new(
                        Kind::Overloaded,
                        "demo: this model always fails in the middle of its answer",
                    );
                    play.push(Event::Error(Box::new(fault)));
                }
                return play.events;
            }
            play.stop();
        }
        for (id, name, arguments) in &self.calls {
            let kind = BlockKind::ToolCall {
                call_id: Str::clone(id),
                is_id_synthetic: false,
                item_id: None,
                name: Str::clone(name),
                namespace: None,
                kind: CallKind::Function,
                native: None,
                caller: None,
                opaque: None,
            };
            play.words(kind, arguments, None, Delta::Arguments);
            play.stop();
            reason = StopReason::ToolUse;
        }
        play.push(Event::CandidateStop { candidate: 0, stop: Stop::new(reason) });
        let usage = Usage {
            output: Some(play.words.max(1)),
            reasoning: (reasoning > 0).then_some(reasoning),
            ..usage
        };
        play.push(Event::Usage(Box::new(usage)));
        play.push(Event::End { status: Status::Completed, ext: Ext::new() });
        play.events
    }
}

struct Play {
    events: Vec<(Duration, Event)>,
    pace: Duration,
    block: u32,
    words: u64,
}

impl Play {
    fn push(&mut self, event: Event) {
        self.events.push((Duration::ZERO, event));
    }

    fn delta(&mut self, delta: Delta) {
        let event = Event::Delta { candidate: 0, block: self.block, delta };
        self.events.push((self.pace, event));
    }

    /// Opens a block and says `text` in it, a word at a time; true when `limit` words were said before its end.
    fn words(
        &mut self,
        kind: BlockKind,
        text: &str,
        limit: Option<u64>,
        delta: impl Fn(String) -> Delta,
    ) -> bool {
        self.push(Event::BlockStart { candidate: 0, block: self.block, kind });
        for (said, word) in (0u64..).zip(text.split_inclusive(char::is_whitespace)) {
            if limit.is_some_and(|limit| said >= limit) {
                return true;
            }
            self.delta(delta(word.to_owned()));
            self.words += 1;
        }
        false
    }

    fn stop(&mut self) {
        self.push(Event::BlockStop { candidate: 0, block: self.block, full: None });
        self.block += 1;
    }
}

/// A stand-in for a token count: words of text.
pub(super) fn words_of(request: &Request) -> u64 {
    let mut words = 0usize;
    for instruction in &request.instructions {
        words += instruction.text.split_whitespace().count();
    }
    for turn in &request.turns {
        words += text_of(&turn.blocks).split_whitespace().count() + 3;
    }
    u64::try_from(words).unwrap_or(u64::MAX)
}

fn text_of(blocks: &[cliproxy_wire::model::Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        let piece = match &block.content {
            Content::Text(piece) => piece.text.to_string(),
            Content::ToolResult(result) => text_of(&result.content),
            _ => continue,
        };
        if !text.is_empty() && !piece.is_empty() {
            text.push(' ');
        }
        text.push_str(&piece);
    }
    text
}

fn last_user_text(request: &Request) -> String {
    let last =
        request.turns.iter().rev().find(|turn| turn.role == Role::User && !text_of(&turn.blocks).is_empty());
    last.map(|turn| text_of(&turn.blocks)).unwrap_or_default()
}

fn last_results(request: &Request) -> Vec<&ToolResult> {
    let last = request.turns.iter().rev().find(|turn| turn.role == Role::User);
    last.map(|turn| {
        turn.blocks
            .iter()
            .filter_map(|block| match &block.content {
                Content::ToolResult(result) => Some(result),
                _ => None,
            })
            .collect()
    })
    .unwrap_or_default()
}

fn echo(request: &Request, said: &str) -> String {
    let images = request.turns.last().map_or(0, |turn| {
        turn.blocks.iter().filter(|block| matches!(block.content, Content::Image(_))).count()
    });
    let text = if said.is_empty() { "You said nothing.".to_owned() } else { format!("You said: {said}") };
    match images {
        0 => text,
        1 => format!("{text} (and sent 1 image)"),
        _ => format!("{text} (and sent {images} images)"),
    }
}
