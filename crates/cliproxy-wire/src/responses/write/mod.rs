//! Writing a request for an upstream of this format.
//!
//! The request comes prepared for its target; here it is only written down, in the words of this format and of the
//! Codex backend and of xAI, which take fewer members than the public service.

mod identity;
mod input;
mod setting;
mod tool;

use crate::Error;
use crate::codec::{Encoded, Notes, Strictness, Target};
use crate::format::Format;
use crate::json::{self, Object};
use crate::model::{CallKind, HostedKind, InstructionRole, OutputFormat, Request, ToolChoice};
use crate::normalize::Prepared;
use crate::profile::Dialect;

/// Least value that the service accepts as token limit.
const LEAST_TOKENS: u64 = 16;

const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

/// Members that the Codex backend refuses, of those that have no place in the model.
const CODEX_REFUSES: [&str; 6] =
    ["stream_options", "generate", "max_tokens", "max_completion_tokens", "extra_body", "moderation"];

/// Members that xAI refuses, of those that have no place in the model.
const XAI_REFUSES: [&str; 2] = ["stream_options", "stop"];

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    /// Only members that the counting endpoint knows.
    Count,
}

/// Writes a request.
pub(super) fn encode(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write(prepared, target, Purpose::Answer)
}

/// Writes a request for the counting endpoint.
pub(super) fn encode_count(prepared: Prepared, target: &Target<'_>) -> Result<Encoded, Error> {
    write(prepared, target, Purpose::Count)
}

fn write(prepared: Prepared, target: &Target<'_>, purpose: Purpose) -> Result<Encoded, Error> {
    let Prepared { request, plan, bridge, notes } = prepared;
    let mut writer = Writer {
        request: &request,
        target,
        is_codex: target.profile.dialect == Dialect::Codex,
        is_xai: target.profile.dialect == Dialect::Xai,
        notes,
        failure: None,
    };
    let mut body = Vec::with_capacity(request.size_hint());
    json::object(&mut body, |object| {
        writer.head(object);
        writer.tools(object);
        writer.reasoning(object, &plan.members);
        writer.text(object);
        if purpose == Purpose::Answer {
            writer.limits(object, plan.max_output_tokens);
            writer.sampling(object, plan.drops_sampling);
            writer.include(object, plan.drops_sampling);
            writer.delivery(object);
        }
        writer.rest(object, purpose);
    });
    if let Some(error) = writer.failure {
        return Err(error);
    }
    let notes = writer.notes;
    Ok(Encoded { request, body, betas: Vec::new(), bridge, notes })
}

struct Writer<'a> {
    request: &'a Request,
    target: &'a Target<'a>,
    is_codex: bool,
    is_xai: bool,
    notes: Notes,
    /// The first thing that cannot be said; writing goes on, the result is thrown away.
    failure: Option<Error>,
}

impl Writer<'_> {
    fn is_own(&self) -> bool {
        self.request.origin == Format::Responses
    }

    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Something that only affects cost, style or telemetry has no place here.
    fn hint(&mut self, path: &str) {
        if let Err(error) = self.target.hint(&mut self.notes, path) {
            self.fail(error);
        }
    }

    /// Something without which the answer would be wrong has no place here.
    fn semantic(&mut self, path: &str, remedy: &str) {
        if self.target.strictness == Strictness::Lenient {
            self.notes.add(path);
        } else {
            let name = self.target.profile.name;
            self.fail(Error::unsupported(path, format!("{name} cannot do this; {remedy}")));
        }
    }

    /// The client's name of a member.
    fn path(&self, chat: &'static str, gemini: &'static str) -> &'static str {
        if self.request.origin == Format::Gemini { gemini } else { chat }
    }

    /// Model, instructions and conversation.
    fn head(&mut self, object: &mut Object<'_>) {
        object.str("model", self.target.model);
        let instructions = &self.request.instructions;
        let top = instructions.iter().find(|block| block.is_top_level);
        // A conversation of nothing but instructions still needs an input.
        let is_alone = self.request.turns.is_empty() && top.is_none();
        let joins = !self.is_codex && !self.is_own() && !is_alone;
        if joins {
            if !instructions.is_empty() {
                let texts: Vec<&str> = instructions.iter().map(|block| &*block.text).collect();
                object.str("instructions", &texts.join("\n\n"));
            }
        } else if let Some(top) = top {
            object.str("instructions", &top.text);
        } else if self.is_codex {
            object.str("instructions", "");
        }
        let wants_json_word =
            matches!(self.request.output.format, OutputFormat::JsonObject) && !self.says_json(!joins);
        object.array("input", |array| {
            if !joins {
                for block in instructions.iter().filter(|block| !block.is_top_level) {
                    input::instruction(array, self.role(block.role), &block.text);
                }
            }
            if wants_json_word {
                input::instruction(array, "developer", "Answer with a JSON object.");
            }
            for turn in &self.request.turns {
                input::turn(self, array, turn);
            }
        });
    }

    fn role(&self, role: InstructionRole) -> &'static str {
        match role {
            // The Codex backend refuses the older role.
            InstructionRole::System if !self.is_codex => "system",
            _ => "developer",
        }
    }

    /// Whether the input holds the word that the service demands for JSON answers.
    fn says_json(&self, has_instructions: bool) -> bool {
        let has = |text: &str| {
            memchr::memchr2_iter(b'j', b'J', text.as_bytes())
                .any(|at| text.get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case("json")))
        };
        let turns = self.request.turns.iter().flat_map(|turn| &turn.blocks);
        let instructions = self.request.instructions.iter().filter(|block| !block.is_top_level);
        (has_instructions && instructions.into_iter().any(|block| has(&block.text)))
            || turns.filter_map(|block| block.as_text()).any(|text| has(&text.text))
    }

    fn tools(&mut self, object: &mut Object<'_>) {
        let has_tools = tool::write(self, object);
        if let Some(choice) = &self.request.tool_choice
            && (has_tools || (*choice == ToolChoice::None && !self.is_xai))
        {
            self.choice(object, choice);
        }
        if has_tools {
            let parallel = self.request.parallel_tool_calls;
            object.opt_bool(
                "parallel_tool_calls",
                if self.is_codex { parallel.or(Some(true)) } else { parallel },
            );
        }
    }

    fn choice(&mut self, object: &mut Object<'_>, choice: &ToolChoice) {
        let native = |name: &str| tool::native_type(self.request, name);
        let named = |object: &mut Object<'_>, kind: CallKind, name: &str| {
            if let Some(typed) = native(name) {
                object.str("type", &typed);
                return;
            }
            object.str("type", if kind == CallKind::Custom { "custom" } else { "function" });
            object.str("name", name);
        };
        match choice {
            ToolChoice::Auto => object.str("tool_choice", "auto"),
            ToolChoice::None => object.str("tool_choice", "none"),
            ToolChoice::Required => object.str("tool_choice", "required"),
            ToolChoice::Named { name, kind } => {
                object.object("tool_choice", |choice| named(choice, *kind, name));
            }
            ToolChoice::Allowed { is_required, names } => object.object("tool_choice", |choice| {
                choice.str("type", "allowed_tools");
                choice.str("mode", if *is_required { "required" } else { "auto" });
                choice.array("tools", |tools| {
                    for (kind, name) in names {
                        tools.object(|tool| named(tool, *kind, name));
                    }
                });
            }),
            ToolChoice::Hosted(HostedKind::WebFetch) => {
                self.semantic("tool_choice", "choose a tool that it has");
            }
            ToolChoice::Hosted(kind) => match super::hosted::tool_type(*kind) {
                Some(name) => object.object("tool_choice", |choice| choice.str("type", name)),
                None => self.semantic("tool_choice", "choose a tool that it has"),
            },
            ToolChoice::Native(native) if native.format == Format::Responses => {
                object.raw("tool_choice", native.value.as_str());
            }
            ToolChoice::Native(_) => self.hint("tool_choice"),
        }
    }
}
