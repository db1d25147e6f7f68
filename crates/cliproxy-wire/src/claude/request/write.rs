//! Writing the request for an upstream of this format.

use crate::Error;
use crate::catalog::{AdaptiveDefault, ReasoningCaps};
use crate::codec::{Encoded, Notes, Target};
use crate::format::Format;
use crate::json::{self, Array, Object, Raw, Reader};
use crate::model::{
    Content, CustomFormat, HostedKind, OutputFormat, Request, Role, Sampling, Str, Tier, Tool, ToolChoice,
    Turn,
};
use crate::normalize::Prepared;
use crate::reasoning::{Members, Plan, Thinking};

use super::beta::{self, Betas};
use super::content::{Writer, copy_members, write_mark};
use super::{limit, wish};

/// The limit of a model about which nothing is known, when the client names none.
const DEFAULT_MAX_TOKENS: u64 = 8192;

/// Members of the model's `ext` that stand elsewhere than at the top.
const PLACED: [&str; 3] = ["metadata", "output_config", "speed"];

/// Writes the request for an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let Prepared { request, plan, bridge, mut notes } = prepared;
    limit::judge(&request, target, &mut notes)?;
    let mut betas = Betas::default();
    let mut body = Vec::with_capacity(4096);
    let mut outcome = Ok(());
    json::object(&mut body, |object| {
        let mut encoding =
            Encoding { request: &request, plan: &plan, target, betas: &mut betas, notes: &mut notes };
        outcome = encoding.body(object);
    });
    outcome?;
    Ok(Encoded { body, betas: betas.into_tokens(&request.betas), bridge, notes })
}

/// One request being written.
pub(super) struct Encoding<'a> {
    pub(super) request: &'a Request,
    pub(super) plan: &'a Plan,
    pub(super) target: &'a Target<'a>,
    pub(super) betas: &'a mut Betas,
    pub(super) notes: &'a mut Notes,
}

impl<'a> Encoding<'a> {
    fn is_own(&self) -> bool {
        self.request.origin == Format::Claude
    }

    fn body(&mut self, object: &mut Object<'_>) -> Result<(), Error> {
        object.str("model", self.target.model);
        object.u64("max_tokens", self.max_tokens());
        if self.target.stream {
            object.bool("stream", true);
        }
        self.thinking(object);
        self.output_config(object);
        self.sampling(object);
        self.conversation(object)?;
        self.settings(object);
        Ok(())
    }

    /// System, messages, tools and choice: what counting needs too.
    pub(super) fn conversation(&mut self, object: &mut Object<'_>) -> Result<(), Error> {
        self.system(object);
        self.messages(object)?;
        let names = self.synthesized_names();
        self.tools(object, &names)?;
        self.tool_choice(object, !names.is_empty());
        Ok(())
    }

    fn max_tokens(&self) -> u64 {
        let most = self.target.caps.max_output;
        let wanted = self.plan.max_output_tokens.or(self.request.max_output_tokens);
        // Zero asks to warm the cache only; foreign clients cannot mean that.
        let wanted = wanted.filter(|wanted| *wanted > 0 || self.is_own());
        match (wanted, most) {
            (Some(wanted), Some(most)) => wanted.min(most),
            (Some(wanted), None) => wanted,
            (None, most) => most.unwrap_or(DEFAULT_MAX_TOKENS),
        }
    }

    pub(super) fn thinking(&mut self, object: &mut Object<'_>) {
        let Members::Claude { thinking: Some(thinking), .. } = &self.plan.members else { return };
        self.betas.add_if(self.plan.needs_interleaved_beta, beta::INTERLEAVED_THINKING);
        // What the client said of the display holds as long as it gets an answer of this very format.
        let display = self.request.reasoning.as_ref().filter(|_| self.is_own());
        let display = display.and_then(|wish| wish.ext.get("display"));
        object.object("thinking", |object| match thinking {
            Thinking::Disabled => object.str("type", "disabled"),
            Thinking::Enabled { budget } => {
                object.str("type", "enabled");
                object.u64("budget_tokens", *budget);
                object.opt_raw("display", display);
            }
            Thinking::Adaptive { is_summarized } => {
                object.str("type", "adaptive");
                match display {
                    Some(display) => object.raw("display", display.as_str()),
                    None if *is_summarized => object.str("display", "summarized"),
                    None => {}
                }
            }
        });
    }

    fn output_config(&mut self, object: &mut Object<'_>) {
        let effort = match &self.plan.members {
            Members::Claude { effort, .. } => *effort,
            _ => None,
        };
        let schema = match &self.request.output.format {
            OutputFormat::JsonSchema { schema, .. } if self.target.caps.has_structured_output => Some(schema),
            _ => None,
        };
        let rest = self.request.ext.get("output_config").filter(|_| self.is_own());
        if effort.is_none() && schema.is_none() && rest.is_none() {
            return;
        }
        self.betas.add_if(effort.is_some(), beta::EFFORT);
        self.betas.add_if(schema.is_some(), beta::STRUCTURED_OUTPUTS);
        object.object("output_config", |object| {
            object.opt_str("effort", effort.map(wish::word));
            if let Some(schema) = schema {
                object.object("format", |object| {
                    object.str("type", "json_schema");
                    object.raw("schema", schema.as_str());
                });
            }
            if let Some(rest) = rest {
                copy_members(object, rest.as_str(), &[]);
            }
        });
    }

    fn sampling(&mut self, object: &mut Object<'_>) {
        let Sampling { temperature, top_p, top_k, stop, .. } = &self.request.sampling;
        let is_refused = self.plan.drops_sampling || self.target.caps.refuses_sampling;
        let is_thinking =
            self.plan.is_on && matches!(self.plan.members, Members::Claude { thinking: Some(_), .. });
        #[expect(clippy::float_cmp, reason = "exactly this value is accepted")]
        let temperature_kept = temperature
            .map(|value| value.min(1.0))
            .filter(|value| !is_refused && (!is_thinking || *value == 1.0));
        let top_p_kept = top_p.filter(|value| {
            let excludes = self.target.caps.excludes_top_p && temperature_kept.is_some();
            !is_refused && !excludes && (!is_thinking || *value >= 0.95)
        });
        let top_k_kept = top_k.filter(|_| !is_refused && !is_thinking);
        object.opt_f64("temperature", temperature_kept);
        object.opt_f64("top_p", top_p_kept);
        object.opt_u64("top_k", top_k_kept);
        let is_gemini = self.request.origin == Format::Gemini;
        let mut note = |is_dropped: bool, gemini: &str, other: &str| {
            if is_dropped {
                self.notes.add(if is_gemini { gemini } else { other });
            }
        };
        note(
            temperature.is_some() && temperature_kept.is_none(),
            "generationConfig.temperature",
            "temperature",
        );
        note(top_p.is_some() && top_p_kept.is_none(), "generationConfig.topP", "top_p");
        note(top_k.is_some() && top_k_kept.is_none(), "generationConfig.topK", "top_k");
        let is_kept = |sequence: &&Str| !sequence.trim().is_empty();
        if stop.iter().any(|sequence| is_kept(&sequence)) {
            object.array("stop_sequences", |array| {
                stop.iter().filter(is_kept).for_each(|sequence| array.str(sequence));
            });
        }
        let has_blank = !stop.iter().all(|sequence| is_kept(&sequence));
        let other = if self.is_own() { "stop_sequences" } else { "stop" };
        if has_blank {
            self.notes.add(if is_gemini { "generationConfig.stopSequences" } else { other });
        }
    }

    fn system(&mut self, object: &mut Object<'_>) {
        let wish = match &self.request.output.format {
            OutputFormat::JsonObject => {
                Some("Answer with a single JSON object and nothing else: no prose, no code fence.".to_owned())
            }
            OutputFormat::JsonSchema { schema, .. } if !self.target.caps.has_structured_output => {
                Some(format!(
                    "Answer with a single JSON value and nothing else: no prose, no code fence. It must match this \
                 JSON Schema:\n{}",
                    schema.as_str()
                ))
            }
            _ => None,
        };
        let is_own = self.is_own();
        let kept = || self.request.instructions.iter().filter(|block| !block.text.trim().is_empty());
        if kept().next().is_none() && wish.is_none() {
            return;
        }
        object.array("system", |array| {
            for instruction in kept() {
                array.object(|object| {
                    object.str("type", "text");
                    object.str("text", &instruction.text);
                    if let Some(mark) = instruction.cache {
                        write_mark(object, mark, self.betas);
                    }
                    if is_own {
                        instruction.ext.write(object);
                    }
                });
            }
            if let Some(wish) = wish {
                array.object(|object| {
                    object.str("type", "text");
                    object.str("text", &wish);
                });
            }
        });
    }

    fn messages(&mut self, object: &mut Object<'_>) -> Result<(), Error> {
        let mut outcome = Ok(());
        let last = self.request.turns.len().saturating_sub(1);
        object.array("messages", |array| {
            for (index, turn) in self.request.turns.iter().enumerate() {
                outcome = self
                    .turn(array, turn, index == last)
                    .map_err(|error| error.under_index(index).under_key("messages"));
                if outcome.is_err() {
                    break;
                }
            }
        });
        outcome
    }

    fn turn(&mut self, array: &mut Array<'_>, turn: &Turn, is_last: bool) -> Result<(), Error> {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Instruction(_) => {
                self.betas.add(beta::MID_SYSTEM);
                "system"
            }
        };
        let is_own = self.is_own();
        let is_prefill = is_last && turn.role == Role::Assistant;
        let mut writer = Writer { betas: &mut *self.betas, is_own, upstream: self.target.profile.name };
        let mut outcome = Ok(());
        array.object(|object| {
            object.str("role", role);
            object.array("content", |array| {
                for (index, block) in turn.blocks.iter().enumerate() {
                    // White space at the end of a text to be continued is refused.
                    let trimmed = match &block.content {
                        Content::Text(text) if is_prefill && index + 1 == turn.blocks.len() => {
                            let mut block = block.clone();
                            let mut text = text.clone();
                            text.text = text.text.trim_end().into();
                            block.content = Content::Text(text);
                            Some(block)
                        }
                        _ => None,
                    };
                    outcome = writer.block(array, trimmed.as_ref().unwrap_or(block));
                    if outcome.is_err() {
                        break;
                    }
                }
            });
            if is_own {
                turn.ext.write(object);
            }
        });
        outcome
    }

    /// Names that the history calls when no tool is on offer and the upstream wants declarations nevertheless.
    fn synthesized_names(&self) -> Vec<&'a str> {
        let request = self.request;
        if !self.request.tools.is_empty() || !self.target.profile.needs_tools_for_history {
            return Vec::new();
        }
        let mut names: Vec<&'a str> = Vec::new();
        for block in request.turns.iter().flat_map(|turn| &turn.blocks) {
            if let Content::ToolCall(call) = &block.content
                && !names.contains(&&*call.name)
            {
                names.push(&call.name);
            }
        }
        names
    }

    fn tools(&mut self, object: &mut Object<'_>, synthesized: &[&str]) -> Result<(), Error> {
        let (servers, tools): (Vec<&Tool>, Vec<&Tool>) =
            self.request.tools.iter().partition(|tool| is_server(tool));
        let offered: Vec<&Tool> = tools.into_iter().filter(|tool| self.is_allowed(tool)).collect();
        if !servers.is_empty() {
            self.betas.add(beta::MCP);
            object.array("mcp_servers", |array| {
                for tool in servers {
                    if let Tool::Hosted { native, .. } = tool {
                        array.raw(native.value.as_str());
                    }
                }
            });
        }
        if offered.is_empty() && synthesized.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        object.array("tools", |array| {
            outcome = offered.into_iter().try_for_each(|tool| self.tool(array, tool));
            for name in synthesized {
                array.object(|object| {
                    object.str("name", name);
                    object.raw(
                        "input_schema",
                        r#"{"type":"object","properties":{},"additionalProperties":true}"#,
                    );
                });
            }
        });
        outcome
    }

    /// False for a tool that the client's choice leaves out.
    fn is_allowed(&self, tool: &Tool) -> bool {
        match (&self.request.tool_choice, tool.name()) {
            (Some(ToolChoice::Allowed { names, .. }), Some(name)) => {
                names.iter().any(|(_, known)| known == name)
            }
            (Some(ToolChoice::Allowed { .. }), None) => false,
            _ => true,
        }
    }

    fn tool(&mut self, array: &mut Array<'_>, tool: &Tool) -> Result<(), Error> {
        match tool {
            Tool::Function { native: Some(native), cache, .. } if native.format == Format::Claude => {
                self.native_tool(array, &native.value, *cache);
            }
            Tool::Function { name, description, schema, strict, cache, ext, .. } => array.object(|object| {
                object.str("name", name);
                object.opt_str("description", description.as_deref());
                let schema = schema.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Raw::as_str);
                object.raw("input_schema", schema);
                if *strict == Some(true) {
                    self.betas.add(beta::STRUCTURED_OUTPUTS);
                    object.bool("strict", true);
                }
                if let Some(mark) = cache {
                    write_mark(object, *mark, self.betas);
                }
                if self.is_own() {
                    let is_advanced = ["defer_loading", "input_examples", "allowed_callers"]
                        .iter()
                        .any(|name| ext.get(name).is_some());
                    self.betas.add_if(is_advanced, beta::ADVANCED_TOOLS);
                    ext.write(object);
                }
            }),
            Tool::Custom { name, description, format, .. } => array.object(|object| {
                object.str("name", name);
                let description = match (description, format) {
                    (Some(text), CustomFormat::Grammar { definition, .. }) => Some(format!("{text}\n\n{definition}")),
                    (None, CustomFormat::Grammar { definition, .. }) => Some(definition.to_string()),
                    (text, CustomFormat::Text) => text.as_deref().map(str::to_owned),
                };
                object.opt_str("description", description.as_deref());
                object.raw(
                    "input_schema",
                    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#,
                );
            }),
            Tool::Hosted { native, cache, .. } if native.format == Format::Claude => {
                self.native_tool(array, &native.value, *cache);
            }
            Tool::Hosted { kind, parameters, .. } => self.hosted_tool(array, *kind, parameters)?,
        }
        Ok(())
    }

    fn native_tool(&mut self, array: &mut Array<'_>, raw: &Raw, cache: Option<crate::model::CacheMark>) {
        let text = raw.as_str();
        if let Some(kind) = json::member(text, "type").and_then(|kind| Reader::new(kind).str().ok()) {
            self.betas.tool(&kind);
        }
        let is_deferred = json::member(text, "defer_loading").is_some_and(|value| value == "true");
        self.betas.add_if(is_deferred, beta::ADVANCED_TOOLS);
        array.object(|object| {
            copy_members(object, text, &["cache_control"]);
            if let Some(mark) = cache {
                write_mark(object, mark, self.betas);
            }
        });
    }

    /// A provider-executed tool of another format that has a counterpart here.
    fn hosted_tool(
        &mut self,
        array: &mut Array<'_>,
        kind: HostedKind,
        parameters: &Raw,
    ) -> Result<(), Error> {
        let (tool_type, name) = match kind {
            HostedKind::WebSearch => (self.target.caps.web_search_type, "web_search"),
            HostedKind::WebFetch => ("web_fetch_20250910", "web_fetch"),
            HostedKind::CodeExecution => ("code_execution_20250825", "code_execution"),
            _ => {
                return Err(Error::unsupported(
                    "tools",
                    format!("{} has no such provider-executed tool; remove it", self.target.profile.name),
                ));
            }
        };
        self.betas.tool(tool_type);
        array.object(|object| {
            object.str("type", tool_type);
            object.str("name", name);
            if kind == HostedKind::CodeExecution {
                return;
            }
            let member = |name: &str| {
                json::member(parameters.as_str(), name).filter(|value| *value != "null" && *value != "[]")
            };
            match (member("max_uses"), self.request.max_tool_calls) {
                (Some(uses), _) => object.raw("max_uses", uses),
                (None, Some(calls)) => object.u64("max_uses", calls),
                (None, None) => {}
            }
            for name in ["allowed_domains", "blocked_domains"] {
                if let Some(domains) = member(name) {
                    object.raw(name, domains);
                }
            }
            if let (HostedKind::WebSearch, Some(location)) = (kind, member("user_location")) {
                write_location(object, location);
            }
        });
        Ok(())
    }

    fn tool_choice(&mut self, object: &mut Object<'_>, is_synthesized: bool) {
        if is_synthesized {
            object.raw("tool_choice", r#"{"type":"none"}"#);
            return;
        }
        let has_tools = self.request.tools.iter().any(|tool| !is_server(tool) && self.is_allowed(tool));
        let disables_parallel = has_tools && self.request.parallel_tool_calls == Some(false);
        let (mut kind, mut name): (&str, Option<String>) = match &self.request.tool_choice {
            Some(ToolChoice::None) => ("none", None),
            _ if !has_tools => return,
            None if disables_parallel => ("auto", None),
            None => return,
            Some(ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. }) => ("auto", None),
            Some(ToolChoice::Required | ToolChoice::Allowed { is_required: true, .. }) => ("any", None),
            Some(ToolChoice::Named { name, .. }) => ("tool", Some(name.to_string())),
            Some(ToolChoice::Hosted(kind)) => {
                if let Some(name) = self.hosted_name(*kind) {
                    ("tool", Some(name))
                } else {
                    self.notes.add("tool_choice");
                    ("auto", None)
                }
            }
            Some(ToolChoice::Native(native)) if native.format == Format::Claude => {
                object.raw("tool_choice", native.value.as_str());
                return;
            }
            Some(ToolChoice::Native(_)) => {
                self.notes.add("tool_choice");
                return;
            }
        };
        let thinks_always = matches!(
            self.target.caps.reasoning,
            ReasoningCaps::ClaudeAdaptive { default: AdaptiveDefault::Always, .. }
        );
        if thinks_always && matches!(kind, "any" | "tool") {
            self.notes.add("tool_choice");
            (kind, name) = ("auto", None);
        }
        object.object("tool_choice", |object| {
            object.str("type", kind);
            object.opt_str("name", name.as_deref());
            if disables_parallel && kind != "none" {
                object.bool("disable_parallel_tool_use", true);
            } else if self.is_own() && self.request.parallel_tool_calls == Some(true) && kind != "none" {
                object.bool("disable_parallel_tool_use", false);
            }
        });
    }

    /// The name under which a hosted tool of this request goes.
    fn hosted_name(&self, wanted: HostedKind) -> Option<String> {
        self.request.tools.iter().find_map(|tool| match tool {
            Tool::Hosted { kind, native, .. } if *kind == wanted => {
                let own =
                    json::member(native.value.as_str(), "name").filter(|_| native.format == Format::Claude);
                match (own, kind) {
                    (Some(name), _) => Reader::new(name).string().ok(),
                    (None, HostedKind::WebSearch) => Some("web_search".to_owned()),
                    (None, HostedKind::WebFetch) => Some("web_fetch".to_owned()),
                    (None, HostedKind::CodeExecution) => Some("code_execution".to_owned()),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// Members that steer the service, not the model.
    fn settings(&mut self, object: &mut Object<'_>) {
        let request = self.request;
        let identity = &request.identity;
        match request.ext.get("metadata").filter(|_| self.is_own()) {
            Some(metadata) => object.raw("metadata", metadata.as_str()),
            None => {
                if let Some(user) = identity.user.as_ref().or(identity.safety_identifier.as_ref()) {
                    object.object("metadata", |object| object.str("user_id", user));
                }
            }
        }
        self.tier(object);
        if let Some(mark) = request.cache.auto {
            write_mark(object, mark, self.betas);
        }
        if !self.is_own() {
            return;
        }
        if let Some(management) = request.ext.get("context_management") {
            self.betas.add(beta::CONTEXT_MANAGEMENT);
            self.betas.add_if(management.as_str().contains("\"compact_"), beta::COMPACTION);
        }
        let skills = request.ext.get("container").is_some_and(|container| container.get("skills").is_some());
        self.betas.add_if(skills, beta::SKILLS);
        for (name, value) in request.ext.iter().filter(|(name, _)| !PLACED.contains(name)) {
            object.raw(name, value.as_str());
        }
        if let (Some(speed), None | Some(Tier::Auto | Tier::Default)) =
            (request.ext.get("speed"), &request.service_tier)
        {
            object.raw("speed", speed.as_str());
        }
    }

    fn tier(&mut self, object: &mut Object<'_>) {
        match &self.request.service_tier {
            None => {}
            Some(Tier::Auto | Tier::Priority) => object.str("service_tier", "auto"),
            Some(Tier::Default) => object.str("service_tier", "standard_only"),
            Some(Tier::Fast) if self.target.caps.has_fast_speed || self.is_own() => {
                self.betas.add(beta::FAST);
                object.str("speed", "fast");
            }
            Some(Tier::Other(word)) if self.is_own() => object.str("service_tier", word),
            Some(_) => self.notes.add("service_tier"),
        }
    }
}

/// True for an entry of `mcp_servers`; a toolset is a tool like others.
fn is_server(tool: &Tool) -> bool {
    match tool {
        Tool::Hosted { kind: HostedKind::Mcp, native, .. } if native.format == Format::Claude => {
            json::member(native.value.as_str(), "type") != Some("\"mcp_toolset\"")
        }
        _ => false,
    }
}

/// Writes `user_location`; one format nests its members under `approximate`.
fn write_location(object: &mut Object<'_>, location: &str) {
    object.object("user_location", |object| {
        object.str("type", "approximate");
        let members = json::member(location, "approximate").unwrap_or(location);
        for name in ["city", "region", "country", "timezone"] {
            if let Some(value) = json::member(members, name).filter(|value| *value != "null") {
                object.raw(name, value);
            }
        }
    });
}
