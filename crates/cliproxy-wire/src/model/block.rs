//! Blocks: the pieces of content that turns and candidates are made of.

use crate::format::Format;
use crate::json::Raw;

use super::{Arguments, CallKind, Ext, Str};

/// One block of content with what is attached to any block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What it is.
    pub content: Content,
    /// A prompt-cache mark that ends with this block.
    pub cache: Option<CacheMark>,
    /// Members of the source format without a place in the model.
    pub ext: Ext,
}

impl Block {
    /// A block with nothing attached.
    pub fn new(content: Content) -> Self {
        Self { content, cache: None, ext: Ext::new() }
    }

    /// A plain text block.
    pub fn text(text: impl Into<Str>) -> Self {
        Self::new(Content::Text(Text::new(text)))
    }

    /// Adds the block to a list. Most lists hold one, and a list that grows as it likes begins with room for four.
    pub(crate) fn put(self, blocks: &mut Vec<Self>) {
        if blocks.is_empty() {
            blocks.reserve_exact(1);
        }
        blocks.push(self);
    }

    /// The text if the block is a text block.
    pub fn as_text(&self) -> Option<&Text> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The kinds of block.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Visible text.
    Text(Text),
    /// The model's refusal, said in words.
    Refusal(Str),
    /// Thinking, readable or not.
    Reasoning(Reasoning),
    /// An image.
    Image(Image),
    /// A sound.
    Audio(Audio),
    /// A film.
    Video(Video),
    /// A document: PDF, plain text, any other file.
    Document(Document),
    /// A Claude `search_result` block, kept raw (title, source, text blocks).
    SearchResult(Raw),
    /// A call that the client executes.
    ToolCall(ToolCall),
    /// The result of such a call.
    ToolResult(ToolResult),
    /// A call that the provider executes, its result, or both.
    Hosted(Hosted),
    /// Something that only its own format understands.
    Native(Native),
}

/// Text with what points into it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The text.
    pub text: Str,
    /// Citations into it.
    pub annotations: Vec<Annotation>,
    /// Token probabilities in the Chat and Responses element shape, as an array.
    pub logprobs: Option<Raw>,
    /// A signature that came on this text (Gemini).
    pub opaque: Option<Opaque>,
}

impl Text {
    /// Text without annotations.
    pub fn new(text: impl Into<Str>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// A prompt-cache mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// How long the prefix is wished to live; `None` is the provider's default.
    pub ttl: Option<CacheTtl>,
}

/// Lifetimes of cached prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheTtl {
    /// Five minutes.
    FiveMinutes,
    /// Half an hour.
    ThirtyMinutes,
    /// One hour.
    OneHour,
}

/// Where bytes of an image, sound, film or document are.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// In the message. `base64` is the sender's text, never encoded anew.
    Inline {
        /// MIME type, lower case.
        mime: Str,
        /// Base64 without `data:` prefix.
        base64: Str,
    },
    /// At an http(s) address.
    Url(Str),
    /// In a provider's file store.
    File {
        /// Whose store.
        owner: Owner,
        /// The id there.
        id: Str,
    },
    /// A Google URI: Files API, Cloud Storage, or a video page.
    GoogleUri {
        /// MIME type if given.
        mime: Option<Str>,
        /// The URI.
        uri: Str,
    },
    /// Plain text (documents).
    Text {
        /// MIME type, usually `text/plain`.
        mime: Str,
        /// The text.
        text: Str,
    },
}

impl Media {
    /// A line in place of something that an answer's format cannot hold. `kind` says what it is where the bytes do not.
    pub(crate) fn told(&self, kind: &str) -> String {
        match self {
            Self::Inline { mime, base64 } => {
                let padding = base64.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
                let bytes = (base64.len() / 4 * 3).saturating_sub(padding);
                format!("[{mime}, {bytes} bytes, not representable]")
            }
            Self::Url(url) | Self::GoogleUri { uri: url, .. } => {
                format!("[{kind}, {url}, not representable]")
            }
            Self::File { .. } => format!("[{kind}, not representable]"),
            Self::Text { text, .. } => text.to_string(),
        }
    }
}

/// An image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The bytes.
    pub source: Media,
    /// `low`, `high`, `auto` or what newer formats say.
    pub detail: Option<Str>,
    /// A signature that came on this part (Gemini).
    pub opaque: Option<Opaque>,
}

/// A sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// The bytes.
    pub source: Media,
    /// What is said in it.
    pub transcript: Option<Str>,
    /// The provider's id of an answer's audio.
    pub id: Option<Str>,
    /// When that id expires, in Unix seconds.
    pub expires_at: Option<u64>,
}

/// A film.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The bytes.
    pub source: Media,
    /// Gemini `videoMetadata`: offsets and frame rate.
    pub clip: Option<Raw>,
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The bytes.
    pub source: Media,
    /// File name.
    pub filename: Option<Str>,
    /// Title shown to the model.
    pub title: Option<Str>,
    /// Context shown to the model.
    pub context: Option<Str>,
    /// Whether the answer shall cite it.
    pub citations: Option<bool>,
}

/// Thinking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The item's id at its provider.
    pub id: Option<Str>,
    /// Summary parts: what a user may see.
    pub summary: Vec<Str>,
    /// Raw chain-of-thought parts, where a provider gives them.
    pub raw: Vec<Str>,
    /// Signatures and encrypted content, in order.
    pub opaque: Vec<Opaque>,
    /// The content exists only encrypted (Claude `redacted_thinking`).
    pub is_redacted: bool,
}

impl Reasoning {
    /// The readable text for formats with one slot: the summary if any, else the raw text, parts separated by a
    /// blank line.
    pub fn text(&self) -> String {
        let parts = if self.summary.iter().any(|part| !part.is_empty()) { &self.summary } else { &self.raw };
        parts.iter().map(|part| &**part).collect::<Vec<_>>().join("\n\n")
    }
}

/// State that only its provider can read and that must come back unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// Who made it.
    pub owner: Owner,
    /// What it is.
    pub kind: OpaqueKind,
    /// Credential scope it is bound to (a short hash), where that matters.
    pub scope: Option<Str>,
    /// Model family that made it, where that matters.
    pub model: Option<Str>,
    /// The data, exactly as received.
    pub data: Str,
    /// Which part it was attached to.
    pub anchor: Anchor,
}

/// Makers of opaque state and owners of file stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Anthropic.
    Anthropic,
    /// Google.
    Google,
    /// OpenAI.
    OpenAi,
    /// Anybody else; such state goes back only in its own format to its own upstream.
    Other,
}

/// Kinds of opaque state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// Signature of a Claude thinking block.
    ClaudeSignature,
    /// Data of a Claude redacted thinking block.
    ClaudeRedacted,
    /// Encrypted reasoning of the Responses format.
    OpenAiEncrypted,
    /// Gemini thought signature.
    GeminiThought,
    /// An entry of `reasoning_details` that an aggregator wants back, as JSON text.
    RouterDetail,
    /// A compacted history.
    Compaction,
    /// Anything else.
    Other,
}

/// Which part an [`Opaque`] came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The block that holds it.
    This,
    /// The tool call with this ordinal in its turn.
    ToolCall(u32),
    /// A text part.
    Text,
    /// An empty text part at the end.
    TrailingEmptyText,
}

/// A call that the client executes.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The id that pairs the call with its result.
    pub call_id: Str,
    /// True when the source gave none and the decoder made one.
    pub is_id_synthetic: bool,
    /// Identity of the Responses item (`fc_…`, `ctc_…`); never used for pairing.
    pub item_id: Option<Str>,
    /// Tool name.
    pub name: Str,
    /// Responses namespace of the tool.
    pub namespace: Option<Str>,
    /// Function or free-form.
    pub kind: CallKind,
    /// The arguments, as text.
    pub arguments: Arguments,
    /// The source format's own item where it is a typed one (`local_shell_call` …).
    pub native: Option<Native>,
    /// The provider-executed program that made the call, where the source says it.
    pub caller: Option<Native>,
    /// A signature that came on this part (Gemini).
    pub opaque: Option<Opaque>,
}

/// The result of a [`ToolCall`].
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Id of the call; empty when the source has none (Gemini, legacy Chat) and pairing goes by name and order.
    pub call_id: Str,
    /// Name of the tool where the source says it.
    pub name: Option<Str>,
    /// Function or free-form.
    pub kind: CallKind,
    /// Text, image, document, audio, video, search result and native blocks.
    pub content: Vec<Block>,
    /// The whole result as JSON where the source was an object (Gemini `functionResponse.response`).
    pub structured: Option<Raw>,
    /// Whether the tool failed, where the source says it.
    pub is_error: Option<bool>,
    /// The source format's own item where it is a typed one.
    pub native: Option<Native>,
}

/// A provider-executed tool at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Hosted {
    /// Which half this block is.
    pub phase: HostedPhase,
    /// Which tool.
    pub kind: HostedKind,
    /// Id that pairs call and result.
    pub id: Str,
    /// Status word of the source.
    pub status: Option<Str>,
    /// Query, address, code or action, as JSON: `{"query"|"queries"|"url"|"code"|"language":…}`.
    pub input: Option<Raw>,
    /// Findings as JSON in the shape of `translation` C.6: search `[{"url","title"}]`, code
    /// `{"stdout","stderr","return_code"}`.
    pub output: Option<Raw>,
    /// What went wrong.
    pub error: Option<Str>,
    /// The source's own block or item.
    pub native: Native,
}

/// Halves of a hosted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostedPhase {
    /// The call.
    Call,
    /// The result.
    Result,
    /// One item holds both (Responses).
    Both,
}

/// Provider-executed tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostedKind {
    /// Web search.
    WebSearch,
    /// Fetching of addresses.
    WebFetch,
    /// Code execution.
    CodeExecution,
    /// Search in uploaded files.
    FileSearch,
    /// Image generation.
    ImageGeneration,
    /// Computer use.
    Computer,
    /// A remote tool server.
    Mcp,
    /// A shell run by the provider.
    Shell,
    /// Patch application.
    ApplyPatch,
    /// Search for deferred tools.
    ToolSearch,
    /// Maps.
    Maps,
    /// Any other.
    Other,
}

/// JSON that only its own format understands.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// The format.
    pub format: Format,
    /// The value, as received.
    pub value: Raw,
}

/// A citation.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// A web page.
    Url {
        /// Address.
        url: Str,
        /// Title.
        title: Str,
        /// Start in the block's text; `None` when the source cites the block as a whole.
        start: Option<u64>,
        /// End in the block's text.
        end: Option<u64>,
        /// What the two count.
        unit: IndexUnit,
        /// The cited text.
        cited_text: Option<Str>,
        /// The source's own object.
        native: Option<Native>,
    },
    /// A place in a document of the request.
    Document {
        /// Ordinal of the document.
        index: u64,
        /// Its title.
        title: Option<Str>,
        /// What `start` and `end` count.
        location: LocationKind,
        /// Start.
        start: u64,
        /// End.
        end: u64,
        /// The cited text.
        cited_text: Option<Str>,
        /// The source's own object.
        native: Option<Native>,
    },
    /// A file of the provider's store.
    File {
        /// The file.
        id: Str,
        /// Its name.
        filename: Option<Str>,
        /// The source's own object.
        native: Native,
    },
    /// A search result block of the request.
    Search {
        /// Source, often an address.
        source: Str,
        /// Title.
        title: Option<Str>,
        /// The cited text.
        cited_text: Option<Str>,
        /// The source's own object.
        native: Native,
    },
}

/// What indices into a text count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexUnit {
    /// Unicode code points.
    Characters,
    /// Bytes of UTF-8.
    Bytes,
}

/// What document locations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationKind {
    /// Characters.
    Character,
    /// Pages.
    Page,
    /// Content blocks.
    Block,
}
