//! What is read of Chat clients' requests.
#![expect(clippy::needless_pass_by_value, reason = "literals are handed over as they are")]

use cliproxy_wire::format::Format;
use cliproxy_wire::json::Raw;
use cliproxy_wire::model::{
    Arguments, CallKind, Content, HostedKind, InstructionRole, Level, Media, Mode, OpaqueKind, Owner,
    Request, Role, Show, Tool, ToolChoice,
};
use cliproxy_wire::{Error, ErrorKind, chat};
use serde_json::{Value, json};

use crate::support::{client, decode, fixture};

fn read(body: &Value) -> Request {
    decode(Format::Chat, body).unwrap_or_else(|error| panic!("{error}\n{body}"))
}

fn refused(body: &Value) -> Error {
    decode(Format::Chat, body).unwrap_err()
}

/// A request with these members more.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn messages(messages: Value) -> Request {
    read(&json!({"model": "m", "messages": messages}))
}

/// The blocks of a conversation, one word each.
fn words(request: &Request) -> Vec<String> {
    let word = |content: &Content| match content {
        Content::Text(text) => format!("text:{}", text.text),
        Content::Refusal(text) => format!("refusal:{text}"),
        Content::Reasoning(reasoning) => format!("reasoning:{}", reasoning.text()),
        Content::ToolCall(call) => format!("call:{}:{}", call.call_id, call.name),
        Content::ToolResult(result) => format!("result:{}", result.call_id),
        Content::Image(_) => "image".to_owned(),
        Content::Audio(_) => "audio".to_owned(),
        Content::Document(_) => "document".to_owned(),
        other => format!("{other:?}"),
    };
    request.turns.iter().flat_map(|turn| &turn.blocks).map(|block| word(&block.content)).collect()
}

#[test]
fn j015_stop_is_a_string_an_array_or_null() {
    for (stop, count) in [(json!("a"), 1), (json!(["a", "b", "c"]), 3), (Value::Null, 0), (json!([]), 0)] {
        assert_eq!(read(&with(json!({"stop": stop}))).sampling.stop.len(), count, "{stop}");
    }
}

#[test]
fn j016_the_newer_token_limit_wins() {
    let both = with(json!({"max_tokens": 5, "max_completion_tokens": 7}));
    assert_eq!(read(&both).max_output_tokens, Some(7));
    assert_eq!(read(&with(json!({"max_tokens": 5}))).max_output_tokens, Some(5));
    assert_eq!(read(&with(json!({"max_tokens": -1}))).max_output_tokens, None);
    for limit in [0, -2] {
        let error = refused(&with(json!({"max_tokens": limit})));
        assert_eq!(error.path().as_deref(), Some("max_tokens"), "{limit}");
    }
}

#[test]
fn j017_null_members_are_absent() {
    let nulls = with(json!({
        "temperature": null, "top_p": null, "n": null, "stream": null, "stop": null, "max_tokens": null,
        "max_completion_tokens": null, "presence_penalty": null, "frequency_penalty": null, "logit_bias": null,
        "user": null, "tools": null, "tool_choice": null, "response_format": null, "seed": null,
        "reasoning_effort": null, "thinking_budget": null, "stream_options": null, "logprobs": null,
        "top_logprobs": null, "parallel_tool_calls": null, "functions": null, "function_call": null,
        "metadata": null, "store": null, "service_tier": null, "modalities": null, "audio": null,
        "web_search_options": null, "extra_body": null, "thinking": null, "reasoning": null,
    }));
    assert_eq!(read(&nulls), read(&with(json!({}))));
}

#[test]
fn j018_without_stream_the_answer_is_a_body() {
    assert!(!read(&with(json!({}))).stream);
    assert!(!read(&with(json!({"stream": false}))).stream);
    assert!(read(&with(json!({"stream": true}))).stream);
}

#[test]
fn j019_tools_in_the_shapes_of_other_formats_are_accepted() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let expected = read(&with(json!({"tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}]})));
    for tool in [
        json!({"type": "function", "name": "f", "description": "d", "parameters": schema}),
        json!({"name": "f", "description": "d", "input_schema": schema}),
        json!({"type": "custom", "name": "f", "description": "d", "input_schema": schema}),
        json!({"function": {"name": "f", "description": "d", "parameters": schema}}),
    ] {
        assert_eq!(read(&with(json!({"tools": [tool]}))).tools, expected.tools, "{tool}");
    }
}

#[test]
fn j020_null_content_with_calls_is_calls_only() {
    let request = messages(json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null,
         "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"}]));
    assert_eq!(words(&request), ["text:q", "call:c1:f", "result:c1"]);
}

#[test]
fn j021_reasoning_stands_before_the_text() {
    for member in ["reasoning_content", "reasoning", "reasoning_text", "thinking"] {
        let request = messages(json!([
            {"role": "user", "content": "q"}, {"role": "assistant", "content": "a", member: "t"}]));
        assert_eq!(words(&request), ["text:q", "reasoning:t", "text:a"], "{member}");
    }
}

#[test]
fn j022_deprecated_functions_pair_by_name_and_are_answered_in_kind() {
    let request = read(&json!({"model": "m",
        "functions": [{"name": "f", "parameters": {"type": "object"}}, {"name": "g"}],
        "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "assistant", "content": null, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "second"},
            {"role": "function", "name": "f", "content": "first"}]}));
    assert!(request.is_legacy_functions);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named { name: "f".into(), kind: CallKind::Function }));
    assert_eq!(
        words(&request),
        [
            "text:q",
            "call:call_legacy_0:f",
            "call:call_legacy_1:g",
            "result:call_legacy_1",
            "result:call_legacy_0"
        ]
    );
    let mut context = client(Format::Chat);
    context.is_legacy_functions = true;
    let response =
        super::answer(&json!({"id": "chatcmpl-1", "choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]}}]}));
    let body: Value = serde_json::from_slice(&chat::encode_response(&response, &context)).unwrap();
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert!(choice["message"].get("tool_calls").is_none());
}

#[test]
fn j023_data_urls_in_odd_spelling_are_read_or_refused_with_their_place() {
    let image = |url: &str| {
        json!([{"role": "user", "content": [
        {"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]}])
    };
    let request = messages(image("data:IMAGE/PNG;base64,iVBORw0KGgo="));
    let Content::Image(read) = &request.turns[0].blocks[1].content else { panic!() };
    assert_eq!(read.source, Media::Inline { mime: "image/png".into(), base64: "iVBORw0KGgo=".into() });
    assert_eq!(read.detail.as_deref(), Some("low"));
    let error = refused(&json!({"model": "m", "messages": image("data:image/svg+xml,<svg/>")}));
    assert_eq!(error.path().as_deref(), Some("messages[0].content[1].image_url.url"));
}

#[test]
fn j024_files_are_data_urls_or_bare_base64() {
    let pdf = Media::Inline { mime: "application/pdf".into(), base64: "JVBERi0xLjQK".into() };
    for (file, expected) in [
        (json!({"file_data": "data:application/pdf;base64,JVBERi0xLjQK"}), pdf.clone()),
        (json!({"file_data": "JVBERi0xLjQK"}), pdf.clone()),
        (json!({"file_data": "JVBERi0xLjQK", "filename": "a.pdf"}), pdf),
        (
            json!({"file_data": "aGk=", "filename": "a.txt"}),
            Media::Inline { mime: "text/plain".into(), base64: "aGk=".into() },
        ),
        (json!({"file_id": "file-1"}), Media::File { owner: Owner::OpenAi, id: "file-1".into() }),
        (json!({"file_data": "https://a.example/x.pdf"}), Media::Url("https://a.example/x.pdf".into())),
    ] {
        let request = messages(json!([{"role": "user", "content": [{"type": "file", "file": file}]}]));
        let Content::Document(document) = &request.turns[0].blocks[0].content else { panic!() };
        assert_eq!(document.source, expected, "{file}");
    }
}

#[test]
fn j025_an_image_address_may_be_a_bare_string() {
    for part in [
        json!({"type": "image_url", "image_url": "https://a.example/x.png"}),
        json!({"type": "input_image", "image_url": "https://a.example/x.png"}),
        json!({"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}),
    ] {
        let request = messages(json!([{"role": "user", "content": [part]}]));
        let Content::Image(image) = &request.turns[0].blocks[0].content else { panic!() };
        assert_eq!(image.source, Media::Url("https://a.example/x.png".into()), "{part}");
    }
}

#[test]
fn j026_leading_instructions_are_gathered_and_later_ones_stay() {
    let request = messages(json!([
        {"role": "developer", "content": "one"},
        {"role": "system", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
        {"role": "user", "content": "q"},
        {"role": "system", "content": "late"},
        {"role": "assistant", "content": "a"}]));
    let leading: Vec<_> =
        request.instructions.iter().map(|instruction| (instruction.role, &*instruction.text)).collect();
    assert_eq!(
        leading,
        [
            (InstructionRole::Developer, "one"),
            (InstructionRole::System, "two"),
            (InstructionRole::System, "three")
        ]
    );
    let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Instruction(InstructionRole::System), Role::Assistant]);
}

#[test]
fn j045_verbatim_google_tools_are_read_in_chat() {
    let request = read(&with(json!({"tools": [
        {"google_search": {"a": 1}}, {"code_execution": {}}, {"urlContext": {}},
        {"type": "function", "function": {"name": "f"}}]})));
    let hosted: Vec<_> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Hosted { kind, native, .. } => Some((*kind, native.format, native.value.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        hosted,
        [
            (HostedKind::WebSearch, Format::Gemini, Raw::new(r#"{"google_search":{"a":1}}"#)),
            (HostedKind::CodeExecution, Format::Gemini, Raw::new(r#"{"code_execution":{}}"#)),
            (HostedKind::WebFetch, Format::Gemini, Raw::new(r#"{"urlContext":{}}"#))
        ]
    );
    assert_eq!(request.tools.len(), 4);
}

#[test]
fn j046_chat_bodies_that_are_no_requests_are_refused_with_their_place() {
    for (body, path) in [
        (json!({"messages": []}), Some("model")),
        (json!({"model": "m"}), Some("messages")),
        (json!({"model": "m", "messages": null}), Some("messages")),
        (json!({"model": "m", "messages": "hi"}), Some("messages")),
        (json!({"model": "m", "messages": ["hi"]}), Some("messages[0]")),
        (json!({"model": "m", "messages": [{"content": "hi"}]}), Some("messages[0].role")),
        (json!({"model": "m", "messages": [{"role": "robot", "content": "hi"}]}), Some("messages[0].role")),
        (
            json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
            Some("messages[0].tool_call_id"),
        ),
        (json!({"model": "m", "messages": [{"role": "user", "content": 5}]}), Some("messages[0].content")),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "hologram", "x": 1}]}]}),
            Some("messages[0].content[0].type"),
        ),
        (
            json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]}),
            Some("messages[0].tool_calls[0].function.name"),
        ),
        (with(json!({"temperature": "hot"})), Some("temperature")),
        (with(json!({"top_logprobs": 3})), Some("top_logprobs")),
        (with(json!({"n": 0})), Some("n")),
        (with(json!({"reasoning_effort": "lots"})), Some("reasoning_effort")),
        (with(json!({"thinking_budget": -5})), Some("thinking_budget")),
        (with(json!({"tool_choice": "sometimes"})), Some("tool_choice")),
        (
            with(json!({"tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "function", "function": {"name": "g"}}})),
            Some("tool_choice"),
        ),
        (with(json!({"response_format": {"type": "json_schema"}})), Some("response_format.schema")),
        (with(json!({"tools": [{"type": "function", "function": {}}]})), Some("tools[0].function.name")),
        (json!([]), None),
        (json!("text"), None),
    ] {
        assert_eq!(refused(&body).path().as_deref(), path, "{body}");
    }
    assert_eq!(chat::decode_request(b"{\"model\":").unwrap_err().kind(), ErrorKind::Syntax);
    assert_eq!(chat::decode_request(b"\xff{}").unwrap_err().kind(), ErrorKind::Malformed);
    chat::decode_request(b"\xEF\xBB\xBF{\"model\":\"m\",\"messages\":[]}").unwrap();
}

#[test]
fn what_the_format_is_lenient_about_is_not_refused() {
    for members in [
        json!({"unknown": {"x": [1, 2]}}),
        json!({"tools": []}),
        json!({"tool_choice": "auto"}),
        json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        json!({"messages": [{"role": "system", "content": "only"}]}),
        json!({"messages": []}),
        json!({"max_tokens": 5.0}),
        json!({"top_logprobs": 0}),
        json!({"logit_bias": {}}),
    ] {
        read(&with(members));
    }
}

#[test]
fn the_wish_is_found_in_every_place_and_the_top_level_wins() {
    let wish = |members: Value| read(&with(members)).reasoning;
    let mode = |members: Value| wish(members).and_then(|wish| wish.mode);
    assert_eq!(mode(json!({"extra_body": {"thinking_budget": 9}})), Some(Mode::Budget(9)));
    assert_eq!(mode(json!({"model_params": {"reasoning_effort": "low"}})), Some(Mode::Level(Level::Low)));
    assert_eq!(
        mode(json!({"extra_body": {"reasoning_effort": "none"}, "reasoning_effort": "high"})),
        Some(Mode::Level(Level::High))
    );
    let google = json!({"google": {"thinking_config": {"thinking_budget": 5, "include_thoughts": true}}});
    assert_eq!(mode(json!({"extra_body": google})), Some(Mode::Budget(5)));
    assert_eq!(mode(google.clone()), Some(Mode::Budget(5)));
    assert!(matches!(wish(google).unwrap().show, Some(Show::Summary(_))));
    assert_eq!(mode(json!({"chat_template_kwargs": {"enable_thinking": false}})), Some(Mode::Off));
    assert_eq!(
        mode(json!({"extra_body": {"chat_template_kwargs": {"enable_thinking": true}}})),
        Some(Mode::On)
    );
    assert_eq!(wish(json!({"extra_body": {"top_k": 3}})), None);
    assert_eq!(read(&with(json!({"extra_body": {"top_k": 3}}))).sampling.top_k, Some(3));
    let safety = with(json!({"extra_body": {"google": {"safety_settings": [{"a": 1}]}}}));
    assert_eq!(read(&safety).safety, Some(Raw::new(r#"[{"a":1}]"#)));
}

#[test]
fn a_responses_body_on_this_path_is_read_as_what_it_is() {
    let request = read(&json!({"model": "m", "input": "hi", "stream": true,
        "stream_options": {"include_usage": true}}));
    assert_eq!(request.origin, Format::Responses);
    assert_eq!(words(&request), ["text:hi"]);
    assert!(request.stream && request.include_usage);
    assert!(matches!(request.reasoning.unwrap().show, Some(Show::Summary(_))));
}

#[test]
fn j162_a_google_signature_comes_back_from_where_the_answer_put_it() {
    for call in [
        json!({"extra_content": {"google": {"thought_signature": "EqQBsig"}}}),
        json!({"provider_specific_fields": {"thought_signature": "EqQBsig"}}),
    ] {
        let mut call = call;
        call["id"] = "c".into();
        call["function"] = json!({"name": "f", "arguments": {"a": 12_345_678_901_234_567_890_u64}});
        let request = messages(json!([
            {"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]}]));
        let Content::ToolCall(read) = &request.turns[1].blocks[0].content else { panic!() };
        let opaque = read.opaque.as_ref().unwrap();
        assert_eq!(
            (opaque.kind, opaque.owner, &*opaque.data),
            (OpaqueKind::GeminiThought, Owner::Google, "EqQBsig")
        );
        assert_eq!(read.arguments, Arguments::Json(r#"{"a":12345678901234567890}"#.into()));
    }
}

#[test]
fn the_golden_next_request_restores_the_thinking_of_its_provider() {
    let request = chat::decode_request(fixture("chat/weather-next.json").as_bytes()).unwrap();
    let Content::Reasoning(reasoning) = &request.turns[1].blocks[0].content else { panic!() };
    assert_eq!(reasoning.text(), "Need the weather.");
    let opaque = &reasoning.opaque[0];
    assert_eq!((opaque.owner, opaque.kind), (Owner::Anthropic, OpaqueKind::ClaudeSignature));
    assert_eq!(&*opaque.data, "ErUBsignature0001==");
    assert_eq!(
        words(&request),
        [
            "text:What is the weather in Rome, and what time is it?",
            "reasoning:Need the weather.",
            "text:Checking Röme 🌤.",
            "call:toolu_01A:get_weather",
            "call:toolu_01B:get_time",
            "result:toolu_01A",
            "result:toolu_01B",
            "text:In Fahrenheit, please."
        ]
    );
}

#[test]
fn parts_of_other_formats_are_read_among_ours() {
    let request = messages(json!([
        {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "EqQBsig"},
            {"type": "output_text", "text": "a"},
            {"type": "tool_use", "id": "tu", "name": "f", "input": {"x": 1}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "tu", "content": [{"type": "text", "text": "ok"}], "is_error": true},
            {"type": "text", "text": "go on"}]}]));
    assert_eq!(words(&request), ["text:q", "reasoning:t", "text:a", "call:tu:f", "result:tu", "text:go on"]);
    let Content::ToolResult(result) = &request.turns[2].blocks[0].content else { panic!() };
    assert_eq!(result.is_error, Some(true));
}

#[test]
fn choices_in_all_shapes_mean_the_same() {
    let tools = json!([{"type": "function", "function": {"name": "f"}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar",
            "grammar": {"syntax": "regex", "definition": "a+"}}}}]);
    let choice =
        |choice: Value| read(&with(json!({"tools": tools, "tool_choice": choice}))).tool_choice.unwrap();
    let named = |name: &str, kind| ToolChoice::Named { name: name.into(), kind };
    for (said, expected) in [
        (json!("any"), ToolChoice::Required),
        (json!({"type": "any"}), ToolChoice::Required),
        (json!({"type": "function", "function": {"name": "f"}}), named("f", CallKind::Function)),
        (json!({"type": "function", "name": "f"}), named("f", CallKind::Function)),
        (json!({"type": "tool", "name": "f"}), named("f", CallKind::Function)),
        (json!({"type": "custom", "custom": {"name": "g"}}), named("g", CallKind::Custom)),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "function", "function": {"name": "f"}}, {"type": "custom", "name": "g"}]}}),
            ToolChoice::Allowed {
                is_required: true,
                names: vec![(CallKind::Function, "f".into()), (CallKind::Custom, "g".into())],
            },
        ),
    ] {
        assert_eq!(choice(said.clone()), expected, "{said}");
    }
    let quiet = read(&with(json!({"tools": tools,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})));
    assert_eq!(quiet.parallel_tool_calls, Some(false));
}
