//! The local token estimate, for upstreams that cannot count and for usage that an upstream leaves out.
//!
//! A real tokenizer differs per family and costs megabytes; the result is meant to be within a quarter of the truth.
//! Payloads (base64, signatures, encrypted state) are never counted as text. It is advice: nothing is refused for it.

mod media;
mod meter;
mod text;

pub use meter::{Input, Meter};

use self::text::{Hundredths, runs};
use crate::model::{Block, Content, OutputFormat, Request, Role, Tool, ToolResult};

/// Families of models that count alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GPT up to 4.1.
    Gpt,
    /// GPT 5 and the o series.
    Gpt5,
    /// Gemini up to 2.5.
    Gemini,
    /// Gemini 3 and later.
    Gemini3,
    /// Claude up to 4.1.
    Claude,
    /// Claude 4.5 and 4.6.
    Claude45,
    /// Claude with the newer vocabulary (4.7 and 5).
    NewClaude,
    /// All others.
    Other,
}

/// What a family takes for the frame around texts, in tokens.
struct Frame {
    /// Percent of the common vocabulary's tokens.
    percent: u64,
    /// Percent of the text of declarations: some services rewrite schemas more tersely.
    tools_percent: u64,
    /// Once for declarations at all.
    tools: u64,
    /// Once for a schema of the answer.
    schema: u64,
    call: u64,
    result: u64,
}

impl Family {
    /// The family of a model, by its name.
    pub fn of(model: &str) -> Self {
        let has = |marks: &[&str]| marks.iter().any(|mark| model.contains(mark));
        if has(&["claude"]) {
            if has(&["4-7", "4-8", "4.7", "4.8", "opus-5", "sonnet-5", "haiku-5", "fable", "mythos"]) {
                return Self::NewClaude;
            }
            return if has(&["4-5", "4-6", "4.5", "4.6"]) { Self::Claude45 } else { Self::Claude };
        }
        if has(&["gemini"]) {
            return if has(&["gemini-1", "gemini-2"]) { Self::Gemini } else { Self::Gemini3 };
        }
        let name = model.rsplit('/').next().unwrap_or(model);
        let is_gpt =
            ["gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"].iter().any(|start| name.starts_with(start));
        if !is_gpt || has(&["gpt-oss"]) {
            return Self::Other;
        }
        if has(&["gpt-3", "gpt-4"]) { Self::Gpt } else { Self::Gpt5 }
    }

    /// Figures by what services counted for requests whose text was known.
    fn frame(self) -> Frame {
        let frame = |percent, tools_percent, tools, schema, call, result| Frame {
            percent,
            tools_percent,
            tools,
            schema,
            call,
            result,
        };
        match self {
            Self::Gpt => frame(103, 72, 8, 8, 6, 4),
            Self::Gpt5 => frame(103, 75, 60, 8, 12, 8),
            Self::Gemini | Self::Gemini3 => frame(98, 100, 0, 0, 8, 6),
            Self::Claude => frame(115, 100, 350, 110, 38, 22),
            Self::Claude45 => frame(115, 100, 520, 110, 38, 22),
            Self::NewClaude => frame(145, 100, 350, 110, 38, 22),
            Self::Other => frame(103, 100, 100, 10, 8, 6),
        }
    }
}

/// Tokens of a text.
pub fn text(text: &str, family: Family) -> u64 {
    (runs(text) * family.frame().percent).div_ceil(10_000)
}

/// Tokens that a request makes its model read.
pub fn request(request: &Request, family: Family) -> u64 {
    let frame = family.frame();
    let mut count = Count { family, texts: 0, fixed: 3 };
    for instruction in &request.instructions {
        count.texts += runs(&instruction.text);
        count.fixed += 4;
    }
    let spoken =
        request.turns.iter().rposition(|turn| turn.role == Role::User && !is_only_results(&turn.blocks));
    for (at, turn) in request.turns.iter().enumerate() {
        count.fixed += 4 + 3 * (turn.blocks.len() as u64).saturating_sub(1);
        // Thinking of earlier turns is not read again.
        let is_current = spoken.is_none_or(|last| at > last);
        for block in &turn.blocks {
            count.block(block, &frame, is_current);
        }
    }
    let tools = tools(&request.tools);
    if tools.1 > 0 {
        count.fixed += frame.tools + 8 * tools.1;
        count.texts += tools.0 * frame.tools_percent / 100;
    }
    if let OutputFormat::JsonSchema { schema, .. } = &request.output.format {
        count.fixed += frame.schema;
        count.texts += runs(schema.as_str());
    }
    (count.texts * frame.percent).div_ceil(10_000) + count.fixed
}

/// Text and number of the declarations.
fn tools(tools: &[Tool]) -> (Hundredths, u64) {
    let mut texts = 0;
    let mut number = 0;
    for tool in tools {
        let (name, description, schema) = match tool {
            Tool::Function { name, description, schema, .. } => (name, description, schema.as_ref()),
            Tool::Custom { name, description, .. } => (name, description, None),
            // What a hosted tool reads is not known before it ran.
            Tool::Hosted { .. } => continue,
        };
        number += 1;
        texts += runs(name) + description.as_deref().map_or(0, runs);
        texts += schema.map_or(0, |schema| runs(schema.as_str()));
    }
    (texts, number)
}

fn is_only_results(blocks: &[Block]) -> bool {
    !blocks.is_empty() && blocks.iter().all(|block| matches!(block.content, Content::ToolResult(_)))
}

struct Count {
    family: Family,
    texts: Hundredths,
    fixed: u64,
}

impl Count {
    fn block(&mut self, block: &Block, frame: &Frame, is_current: bool) {
        match &block.content {
            Content::Text(text) => self.texts += runs(&text.text),
            Content::Refusal(text) => self.texts += runs(text),
            Content::ToolCall(call) => {
                self.fixed += frame.call;
                self.texts += runs(&call.name) + runs(call.arguments.as_str());
            }
            Content::ToolResult(result) => self.result(result, frame),
            Content::Image(image) => self.fixed += media::image(image, self.family),
            Content::Document(document) => {
                self.fixed += media::document(document, self.family, &mut self.texts);
            }
            Content::Audio(audio) => {
                let is_gemini = matches!(self.family, Family::Gemini | Family::Gemini3);
                self.fixed += media::seconds(&audio.source) * if is_gemini { 32 } else { 10 };
            }
            Content::Video(video) => {
                let is_low = video.clip.as_ref().is_some_and(|clip| clip.as_str().contains("_LOW"));
                self.fixed += media::seconds(&video.source) * if is_low { 100 } else { 300 };
            }
            Content::SearchResult(raw) => self.texts += runs(raw.as_str()),
            // Only the thinking of the running loop is read, and opaque state is no text.
            Content::Reasoning(reasoning) => {
                let is_claude = matches!(self.family, Family::Claude | Family::Claude45 | Family::NewClaude);
                if is_current && is_claude {
                    self.texts += runs(&reasoning.text());
                }
            }
            Content::Hosted(_) | Content::Native(_) => {}
        }
    }

    fn result(&mut self, result: &ToolResult, frame: &Frame) {
        self.fixed += frame.result;
        for block in &result.content {
            self.block(block, frame, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Image, Media, Reasoning, Turn};

    #[test]
    fn families_are_told_by_name() {
        for (model, family) in [
            ("gpt-5.1-codex", Family::Gpt5),
            ("gpt-4o-mini", Family::Gpt),
            ("openai/o3-mini", Family::Gpt5),
            ("openai/gpt-oss-120b", Family::Other),
            ("gemini-2.5-pro", Family::Gemini),
            ("models/gemini-3-flash-preview", Family::Gemini3),
            ("claude-sonnet-4-20250514", Family::Claude),
            ("claude-opus-4-5", Family::Claude45),
            ("anthropic/claude-opus-4.8", Family::NewClaude),
            ("qwen3-max", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }

    #[test]
    fn payloads_are_never_counted_as_text() {
        let mut asked = Request::new(crate::Format::Claude, "m");
        let source = Media::Inline { mime: "image/png".into(), base64: "A".repeat(1 << 20).into() };
        let image = Block::new(Content::Image(Image { source, detail: None, opaque: None }));
        asked.turns.push(Turn::new(Role::User, vec![image]));
        assert!(request(&asked, Family::Claude) < 2000);
    }

    #[test]
    fn only_the_thinking_of_the_running_loop_counts() {
        let thinking = Reasoning {
            summary: vec!["a thought of many words ".repeat(100).into()],
            ..Reasoning::default()
        };
        let thinking = || Block::new(Content::Reasoning(thinking.clone()));
        let user = || Turn::new(Role::User, vec![Block::text("go")]);
        let mut asked = Request::new(crate::Format::Claude, "m");
        asked.turns = vec![user(), Turn::new(Role::Assistant, vec![thinking()])];
        let running = request(&asked, Family::Claude);
        asked.turns.push(user());
        assert!(request(&asked, Family::Claude) + 300 < running);
    }
}
