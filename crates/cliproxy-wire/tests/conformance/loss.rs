//! What one side says and the other has no place for: it is told in words, refused or an error, never left out.

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::{Content, Event, Owner, Role};
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::corpus::passage::upstreams;
use crate::reader;
use crate::support::{Upstream, client, decode, events, folded, write};

fn stream(chunks: &[Value]) -> String {
    chunks.iter().flat_map(|chunk| ["data: ".to_owned(), chunk.to_string(), "\n\n".to_owned()]).collect()
}

fn candidate(index: u32, parts: &Value, finish: Option<&str>) -> Value {
    json!({"candidates": [{"index": index, "content": {"parts": parts}, "finishReason": finish}], "responseId": "r"})
}

/// What every client reads of an answer, as a body and as a stream.
fn read(profile: &Profile, stream: &str) -> Vec<(Format, Value, Value)> {
    let events = events(profile, stream);
    let response = folded(&events);
    let both = |to| {
        let body = format::encode_response(to, &response, &client(to));
        let body = serde_json::from_slice(&body).unwrap();
        (to, body, reader::read(to, &write(to, &client(to), events.clone())))
    };
    Format::ALL.into_iter().map(both).collect()
}

/// An error, for every client of the stream.
fn fails(profile: &Profile, stream: &str, words: &str) {
    let all = events(profile, stream);
    assert!(matches!(all.last(), Some(Event::Error(_))), "{all:?}");
    for to in Format::ALL {
        let error = reader::failed(to, &write(to, &client(to), all.clone()));
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn media_that_a_client_cannot_be_given_are_told_in_words() {
    let blob = |mime: &str| json!([{"text": "before"}, {"inlineData": {"mimeType": mime, "data": "AAAA"}}, {"text": "after"}]);
    let address = json!([{"text": "before"}, {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/x.png"}}, {"text": "after"}]);
    for (parts, words) in [
        (blob("application/pdf"), "[application/pdf, 3 bytes, not representable]"),
        (blob("video/mp4"), "[video/mp4, 3 bytes, not representable]"),
        (blob("audio/wav"), "not representable]"),
        (address, "https://a.example/x.png"),
    ] {
        for (to, body, streamed) in read(&Profile::gemini(), &stream(&[candidate(0, &parts, Some("STOP"))])) {
            // These have a place for it.
            let is_held = to == Format::Gemini || (to == Format::Chat && words.starts_with("not"));
            for said in [body.to_string(), streamed.to_string()] {
                let place = said.find(if is_held { "AAAA" } else { words });
                let place = place.or_else(|| said.find("https://a.example/x.png"));
                let place = place.unwrap_or_else(|| panic!("{} lost {words}: {said}", to.name()));
                let (before, after) = (said.find("before").unwrap(), said.find("after").unwrap());
                assert!(is_held || (to == Format::Chat) || (before < place && place < after), "{said}");
            }
        }
    }
}

#[test]
fn token_probabilities_beside_a_call_reach_every_client_that_has_them() {
    let mut whole =
        candidate(0, &json!([{"text": "hi"}, {"functionCall": {"name": "f", "args": {}}}]), Some("STOP"));
    let token = json!({"token": "hi", "logProbability": -0.5});
    whole["candidates"][0]["logprobsResult"] =
        json!({"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]});
    let stream = stream(&[whole]);
    let response = folded(&events(&Profile::gemini(), &stream));
    for to in Format::ALL.into_iter().filter(|to| *to != Format::Claude) {
        let mut client = client(to);
        client.include.insert("message.output_text.logprobs".into());
        let body = format::encode_response(to, &response, &client);
        let written = write(to, &client, events(&Profile::gemini(), &stream));
        for said in [String::from_utf8(body).unwrap(), written] {
            assert!(said.contains("-0.5"), "{said}");
        }
    }
}

#[test]
fn token_probabilities_that_only_the_finished_text_has_reach_every_client_that_has_them() {
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "hi",
        "annotations": [], "logprobs": [{"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]}]});
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "hi"});
    let last = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]}});
    for stream in [stream(std::slice::from_ref(&last)), stream(&[delta, last.clone()])] {
        let all = events(&Profile::openai_responses(), &stream);
        for to in Format::ALL.into_iter().filter(|to| *to != Format::Claude) {
            let mut client = client(to);
            client.include.insert("message.output_text.logprobs".into());
            let body = format::encode_response(to, &folded(&all), &client);
            for said in [String::from_utf8(body).unwrap(), write(to, &client, all.clone())] {
                assert!(said.contains("-0.5"), "{said}");
            }
        }
    }
}

#[test]
fn clients_of_deprecated_functions_are_called_once_at_a_time() {
    let ask = |more: &Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}],
            "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let claude = Upstream::new(Profile::claude(), "claude-sonnet-4-6");
    let body = claude.encode(Format::Chat, &ask(&json!({})));
    assert_eq!(body["tool_choice"]["disable_parallel_tool_use"], true, "{body}");
    for profile in [Profile::compatible(), Profile::openai_responses()] {
        let upstream = Upstream::new(profile, "gpt-5.1");
        assert_eq!(upstream.encode(Format::Chat, &ask(&json!({})))["parallel_tool_calls"], false);
        // Whoever says otherwise is believed.
        let body = upstream.encode(Format::Chat, &ask(&json!({"parallel_tool_calls": true})));
        assert_eq!(body["parallel_tool_calls"], true, "{body}");
    }
}

#[test]
fn code_that_is_too_long_to_be_told_whole_says_so() {
    let printed = "ä".repeat(9000);
    let history = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {"code": "print()"}},
            {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "code_execution_result",
                "stdout": printed, "stderr": "", "return_code": 0, "content": []}},
            {"type": "text", "text": "done"}]},
        {"role": "user", "content": "on"}]});
    for (profile, model) in [(Profile::openai_responses(), "gpt-5.1"), (Profile::gemini(), "gemini-2.5-pro")]
    {
        let body = Upstream::new(profile, model).encode(Format::Claude, &history).to_string();
        assert!(body.contains("print()") && body.contains("[9808 more bytes left out]"), "{body}");
    }
}

#[test]
fn of_several_sounds_that_a_chat_client_gets_at_once_each_is_told() {
    let sound = |mime: &str, data: &str| json!({"inlineData": {"mimeType": mime, "data": data}});
    let parts = json!([sound("audio/wav", "AAAA"), sound("audio/ogg", "BBBB")]);
    let (_, body, streamed) = read(&Profile::gemini(), &stream(&[candidate(0, &parts, Some("STOP"))]))
        .into_iter()
        .find(|(to, ..)| *to == Format::Chat)
        .unwrap();
    for said in [body, streamed] {
        let message = &said["choices"][0]["message"];
        assert_eq!(message["audio"]["data"], "AAAA", "{said}");
        assert!(message["content"].as_str().unwrap().contains("[audio/ogg, 3 bytes"), "{said}");
    }
}

#[test]
fn pages_that_are_named_beside_an_answer_are_cited_for_every_client() {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "x", "citations": ["https://a.example"], "search_results": [{"url": "https://a.example", "title": "A", "date": null}],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let answer = stream(&[chunk(json!({"content": "a [1]"}), None), chunk(json!({}), Some("stop"))])
        + "data: [DONE]\n\n";
    for (to, body, streamed) in read(&Profile::compatible(), &answer) {
        for said in [body.to_string(), streamed.to_string()] {
            assert_eq!(said.matches("https://a.example").count(), 1, "{} {said}", to.name());
            assert!(said.contains(r#""title":"A""#), "{said}");
        }
    }
    // What the answer cites itself says more.
    let cited = chunk(
        json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://b.example", "start_index": 0, "end_index": 1}}]}),
        Some("stop"),
    );
    let answer = stream(&[chunk(json!({"content": "a"}), None), cited]) + "data: [DONE]\n\n";
    for (_, body, _) in read(&Profile::compatible(), &answer) {
        assert!(!body.to_string().contains("a.example") && body.to_string().contains("b.example"), "{body}");
    }
}

#[test]
fn an_answer_that_its_upstream_did_not_finish_is_an_error() {
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "half"}]});
    for (status, words) in
        [("cancelled", "cancelled"), ("in_progress", "not finished"), ("queued", "not finished")]
    {
        let body = json!({"id": "resp_1", "object": "response", "status": status, "output": [item]});
        let context = UpstreamContext::new(&Profile::openai_responses(), "req_fx");
        let fault =
            format::decode_response(Format::Responses, body.to_string().as_bytes(), &context).unwrap_err();
        assert!(fault.message.contains(words), "{fault:?}");
    }
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    let delta =
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "half"});
    for end in [
        json!({"type": "response.completed", "response": {"id": "resp_1", "status": "cancelled"}}),
        json!({"type": "response.cancelled", "response": {"id": "resp_1", "status": "cancelled"}}),
    ] {
        fails(&Profile::openai_responses(), &stream(&[created.clone(), delta.clone(), end]), "cancelled");
    }
}

#[test]
fn a_call_that_the_model_failed_to_make_is_an_error_where_nothing_else_was_said() {
    let mut failed = candidate(0, &json!([{"text": "hm", "thought": true}]), Some("MALFORMED_FUNCTION_CALL"));
    failed["candidates"][0]["finishMessage"] = json!("Malformed function call: print(");
    fails(&Profile::gemini(), &stream(&[failed.clone()]), "print(");
    let context = UpstreamContext::new(&Profile::gemini(), "req_fx");
    let fault = format::decode_response(Format::Gemini, failed.to_string().as_bytes(), &context).unwrap_err();
    assert!(fault.message.contains("print("), "{fault:?}");
    // What was said stands.
    let said = candidate(0, &json!([{"text": "said"}]), Some("MALFORMED_FUNCTION_CALL"));
    for (_, body, streamed) in read(&Profile::gemini(), &stream(&[said])) {
        assert!(body.to_string().contains("said") && streamed.to_string().contains("said"));
    }
}

#[test]
fn a_call_of_no_named_tool_is_an_error() {
    let words = "without naming it";
    let chat =
        |delta: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let finish = json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]});
    let done = "data: [DONE]\n\n";
    fails(
        &Profile::compatible(),
        &(stream(&[chat(json!({"content": "a"})), chat(call), finish.clone()]) + done),
        words,
    );
    // Some servers write all members of their types.
    let nothing = json!({"content": "a", "tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": ""}}]});
    assert!(!read(&Profile::compatible(), &(stream(&[chat(nothing), finish]) + done)).is_empty());

    let item = json!({"type": "function_call", "id": "fc", "call_id": "c", "arguments": "{}"});
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    let completed = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}});
    for said in [
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"}),
    ] {
        fails(&Profile::openai_responses(), &stream(&[created.clone(), said, completed.clone()]), words);
    }

    let start = json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "input": {}}});
    fails(&Profile::claude(), &stream(&[start, block]), words);

    let parts = json!([{"text": "a"}, {"functionCall": {"args": {"x": 1}}}]);
    fails(&Profile::gemini(), &stream(&[candidate(0, &parts, Some("STOP"))]), words);
    for (format, body) in [
        (Format::Responses, json!({"id": "resp_1", "status": "completed", "output": [item]})),
        (Format::Gemini, candidate(0, &parts, Some("STOP"))),
    ] {
        let context = UpstreamContext::new(&Profile::openai_responses(), "req_fx");
        let fault = format::decode_response(format, body.to_string().as_bytes(), &context).unwrap_err();
        assert!(fault.message.contains(words), "{fault:?}");
    }
}

#[test]
fn a_stream_is_not_over_while_one_of_its_answers_goes_on() {
    let text = |text: &str| json!([{"text": text}]);
    let cut = [candidate(0, &text("whole"), Some("STOP")), candidate(1, &text("half"), None)];
    fails(&Profile::gemini(), &stream(&cut), "");
    let whole = [candidate(0, &text("whole"), Some("STOP")), candidate(1, &text("whole"), Some("STOP"))];
    assert_eq!(folded(&events(&Profile::gemini(), &stream(&whole))).candidates.len(), 2);
}

#[test]
fn pictures_that_the_model_drew_stay_in_the_conversation() {
    let parts = json!([{"text": "a cat"}, {"inlineData": {"mimeType": "image/png", "data": "QUFB"}, "thoughtSignature": "c2lnbmVk"}]);
    let drawn = read(&Profile::gemini(), &stream(&[candidate(0, &parts, Some("STOP"))]));
    let (_, body, _) = drawn.into_iter().find(|(to, ..)| *to == Format::Chat).unwrap();
    let next = json!({"model": "m", "messages": [{"role": "user", "content": "draw"},
        body["choices"][0]["message"], {"role": "user", "content": "in red"}]});
    for (profile, model) in upstreams() {
        let encoded = Upstream::new(profile.clone(), model).try_encode(Format::Chat, &next).unwrap();
        let sent = String::from_utf8(encoded.body).unwrap();
        assert!(sent.contains("QUFB"), "{}: {sent}", profile.name);
        // The model that drew it wants it back as it was signed.
        let is_signed = sent.contains(r#""data":"QUFB"},"thoughtSignature":"c2lnbmVk""#);
        assert_eq!(is_signed, profile.owner == Owner::Google, "{}: {sent}", profile.name);
        assert!(!encoded.notes.paths().iter().any(|path| path.contains("index")), "{:?}", encoded.notes);
    }
}

#[test]
fn content_that_an_upstream_does_not_know_is_refused_where_the_user_shows_it() {
    let shown = json!({"type": "hologram", "data": "x"});
    let claude = |role: &str| {
        json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"},
            {"role": role, "content": [shown, {"type": "text", "text": "look"}]}, {"role": "user", "content": "well?"}]})
    };
    let responses = json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_hologram", "data": "x"}]}]});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"hologram": {"data": "x"}}]}]});
    for (profile, model) in upstreams() {
        let upstream = Upstream::new(profile, model);
        for (from, body, path) in [
            (Format::Claude, claude("user"), "messages[1].content[0]"),
            (Format::Responses, responses.clone(), "input[0]"),
            (Format::Gemini, gemini.clone(), "contents[0].parts[0]"),
        ] {
            if from != upstream.profile.format {
                let refusal = upstream.try_encode(from, &body).unwrap_err();
                assert_eq!(refusal.path().as_deref(), Some(path), "{refusal}");
            }
        }
        // What a model said before is not asked about.
        if upstream.profile.format != Format::Claude {
            let encoded = upstream.try_encode(Format::Claude, &claude("assistant")).unwrap();
            assert!(
                encoded.notes.paths().iter().any(|path| path == "messages[1].content[0]"),
                "{:?}",
                encoded.notes
            );
        }
    }
}

#[test]
fn what_is_said_of_a_document_reaches_every_upstream() {
    let document = |source: Value| json!({"type": "document", "source": source, "title": "The title", "context": "Said of it."});
    let content = json!([
        document(json!({"type": "base64", "media_type": "application/pdf", "data": "QUFB"})),
        document(json!({"type": "text", "media_type": "text/plain", "data": "words"})),
        document(json!({"type": "content", "content": [{"type": "text", "text": "piece"}]})),
    ]);
    let body = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": content}]});
    for (profile, model) in upstreams() {
        let sent = Upstream::new(profile, model).encode(Format::Claude, &body).to_string();
        for words in ["The title", "Said of it."] {
            assert_eq!(sent.matches(words).count(), 3, "{sent}");
        }
        assert!(["QUFB", "words", "piece"].iter().all(|words| sent.contains(words)), "{sent}");
    }
}

#[test]
fn pictures_among_instructions_reach_every_upstream() {
    let picture = json!({"type": "input_image", "image_url": "data:image/png;base64,QUFB"});
    let body = json!({"model": "m", "input": [
        {"role": "developer", "content": [{"type": "input_text", "text": "Like this:"}, picture]},
        {"role": "user", "content": "hi"}]});
    let request = decode(Format::Responses, &body).unwrap();
    assert_eq!((&*request.instructions[0].text, request.turns[0].role), ("Like this:", Role::User));
    assert!(matches!(request.turns[0].blocks[0].content, Content::Image(_)));
    for (profile, model) in upstreams() {
        let sent = Upstream::new(profile, model).encode(Format::Responses, &body).to_string();
        assert!(sent.contains("Like this:") && sent.contains("QUFB"), "{sent}");
    }
}

#[test]
fn a_word_of_a_note_is_fit_for_a_header() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "n\u{f6}v, el\n": 1});
    let encoded =
        Upstream::new(Profile::claude(), "claude-opus-4-7").try_encode(Format::Chat, &body).unwrap();
    assert_eq!(encoded.notes.header().as_deref(), Some("n%C3%B6v%2C%20el%0A"));
}

#[test]
fn where_no_tool_may_be_called_none_is_offered_to_those_who_know_no_choice() {
    let user = json!({"role": "user", "content": "x"});
    let called = json!([user,
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"}]);
    let body = |messages: Value| {
        json!({"model": "m", "messages": messages, "tool_choice": "none",
            "tools": [{"type": "function", "function": {"name": "f", "description": "offered"}}]})
    };
    let plain = Profile { has_tool_choice: false, ..Profile::compatible() };
    for (profile, model) in [(plain, "m"), (Profile::antigravity_claude(), "claude-opus-4-6-thinking")] {
        let upstream = Upstream::new(profile, model);
        let fresh = upstream.try_encode(Format::Chat, &body(json!([user]))).unwrap();
        assert!(!String::from_utf8(fresh.body).unwrap().contains("offered"));
        assert!(fresh.notes.is_empty(), "{:?}", fresh.notes);
        // The calls of the history may need what declares them.
        let later = upstream.try_encode(Format::Chat, &body(called.clone())).unwrap();
        assert!(String::from_utf8(later.body).unwrap().contains("offered"));
        assert_eq!(later.notes.paths(), ["tool_choice"]);
    }
}

#[test]
fn thinking_that_cannot_be_switched_off_for_sure_is_told() {
    let body = json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "x"}], "thinking": {"type": "disabled"}});
    let encoded =
        Upstream::new(Profile::compatible(), "some-model").try_encode(Format::Claude, &body).unwrap();
    assert_eq!(encoded.notes.paths(), ["thinking"]);
    let encoded = Upstream::new(Profile::openai_chat(), "gpt-4o").try_encode(Format::Claude, &body).unwrap();
    assert!(encoded.notes.is_empty(), "it does not think: {:?}", encoded.notes);
}

#[test]
fn counts_by_modality_reach_clients_of_the_format_that_has_them() {
    let chunk = |output: u64, finish: Option<&str>| {
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": finish}],
            "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": output, "totalTokenCount": 20 + output,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 15}],
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": output}],
                "trafficType": "ON_DEMAND"}})
    };
    let last = chunk(2, Some("STOP"));
    let stream = stream(&[chunk(1, None), last.clone()]);
    for (to, body, streamed) in read(&Profile::gemini(), &stream) {
        for said in [body, streamed] {
            if to == Format::Gemini {
                assert_eq!(said["usageMetadata"], last["usageMetadata"]);
            } else {
                assert!(!said.to_string().contains("modality"), "{said}");
            }
        }
    }
}
