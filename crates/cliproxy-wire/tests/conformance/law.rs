//! Laws of translation, for any conversation and any answer: whoever speaks and whoever listens, what is said is heard.

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::fold::unfold;
use cliproxy_wire::model::{
    Arguments, Block, CallKind, Candidate, Content, Document, Ext, Image, Instruction, InstructionRole,
    Media, Reasoning, Request, Response, Role, Stop, StopReason, Str, Tool, ToolCall, ToolResult, Turn,
    Usage,
};
use cliproxy_wire::profile::Profile;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::corpus::passage::{self, Aim, upstreams};
use crate::{meaning, reader, said, support};

/// Text with what formats and their transports could stumble over.
fn text() -> impl Strategy<Value = Str> {
    prop_oneof![
        6 => "[a-zß🌤\"\\\\{}<]{1,9}( [a-z\u{301}]{1,5}){0,2}\\.?".prop_map(Str::from),
        1 => "x(\r\n|\t|\u{0}|\u{2028}|data: |\n\n|\\[DONE\\]){1,3}y".prop_map(Str::from),
        1 => (1..6_000usize).prop_map(|length| "a\u{df}b".repeat(length / 4 + 1).into()),
    ]
}

fn word() -> impl Strategy<Value = Str> {
    "[a-z][a-z_0-9]{0,11}".prop_map(Str::from)
}

fn arguments() -> impl Strategy<Value = Str> {
    let value = prop_oneof![
        text().prop_map(|text| Raw::string(&text).as_str().to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("[1, {\"a\": null}]".to_owned()),
        Just("12345678901234567890123".to_owned()),
    ];
    prop_oneof![
        1 => Just(Str::from("{}")),
        4 => value.prop_map(|value| format!("{{\"a\": {value}}}").into()),
    ]
}

fn call() -> impl Strategy<Value = (Str, Str, Vec<Block>)> {
    (prop::sample::select(&["read", "write", "list"][..]), arguments(), vec(result(), 1..3))
        .prop_map(|(name, arguments, result)| (name.into(), arguments, result))
}

fn result() -> impl Strategy<Value = Block> {
    prop_oneof![4 => text().prop_map(Block::text), 1 => image()]
}

fn image() -> impl Strategy<Value = Block> {
    "[A-Za-z0-9]{4}".prop_map(|base64| {
        let source = Media::Inline { mime: "image/png".into(), base64: base64.into() };
        Block::new(Content::Image(Image { source, detail: None, opaque: None }))
    })
}

fn document() -> impl Strategy<Value = Block> {
    "[A-Za-z0-9]{8}".prop_map(|base64| {
        Block::new(Content::Document(Document {
            source: Media::Inline { mime: "application/pdf".into(), base64: base64.into() },
            filename: Some("paper.pdf".into()),
            title: None,
            context: None,
            citations: None,
        }))
    })
}

/// What the user says, then what the model says and calls, with the results of its calls.
type Round = (Vec<Block>, Vec<Str>, Vec<(Str, Str, Vec<Block>)>);

fn round() -> impl Strategy<Value = Round> {
    let says = prop_oneof![5 => text().prop_map(Block::text), 1 => image(), 1 => document()];
    (vec(says, 1..3), vec(text(), 0..2), vec(call(), 0..4))
}

/// A tool with a schema of one member.
fn tool(name: &str) -> Tool {
    Tool::Function {
        name: name.into(),
        namespace: None,
        description: Some("Does it.".into()),
        schema: Some(Raw::new("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}")),
        strict: None,
        cache: None,
        native: None,
        ext: Ext::new(),
    }
}

fn conversation() -> impl Strategy<Value = Request> {
    let sampling = (option::of(0..10u8), option::of(1..5_000u64), vec(word(), 0..3));
    (vec(text(), 0..3), vec(round(), 0..4), text(), sampling).prop_map(
        |(instructions, rounds, question, (temperature, max, stop))| {
            let mut request = Request::new(Format::Chat, "m");
            request.instructions = instructions
                .into_iter()
                .map(|text| Instruction {
                    role: InstructionRole::System,
                    text,
                    cache: None,
                    is_top_level: false,
                    ext: Ext::new(),
                })
                .collect();
            let mut count = 0;
            for round in rounds {
                push(&mut request.turns, round, &mut count);
            }
            request.turns.push(Turn::new(Role::User, vec![Block::text(question)]));
            request.tools = ["read", "write", "list"].map(tool).into();
            request.sampling.temperature = temperature.map(|tenths| f64::from(tenths) / 10.0);
            request.sampling.stop = stop;
            request.max_output_tokens = max;
            request
        },
    )
}

/// Adds a round to a conversation, with ids for its calls.
fn push(turns: &mut Vec<Turn>, (user, texts, calls): Round, count: &mut u32) {
    turns.push(Turn::new(Role::User, user));
    let mut blocks: Vec<Block> = texts.into_iter().map(Block::text).collect();
    let mut results = Vec::new();
    for (name, arguments, content) in calls {
        *count += 1;
        let call_id = Str::from(format!("call_{count}"));
        results.push(Block::new(Content::ToolResult(ToolResult {
            call_id: Str::clone(&call_id),
            name: Some(Str::clone(&name)),
            kind: CallKind::Function,
            content,
            structured: None,
            is_error: None,
            native: None,
        })));
        blocks.push(Block::new(Content::ToolCall(ToolCall {
            call_id,
            is_id_synthetic: false,
            item_id: None,
            name,
            namespace: None,
            kind: CallKind::Function,
            arguments: Arguments::Json(arguments),
            native: None,
            caller: None,
            opaque: None,
        })));
    }
    if !blocks.is_empty() {
        turns.push(Turn::new(Role::Assistant, blocks));
    }
    if !results.is_empty() {
        turns.push(Turn::new(Role::User, results));
    }
}

/// The services whose own clients' bodies are made for.
fn services() -> [(Profile, &'static str); 4] {
    [
        (Profile::openai_chat(), "gpt-4o"),
        (Profile::openai_responses(), "gpt-4.1"),
        (Profile::claude(), "claude-sonnet-4-5"),
        (Profile::gemini(), "gemini-3-pro-preview"),
    ]
}

fn answer() -> impl Strategy<Value = Response> {
    let texts = (vec(text(), 0..3), vec(text(), 0..3), vec(call(), 0..4));
    let counts = (0..1_000u64, 0..1_000u64, 0..1_000u64, 0..1_000u64);
    (texts, counts, any::<bool>()).prop_map(|((thoughts, texts, calls), counts, is_cut)| {
        let mut turns = Vec::new();
        let mut count = 0;
        push(&mut turns, (Vec::new(), texts, calls), &mut count);
        let mut blocks: Vec<Block> = Vec::new();
        if !thoughts.is_empty() {
            let reasoning = Reasoning { summary: thoughts, ..Reasoning::default() };
            blocks.push(Block::new(Content::Reasoning(reasoning)));
        }
        blocks.extend(
            turns.into_iter().filter(|turn| turn.role == Role::Assistant).flat_map(|turn| turn.blocks),
        );
        let reason = match (count, is_cut) {
            (0, true) => StopReason::MaxTokens,
            (0, false) => StopReason::EndTurn,
            _ => StopReason::ToolUse,
        };
        let mut candidate = Candidate::new(0, Stop::new(reason));
        candidate.blocks = blocks;
        let (input, cached, output, reasoning) = counts;
        let mut response = Response::new(Format::Chat);
        response.id = Some("an_answer".into());
        response.model = Some("m".into());
        response.candidates = vec![candidate];
        response.usage = Some(Usage {
            input: Some(input + cached),
            cache_read: Some(cached),
            output: Some(output + reasoning),
            reasoning: Some(reasoning),
            ..Usage::default()
        });
        response
    })
}

proptest! {
    #![proptest_config(support::cases(48))]

    /// The client's body, made for its own service, and each upstream's body, made of that.
    #[test]
    fn any_conversation_says_the_same_to_every_upstream(conversation in conversation()) {
        for (service, model) in services() {
            let aim = Aim::at(&service, model);
            let body = aim.with(&conversation, |target| format::encode_request(conversation.clone(), target)).unwrap().body;
            let path = RequestContext { model: "m", stream: false, ..RequestContext::default() };
            let request = format::decode_request(service.format, &body, path).unwrap();
            for (profile, model) in upstreams() {
                let encoded = Aim::at(&profile, model)
                    .with(&request, |target| format::encode_request(request.clone(), target));
                // OpenAI's own limit of stop sequences.
                let Ok(encoded) = encoded else { continue };
                let again = format::decode_request(profile.format, &encoded.body, path).unwrap();
                let different = meaning::differences(&request, &encoded, &again);
                prop_assert!(different.is_empty(), "{} for {} {model}: {different:#?}", service.name, profile.name);
            }
        }
    }

    /// The upstream's body and stream, whose bytes arrive in any pieces, and each client's body and stream.
    #[test]
    fn any_answer_says_the_same_to_every_client(response in answer(), lengths in vec(1..200usize, 1..9)) {
        let mut events = Vec::new();
        unfold(&response, &mut events);
        for (service, _) in services() {
            let from = service.format;
            let context = UpstreamContext::new(&service, "req_fx");
            let stream = support::write(from, &passage::client(from, &response), events.clone());
            let told = passage::events(from, context.clone(), stream.as_bytes(), &lengths).unwrap();
            let source = passage::folded(&told).unwrap();
            said::compare(service.name, from, &response, &source);
            for to in Format::ALL {
                let client = passage::client(to, &source);
                let what = format!("{} for {}", service.name, to.name());
                let body = format::encode_response(to, &source, &client);
                let again = format::decode_response(to, &body, &context).unwrap();
                said::compare(&what, to, &source, &again);
                let joined = reader::read(to, &support::write(to, &client, told.clone())).to_string();
                let again = format::decode_response(to, joined.as_bytes(), &context).unwrap();
                said::compare(&what, to, &source, &again);
            }
        }
    }
}
