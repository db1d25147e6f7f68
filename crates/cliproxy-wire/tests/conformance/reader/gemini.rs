//! The accumulator of Gemini clients: the parts of all chunks, one after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The words that the official types list.
const REASONS: [&str; 18] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "IMAGE_PROHIBITED_CONTENT",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "MODEL_ARMOR",
    "FINISH_REASON_UNSPECIFIED",
];

pub(super) fn read(stream: &str) -> Value {
    assert!(stream.ends_with("\n\n") && !stream.contains("\ndata: [DONE]"), "{stream}");
    let mut candidates: BTreeMap<u64, Value> = BTreeMap::new();
    let mut whole = Map::new();
    for frame in stream.split_terminator("\n\n") {
        let data = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("a data line: {frame}"));
        assert!(!data.contains('\n'), "{frame}");
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        for name in ["responseId", "modelVersion"] {
            let known = whole.entry(name).or_insert_with(|| chunk[name].clone());
            assert_eq!(*known, chunk[name], "{name} changed");
        }
        for name in ["usageMetadata", "promptFeedback"] {
            if !chunk[name].is_null() {
                whole.insert(name.into(), chunk[name].clone());
            }
        }
        for piece in chunk["candidates"].as_array().into_iter().flatten() {
            let index = piece["index"].as_u64().unwrap();
            let candidate = candidates.entry(index).or_insert_with(|| json!({}));
            add(candidate, piece);
        }
    }
    for candidate in candidates.values() {
        let reason = candidate["finishReason"].as_str().unwrap_or_else(|| panic!("no reason: {candidate}"));
        assert!(REASONS.contains(&reason), "{reason}");
    }
    if !candidates.is_empty() {
        whole.insert("candidates".into(), candidates.into_values().collect());
    }
    Value::Object(whole)
}

fn add(candidate: &mut Value, piece: &Value) {
    assert!(candidate["finishReason"].is_null(), "nothing behind the finish reason: {piece}");
    for (name, value) in piece.as_object().unwrap() {
        match name.as_str() {
            "content" => {
                assert_eq!(value["role"], "model");
                for part in value["parts"].as_array().unwrap() {
                    assert!(
                        part["functionCall"].is_null() || part["functionCall"]["args"].is_object(),
                        "{part}"
                    );
                    let content = &mut candidate["content"];
                    content["role"] = "model".into();
                    if content["parts"].is_null() {
                        content["parts"] = json!([]);
                    }
                    content["parts"].as_array_mut().unwrap().push(part.clone());
                }
            }
            "logprobsResult" if candidate[name].is_object() => {
                for list in ["chosenCandidates", "topCandidates"] {
                    let more = value[list].as_array().cloned().unwrap_or_default();
                    if let Some(known) = candidate[name][list].as_array_mut() {
                        known.extend(more);
                    }
                }
            }
            _ => candidate[name] = value.clone(),
        }
    }
}

/// A body whose texts are joined as far as they can be told apart: a part ends with its signature, and an empty part
/// that is only signed signs the part before it. Where a citation lies is said by part in bodies and by the whole text
/// in streams.
pub(super) fn plain(mut body: Value) -> Value {
    for candidate in body["candidates"].as_array_mut().into_iter().flatten() {
        let supports = candidate["groundingMetadata"]["groundingSupports"].as_array_mut();
        for support in supports.into_iter().flatten() {
            let segment = support["segment"].as_object_mut().unwrap();
            segment.retain(|name, _| !matches!(name.as_str(), "partIndex" | "startIndex" | "endIndex"));
        }
        let Some(parts) = candidate["content"]["parts"].as_array_mut() else { continue };
        let mut joined: Vec<Value> = Vec::new();
        for part in std::mem::take(parts) {
            match joined.last_mut() {
                Some(last) if continues(last, &part) => {
                    let text =
                        format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap());
                    last["text"] = text.into();
                    if part["thoughtSignature"].is_string() {
                        last["thoughtSignature"] = part["thoughtSignature"].clone();
                    }
                }
                _ => joined.push(part),
            }
        }
        let is_nothing = |part: &Value| part["text"] == "" && part["thoughtSignature"].is_null();
        if joined.len() > 1 {
            joined.retain(|part| !is_nothing(part));
        }
        *parts = joined;
    }
    body
}

fn continues(last: &Value, part: &Value) -> bool {
    last["text"].is_string()
        && part["text"].is_string()
        && last["thought"] == part["thought"]
        && last["thoughtSignature"].is_null()
}
