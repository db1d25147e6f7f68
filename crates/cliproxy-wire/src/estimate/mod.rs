//! The local token estimate, for upstreams that cannot count and for usage that an upstream leaves out.
//!
//! It sums over runs of characters, since a real tokenizer differs per family and costs megabytes; the result is meant
//! to be within a quarter of the truth. Payloads (base64, signatures, encrypted state) are never counted as text. What
//! an image or document costs is a flat figure per kind until its dimensions are read.

use crate::model::{Block, Content, Media, OutputFormat, Request, Tool, ToolResult};

/// Families of vocabularies, with the factor to the common one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GPT, Gemini, Qwen, GLM, DeepSeek, Kimi.
    Common,
    /// Claude up to 4.6.
    Claude,
    /// Claude with the newer vocabulary (4.7 and 5).
    NewClaude,
}

impl Family {
    /// The family of a model, by its name.
    pub fn of(model: &str) -> Self {
        if !model.contains("claude") {
            return Self::Common;
        }
        let is_new = ["4-7", "4-8", "opus-5", "sonnet-5", "fable-5", "mythos-5"]
            .iter()
            .any(|mark| model.contains(mark));
        if is_new { Self::NewClaude } else { Self::Claude }
    }

    fn percent(self) -> u64 {
        match self {
            Self::Common => 100,
            Self::Claude => 115,
            Self::NewClaude => 140,
        }
    }
}

/// Hundredths of a token.
type Hundredths = u64;

/// Tokens of a text.
pub fn text(text: &str, family: Family) -> u64 {
    scaled(runs(text), family)
}

fn scaled(hundredths: Hundredths, family: Family) -> u64 {
    hundredths.saturating_mul(family.percent()).div_ceil(10_000)
}

fn runs(text: &str) -> Hundredths {
    let mut total: Hundredths = 0;
    let mut was_space = false;
    for symbol in text.chars() {
        let is_space = symbol.is_whitespace();
        total += match symbol {
            _ if is_space && was_space => 0,
            _ if is_space => 30,
            'a'..='z' | 'A'..='Z' => 24,
            '0'..='9' => 38,
            _ if symbol.is_ascii() => 70,
            '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' => 200,
            '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' => 100,
            _ => 60,
        };
        was_space = is_space;
    }
    total
}

/// Tokens that a request makes its model read.
pub fn request(request: &Request, family: Family) -> u64 {
    let mut texts: Hundredths = 0;
    let mut fixed: u64 = 3;
    for instruction in &request.instructions {
        texts += runs(&instruction.text);
        fixed += 4;
    }
    for turn in &request.turns {
        fixed += 4 + 3 * (turn.blocks.len() as u64).saturating_sub(1);
        for block in &turn.blocks {
            add(block, family, &mut texts, &mut fixed);
        }
    }
    let mut has_functions = false;
    for tool in &request.tools {
        fixed += 8;
        match tool {
            Tool::Function { name, description, schema, .. } => {
                has_functions = true;
                texts += runs(name) + description.as_deref().map_or(0, runs);
                texts += schema.as_ref().map_or(0, |schema| runs(schema.as_str()));
            }
            Tool::Custom { name, description, .. } => {
                has_functions = true;
                texts += runs(name) + description.as_deref().map_or(0, runs);
            }
            Tool::Hosted { .. } => {}
        }
    }
    if has_functions && family != Family::Common {
        fixed += 350;
    }
    if let OutputFormat::JsonSchema { schema, .. } = &request.output.format {
        texts += runs(schema.as_str());
    }
    scaled(texts, family) + fixed
}

fn add(block: &Block, family: Family, texts: &mut Hundredths, fixed: &mut u64) {
    match &block.content {
        Content::Text(text) => *texts += runs(&text.text),
        Content::Refusal(text) => *texts += runs(text),
        Content::ToolCall(call) => {
            *fixed += 8;
            *texts += runs(&call.name) + runs(call.arguments.as_str());
        }
        Content::ToolResult(result) => add_result(result, family, texts, fixed),
        Content::Image(_) => *fixed += 1000,
        Content::Document(document) => match &document.source {
            Media::Text { text, .. } => *texts += runs(text),
            Media::Inline { base64, .. } => {
                let pages = (base64.len() as u64 * 3 / 4 / 60_000).max(1);
                *fixed += pages * if family == Family::Common { 1000 } else { 2000 };
            }
            _ => *fixed += 1000,
        },
        Content::Audio(audio) => *fixed += seconds(&audio.source) * 32,
        Content::Video(video) => *fixed += seconds(&video.source) * 300,
        Content::SearchResult(raw) => *texts += runs(raw.as_str()),
        // Thinking of earlier turns is not read again, and opaque state is no text.
        Content::Reasoning(_) | Content::Hosted(_) | Content::Native(_) => {}
    }
}

fn add_result(result: &ToolResult, family: Family, texts: &mut Hundredths, fixed: &mut u64) {
    *fixed += 6;
    for block in &result.content {
        add(block, family, texts, fixed);
    }
}

/// Seconds of sound or film, at sixteen thousand bytes each.
fn seconds(source: &Media) -> u64 {
    match source {
        Media::Inline { base64, .. } => (base64.len() as u64 * 3 / 4 / 16_000).max(1),
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Image, Role, Turn};

    #[test]
    fn english_prose_costs_about_a_token_per_four_letters_and_a_bit() {
        let tokens = text("The quick brown fox jumps over the lazy dog and runs away.", Family::Common);
        assert!((11..=16).contains(&tokens), "{tokens}");
        assert!(text("hello world", Family::NewClaude) >= text("hello world", Family::Common));
    }

    #[test]
    fn payloads_are_never_counted_as_text() {
        let mut asked = Request::new(crate::Format::Claude, "m");
        let source = Media::Inline { mime: "image/png".into(), base64: "A".repeat(1 << 20).into() };
        let image = Block::new(Content::Image(Image { source, detail: None, opaque: None }));
        asked.turns.push(Turn::new(Role::User, vec![image]));
        assert!(request(&asked, Family::Claude) < 2000);
    }
}
