//! Reading a client's request.

mod input;
mod tool;

use crate::Error;
use crate::format::Format;
use crate::json::{Body, BodyText, Kind, Raw, Reader};
use crate::model::{
    Ext, Instruction, InstructionRole, Level, Logprobs, Mode, OutputFormat, ReasoningWish, Request, Show,
    Str, Summary, Tier, WishOrigin,
};

use self::input::Conversation;

pub(crate) use self::tool::NAMESPACE_DESCRIPTION;
pub(super) use self::tool::read as read_tools;

/// Request members that an answer repeats.
const ECHOED: [&str; 20] = [
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Reads a request body.
pub(super) fn decode(body: &Body) -> Result<Request, Error> {
    let text = BodyText::of(body)?;
    let mut reader = Reader::of(&text);
    let mut draft = Draft::new();
    reader.object(|key, value| {
        if value.kind() == Kind::Null {
            return Ok(());
        }
        let start = value.position();
        draft.member(key, value)?;
        if ECHOED.contains(&key) {
            if value.position() == start {
                value.skip()?;
            }
            draft.request.echo.set(key, value.kept_since(start));
        }
        Ok(())
    })?;
    reader.finish()?;
    draft.finish()
}

/// A request in the making.
struct Draft {
    request: Request,
    has_model: bool,
    has_input: bool,
    instructions: Option<Str>,
    top_logprobs: Option<u64>,
    conversation: Conversation,
}

impl Draft {
    fn new() -> Self {
        Self {
            request: Request::new(Format::Responses, ""),
            has_model: false,
            has_input: false,
            instructions: None,
            top_logprobs: None,
            conversation: Conversation::default(),
        }
    }

    fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        let request = &mut self.request;
        match key {
            "model" => {
                request.model = value.string()?;
                self.has_model = !request.model.is_empty();
            }
            "input" => {
                self.has_input = true;
                self.conversation.read(value)?;
            }
            "instructions" => match value.kind() {
                Kind::String => self.instructions = super::text(value)?,
                _ => self.conversation.leading(value)?,
            },
            "tools" => tool::read(value, &mut request.tools)?,
            "tool_choice" => request.tool_choice = tool::read_choice(value)?,
            "parallel_tool_calls" => request.parallel_tool_calls = Some(value.bool()?),
            "temperature" => request.sampling.temperature = Some(value.f64()?),
            "top_p" => request.sampling.top_p = Some(value.f64()?),
            "max_output_tokens" => request.max_output_tokens = limit(value)?,
            "max_tool_calls" => request.max_tool_calls = limit(value)?,
            "reasoning" => request.reasoning = reasoning(value)?,
            "text" => self.text(value)?,
            "top_logprobs" => self.top_logprobs = Some(value.u64()?),
            "include" => {
                let include = &mut request.include;
                value.array(|_, entry| {
                    include.extend(super::lenient_text(entry)?);
                    Ok(())
                })?;
            }
            "prompt_cache_key" => request.cache.key = super::text(value)?,
            "prompt_cache_retention" => request.cache.retention = super::lenient_text(value)?,
            "prompt_cache_options" => request.cache.options = Some(value.to_raw()?),
            "user" => request.identity.user = super::text(value)?,
            "safety_identifier" => request.identity.safety_identifier = super::text(value)?,
            "metadata" => {
                request.identity.metadata = Some(value.to_raw()?).filter(|metadata| !metadata.is_empty());
            }
            "service_tier" => request.service_tier = super::text(value)?.map(tier),
            "stream" => request.stream = value.bool()?,
            "store" => request.state.store = Some(value.bool()?),
            "previous_response_id" => {
                request.state.previous_response_id = super::text(value)?.filter(|id| !id.is_empty());
            }
            "conversation" => request.state.conversation = Some(value.to_raw()?),
            "background" => request.state.background = Some(value.bool()?),
            "prompt" => request.state.prompt = Some(value.to_raw()?),
            "truncation" => request.state.truncation = super::text(value)?,
            "context_management" => request.state.context_management = Some(value.to_raw()?),
            "safety_settings" | "safetySettings" => request.safety = Some(value.to_raw()?),
            "extra_body" => {
                let extra = value.to_raw()?;
                let google = extra.get("google");
                let settings = google.as_ref().and_then(|google| {
                    google.get("safety_settings").or_else(|| google.get("safetySettings"))
                });
                if settings.is_some() {
                    request.safety = settings;
                }
                request.ext.set(key, extra);
            }
            _ => request.ext.set(key, value.to_raw()?),
        }
        Ok(())
    }

    fn text(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let output = &mut self.request.output;
        let mut rest = Ext::new();
        value.object(|key, value| {
            match key {
                "format" => {
                    let ext = &mut output.ext;
                    if let Some(format) = value.opt(|value| output_format(value, ext))?.flatten() {
                        output.format = format;
                    }
                }
                "verbosity" => output.verbosity = super::text(value)?,
                _ => {
                    if let Some(other) = value.opt(Reader::to_raw)? {
                        rest.set(key, other);
                    }
                }
            }
            Ok(())
        })?;
        if !rest.is_empty() {
            self.request.ext.set("text", Raw::object(|object| rest.write(object)));
        }
        Ok(())
    }

    fn finish(self) -> Result<Request, Error> {
        let Self { mut request, has_model, has_input, instructions, top_logprobs, conversation } = self;
        if !has_model {
            return Err(Error::missing("model"));
        }
        let is_continued = request.state.previous_response_id.is_some()
            || request.state.conversation.is_some()
            || request.state.prompt.is_some();
        if !has_input && !is_continued {
            return Err(Error::missing("input"));
        }
        let Conversation { instructions: leading, turns, tools, .. } = conversation;
        request.instructions = leading;
        if let Some(text) = instructions.filter(|text| !text.is_empty()) {
            let top = Instruction {
                role: InstructionRole::System,
                text,
                cache: None,
                is_top_level: true,
                ext: Ext::new(),
            };
            request.instructions.insert(0, top);
        }
        request.turns = turns;
        request.tools.extend(tools);
        let wants_logprobs = request.include.contains("message.output_text.logprobs");
        if wants_logprobs || top_logprobs.is_some_and(|top| top > 0) {
            request.logprobs = Some(Logprobs { top: top_logprobs });
        }
        Ok(request)
    }
}

/// A limit: negative ones of local clients mean none.
fn limit(value: &mut Reader<'_>) -> Result<Option<u64>, Error> {
    match value.i64()? {
        -1 => Ok(None),
        number => match u64::try_from(number) {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Error::malformed("expected a number above zero")),
        },
    }
}

fn tier(word: Str) -> Tier {
    match &*word {
        "auto" => Tier::Auto,
        "default" | "standard" => Tier::Default,
        "flex" => Tier::Flex,
        "scale" => Tier::Scale,
        "priority" => Tier::Priority,
        "fast" => Tier::Fast,
        _ => Tier::Other(word),
    }
}

fn reasoning(value: &mut Reader<'_>) -> Result<Option<ReasoningWish>, Error> {
    let mut wish = ReasoningWish::default();
    let mut is_empty = true;
    value.object(|key, value| {
        if value.kind() == Kind::Null {
            return Ok(());
        }
        is_empty = false;
        match key {
            "effort" => {
                let word = value.str()?;
                if !word.is_empty() {
                    wish.mode = Some(effort(&word)?);
                    wish.origin = Some(WishOrigin::Body(Format::Responses));
                }
            }
            "summary" => wish.show = Some(summary(&value.str()?)),
            "generate_summary" => {
                let show = summary(&value.str()?);
                wish.show.get_or_insert(show);
            }
            _ => wish.ext.set(key, value.to_raw()?),
        }
        Ok(())
    })?;
    Ok((!is_empty).then_some(wish))
}

fn effort(word: &str) -> Result<Mode, Error> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "none" => Mode::Off,
        "auto" => Mode::Auto,
        "minimal" => Mode::Level(Level::Minimal),
        "low" => Mode::Level(Level::Low),
        "medium" => Mode::Level(Level::Medium),
        "high" => Mode::Level(Level::High),
        "xhigh" => Mode::Level(Level::XHigh),
        "max" => Mode::Level(Level::Max),
        _ => {
            return Err(Error::malformed(
                "unknown effort; use none, auto, minimal, low, medium, high, xhigh or max",
            ));
        }
    })
}

fn summary(word: &str) -> Show {
    match word {
        "none" => Show::Hidden,
        "concise" => Show::Summary(Summary::Concise),
        "detailed" => Show::Summary(Summary::Detailed),
        _ => Show::Summary(Summary::Auto),
    }
}

/// The form of the answer, its other members in `ext`.
fn output_format(value: &mut Reader<'_>, ext: &mut Ext) -> Result<Option<OutputFormat>, Error> {
    let mut draft = FormatDraft::default();
    value.object(|key, value| draft.member(key, value))?;
    let FormatDraft { kind, name, description, schema, strict, rest } = draft;
    *ext = rest;
    match kind.as_deref() {
        Some("json_object") => Ok(Some(OutputFormat::JsonObject)),
        Some("json_schema") => {
            let Some(schema) = schema else { return Err(Error::missing("schema")) };
            Ok(Some(OutputFormat::JsonSchema { name, description, schema, strict }))
        }
        None | Some("text") => Ok(None),
        Some(_) => {
            Err(Error::malformed("unknown output format; use text, json_object or json_schema")
                .under_key("type"))
        }
    }
}

#[derive(Default)]
struct FormatDraft {
    kind: Option<Str>,
    name: Option<Str>,
    description: Option<Str>,
    schema: Option<Raw>,
    strict: Option<bool>,
    rest: Ext,
}

impl FormatDraft {
    fn member(&mut self, key: &str, value: &mut Reader<'_>) -> Result<(), Error> {
        match key {
            "type" => self.kind = super::text(value)?,
            "name" => self.name = super::text(value)?,
            "description" => self.description = super::text(value)?,
            "schema" => self.schema = value.opt(Reader::to_raw)?,
            "strict" => self.strict = value.opt(Reader::bool)?,
            // The Chat shape.
            "json_schema" if value.kind() == Kind::Object => {
                value.object(|key, value| self.member(key, value))?;
            }
            _ => {
                if let Some(other) = value.opt(Reader::to_raw)? {
                    self.rest.set(key, other);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CallKind, Content, HostedKind, Role, Tool, ToolChoice};

    fn read(body: &str) -> Request {
        decode(&body.as_bytes().into()).unwrap()
    }

    #[test]
    fn nulls_are_absent_everywhere() {
        let request = read(
            r#"{"model":"m","input":"x","stream":null,"tools":null,"reasoning":null,"text":null,"include":null,"max_output_tokens":null,"metadata":null,"instructions":null,"tool_choice":null,"store":null}"#,
        );
        assert_eq!(request.tools, []);
        assert_eq!(request.reasoning, None);
        assert!(request.echo.is_empty());
        assert!(!request.stream);
    }

    #[test]
    fn members_that_answers_repeat_are_kept_as_written() {
        let request = read(
            r#"{"model":"m","input":"x","temperature":1.0,"tools":[ {"type":"function","name":"f","parameters":{}} ],"text":{"verbosity":"low"}}"#,
        );
        assert_eq!(request.echo.get("temperature").unwrap().as_str(), "1.0");
        assert!(request.echo.get("tools").unwrap().as_str().starts_with("[ {\"type\""));
        assert_eq!(request.output.verbosity.as_deref(), Some("low"));
    }

    #[test]
    fn the_instructions_come_first_wherever_the_member_stands() {
        let request = read(
            r#"{"input":[{"role":"developer","content":"b"},{"role":"user","content":"x"},{"role":"system","content":"c"}],"instructions":"a","model":"m"}"#,
        );
        let texts: Vec<_> =
            request.instructions.iter().map(|block| (&*block.text, block.is_top_level)).collect();
        assert_eq!(texts, [("a", true), ("b", false)]);
        assert_eq!(request.turns.len(), 2);
        assert_eq!(request.turns[1].role, Role::Instruction(InstructionRole::System));
    }

    #[test]
    fn wrong_kinds_name_their_place() {
        for (body, path) in [
            (r#"{"input":"x"}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("input")),
            (r#"{"model":"m","input":7}"#, Some("input")),
            ("[]", None),
            (r#"{"model":"m","input":[{"role":"robot","content":"x"}]}"#, Some("input[0].role")),
            (
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":7}]}]}"#,
                Some("input[0].content[0].text"),
            ),
            (
                r#"{"model":"m","input":[{"type":"function_call_output","output":"x"}]}"#,
                Some("input[0].call_id"),
            ),
            (r#"{"model":"m","input":"x","reasoning":{"effort":"huge"}}"#, Some("reasoning.effort")),
            (r#"{"model":"m","input":"x","max_output_tokens":0}"#, Some("max_output_tokens")),
            (
                r#"{"model":"m","input":"x","text":{"format":{"type":"json_schema"}}}"#,
                Some("text.format.schema"),
            ),
            (r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#, Some("tools[0].name")),
        ] {
            let error = decode(&body.as_bytes().into()).unwrap_err();
            assert_eq!(error.path().as_deref(), path, "{body}");
        }
    }

    #[test]
    fn choices_of_every_shape_are_read() {
        let choice = |json: &str| {
            read(&format!(r#"{{"model":"m","input":"x","tool_choice":{json}}}"#)).tool_choice.unwrap()
        };
        let named = |name: &str, kind| ToolChoice::Named { name: name.into(), kind };
        assert_eq!(choice(r#""required""#), ToolChoice::Required);
        assert_eq!(choice(r#"{"type":"function","name":"f"}"#), named("f", CallKind::Function));
        assert_eq!(choice(r#"{"type":"function","function":{"name":"f"}}"#), named("f", CallKind::Function));
        assert_eq!(choice(r#"{"type":"custom","name":"f"}"#), named("f", CallKind::Custom));
        assert_eq!(choice(r#"{"type":"apply_patch"}"#), named("apply_patch", CallKind::Function));
        assert_eq!(choice(r#"{"type":"web_search_preview"}"#), ToolChoice::Hosted(HostedKind::WebSearch));
        assert_eq!(
            choice(r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}"#),
            ToolChoice::Allowed { is_required: true, names: vec![(CallKind::Function, "f".into())] }
        );
    }

    #[test]
    fn tools_of_every_kind_are_read() {
        let request = read(
            r#"{"model":"m","input":"x","tools":[
                {"type":"function","function":{"name":"nested","parameters":{"type":"object"}}},
                {"type":"custom","name":"c","format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
                {"type":"namespace","name":"ns","description":"d","tools":[{"type":"function","name":"f","parameters":{}}]},
                {"type":"local_shell"},{"type":"shell","environment":{"type":"container_auto"}},
                {"type":"web_search","filters":{"allowed_domains":["a.b"]},"search_context_size":"low"},
                {"google_search":{}},{"type":"brand_new","x":1}]}"#,
        );
        let [nested, custom, spaced, local, container, search, google, new] = request.tools.as_slice() else {
            panic!("eight tools: {:?}", request.tools)
        };
        assert_eq!(nested.name().map(|name| &**name), Some("nested"));
        assert!(matches!(custom, Tool::Custom { .. }));
        assert!(matches!(spaced, Tool::Function { namespace: Some(ns), .. } if &**ns == "ns"));
        assert!(matches!(local, Tool::Function { native: Some(_), schema: Some(_), .. }));
        let kind = |tool: &Tool| match tool {
            Tool::Hosted { kind, native, parameters, .. } => (*kind, native.format, parameters.clone()),
            _ => panic!("hosted: {tool:?}"),
        };
        assert_eq!(kind(container).0, HostedKind::Shell);
        assert_eq!(kind(search).2.as_str(), r#"{"allowed_domains":["a.b"],"search_context_size":"low"}"#);
        assert_eq!((kind(google).0, kind(google).1), (HostedKind::WebSearch, Format::Gemini));
        assert_eq!(kind(new).0, HostedKind::Other);
    }

    #[test]
    fn an_item_for_more_tools_adds_them() {
        let request = read(
            r#"{"model":"m","input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"f","parameters":{}}]},{"role":"user","content":"x"}]}"#,
        );
        assert_eq!(request.tools.len(), 1);
        assert_eq!(request.instructions, []);
        assert_eq!(request.turns.len(), 1);
    }

    #[test]
    fn the_oldest_shell_result_finds_its_call_by_item_id() {
        let request = read(
            r#"{"model":"m","input":[{"type":"local_shell_call","id":"lsh_1","call_id":"c1","action":{"type":"exec","command":["ls"]},"status":"completed"},{"type":"local_shell_call_output","id":"lsh_1","output":"a.txt"}]}"#,
        );
        let Content::ToolResult(result) = &request.turns[1].blocks[0].content else { panic!("a result") };
        assert_eq!(&*result.call_id, "c1");
    }
}
