//! What a request says to an upstream: nothing that the client said is lost, moved or made up on the way.
//!
//! What is compared is what each format can say in its own way: texts in their order, calls with their arguments, media,
//! functions with the members of their schemas, sampling and limits. What is *meant* to change on the way stands here as
//! a rule with its reason; whoever adds one weakens the tests. Reasoning has tests of its own.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cliproxy_wire::codec::Encoded;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::{
    Arguments, Block, Content, Media, Request, Role, Str, Tool, ToolChoice, ToolResult, Turn,
};
use cliproxy_wire::normalize::arguments;
use serde_json::Value;

/// Words of ours around what the client said, without white space; `*` stands for anything short.
const FRAMES: [&str; 17] = [
    // Instructions in the middle of a conversation, where the upstream takes them at its start only.
    "<system-reminder>",
    "</system-reminder>",
    "[Systeminstruction]",
    // Turns that must not be empty or missing.
    "(conversationcontinues)",
    // Media of a tool's result, where results are text.
    "[image*ofthisresultfollowsinthenextusermessage]",
    "[document*ofthisresultfollowsinthenextusermessage]",
    "[imageattachedbelow]",
    "[documentattachedbelow]",
    "Mediaoftheresultof*:",
    // A result whose call is not in the conversation.
    "Resultof*:",
    // Documents and code, where the upstream knows only text.
    "[document]",
    "```bash",
    "```python",
    "```",
    // Structured answers, where the upstream has no word for them or none beside tools.
    "AnswerwithasingleJSON*",
    "AnswerwithaJSONobject.",
    // The result of a tool that said nothing, where results are objects.
    "{\"output\":\"\"}",
];

/// What a request says.
#[derive(Debug, Default)]
struct Meaning {
    /// Instructions, wherever they stand.
    instructions: Vec<String>,
    /// Texts of user and model in their order.
    texts: Vec<String>,
    /// Texts of the results of tools, in their order.
    results: Vec<String>,
    /// What may become text where the upstream has no other word for it: work of the provider's own tools, names.
    other: Vec<String>,
    /// Arguments of the calls.
    calls: Vec<Value>,
    /// The bytes or addresses of media.
    media: BTreeSet<String>,
    /// Functions, by the members of their schemas; `None` for tools whose schema the provider knows.
    tools: Vec<Option<BTreeSet<String>>>,
    /// Sampling and limits.
    settings: BTreeMap<&'static str, String>,
}

impl Meaning {
    fn of(request: &Request) -> Self {
        let mut found = Self::default();
        found.instructions.extend(request.instructions.iter().map(|block| plain(&block.text)));
        for turn in &request.turns {
            found.turn(turn);
        }
        let mut names = BTreeSet::new();
        for tool in &request.tools {
            // A tool that is declared again is declared once.
            if tool.name().is_none_or(|name| names.insert(Str::clone(name))) {
                found.tool(tool);
            }
        }
        found.settings(request);
        for texts in [&mut found.instructions, &mut found.texts, &mut found.results, &mut found.other] {
            for text in texts.iter_mut() {
                *text = unframed(text);
            }
            texts.retain(|text| !text.is_empty());
        }
        found
    }

    fn turn(&mut self, turn: &Turn) {
        for block in &turn.blocks {
            match (turn.role, block.as_text()) {
                (Role::Instruction(_), Some(text)) => self.instructions.push(plain(&text.text)),
                _ => self.block(block, false),
            }
        }
    }

    fn block(&mut self, block: &Block, is_result: bool) {
        match &block.content {
            Content::Text(text) => self.text(&text.text, is_result),
            Content::Refusal(text) => self.text(text, is_result),
            Content::Image(image) => self.media(&image.source, is_result),
            Content::Audio(audio) => self.media(&audio.source, is_result),
            Content::Video(video) => self.media(&video.source, is_result),
            Content::Document(document) => {
                let names = [&document.filename, &document.title, &document.context];
                for name in names.into_iter().flatten() {
                    self.other.push(format!("[{}]", plain(name)));
                    self.other.push(plain(name));
                }
                self.media(&document.source, is_result);
            }
            Content::ToolCall(call) => self.calls.push(object(&call.arguments)),
            Content::ToolResult(result) => self.result(result),
            Content::Hosted(hosted) => leaves(&hosted.native.value.to_value(), &mut self.other),
            Content::SearchResult(found) => leaves(&found.to_value(), &mut self.other),
            Content::Native(native) => leaves(&native.value.to_value(), &mut self.other),
            Content::Reasoning(_) => {}
        }
    }

    fn result(&mut self, result: &ToolResult) {
        if let Some(structured) = &result.structured {
            let text = plain(structured.as_str());
            if result.content.is_empty() { self.results.push(text) } else { self.other.push(text) }
        }
        for block in &result.content {
            self.block(block, true);
        }
    }

    fn text(&mut self, text: &str, is_result: bool) {
        if is_result { self.results.push(plain(text)) } else { self.texts.push(plain(text)) }
    }

    fn media(&mut self, source: &Media, is_result: bool) {
        let bytes = match source {
            // A text may come as a file and go as a text.
            Media::Inline { mime, base64 } if mime.starts_with("text/") => {
                let text = STANDARD.decode(&**base64).unwrap();
                return self.text(&String::from_utf8(text).unwrap(), is_result);
            }
            Media::Text { text, .. } => return self.text(text, is_result),
            Media::Inline { base64: bytes, .. }
            | Media::Url(bytes)
            | Media::File { id: bytes, .. }
            | Media::GoogleUri { uri: bytes, .. } => bytes,
        };
        self.media.insert(bytes.to_string());
    }

    fn tool(&mut self, tool: &Tool) {
        match tool {
            Tool::Function { native: Some(_), .. } => self.tools.push(None),
            Tool::Function { schema, .. } => self.tools.push(Some(members(schema.as_ref()))),
            Tool::Custom { .. } => self.tools.push(Some(BTreeSet::from(["input".to_owned()]))),
            Tool::Hosted { .. } => {}
        }
    }

    fn settings(&mut self, request: &Request) {
        let sampling = &request.sampling;
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let count = |value: Option<u64>| value.map(|value| value.to_string());
        let all = [
            ("temperature", number(sampling.temperature)),
            ("top_p", number(sampling.top_p)),
            ("top_k", count(sampling.top_k)),
            ("frequency_penalty", number(sampling.frequency_penalty)),
            ("presence_penalty", number(sampling.presence_penalty)),
            ("seed", sampling.seed.map(|seed| seed.to_string())),
            ("stop", (!sampling.stop.is_empty()).then(|| format!("{:?}", sampling.stop))),
            ("max_tokens", count(request.max_output_tokens)),
            ("n", count(request.candidates.filter(|count| *count > 1))),
            ("logprobs", request.logprobs.map(|wish| format!("{wish:?}"))),
        ];
        self.settings.extend(all.into_iter().filter_map(|(name, value)| Some((name, value?))));
    }

    fn spoken(&self) -> impl Iterator<Item = &String> {
        self.instructions.iter().chain(&self.texts).chain(&self.results)
    }
}

/// A text without white space: formats join texts by blank lines, spaces or nothing.
fn plain(text: &str) -> String {
    text.split_whitespace().collect()
}

/// All texts in a value.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(plain(text)),
        Value::Array(elements) => elements.iter().for_each(|element| leaves(element, found)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        _ => {}
    }
}

/// Arguments as the object that every upstream wants.
fn object(arguments: &Arguments) -> Value {
    match arguments {
        Arguments::Json(text) => serde_json::from_str(&arguments::object(text)).unwrap(),
        Arguments::Text(text) => serde_json::json!({ "input": &**text }),
    }
}

/// Names of the members of a schema's first level.
fn members(schema: Option<&Raw>) -> BTreeSet<String> {
    let schema = schema.map(Raw::to_value).unwrap_or_default();
    schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned()).collect()
}

/// A text without our words around it.
fn unframed(text: &str) -> String {
    let mut text = text.to_owned();
    for frame in FRAMES {
        let Some((start, end)) = frame.split_once('*') else {
            text = text.replace(frame, "");
            continue;
        };
        while let Some(from) = text.find(start) {
            let behind = from + start.len();
            let Some(length) = text[behind..].find(end).filter(|length| *length < 120) else { break };
            let to = if end.is_empty() { text.len() } else { behind + length + end.len() };
            text.replace_range(from..to, "");
        }
    }
    text
}

/// One request on its way to one upstream.
struct Way<'a> {
    request: &'a Request,
    encoded: &'a Encoded,
    said: &'a Meaning,
    heard: Meaning,
    wrong: Vec<String>,
}

impl<'a> Way<'a> {
    fn check(mut self) -> Vec<String> {
        self.texts();
        self.inventions();
        self.calls_and_media();
        self.tools();
        self.settings();
        self.wrong
    }

    /// Nothing is lost, and what user and model said and what tools answered comes in the client's order.
    fn texts(&mut self) {
        // Instructions may stand among the turns, and results among the texts.
        let heard = &self.heard;
        let heard: String =
            heard.texts.iter().chain(&heard.results).chain(&heard.instructions).cloned().collect();
        for text in self.said.instructions.iter().filter(|text| !heard.contains(text.as_str())) {
            self.wrong.push(format!("lost the instruction {}", short(text)));
        }
        for said in [self.said_texts(), self.said.results.iter().collect()] {
            let mut from = 0;
            for text in said {
                match heard[from..].find(text.as_str()) {
                    Some(at) => from += at + text.len(),
                    None if heard.contains(text.as_str()) => {
                        self.wrong.push(format!("moved {}", short(text)));
                    }
                    None => self.wrong.push(format!("lost {}", short(text))),
                }
            }
        }
    }

    /// Texts that must arrive: all, but for the begun answer at the end that the model refuses to go on with (B.3.5).
    fn said_texts(&self) -> Vec<&'a String> {
        let said = self.said;
        let mut texts: Vec<&String> = said.texts.iter().collect();
        let last = self.request.turns.iter().rev().find(|turn| !matches!(turn.role, Role::Instruction(_)));
        let is_begun = last.is_some_and(|turn| turn.role == Role::Assistant);
        if is_begun && self.encoded.notes.paths().iter().any(|path| is_turn(path)) {
            texts.pop();
        }
        texts
    }

    /// Nothing is made up.
    fn inventions(&mut self) {
        let said: String = self.said.spoken().cloned().collect();
        let mut pieces: Vec<&String> = self.said.spoken().chain(&self.said.other).collect();
        pieces.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for text in self.heard.spoken() {
            let mut text = text.clone();
            if said.contains(&text) {
                continue;
            }
            for piece in &pieces {
                text = text.replace(piece.as_str(), "");
            }
            if !text.is_empty() {
                self.wrong.push(format!("made up {}", short(&text)));
            }
        }
    }

    fn calls_and_media(&mut self) {
        if self.said.calls != self.heard.calls {
            self.wrong.push(format!("calls {:?} came as {:?}", self.said.calls, self.heard.calls));
        }
        for bytes in self.said.media.difference(&self.heard.media) {
            self.wrong.push(format!("lost media {}", short(bytes)));
        }
    }

    fn tools(&mut self) {
        // Where an upstream knows no choice among some tools, only those are offered.
        if matches!(self.request.tool_choice, Some(ToolChoice::Allowed { .. })) {
            return;
        }
        // Where an upstream knows no word for calling none, none is offered.
        if self.request.tool_choice == Some(ToolChoice::None) && self.heard.tools.is_empty() {
            return;
        }
        let said = &self.said.tools;
        // Members that stand in where an object must demand one go out of the calls again.
        let stand_ins: Vec<&str> =
            self.encoded.bridge.tools.values().filter_map(|origin| origin.stand_in).collect();
        let mut heard = self.heard.tools.clone();
        heard.iter_mut().flatten().for_each(|names| names.retain(|name| !stand_ins.contains(&name.as_str())));
        let is_equal = said.len() <= heard.len()
            && said.iter().zip(&heard).all(|(said, heard)| said.is_none() || said == heard);
        if !is_equal {
            self.wrong.push(format!("tools {said:?} came as {heard:?}"));
        }
    }

    /// A setting arrives as it is, or the gateway keeps it, or the client is told.
    fn settings(&mut self) {
        for (name, said) in &self.said.settings {
            let heard = self.heard.settings.get(name);
            let is_told = self.encoded.notes.paths().iter().any(|path| is_of(path, name));
            let is_kept = *name == "stop" && !self.encoded.bridge.stop_filter.is_empty();
            // The limit grows by what thinking takes, and ends where the model ends.
            let is_fitted = *name == "max_tokens" && heard.is_some();
            if heard != Some(said) && !is_told && !is_kept && !is_fitted {
                self.wrong.push(format!("{name} {said} came as {heard:?}"));
            }
        }
    }
}

/// Whether the path of a note is about a setting, in the spelling of any format.
fn is_of(path: &str, setting: &str) -> bool {
    let path = path.replace('_', "").to_lowercase();
    let setting = match setting {
        "max_tokens" => "tokens",
        "n" => "candidatecount",
        setting => &*setting.replace('_', ""),
    };
    path.contains(setting)
}

/// Whether a path of a note names a turn.
fn is_turn(path: &str) -> bool {
    ["messages", "input", "contents"].iter().any(|name| path.starts_with(name))
}

fn short(text: &str) -> String {
    text.chars().take(90).collect()
}

/// Where an upstream that reads `again` hears something else than the client said in `request`.
pub(crate) fn differences(request: &Request, encoded: &Encoded, again: &Request) -> Vec<String> {
    let (said, heard) = (Meaning::of(request), Meaning::of(again));
    Way { request, encoded, said: &said, heard, wrong: Vec::new() }.check()
}
