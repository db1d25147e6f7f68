//! The dialect of one configured upstream, as data: its format, its limits, the members it renames or refuses.
//!
//! A profile says what an *endpoint* does; what a *model* can do is [`crate::catalog::Caps`].

use crate::format::Format;
use crate::model::Owner;

/// The dialect of one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Short name for messages and logs, such as `gemini`, `openrouter`, `codex`.
    pub name: &'static str,
    /// The wire format.
    pub format: Format,
    /// Whose opaque state it makes and accepts.
    pub owner: Owner,
    /// Which relative of the format.
    pub dialect: Dialect,
    /// The upstream answers only by streams.
    pub is_stream_only: bool,
    /// The upstream cannot stream.
    pub is_body_only: bool,
    /// Responses: the last event of a stream may leave out the items that came before it.
    pub omits_output: bool,
    /// Chat: `developer` messages are understood.
    pub has_developer_role: bool,
    /// Chat: all leading instructions become one system message, later ones user messages.
    pub merges_system: bool,
    /// Chat: name of the token limit.
    pub max_tokens_field: MaxTokensField,
    /// Chat: what happens to reasoning of earlier assistant turns.
    pub reasoning_history: ReasoningHistory,
    /// How reasoning wishes are written.
    pub reasoning_request: ReasoningRequest,
    /// Constraint on tool call ids.
    pub tool_id: ToolIdRule,
    /// Constraint on tool names.
    pub tool_name: ToolNameRule,
    /// Schema dialect (Gemini).
    pub schema: SchemaDialect,
    /// `n` above 1 is understood.
    pub has_candidates: bool,
    /// `logprobs` is understood.
    pub has_logprobs: bool,
    /// Chat: media parts in tool messages are understood.
    pub has_media_in_tool_results: bool,
    /// Free-form tools are understood.
    pub has_custom_tools: bool,
    /// Chat: `stream_options.include_usage` is understood.
    pub has_stream_usage: bool,
    /// Structured output that is understood.
    pub response_format: ResponseFormatSupport,
    /// `tool_choice` other than `auto` is understood.
    pub has_tool_choice: bool,
    /// `cache_control` on parts is understood.
    pub has_cache_marks: bool,
    /// Gemini: `functionCall.id` may be sent.
    pub sends_call_ids: bool,
    /// Gemini/Chat: http(s) media addresses may be sent.
    pub accepts_media_urls: bool,
    /// Chat: `video_url` is understood.
    pub has_video: bool,
    /// `top_k` is understood (Chat).
    pub has_top_k: bool,
    /// How many stop sequences are accepted; `None` without limit, `Some(0)` for none at all.
    pub max_stop_sequences: Option<usize>,
    /// Stop sequences beyond the limit are a 400 (OpenAI) instead of being enforced by the gateway.
    pub refuses_extra_stops: bool,
    /// Chat: leading `<think>` in content is reasoning.
    pub has_think_tags: bool,
    /// Claude: history with calls needs `tools`.
    pub needs_tools_for_history: bool,
    /// Gemini: answers and requests are wrapped in the Code Assist envelope.
    pub is_enveloped: bool,
    /// Gemini: `maxOutputTokens` is understood.
    pub has_token_limit: bool,
}

/// Relatives of a format that need more than switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The provider's own service.
    Native,
    /// OpenAI-compatible Chat, nothing known.
    Compatible,
    /// The Codex backend behind a ChatGPT account.
    Codex,
    /// Vertex AI.
    Vertex,
    /// Code Assist.
    CodeAssist,
    /// Code Assist behind an Antigravity login.
    Antigravity,
    /// An aggregator with `reasoning` objects and `reasoning_details`.
    OpenRouter,
    /// Qwen.
    Qwen,
    /// iFlow.
    IFlow,
    /// DeepSeek.
    DeepSeek,
    /// Kimi.
    Kimi,
    /// xAI.
    Xai,
    /// Mistral.
    Mistral,
    /// GLM on its own API.
    Glm,
    /// vLLM, SGLang, Ollama and relatives.
    Vllm,
    /// Google's Chat endpoint.
    GoogleChat,
    /// Azure.
    Azure,
}

/// Name of the Chat token limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// What happens to reasoning of earlier assistant turns towards a Chat upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningHistory {
    /// Dropped.
    None,
    /// `reasoning_content` on assistant messages with calls since the last user text, `""` if unknown.
    RequiredOnToolTurns,
    /// `reasoning_content` on all assistant turns of the current tool loop.
    Content,
    /// `reasoning` on all assistant turns of the current tool loop.
    Reasoning,
    /// `reasoning_details` unchanged, and `reasoning`.
    Details,
}

/// How reasoning wishes are written (E.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningRequest {
    /// Claude `thinking` and `output_config.effort`.
    Claude,
    /// Gemini `thinkingConfig`.
    Gemini,
    /// `reasoning.effort` (Responses) or `reasoning_effort` (Chat).
    Effort,
    /// `reasoning:{effort|max_tokens|enabled|exclude}`
    RouterObject,
    /// `enable_thinking` and `thinking_budget`
    Qwen,
    /// `chat_template_kwargs.enable_thinking` or `reasoning_split`
    IFlow,
    /// `thinking:{type}` and `reasoning_effort`
    DeepSeek,
    /// `thinking:{type}` and `reasoning_effort`
    Kimi,
    /// `thinking:{type}`
    Glm,
    /// `chat_template_kwargs.enable_thinking`
    Template,
    /// `reasoning_effort`, never together with `extra_body.google`
    GoogleChat,
}

/// Constraint on tool call ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolIdRule {
    /// Anything up to this many characters.
    Any {
        /// Most characters.
        max: usize,
    },
    /// `[A-Za-z0-9_-]` up to this many characters.
    Word {
        /// Most characters.
        max: usize,
    },
    /// Exactly nine of `[A-Za-z0-9]`.
    Alphanumeric9,
}

/// Constraint on tool names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolNameRule {
    /// `[A-Za-z0-9_-]` up to this many characters.
    Word {
        /// Most characters.
        max: usize,
    },
    /// First a letter or `_`, then `[A-Za-z0-9_.:-]`, up to this many characters.
    Gemini {
        /// Most characters.
        max: usize,
    },
}

/// Where and how schemas are written for Gemini.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaDialect {
    /// JSON Schema members, keywords that are only ignored stay.
    JsonLenient,
    /// JSON Schema members, only documented keywords.
    JsonStrict,
    /// The OpenAPI-like form.
    OpenApi,
    /// The least that an OpenAPI-like form can be, with a member that must be given in every object.
    Narrow,
}

/// Structured output that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResponseFormatSupport {
    /// None.
    None,
    /// `json_object`
    JsonObject,
    /// `json_schema`
    JsonSchema,
}

impl Profile {
    fn base(name: &'static str, format: Format, owner: Owner) -> Self {
        Self {
            name,
            format,
            owner,
            dialect: Dialect::Native,
            is_stream_only: false,
            is_body_only: false,
            omits_output: false,
            has_developer_role: true,
            merges_system: false,
            max_tokens_field: MaxTokensField::MaxCompletionTokens,
            reasoning_history: ReasoningHistory::None,
            reasoning_request: ReasoningRequest::Effort,
            tool_id: ToolIdRule::Any { max: 64 },
            tool_name: ToolNameRule::Word { max: 64 },
            schema: SchemaDialect::JsonStrict,
            has_candidates: false,
            has_logprobs: false,
            has_media_in_tool_results: false,
            has_custom_tools: false,
            has_stream_usage: true,
            response_format: ResponseFormatSupport::JsonSchema,
            has_tool_choice: true,
            has_cache_marks: false,
            sends_call_ids: true,
            accepts_media_urls: true,
            has_video: false,
            has_top_k: false,
            max_stop_sequences: None,
            refuses_extra_stops: false,
            has_think_tags: false,
            needs_tools_for_history: false,
            is_enveloped: false,
            has_token_limit: true,
        }
    }

    /// OpenAI's own Chat service.
    pub fn openai_chat() -> Self {
        Self {
            tool_id: Format::Chat.tool_id(),
            has_candidates: true,
            has_logprobs: true,
            has_custom_tools: true,
            max_stop_sequences: Some(4),
            refuses_extra_stops: true,
            ..Self::base("openai", Format::Chat, Owner::OpenAi)
        }
    }

    /// An OpenAI-compatible Chat service about which nothing is known.
    pub fn compatible() -> Self {
        Self {
            dialect: Dialect::Compatible,
            has_developer_role: false,
            merges_system: true,
            max_tokens_field: MaxTokensField::MaxTokens,
            has_candidates: true,
            has_logprobs: true,
            has_top_k: true,
            tool_id: ToolIdRule::Any { max: 64 },
            ..Self::base("openai-compatibility", Format::Chat, Owner::Other)
        }
    }

    /// OpenAI's own Responses service.
    pub fn openai_responses() -> Self {
        Self {
            has_logprobs: true,
            has_custom_tools: true,
            max_stop_sequences: Some(0),
            ..Self::base("openai-responses", Format::Responses, Owner::OpenAi)
        }
    }

    /// The Codex backend.
    pub fn codex() -> Self {
        Self {
            name: "codex",
            dialect: Dialect::Codex,
            is_stream_only: true,
            omits_output: true,
            has_logprobs: false,
            ..Self::openai_responses()
        }
    }

    /// xAI's Responses service, and the door of its own client.
    pub fn xai() -> Self {
        Self {
            name: "xai",
            dialect: Dialect::Xai,
            is_stream_only: true,
            omits_output: true,
            has_custom_tools: false,
            ..Self::openai_responses()
        }
    }

    /// Anthropic's own service and look-alikes.
    pub fn claude() -> Self {
        Self {
            tool_id: Format::Claude.tool_id(),
            tool_name: ToolNameRule::Word { max: 128 },
            reasoning_request: ReasoningRequest::Claude,
            has_media_in_tool_results: true,
            has_cache_marks: true,
            has_top_k: true,
            needs_tools_for_history: true,
            ..Self::base("claude", Format::Claude, Owner::Anthropic)
        }
    }

    /// The Gemini API with a key.
    pub fn gemini() -> Self {
        Self {
            tool_id: Format::Gemini.tool_id(),
            tool_name: ToolNameRule::Gemini { max: 64 },
            reasoning_request: ReasoningRequest::Gemini,
            has_candidates: true,
            has_logprobs: true,
            has_top_k: true,
            max_stop_sequences: Some(5),
            ..Self::base("gemini", Format::Gemini, Owner::Google)
        }
    }

    /// Vertex AI with a key or a service account.
    pub fn vertex() -> Self {
        Self { name: "vertex", dialect: Dialect::Vertex, sends_call_ids: false, ..Self::gemini() }
    }

    /// The Gemini API as a page of AI Studio asks it. Source: what existing gateways leave out towards such pages.
    pub fn aistudio() -> Self {
        Self {
            name: "aistudio",
            has_token_limit: false,
            response_format: ResponseFormatSupport::None,
            ..Self::gemini()
        }
    }

    /// Code Assist behind an Antigravity login, for its Claude models: thoughts are signed as Anthropic has it, in this
    /// format's slots and for this door alone.
    pub fn antigravity_claude() -> Self {
        Self {
            owner: Owner::Anthropic,
            schema: SchemaDialect::Narrow,
            has_token_limit: true,
            has_tool_choice: false,
            has_candidates: false,
            has_logprobs: false,
            response_format: ResponseFormatSupport::None,
            ..Self::antigravity()
        }
    }

    /// Code Assist behind an Antigravity login, for models that are neither Google's nor Anthropic's.
    pub fn antigravity_open() -> Self {
        Self { owner: Owner::OpenAi, ..Self::antigravity() }
    }

    /// Code Assist behind an Antigravity login, for its Gemini models.
    pub fn antigravity() -> Self {
        Self {
            name: "antigravity",
            dialect: Dialect::Antigravity,
            has_token_limit: false,
            ..Self::code_assist()
        }
    }

    /// Code Assist.
    pub fn code_assist() -> Self {
        Self {
            name: "gemini-cli",
            dialect: Dialect::CodeAssist,
            is_enveloped: true,
            accepts_media_urls: false,
            ..Self::gemini()
        }
    }

    /// Whether documents may be sent by address. Chat has no place for one.
    pub fn accepts_document_urls(&self) -> bool {
        self.accepts_media_urls && self.format != Format::Chat
    }

    /// Whether a model here has the tool that makes images. xAI refuses it for those before 4.6; their numbers do not
    /// follow their age, so those that have it are named. The Codex backend refuses it for its smallest models.
    pub fn has_image_tool(&self, model: &str) -> bool {
        if self.dialect == Dialect::Xai {
            return model.starts_with("grok-4.6") || model.starts_with("grok-5");
        }
        self.dialect != Dialect::Codex || !model.ends_with("-spark")
    }
}
