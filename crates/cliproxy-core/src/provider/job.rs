//! What a provider is given to put on the wire.

use cliproxy_wire::Format;
use http::HeaderMap;

use crate::upstream::{Addresses, Pieces};

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An answer in one piece.
    Generate,
    /// An answer as a stream.
    Stream,
    /// A count of input tokens.
    CountTokens,
    /// Responses: a compacted conversation.
    Compact,
    /// Embeddings of texts.
    Embed,
    /// Gemini: embeddings of several requests.
    EmbedBatch,
    /// Google: what a model predicts that holds no conversations.
    Predict,
    /// New images.
    Draw,
    /// Images, changed.
    Redraw,
}

impl Operation {
    /// What it gives, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Generate | Self::Stream => "answers",
            Self::CountTokens => "counts of tokens",
            Self::Compact => "compacted conversations",
            Self::Embed | Self::EmbedBatch => "embeddings",
            Self::Predict => "predictions",
            Self::Draw => "images",
            Self::Redraw => "changed images",
        }
    }

    /// Whether it is about a conversation.
    pub fn is_conversation(self) -> bool {
        matches!(self, Self::Generate | Self::Stream | Self::CountTokens | Self::Compact)
    }
}

/// One request for a provider to put on the wire.
#[derive(Debug)]
pub struct Job<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The model's name at the upstream.
    pub model: &'a str,
    /// The body in the upstream's format.
    pub body: Pieces,
    /// The format of the body, for providers that speak several.
    pub format: Format,
    /// Tokens for the `anthropic-beta` header that the body needs.
    pub betas: &'a [String],
    /// The client's format.
    pub client_format: Format,
    /// The client's headers: those that the format defines travel when the formats are the same, and configured
    /// headers may copy any.
    pub client_headers: &'a HeaderMap,
    /// The client's query.
    pub client_query: &'a str,
    /// Gemini streams: server-sent events, not a JSON array.
    pub is_sse: bool,
    /// The time in Unix seconds, for services that want requests signed.
    pub now: u64,
    /// Addresses as they were read before.
    pub addresses: &'a Addresses,
    /// The account's credits pay, where its quota is used up.
    pub pays: bool,
}
