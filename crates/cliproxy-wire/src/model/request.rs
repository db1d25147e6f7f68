//! The canonical request.

use std::collections::BTreeSet;

use crate::format::Format;
use crate::json::Raw;

use super::{Block, CacheMark, Content, Ext, Media, Str, Tool, ToolChoice};

/// A request, whatever format it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The format it came in.
    pub origin: Format,
    /// The model as the client wrote it, suffix and prefix included.
    pub model: String,
    /// System and developer text before the first turn, in order.
    pub instructions: Vec<Instruction>,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// Choice among them.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls in one answer are welcome.
    pub parallel_tool_calls: Option<bool>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Limit of generated tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Limit of tool calls (Responses).
    pub max_tool_calls: Option<u64>,
    /// What the client wants of reasoning.
    pub reasoning: Option<ReasoningWish>,
    /// Form of the answer.
    pub output: Output,
    /// Token probabilities.
    pub logprobs: Option<Logprobs>,
    /// How many answers.
    pub candidates: Option<u64>,
    /// Prompt cache settings of the whole request.
    pub cache: Cache,
    /// Who asks.
    pub identity: Identity,
    /// Service tier.
    pub service_tier: Option<Tier>,
    /// Whether the answer shall stream.
    pub stream: bool,
    /// Chat: a usage chunk at the end of the stream. Ignored by the other formats.
    pub include_usage: bool,
    /// Server state of the Responses format.
    pub state: State,
    /// Responses `include`.
    pub include: BTreeSet<Str>,
    /// Gemini `safetySettings`.
    pub safety: Option<Raw>,
    /// Tokens for the `anthropic-beta` header that came in the body.
    pub betas: Vec<Str>,
    /// Chat: the deprecated `functions` were used, so the answer uses `function_call`.
    pub is_legacy_functions: bool,
    /// Responses: request members that the answer echoes (`tools`, `tool_choice`, `instructions`, `temperature` …),
    /// as received.
    pub echo: Ext,
    /// Other members.
    pub ext: Ext,
}

impl Request {
    /// An empty request of a format.
    pub fn new(origin: Format, model: impl Into<String>) -> Self {
        Self {
            origin,
            model: model.into(),
            instructions: Vec::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            sampling: Sampling::default(),
            max_output_tokens: None,
            max_tool_calls: None,
            reasoning: None,
            output: Output::default(),
            logprobs: None,
            candidates: None,
            cache: Cache::default(),
            identity: Identity::default(),
            service_tier: None,
            stream: false,
            include_usage: false,
            state: State::default(),
            include: BTreeSet::new(),
            safety: None,
            betas: Vec::new(),
            is_legacy_functions: false,
            echo: Ext::new(),
            ext: Ext::new(),
        }
    }

    /// About how many bytes it takes to write the request down. Growing a body of 200 KB by doubling copies it twice.
    pub(crate) fn size_hint(&self) -> usize {
        const MEMBERS: usize = 176;
        let blocks = self.turns.iter().flat_map(|turn| &turn.blocks).map(|block| match &block.content {
            Content::Text(text) => text.text.written_len(),
            Content::ToolCall(call) => call.arguments.text().written_len(),
            Content::ToolResult(result) => {
                result.content.iter().filter_map(Block::as_text).map(|text| text.text.written_len()).sum()
            }
            Content::Image(image) => match &image.source {
                Media::Inline { base64, .. } => base64.len(),
                _ => 0,
            },
            Content::Reasoning(reasoning) => reasoning.opaque.iter().map(|state| state.data.len()).sum(),
            _ => 0,
        });
        let tools = self.tools.iter().map(|tool| match tool {
            Tool::Function { description, schema, .. } => {
                description.as_ref().map_or(0, Str::written_len)
                    + schema.as_ref().map_or(0, |schema| schema.as_str().len())
            }
            _ => 1024,
        });
        let instructions = self.instructions.iter().map(|block| block.text.written_len());
        let text: usize = blocks.chain(tools).chain(instructions).map(|length| length + MEMBERS).sum();
        // Escapes.
        1024 + text + text / 12
    }
}

/// One block of leading instruction text.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// System or developer.
    pub role: InstructionRole,
    /// The text.
    pub text: Str,
    /// Cache mark behind it.
    pub cache: Option<CacheMark>,
    /// True for the `instructions` member of the Responses format.
    pub is_top_level: bool,
    /// Other members.
    pub ext: Ext,
}

/// The two instruction roles; OpenAI reasoning models tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionRole {
    /// `system`
    System,
    /// `developer`
    Developer,
}

/// One turn of the conversation. Tool results live in user turns.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Whose turn.
    pub role: Role,
    /// What was said.
    pub blocks: Vec<Block>,
    /// Participant name (Chat).
    pub name: Option<Str>,
    /// Id of the message item (Responses).
    pub id: Option<Str>,
    /// Phase of the message item (Responses).
    pub phase: Option<Str>,
    /// Other members.
    pub ext: Ext,
}

impl Turn {
    /// A turn with nothing attached.
    pub fn new(role: Role, blocks: Vec<Block>) -> Self {
        Self { role, blocks, name: None, id: None, phase: None, ext: Ext::new() }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user, tools included.
    User,
    /// The model.
    Assistant,
    /// An instruction in the middle of the conversation; its blocks are text.
    Instruction(InstructionRole),
}

/// Sampling parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// Top k.
    pub top_k: Option<u64>,
    /// Frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// Presence penalty.
    pub presence_penalty: Option<f64>,
    /// Seed.
    pub seed: Option<i64>,
    /// Logit bias object.
    pub logit_bias: Option<Raw>,
    /// Stop sequences.
    pub stop: Vec<Str>,
}

/// What the client wants of reasoning, as read from the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningWish {
    /// How much.
    pub mode: Option<Mode>,
    /// What to show of it; `None` when the format did not say and has no default of its own.
    pub show: Option<Show>,
    /// Whether thinking between calls was asked for.
    pub is_interleaved: Option<bool>,
    /// Where `mode` was said.
    pub origin: Option<WishOrigin>,
    /// Members that only their own format understands (Responses `reasoning.context` …).
    pub ext: Ext,
}

/// How much reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// None.
    Off,
    /// The provider decides.
    Auto,
    /// A level.
    Level(Level),
    /// A number of tokens.
    Budget(u64),
    /// On, depth not said.
    On,
}

/// Levels of reasoning, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    XHigh,
    /// `max`
    Max,
}

impl Level {
    /// The word, as OpenAI and Claude spell it; Google's is the same in upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }
}

/// What a client sees of reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nothing.
    Hidden,
    /// A summary.
    Summary(Summary),
    /// The raw text.
    Raw,
}

/// Length of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// The provider decides.
    Auto,
    /// Short.
    Concise,
    /// Long.
    Detailed,
}

impl Summary {
    /// The word of the Responses format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Concise => "concise",
            Self::Detailed => "detailed",
        }
    }
}

/// Where a [`Mode`] was said: decides between refusing and clamping a value out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishOrigin {
    /// In the body, in the native field of this format.
    Body(Format),
    /// In the suffix of the model's name.
    Suffix,
    /// From configuration.
    Default,
}

/// Form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Text or JSON.
    pub format: OutputFormat,
    /// Other members of the object that says so; those of Chat's `json_schema` in an object of that name.
    pub ext: Ext,
    /// Verbosity word.
    pub verbosity: Option<Str>,
    /// Modalities, lower case: `text`, `audio`, `image`.
    pub modalities: Option<Vec<Str>>,
    /// Audio voice and container.
    pub audio: Option<AudioOutput>,
    /// Image settings: `{"aspect_ratio","image_size"}`.
    pub image: Option<Raw>,
    /// Predicted output (Chat).
    pub prediction: Option<Raw>,
}

/// Voice and container of spoken answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioOutput {
    /// Voice name.
    pub voice: Option<Str>,
    /// Container or encoding, such as `wav` or `pcm16`.
    pub format: Option<Str>,
    /// The source's own object.
    pub native: Option<Raw>,
}

/// Text or JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON by schema.
    JsonSchema {
        /// Name of the schema.
        name: Option<Str>,
        /// Description.
        description: Option<Str>,
        /// JSON Schema.
        schema: Raw,
        /// Strict mode as said by the source.
        strict: Option<bool>,
    },
    /// A MIME type that has no equivalent elsewhere (Gemini `text/x.enum`).
    Mime(Str),
}

/// Token probabilities asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logprobs {
    /// How many alternatives per token.
    pub top: Option<u64>,
}

/// Prompt cache settings of the whole request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// `prompt_cache_key`
    pub key: Option<Str>,
    /// `prompt_cache_retention`
    pub retention: Option<Str>,
    /// `prompt_cache_options`
    pub options: Option<Raw>,
    /// Top-level `cache_control` (Claude).
    pub auto: Option<CacheMark>,
    /// `cachedContent` (Gemini).
    pub cached_content: Option<Str>,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// End user id.
    pub user: Option<Str>,
    /// Hashed end user id (OpenAI).
    pub safety_identifier: Option<Str>,
    /// String pairs (OpenAI).
    pub metadata: Option<Raw>,
    /// Labels (Vertex).
    pub labels: Option<Raw>,
}

/// Service tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// `auto`
    Auto,
    /// `default`, `standard`, `standard_only`
    Default,
    /// `flex`
    Flex,
    /// `scale`
    Scale,
    /// `priority`
    Priority,
    /// `fast`
    Fast,
    /// Any other word.
    Other(Str),
}

/// Server state of the Responses format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// `store`
    pub store: Option<bool>,
    /// `previous_response_id`
    pub previous_response_id: Option<Str>,
    /// `conversation`
    pub conversation: Option<Raw>,
    /// `background`
    pub background: Option<bool>,
    /// `prompt`
    pub prompt: Option<Raw>,
    /// `truncation`
    pub truncation: Option<Str>,
    /// `context_management`
    pub context_management: Option<Raw>,
}
