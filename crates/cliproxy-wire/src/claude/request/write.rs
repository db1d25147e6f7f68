//! Writing the request for an upstream of this format.

use crate::Error;
use crate::catalog::{AdaptiveDefault, ReasoningCaps};
use crate::codec::{Encoded, Notes, Target};
use crate::format::Format;
use crate::json::{self, Array, Object, Raw, Reader};
use crate::model::{Ext, HostedKind, OutputFormat, Request, Role, Tier, Tool, ToolChoice, Turn};
use crate::normalize::{Prepared, place};
use crate::reasoning::{Members, Plan, Thinking};

use super::beta::{self, Betas};
use super::content::{Writer, copy_members, write_mark};
use super::{history, limit, wish};

/// The limit of a model about which nothing is known, when the client names none.
const DEFAULT_MAX_TOKENS: u64 = 8192;

/// Members of the model's `ext` that stand elsewhere than at the top.
const PLACED: [&str; 3] = ["metadata", "output_config", "speed"];

/// Writes the request for an upstream of this format.
///
/// # Errors
/// What this format cannot say.
pub fn encode_request(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    let Prepared { mut request, mut plan, bridge, mut notes } = prepared;
    history::settle(&mut request, &mut plan, target, &mut notes);
    limit::judge(&request, target, &mut notes)?;
    let mut betas = Betas::default();
    let mut body = Vec::with_capacity(request.size_hint());
    let mut outcome = Ok(());
    json::object(&mut body, |object| {
        let mut encoding =
            Encoding { request: &request, plan: &plan, target, betas: &mut betas, notes: &mut notes };
        outcome = encoding.body(object);
    });
    outcome?;
    let betas = betas.into_tokens(&request.betas);
    Ok(Encoded { request, body, betas, bridge, notes })
}

/// One request being written.
pub(super) struct Encoding<'a> {
    pub(super) request: &'a Request,
    pub(super) plan: &'a Plan,
    pub(super) target: &'a Target<'a>,
    pub(super) betas: &'a mut Betas,
    pub(super) notes: &'a mut Notes,
}

impl Encoding<'_> {
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
        self.tools(object)?;
        self.tool_choice(object);
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
        let own = self.request.reasoning.as_ref().filter(|_| self.is_own()).map(|wish| &wish.ext);
        let display = own.and_then(|own| own.get("display"));
        object.object("thinking", |object| {
            match thinking {
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
            }
            for (name, value) in own.into_iter().flat_map(Ext::iter).filter(|(name, _)| *name != "display") {
                object.raw(name, value.as_str());
            }
        });
    }

    fn output_config(&mut self, object: &mut Object<'_>) {
        let effort = match &self.plan.members {
            Members::Claude { effort, .. } => *effort,
            _ => None,
        };
        let schema = match &self.request.output.format {
            OutputFormat::JsonSchema { name, schema, .. } if self.target.caps.has_structured_output => {
                Some((name.as_ref().filter(|_| self.is_own()), schema))
            }
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
            if let Some((name, schema)) = schema {
                object.object("format", |object| {
                    object.str("type", "json_schema");
                    object.opt_str("name", name);
                    object.raw("schema", schema.as_str());
                    if self.is_own() {
                        self.request.output.ext.write(object);
                    }
                });
            }
            if let Some(rest) = rest {
                copy_members(object, rest.as_str(), &[]);
            }
        });
    }

    fn sampling(&self, object: &mut Object<'_>) {
        let sampling = &self.request.sampling;
        object.opt_f64("temperature", sampling.temperature);
        object.opt_f64("top_p", sampling.top_p);
        object.opt_u64("top_k", sampling.top_k);
        if !sampling.stop.is_empty() {
            object.array("stop_sequences", |array| {
                sampling.stop.iter().for_each(|sequence| array.str(sequence));
            });
        }
    }

    fn system(&mut self, object: &mut Object<'_>) {
        let is_own = self.is_own();
        let mut kept = self.request.instructions.iter().filter(|block| !block.text.is_blank()).peekable();
        if kept.peek().is_none() {
            return;
        }
        object.array("system", |array| {
            for instruction in kept {
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
        });
    }

    fn messages(&mut self, object: &mut Object<'_>) -> Result<(), Error> {
        let mut outcome = Ok(());
        object.array("messages", |array| {
            outcome = self.request.turns.iter().enumerate().try_for_each(|(index, turn)| {
                self.turn(array, turn).map_err(|error| error.under_index(index).under_key("messages"))
            });
        });
        outcome
    }

    fn turn(&mut self, array: &mut Array<'_>, turn: &Turn) -> Result<(), Error> {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Instruction(_) => {
                self.betas.add(beta::MID_SYSTEM);
                "system"
            }
        };
        let is_own = self.is_own();
        let mut writer = Writer { betas: &mut *self.betas, is_own, upstream: self.target.profile.name };
        let mut outcome = Ok(());
        array.object(|object| {
            object.str("role", role);
            object.array("content", |array| {
                outcome = turn.blocks.iter().try_for_each(|block| writer.block(array, block));
            });
            if is_own {
                turn.ext.write(object);
            }
        });
        outcome
    }

    fn tools(&mut self, object: &mut Object<'_>) -> Result<(), Error> {
        if self.request.tools.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        object.array("tools", |array| {
            outcome = self.request.tools.iter().try_for_each(|tool| self.tool(array, tool));
        });
        outcome
    }

    fn tool(&mut self, array: &mut Array<'_>, tool: &Tool) -> Result<(), Error> {
        match tool {
            Tool::Function { native: Some(native), cache, .. } if native.format == Format::Claude => {
                self.native_tool(array, &native.value, *cache);
            }
            Tool::Function { name, description, schema, strict, cache, ext, .. } => array.object(|object| {
                object.str("name", name);
                object.opt_str("description", description.as_ref());
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
            Tool::Hosted { native, cache, .. } if native.format == Format::Claude => {
                self.native_tool(array, &native.value, *cache);
            }
            Tool::Custom { .. } | Tool::Hosted { .. } => {
                return Err(Error::unsupported(
                    "tools",
                    format!("{} has no tool of this kind; remove it", self.target.profile.name),
                ));
            }
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

    fn tool_choice(&mut self, object: &mut Object<'_>) {
        let has_tools = !self.request.tools.is_empty();
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
            object.opt_str("name", name.as_ref());
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
            Tool::Hosted { kind, native, .. } if *kind == wanted => native.value.get("name")?.to_text(),
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
        self.betas.add_if(request.ext.get("mcp_servers").is_some(), beta::MCP);
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
            Some(_) => self.notes.add(place::member(self.request.origin, "service_tier")),
        }
    }
}
