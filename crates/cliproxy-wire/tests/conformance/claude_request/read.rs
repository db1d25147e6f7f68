//! Requests of Claude clients: what is read of them.

use cliproxy_wire::Format;
use cliproxy_wire::model::{
    CacheMark, CacheTtl, Content, HostedKind, InstructionRole, Level, Media, Mode, Role, Tool,
};
use serde_json::{Value, json};

use super::{BUDGET_MODEL, body, hi, result, tools, upstream, with};
use crate::support::decode;

#[test]
fn j033_system_is_a_string_or_blocks_whose_marks_are_kept() {
    let request = decode(Format::Claude, &with(hi(), "system", "Be brief.")).unwrap();
    assert_eq!(&*request.instructions[0].text, "Be brief.");
    let blocks = json!([{"type": "text", "text": "a"}, {"type": "text", "text": ""},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let request = decode(Format::Claude, &with(hi(), "system", blocks)).unwrap();
    assert_eq!(request.instructions.len(), 2);
    assert_eq!(request.instructions[0].cache, None);
    assert_eq!(request.instructions[1].cache, Some(CacheMark { ttl: Some(CacheTtl::OneHour) }));
}

#[test]
fn j034_tool_results_are_text_blocks_or_nothing() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/PNG", "data": "QUJD"}});
    let request = decode(
        Format::Claude,
        &body(json!([{"role": "user", "content": [
            result("a", "text"),
            // The type comes last: nothing may depend on the order of members.
            {"content": [{"text": "x", "type": "text"}, image], "tool_use_id": "b", "is_error": true, "type": "tool_result"},
            {"type": "tool_result", "tool_use_id": "c"},
        ]}])),
    )
    .unwrap();
    let results: Vec<_> = request.turns[0]
        .blocks
        .iter()
        .map(|block| match &block.content {
            Content::ToolResult(result) => result,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(&*results[0].content[0].as_text().unwrap().text, "text");
    assert_eq!(results[1].is_error, Some(true));
    let Content::Image(image) = &results[1].content[1].content else { panic!() };
    assert_eq!(image.source, Media::Inline { mime: "image/png".into(), base64: "QUJD".into() });
    assert!(results[2].content.is_empty());
}

#[test]
fn j035_text_after_a_result_stays_after_it() {
    let messages = json!([{"role": "user", "content": [result("a", "x"), {"type": "text", "text": "then"}]}]);
    let request = decode(Format::Claude, &body(messages)).unwrap();
    assert!(matches!(request.turns[0].blocks[0].content, Content::ToolResult(_)));
    assert_eq!(&*request.turns[0].blocks[1].as_text().unwrap().text, "then");
}

#[test]
fn j036_system_messages_are_instructions_at_their_place() {
    let messages = json!([{"role": "user", "content": "a"}, {"role": "system", "content": "now this"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "mid_conv_system", "text": "and that"},
            {"type": "text", "text": "c"}]}]);
    let request = decode(Format::Claude, &body(messages)).unwrap();
    let system = Role::Instruction(InstructionRole::System);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, system, Role::User, system, Role::User]);
    assert_eq!(&*request.turns[3].blocks[0].as_text().unwrap().text, "and that");
    let leading = body(json!([{"role": "system", "content": "first"}, {"role": "user", "content": "a"}]));
    let request = decode(Format::Claude, &leading).unwrap();
    assert_eq!((request.instructions.len(), request.turns.len()), (1, 1));
}

#[test]
fn j037_typed_tools_have_their_fixed_names() {
    let tools = json!([{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728"},
        {"type": "text_editor_20250124"}, {"type": "memory_20250818", "name": "memory"}]);
    let request = decode(Format::Claude, &with(hi(), "tools", tools)).unwrap();
    let names: Vec<&str> = request.tools.iter().map(|tool| &**tool.name().unwrap()).collect();
    assert_eq!(names, ["bash", "str_replace_based_edit_tool", "str_replace_editor", "memory"]);
    assert!(request.tools.iter().all(|tool| matches!(tool, Tool::Function { native: Some(_), .. })));
}

#[test]
fn j045_google_tools_are_accepted_verbatim() {
    let tools = json!([{"google_search": {}}, {"code_execution": {}}, {"url_context": {}}, {"googleSearch": {"a": 1}}]);
    let request = decode(Format::Claude, &with(hi(), "tools", tools)).unwrap();
    let kinds: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Hosted { kind, native, .. } if native.format == Format::Gemini => *kind,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [HostedKind::WebSearch, HostedKind::CodeExecution, HostedKind::WebFetch, HostedKind::WebSearch]
    );
}

#[test]
fn j046_what_the_format_demands_is_named_when_it_is_missing() {
    for (body, path) in [
        (json!([]), None),
        (json!({"messages": [], "max_tokens": 1}), Some("model")),
        (json!({"model": "m", "max_tokens": 1}), Some("messages")),
        (json!({"model": "m", "messages": []}), Some("max_tokens")),
        (json!({"model": "m", "max_tokens": 1, "messages": "hi"}), Some("messages")),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "robot", "content": "a"}]}),
            Some("messages[0].role"),
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
            Some("messages[0].content[0].tool_use_id"),
        ),
        (
            with(with(hi(), "tools", tools(&["f"])), "tool_choice", json!({"type": "tool", "name": "g"})),
            Some("tool_choice.name"),
        ),
        (
            with(
                with(hi(), "thinking", json!({"type": "enabled", "budget_tokens": 2048})),
                "max_tokens",
                2000,
            ),
            Some("max_tokens"),
        ),
    ] {
        let error = decode(Format::Claude, &body).unwrap_err();
        assert_eq!(error.path().as_deref(), path, "{body} {error}");
    }
}

#[test]
fn any_presence_of_stream_but_false_asks_for_a_stream() {
    for (value, streams) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), true),
        (json!(1), true),
        (json!(null), true),
    ] {
        assert_eq!(
            decode(Format::Claude, &with(hi(), "stream", value.clone())).unwrap().stream,
            streams,
            "{value}"
        );
    }
    assert!(!decode(Format::Claude, &hi()).unwrap().stream);
}

#[test]
fn null_members_count_as_absent() {
    let mut nulls = hi();
    for member in
        ["system", "tools", "tool_choice", "temperature", "top_k", "stop_sequences", "metadata", "thinking"]
    {
        nulls[member] = Value::Null;
    }
    assert_eq!(decode(Format::Claude, &nulls).unwrap(), decode(Format::Claude, &hi()).unwrap());
}

#[test]
fn wishes_for_thinking_are_read_with_their_display() {
    let mode = |members: Value| {
        let mut body = with(hi(), "max_tokens", 9000);
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        decode(Format::Claude, &body).unwrap().reasoning.and_then(|wish| wish.mode)
    };
    assert_eq!(mode(json!({})), None);
    assert_eq!(
        mode(json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        Some(Mode::Budget(2048))
    );
    assert_eq!(mode(json!({"thinking": {"type": "adaptive"}})), Some(Mode::Auto));
    assert_eq!(
        mode(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}})),
        Some(Mode::Level(Level::High))
    );
    assert_eq!(mode(json!({"output_config": {"effort": "high"}})), Some(Mode::Level(Level::High)));
    assert_eq!(mode(json!({"thinking": {"type": "disabled"}})), Some(Mode::Off));
}

#[test]
fn documents_of_every_source_are_read() {
    let document = |source: Value| json!({"type": "document", "source": source, "title": "T", "citations": {"enabled": true}});
    let messages = json!([{"role": "user", "content": [
        document(json!({"type": "base64", "media_type": "application/pdf", "data": "QQ=="})),
        document(json!({"type": "text", "media_type": "text/plain", "data": "words"})),
        document(json!({"type": "url", "url": "https://a.example/x.pdf"})),
        document(json!({"type": "file", "file_id": "file_1"})),
        document(json!({"type": "content", "content": [{"type": "text", "text": "inner"}]})),
    ]}]);
    let request = decode(Format::Claude, &body(messages.clone())).unwrap();
    let told = |at: usize| &*request.turns[0].blocks[at].as_text().unwrap().text;
    assert_eq!([told(4), told(5)], ["[T]", "inner"]);
    let written = upstream(BUDGET_MODEL).try_encode(Format::Claude, &body(messages.clone())).unwrap();
    assert!(written.betas.iter().any(|beta| beta.starts_with("files-api")));
    let written: Value = serde_json::from_slice(&written.body).unwrap();
    for at in 0..4 {
        assert_eq!(written["messages"][0]["content"][at], messages[0]["content"][at]);
    }
}
