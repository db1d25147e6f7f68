//! Citations that come when something else than the text they cite has begun.

use cliproxy_wire::Format;
use cliproxy_wire::format::encode_response;
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::reader;
use crate::support::{client, events, folded, frames, write};

fn stream(chunks: &[Value]) -> String {
    chunks.iter().flat_map(|chunk| ["data: ".to_owned(), chunk.to_string(), "\n\n".to_owned()]).collect()
}

/// What a client reads of an answer, as a body and as a stream.
fn read(to: Format, profile: &Profile, stream: &str) -> (Value, Value) {
    let events = events(profile, stream);
    let body = encode_response(to, &folded(&events), &client(to));
    (serde_json::from_slice(&body).unwrap(), reader::read(to, &write(to, &client(to), events)))
}

/// The upstreams that gather citations until the end, with an answer that cites "Röme" in its second text.
fn late() -> Vec<(Profile, String)> {
    let part =
        |parts: Value| json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]});
    let offset = "Größe. ".len();
    let gemini = stream(&[
        part(json!([{"text": "Größe. ", "thoughtSignature": "CiQB1111"}])),
        part(json!([{"text": "Röme"}])),
        part(json!([{"functionCall": {"name": "f", "args": {}}}])),
        json!({"candidates": [{"index": 0, "finishReason": "STOP", "groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
            "groundingSupports": [{"segment": {"startIndex": offset, "endIndex": offset + 5, "text": "Röme"},
                "groundingChunkIndices": [0]}]}}]}),
    ]);
    let choice =
        |delta: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let call = choice(json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
        "function": {"name": "f", "arguments": "{}"}}]}));
    let stop = json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    let text = choice(json!({"content": "Röme"}));
    let citation = json!({"type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4}});
    let annotated = [text.clone(), call.clone(), choice(json!({"annotations": [citation]})), stop.clone()];
    let item = |annotations: Value| {
        json!({"type": "message", "id": "msg_1", "role": "assistant",
            "content": [{"type": "output_text", "text": "Röme", "annotations": annotations}]})
    };
    let flat = json!({"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4});
    let responses = |added: Option<&Value>, last: Value| {
        let mut frames = vec![
            json!({"type": "response.output_item.done", "output_index": 0, "item": item(json!([]))}),
            json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call",
                "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}}),
        ];
        frames.extend(added.map(|citation| {
            json!({"type": "response.output_text.annotation.added", "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "annotation_index": 0, "annotation": citation})
        }));
        frames.push(json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": last}}));
        stream(&frames)
    };
    let mut pages = stop;
    pages["search_results"] = json!([{"url": "https://a.example", "title": "A"}]);
    vec![
        (Profile::gemini(), gemini),
        (Profile::compatible(), stream(&annotated) + "data: [DONE]\n\n"),
        (Profile::compatible(), stream(&[text, call, pages]) + "data: [DONE]\n\n"),
        // In an event of its own, in the last one alone, and in both.
        (Profile::openai_responses(), responses(Some(&flat), json!([]))),
        (Profile::openai_responses(), responses(None, json!([item(json!([flat.clone()]))]))),
        (Profile::openai_responses(), responses(Some(&flat), json!([item(json!([flat.clone()]))]))),
    ]
}

fn cited<'a>(text: &'a Value, citation: &Value) -> &'a str {
    let text = text.as_str().unwrap();
    let byte = |name: &str| {
        let at = usize::try_from(citation[name].as_u64().unwrap()).unwrap();
        text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
    };
    &text[byte("start_index")..byte("end_index")]
}

#[test]
fn chat_clients_get_late_citations() {
    for (profile, stream) in late() {
        let (body, streamed) = read(Format::Chat, &profile, &stream);
        for answer in [body, streamed] {
            let message = &answer["choices"][0]["message"];
            let citation = &message["annotations"][0]["url_citation"];
            assert_eq!(citation["url"], "https://a.example", "{answer}");
            assert_eq!(cited(&message["content"], citation), "Röme", "{answer}");
            assert_eq!(message["annotations"].as_array().unwrap().len(), 1, "{answer}");
        }
    }
}

#[test]
fn responses_clients_get_late_citations_in_an_event_and_in_the_final_items() {
    for (profile, stream) in late() {
        let (body, streamed) = read(Format::Responses, &profile, &stream);
        for answer in [&body, &streamed] {
            let part =
                &answer["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap()
                    ["content"][0];
            assert_eq!(part["annotations"].as_array().unwrap().len(), 1, "{answer}");
            assert_eq!(part["annotations"][0]["url"], "https://a.example", "{answer}");
            assert_eq!(cited(&part["text"], &part["annotations"][0]), "Röme", "{answer}");
        }
        let written = write(Format::Responses, &client(Format::Responses), events(&profile, &stream));
        let frames = frames(&written);
        let added: Vec<&Value> =
            frames.iter().filter(|frame| frame["type"] == "response.output_text.annotation.added").collect();
        let completed = frames.last().unwrap();
        let message = completed["response"]["output"]
            .as_array()
            .unwrap()
            .iter()
            .position(|item| item["type"] == "message")
            .unwrap();
        let item = &completed["response"]["output"][message];
        assert_eq!(added.len(), 1, "{written}");
        assert_eq!(added[0]["item_id"], item["id"]);
        assert_eq!(added[0]["output_index"], message);
        assert_eq!((&added[0]["content_index"], &added[0]["annotation_index"]), (&json!(0), &json!(0)));
        assert_eq!(added[0]["annotation"], item["content"][0]["annotations"][0]);
        let numbers: Vec<u64> =
            frames.iter().map(|frame| frame["sequence_number"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
    }
}

#[test]
fn gemini_clients_get_late_citations() {
    for (profile, stream) in late() {
        let (body, streamed) = read(Format::Gemini, &profile, &stream);
        for answer in [body, streamed] {
            let grounding = &answer["candidates"][0]["groundingMetadata"];
            assert_eq!(grounding["groundingChunks"][0]["web"]["uri"], "https://a.example", "{answer}");
            let segment = &grounding["groundingSupports"][0]["segment"];
            assert_eq!(segment["text"], "Röme", "{answer}");
        }
    }
}

#[test]
fn claude_clients_get_late_citations_in_bodies() {
    for (profile, stream) in late() {
        let (body, _) = read(Format::Claude, &profile, &stream);
        let cited: Vec<&Value> = body["content"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|block| block.get("citations").is_some())
            .collect();
        assert_eq!(cited.len(), 1, "{body}");
        assert_eq!(cited[0]["text"], "Röme", "{body}");
        assert_eq!(cited[0]["citations"][0]["url"], "https://a.example", "{body}");
    }
}

#[test]
fn what_is_cited_in_time_is_not_cited_again_at_the_end() {
    let grounding = json!({"groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "Röme"}, "groundingChunkIndices": [0]}]});
    let mut more = grounding.clone();
    more["groundingChunks"]
        .as_array_mut()
        .unwrap()
        .push(json!({"web": {"uri": "https://b.example", "title": "B"}}));
    more["groundingSupports"][0]["groundingChunkIndices"] = json!([0, 1]);
    let chunk = |parts: Value, grounding: &Value, finish: Option<&str>| {
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts},
            "groundingMetadata": grounding, "finishReason": finish}]})
    };
    let stream = stream(&[
        chunk(json!([{"text": "Röme"}]), &grounding, None),
        chunk(json!([{"functionCall": {"name": "f", "args": {}}}]), &Value::Null, None),
        chunk(json!([]), &more, Some("STOP")),
    ]);
    for to in [Format::Chat, Format::Responses, Format::Claude] {
        let (body, streamed) = read(to, &Profile::gemini(), &stream);
        for (answer, is_stream) in [(body, false), (streamed, true)] {
            // The metadata that is handed on names each once more.
            let mut own = answer.clone();
            own.as_object_mut().unwrap().remove("grounding_metadata");
            if let Some(choices) = own.get_mut("choices") {
                choices[0].as_object_mut().unwrap().remove("grounding_metadata");
            }
            let own = own.to_string();
            assert_eq!(own.matches("https://a.example").count(), 1, "{own}");
            // A block of a Claude stream cannot be opened again.
            let expected = usize::from(to != Format::Claude || !is_stream);
            assert_eq!(own.matches("https://b.example").count(), expected, "{own}");
        }
    }
}
