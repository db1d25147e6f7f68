//! Decode after encode is the identity on canonical values, for each format restricted to what it expresses.

use cliproxy_wire::codec::{ClientContext, UpstreamContext};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::{
    Anchor, Annotation, Arguments, Block, CallKind, Candidate, Content, Ext, Image, Instruction,
    InstructionRole, Media, Opaque, OpaqueKind, OutputFormat, Owner, Reasoning, Request, Response, Role,
    Sampling, Status, Stop, StopReason, Str, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn, Usage,
};
use cliproxy_wire::profile::Profile;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::support::{Upstream, client, folded, write};

fn profile(format: Format) -> Profile {
    match format {
        Format::Chat => Profile::openai_chat(),
        Format::Responses => Profile::openai_responses(),
        Format::Claude => Profile::claude(),
        Format::Gemini => Profile::gemini(),
    }
}

fn phrase() -> impl Strategy<Value = Str> {
    "[a-zA-Zä🌤\"\\\\\n{}]{1,12}[a-z.]".prop_map(Str::from)
}

fn word() -> impl Strategy<Value = Str> {
    "[a-z][a-z0-9_]{1,8}".prop_map(Str::from)
}

/// A JSON object whose numbers and spelling must survive.
fn object() -> impl Strategy<Value = Str> {
    prop::sample::select(vec![
        "{}",
        r#"{"a":1}"#,
        r#"{"n":12345678901234567890,"x":1.0,"e":1e3}"#,
        r#"{"s":"\u00e9\/ä","t":[true,null,{"u":{}}]}"#,
    ])
    .prop_map(Str::from)
}

fn text(text: Str) -> Block {
    Block::text(text)
}

fn picture() -> Block {
    let source = Media::Inline { mime: "image/png".into(), base64: "iVBORw0KGgo=".into() };
    Block::new(Content::Image(Image { source, detail: None, opaque: None }))
}

/// What a conversation is made of: the user speaks, the model answers or calls and hears results first.
#[derive(Clone, Debug)]
struct Step {
    said: Str,
    has_picture: bool,
    answered: Str,
    calls: Vec<(Str, Str, Str)>,
    failed: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (phrase(), any::<bool>(), phrase(), vec((word(), object(), phrase()), 0..3), any::<bool>()).prop_map(
        |(said, has_picture, answered, calls, failed)| Step { said, has_picture, answered, calls, failed },
    )
}

fn turns(format: Format, steps: Vec<Step>) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        let mut said = vec![text(step.said)];
        if step.has_picture {
            said.push(picture());
        }
        turns.push(Turn::new(Role::User, said));
        if !step.calls.is_empty() {
            let mut blocks = vec![text(Str::clone(&step.answered))];
            let mut results = Vec::new();
            for (at, (name, arguments, output)) in step.calls.into_iter().enumerate() {
                let id: Str = format!("call_{number}_{at}").into();
                blocks.push(Block::new(Content::ToolCall(ToolCall {
                    call_id: Str::clone(&id),
                    is_id_synthetic: false,
                    item_id: None,
                    name: Str::clone(&name),
                    namespace: None,
                    kind: CallKind::Function,
                    arguments: Arguments::Json(arguments),
                    native: None,
                    caller: None,
                    opaque: None,
                })));
                let says_error = matches!(format, Format::Claude | Format::Gemini) && step.failed;
                // Its results are objects.
                let member = if says_error { "error" } else { "output" };
                let structured =
                    (format == Format::Gemini).then(|| Raw::object(|object| object.str(member, &output)));
                results.push(Block::new(Content::ToolResult(ToolResult {
                    call_id: id,
                    name: (format == Format::Gemini).then_some(name),
                    kind: CallKind::Function,
                    content: vec![text(output)],
                    structured,
                    is_error: says_error.then_some(true),
                    native: None,
                })));
            }
            turns.push(Turn::new(Role::Assistant, blocks));
            turns.push(Turn::new(Role::User, results));
        }
        turns.push(Turn::new(Role::Assistant, vec![text(step.answered)]));
    }
    turns.push(Turn::new(Role::User, vec![text("last".into())]));
    turns
}

fn tool(format: Format) -> impl Strategy<Value = Tool> {
    (option::of(phrase()), any::<bool>()).prop_map(move |(description, strict)| Tool::Function {
        name: "f".into(),
        namespace: None,
        description: if format == Format::Gemini {
            description.or_else(|| Some("d".into()))
        } else {
            description
        },
        schema: Some(Raw::new(r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#)),
        // Absent means something else in each format.
        strict: (format == Format::Responses).then_some(strict),
        cache: None,
        native: None,
        ext: Ext::new(),
    })
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Named { name: "f".into(), kind: CallKind::Function },
    ])
}

fn sampling(format: Format) -> impl Strategy<Value = Sampling> {
    let number = || option::of(prop::sample::select(vec![0.0, 0.25, 1.0]));
    (number(), number(), option::of(1..40u64), option::of(0..9i64), vec(word(), 0..3), number()).prop_map(
        move |(temperature, top_p, top_k, seed, stop, penalty)| {
            let has = |formats: &[Format]| formats.contains(&format);
            let penalised = has(&[Format::Chat, Format::Gemini]);
            Sampling {
                temperature,
                // Newer models of one provider take one of the two.
                top_p: top_p.filter(|_| format != Format::Claude || temperature.is_none()),
                top_k: top_k.filter(|_| has(&[Format::Claude, Format::Gemini])),
                frequency_penalty: penalty.filter(|_| penalised),
                presence_penalty: penalty.filter(|_| penalised),
                seed: seed.filter(|_| penalised),
                logit_bias: None,
                stop: if format == Format::Responses { Vec::new() } else { stop },
            }
        },
    )
}

fn request(format: Format) -> impl Strategy<Value = Request> {
    let wishes = (option::of(1024..4096u64), any::<bool>(), option::of(word()), any::<bool>());
    // A history with calls needs declarations in one format.
    let least = usize::from(format == Format::Claude);
    let tools = (vec(tool(format), least..2), option::of(choice()));
    (vec(phrase(), 0..2), vec(step(), 0..4), tools, sampling(format), wishes).prop_map(
        move |(instructions, steps, (tools, choice), sampling, wishes)| {
            let (limit, is_stream, user, wants_json) = wishes;
            let mut request = Request::new(format, "m");
            request.instructions = instructions
                .into_iter()
                .enumerate()
                .map(|(at, text)| Instruction {
                    role: InstructionRole::System,
                    text,
                    cache: None,
                    is_top_level: format == Format::Responses && at == 0,
                    ext: Ext::new(),
                })
                .take(if format == Format::Responses { 1 } else { 2 })
                .collect();
            request.turns = turns(format, steps);
            request.tool_choice = choice.filter(|_| !tools.is_empty());
            request.tools = tools;
            request.sampling = sampling;
            // Required in this format.
            request.max_output_tokens = limit.or_else(|| (format == Format::Claude).then_some(1024));
            request.stream = is_stream;
            request.include_usage = is_stream && format == Format::Chat;
            request.identity.user = user.filter(|_| format != Format::Gemini);
            // Older Gemini models take a schema or functions.
            if wants_json && (format != Format::Gemini || request.tools.is_empty()) {
                request.output.format = OutputFormat::JsonSchema {
                    name: matches!(format, Format::Chat | Format::Responses).then(|| "response".into()),
                    description: None,
                    schema: Raw::new(
                        r#"{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#,
                    ),
                    strict: matches!(format, Format::Chat | Format::Responses).then_some(true),
                };
            }
            request
        },
    )
}

/// The request, encoded for its own format and decoded again.
fn again(request: &Request) -> Request {
    let upstream = Upstream::new(profile(request.origin), "m");
    let encoded = upstream.encode_request(request).unwrap();
    let path = RequestContext { model: "m", stream: request.stream, ..RequestContext::default() };
    let mut again = format::decode_request(request.origin, &encoded.body, path).unwrap();
    // What an answer repeats of its request, and what is always said for the sake of accounting and privacy.
    again.echo = Ext::new();
    again.state.store = None;
    again.include.clear();
    again
}

fn usage() -> impl Strategy<Value = Usage> {
    (10..99u64, 0..9u64, 10..99u64, 1..9u64).prop_map(|(input, cached, output, reasoning)| Usage {
        input: Some(input),
        cache_read: Some(cached),
        output: Some(output),
        reasoning: Some(reasoning),
        ..Usage::default()
    })
}

fn state(format: Format) -> Opaque {
    let (owner, kind) = match format {
        Format::Claude => (Owner::Anthropic, OpaqueKind::ClaudeSignature),
        Format::Gemini => (Owner::Google, OpaqueKind::GeminiThought),
        Format::Chat | Format::Responses => (Owner::OpenAi, OpaqueKind::OpenAiEncrypted),
    };
    Opaque { owner, kind, scope: None, model: None, data: "EqQBc3RhdGU=".into(), anchor: Anchor::This }
}

fn citation(format: Format) -> Annotation {
    Annotation::Url {
        url: "https://a.example".into(),
        title: "A".into(),
        start: (format != Format::Claude).then_some(0),
        end: (format != Format::Claude).then_some(1),
        unit: cliproxy_wire::model::IndexUnit::Characters,
        cited_text: None,
        native: None,
    }
}

fn response(format: Format) -> impl Strategy<Value = Response> {
    let said = (option::of(phrase()), option::of((phrase(), any::<bool>())), vec((word(), object()), 0..3));
    (said, usage()).prop_map(move |((thought, text, calls), usage)| {
        let mut blocks = Vec::new();
        if let Some(thought) = thought {
            let is_raw = format == Format::Chat;
            blocks.push(Block::new(Content::Reasoning(Reasoning {
                id: (format == Format::Responses).then(|| "rs_1".into()),
                summary: if is_raw { Vec::new() } else { vec![Str::clone(&thought)] },
                raw: if is_raw { vec![thought] } else { Vec::new() },
                opaque: if is_raw { Vec::new() } else { vec![state(format)] },
                is_redacted: false,
            })));
        }
        if let Some((text, is_cited)) = text {
            // Streams of Chat cite when a call has ended the text already.
            let can_cite = format == Format::Responses || (format == Format::Chat && calls.is_empty());
            let is_cited = is_cited && can_cite;
            let annotations = if is_cited { vec![citation(format)] } else { Vec::new() };
            blocks.push(Block::new(Content::Text(Text { text, annotations, ..Text::default() })));
        }
        let reason = if calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
        for (at, (name, arguments)) in calls.into_iter().enumerate() {
            blocks.push(Block::new(Content::ToolCall(ToolCall {
                call_id: format!("call_{at}").into(),
                is_id_synthetic: false,
                item_id: (format == Format::Responses).then(|| format!("fc_{at}").into()),
                name,
                namespace: None,
                kind: CallKind::Function,
                arguments: Arguments::Json(arguments),
                native: None,
                caller: None,
                opaque: None,
            })));
        }
        let id = ["chatcmpl-1", "resp_1", "msg_1", "free text"];
        let id = Format::ALL.iter().zip(id).find(|(known, _)| **known == format).map(|(_, id)| id.into());
        let candidate = Candidate { blocks, ..Candidate::new(0, Stop::new(reason)) };
        Response {
            id,
            model: Some("m-1".into()),
            created: matches!(format, Format::Chat | Format::Responses).then_some(5),
            candidates: vec![candidate],
            usage: Some(usage),
            status: Status::Completed,
            ..Response::new(format)
        }
    })
}

fn shows_all(format: Format) -> ClientContext {
    ClientContext { show: cliproxy_wire::model::Show::Raw, ..client(format) }
}

/// An answer without what a decoder notes of its source.
fn plain(mut response: Response) -> Response {
    response.ext = Ext::new();
    response.service_tier = None;
    for candidate in &mut response.candidates {
        candidate.stop.native = None;
        for block in &mut candidate.blocks {
            block.ext = Ext::new();
            if let Content::Text(text) = &mut block.content {
                for annotation in &mut text.annotations {
                    if let Annotation::Url { native, .. } = annotation {
                        *native = None;
                    }
                }
            }
        }
    }
    if let Some(usage) = &mut response.usage {
        *usage = Usage {
            input: usage.input,
            cache_read: usage.cache_read.or(Some(0)),
            output: usage.output,
            reasoning: usage.reasoning,
            ..Usage::default()
        };
    }
    response
}

macro_rules! identities {
    ($($request:ident $response:ident $format:ident;)*) => {
        proptest! {
            #![proptest_config(crate::support::cases(96))]
            $(
                #[test]
                fn $request(request in request(Format::$format)) {
                    let again = again(&request);
                    // In parts, so that a difference can be found.
                    prop_assert_eq!(&again.turns, &request.turns);
                    prop_assert_eq!(&again.sampling, &request.sampling);
                    prop_assert_eq!(again, request);
                }

                #[test]
                fn $response(response in response(Format::$format)) {
                    let format = Format::$format;
                    let context = UpstreamContext::new(&profile(format), "req_fx");
                    let written = format::encode_response(format, &response, &shows_all(format));
                    let again = format::decode_response(format, &written, &context).unwrap();
                    prop_assert_eq!(plain(again), response.clone());
                    let mut laid_out = Vec::new();
                    cliproxy_wire::model::fold::unfold(&response, &mut laid_out);
                    let stream = write(format, &shows_all(format), laid_out);
                    let again = folded(&crate::support::events(&profile(format), &stream));
                    prop_assert_eq!(plain(again), response);
                }
            )*
        }
    };
}

identities! {
    j257_chat_requests_come_back_as_they_were j257_chat_answers_come_back_as_they_were Chat;
    j257_responses_requests_come_back_as_they_were j257_responses_answers_come_back_as_they_were Responses;
    j257_claude_requests_come_back_as_they_were j257_claude_answers_come_back_as_they_were Claude;
    j257_gemini_requests_come_back_as_they_were j257_gemini_answers_come_back_as_they_were Gemini;
}
