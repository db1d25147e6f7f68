//! The deprecated text completions.

use cliproxy_wire::chat::completions;
use cliproxy_wire::codec::StreamEncoder as _;
use cliproxy_wire::format::Format;
use cliproxy_wire::model::Content;
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::{client, events, frames};

#[test]
fn a_prompt_becomes_one_user_message() {
    for (body, text) in [
        (json!({"model": "m", "prompt": "Say hi"}), "Say hi"),
        (json!({"model": "m", "prompt": ["Say hi"]}), "Say hi"),
        (json!({"model": "m"}), "Complete this:"),
        (json!({"model": "m", "prompt": null}), "Complete this:"),
    ] {
        let request = completions::decode_request(&serde_json::to_vec(&body).unwrap()).unwrap();
        let Content::Text(read) = &request.turns[0].blocks[0].content else { panic!() };
        assert_eq!(&*read.text, text, "{body}");
    }
    let body = json!({"model": "m", "prompt": "x", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": "s",
        "frequency_penalty": 1, "presence_penalty": 1, "stream": true, "logprobs": 3});
    let request = completions::decode_request(&serde_json::to_vec(&body).unwrap()).unwrap();
    assert_eq!(request.max_output_tokens, Some(5));
    assert_eq!(request.sampling.stop.len(), 1);
    assert!(request.stream);
    assert_eq!(request.logprobs.unwrap().top, Some(3));
}

#[test]
fn prompts_that_are_not_one_text_are_refused() {
    for body in [json!({"model": "m", "prompt": [1, 2, 3]}), json!({"model": "m", "prompt": ["a", "b"]})] {
        let error = completions::decode_request(&serde_json::to_vec(&body).unwrap()).unwrap_err();
        assert!(error.path().unwrap().starts_with("prompt"), "{error}");
    }
    assert!(completions::decode_request(br#"{"prompt":"x"}"#).unwrap_err().path().is_some());
}

#[test]
fn an_answer_is_its_text() {
    let response = super::answer(&json!({"id": "chatcmpl-1", "created": 7, "model": "up", "choices": [
        {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "hi", "reasoning": "t"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}));
    let body: Value =
        serde_json::from_slice(&completions::encode_response(&response, &client(Format::Chat))).unwrap();
    assert_eq!(body["object"], "text_completion");
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!((&body["created"], &body["model"]), (&json!(7), &json!("up")));
    assert_eq!(
        body["choices"],
        json!([{"index": 0, "text": "hi", "logprobs": null, "finish_reason": "length"}])
    );
    assert_eq!(body["usage"]["total_tokens"], 4);
}

#[test]
fn token_probabilities_are_listed_by_kind() {
    let token = |text: &str, at: f64| json!({"token": text, "logprob": at, "bytes": null, "top_logprobs": [{"token": text, "logprob": at, "bytes": null}]});
    let tokens = [token("h\u{f6}", -0.5), token("!", -1.5)];
    let expected = json!({"tokens": ["h\u{f6}", "!"], "token_logprobs": [-0.5, -1.5],
        "top_logprobs": [{"h\u{f6}": -0.5}, {"!": -1.5}], "text_offset": [0, 2]});
    let response = super::answer(&json!({"id": "c", "choices": [{"index": 0, "finish_reason": "stop",
        "logprobs": {"content": tokens}, "message": {"role": "assistant", "content": "h\u{f6}!"}}]}));
    let body: Value =
        serde_json::from_slice(&completions::encode_response(&response, &client(Format::Chat))).unwrap();
    assert_eq!(body["choices"][0]["logprobs"], expected);

    let mut encoder = completions::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    let chunk = |text: &str, token: &Value| {
        let choice = json!({"index": 0, "delta": {"content": text}, "logprobs": {"content": [token]}});
        format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
    };
    let stream = chunk("h\u{f6}", &tokens[0]) + &chunk("!", &tokens[1]) + "data: [DONE]\n\n";
    for event in events(&Profile::compatible(), &stream) {
        encoder.event(event, &mut out);
    }
    let chunks = frames(&String::from_utf8(out).unwrap());
    let told: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["logprobs"]).filter(|told| told.is_object()).collect();
    for (at, told) in told.iter().enumerate() {
        for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            assert_eq!(told[name], json!([expected[name][at]]), "{name}");
        }
    }
    assert_eq!(told.len(), 2);
}

#[test]
fn what_would_change_the_text_and_cannot_be_had_is_refused() {
    for (name, value) in [("suffix", json!("the end")), ("best_of", json!(3))] {
        let mut body = json!({"model": "m", "prompt": "x"});
        body[name] = value;
        let error = completions::decode_request(&serde_json::to_vec(&body).unwrap()).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(name), "{error}");
    }
    let nothing = json!({"model": "m", "prompt": "x", "suffix": "", "best_of": 1});
    assert!(completions::decode_request(&serde_json::to_vec(&nothing).unwrap()).is_ok());
}

#[test]
fn a_stream_holds_text_a_reason_and_the_end_mark() {
    let upstream = crate::support::fixture("chat/weather.sse");
    let mut encoder = completions::Encoder::new(client(Format::Chat));
    let mut out = Vec::new();
    for event in events(&Profile::compatible(), &upstream) {
        encoder.event(event, &mut out);
    }
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let chunks = frames(&stream);
    let choices: Vec<&Value> = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()).collect();
    let text: String = choices.iter().map(|choice| choice["text"].as_str().unwrap()).collect();
    assert_eq!(text, "Checking Röme 🌤.");
    assert!(choices.iter().all(|choice| choice["text"] != "" || !choice["finish_reason"].is_null()));
    assert_eq!(choices.last().unwrap()["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"));
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 93);
}
