//! What is read along of streams and bodies of each format.

use super::*;
use crate::fault::Kind as FaultKind;

fn tapped(format: Format, frames: &[(&str, &str)]) -> Tap {
    let mut tap = Tap::new(format);
    for (event, data) in frames {
        tap.frame(&Frame::Data { event: Some(*event).filter(|name| !name.is_empty()), data });
    }
    tap
}

#[test]
fn chat_is_announced_by_its_role_started_by_content_and_complete_by_a_finish_reason() {
    let preamble = ("", r#"{"id":"","choices":[],"prompt_filter_results":[]}"#);
    let role = (
        "",
        r#"{"id":"c1","model":"m","choices":[{"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
    );
    let text = ("", r#"{"choices":[{"delta":{"content":"say \"usage\": 1"},"finish_reason":null}]}"#);
    let end = ("", r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
    let usage = ("", r#"{"choices":[],"usage": {"prompt_tokens":3,"completion_tokens":4}}"#);
    assert_eq!(tapped(Format::Chat, &[preamble]).progress(), Progress::Nothing);
    assert_eq!(tapped(Format::Chat, &[preamble, role]).progress(), Progress::Announced);
    let tap = tapped(Format::Chat, &[role, text]);
    assert_eq!((tap.progress(), tap.is_complete(), tap.usage()), (Progress::Started, false, None));
    let tap = tapped(
        Format::Chat,
        &[role, text, end, usage, ("", "[DONE]"), ("", "{\"error\":{\"message\":\"x\"}}")],
    );
    assert!(tap.is_complete() && tap.fault().is_none());
    assert_eq!(tap.usage().unwrap().total(), 7);
    assert_eq!((tap.model(), tap.id()), (Some("m"), Some("c1")));
}

#[test]
fn chat_is_complete_once_as_many_choices_have_ended_as_were_asked_for() {
    let end = |index: &str| format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"{index}}}]}}"#);
    let is_complete = |n_choices: u32, frames: &[&str]| {
        let mut tap = Tap::new(Format::Chat).awaiting(n_choices);
        for data in frames {
            tap.frame(&Frame::Data { event: None, data });
        }
        tap.is_complete()
    };
    let [first, second, none] = &[r#","index":0"#, r#","index":1"#, ""].map(end);
    for absurd in ["128", "4294967296", "18446744073709551616", "-1", "1.5", "\"1\"", "null"] {
        let absurd = end(&format!(r#","index":{absurd}"#));
        assert!(is_complete(1, &[&absurd]), "{absurd}");
        assert!(!is_complete(2, &[&absurd, &absurd]), "{absurd}");
        assert!(is_complete(2, &[&absurd, second]), "{absurd}");
    }
    assert!(is_complete(1, &[none]) && is_complete(0, &[none]));
    // Some say an end twice.
    assert!(!is_complete(2, &[first, first]));
    assert!(is_complete(2, &[second, first]));
    assert!(is_complete(2, &[first, "[DONE]"]));
    let both = r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#;
    assert!(is_complete(2, &[both]));
    let error = r#"{"error":{"message":"boom"}}"#;
    assert!(is_complete(2, &[second, error]));
}

#[test]
fn chat_errors_inside_chunks_are_seen() {
    let chunk = (
        "",
        r#"{"id":"x","choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"boom"}}"#,
    );
    let tap = tapped(Format::Chat, &[chunk]);
    assert_eq!(tap.progress(), Progress::Failed);
    assert!(tap.fault().unwrap().message.contains("boom"));
    let null = ("", r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#);
    assert_eq!(tapped(Format::Chat, &[null]).fault(), None);
}

#[test]
fn claude_usage_is_merged_and_pings_are_nothing() {
    let start = (
        "message_start",
        r#"{"type":"message_start","message":{"id":"m1","model":"c","usage":{"input_tokens":20,"output_tokens":1}}}"#,
    );
    let ping = ("ping", r#"{"type":"ping"}"#);
    let delta =
        ("", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"error"}}"#);
    let end = (
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
    );
    assert_eq!(tapped(Format::Claude, &[ping]).progress(), Progress::Nothing);
    assert_eq!(tapped(Format::Claude, &[start, ping]).progress(), Progress::Announced);
    let tap = tapped(Format::Claude, &[start, delta]);
    assert_eq!((tap.progress(), tap.is_complete()), (Progress::Started, false));
    let tap = tapped(Format::Claude, &[start, delta, end]);
    assert!(tap.is_complete());
    assert_eq!(tap.usage().unwrap().total(), 29);
    let error = ("error", r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    let tap = tapped(Format::Claude, &[start, error]);
    assert_eq!(tap.fault().unwrap().kind, FaultKind::Overloaded);
}

#[test]
fn responses_are_complete_with_their_terminal_event() {
    let created =
        ("", r#"{"type":"response.created","response":{"id":"r1","model":"m","usage":null,"error":null}}"#);
    let delta = ("response.output_text.delta", "{}");
    let done = (
        "response.completed",
        r#"{"type":"response.completed","response":{"id":"r1","error":null,"usage":{"input_tokens":1,"output_tokens":2}}}"#,
    );
    assert_eq!(tapped(Format::Responses, &[created]).progress(), Progress::Announced);
    assert_eq!(tapped(Format::Responses, &[created, ("keepalive", "{}")]).progress(), Progress::Announced);
    let tap = tapped(Format::Responses, &[created, delta]);
    assert_eq!((tap.progress(), tap.is_complete()), (Progress::Started, false));
    let tap = tapped(Format::Responses, &[created, delta, done]);
    assert_eq!((tap.is_complete(), tap.usage().unwrap().total()), (true, 3));
    let failed = (
        "response.failed",
        r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow"}}}"#,
    );
    let tap = tapped(Format::Responses, &[created, failed]);
    assert_eq!(tap.fault().unwrap().kind, FaultKind::RateLimit);
    for error in [
        r#"{"type":"error","code":"server_error","message":"m","param":null}"#,
        r#"{"type":"error","error":{"type":"invalid_request_error","code":"c","message":"m","param":null}}"#,
    ] {
        let tap = tapped(Format::Responses, &[("error", error)]);
        assert_eq!(tap.fault().unwrap().message, "m");
    }
}

#[test]
fn gemini_is_read_inside_and_outside_the_envelope() {
    let chunk = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"error":"x","usageMetadata":1}}}]}}],"usageMetadata":{"promptTokenCount":5},"modelVersion":"g"}"#;
    let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":2}}"#;
    for wrap in [false, true] {
        let frame = |data: &str| if wrap { format!("{{\"response\":{data}}}") } else { data.to_owned() };
        let tap = tapped(Format::Gemini, &[("", &frame(chunk))]);
        assert_eq!((tap.progress(), tap.is_complete(), tap.fault()), (Progress::Started, false, None));
        let tap = tapped(Format::Gemini, &[("", &frame(chunk)), ("", &frame(last))]);
        assert_eq!((tap.is_complete(), tap.model()), (true, Some("g")));
        assert_eq!(tap.usage().unwrap().total(), 7);
    }
    assert!(tapped(Format::Gemini, &[("", r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#)]).is_complete());
}

#[test]
fn bodies_are_read_too() {
    for (format, body) in [
        (Format::Chat, r#"{"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#),
        (Format::Responses, r#"{"model":"m","error":null,"usage":{"input_tokens":3,"output_tokens":4}}"#),
        (Format::Claude, r#"{"model":"m","usage":{"input_tokens":3,"output_tokens":4}}"#),
        (
            Format::Gemini,
            r#"[{"modelVersion":"m"},{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}}]"#,
        ),
    ] {
        let mut tap = Tap::new(format);
        tap.body(body.as_bytes()).unwrap();
        assert_eq!((tap.usage().unwrap().total(), tap.model()), (7, Some("m")), "{format:?}");
        assert_eq!(tap.fault(), None);
    }
    let mut tap = Tap::new(Format::Chat);
    tap.body(br#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#).unwrap();
    assert_eq!(tap.progress(), Progress::Failed);
}
