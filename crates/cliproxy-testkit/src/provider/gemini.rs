//! Gemini, as its third generation speaks it: calls are signed and have no ids. Bytes come in either alphabet of base64;
//! Google's own SDK for Python writes the one for URLs.

use serde_json::{Value, json};

use super::Dialect;
use super::answer::{Answer, USAGE, pieces};
use super::ask::{Ask, Media, Tool, Want, list, required, text};
use super::seal::Issuer;
use crate::Received;

pub(super) struct Gemini;

/// Accepted where the history comes from another provider.
const SENTINEL: &str = "skip_thought_signature_validator";

impl Dialect for Gemini {
    fn read(&self, received: &Received) -> Result<Ask, String> {
        let body: Value = serde_json::from_slice(&received.body).map_err(|error| error.to_string())?;
        let path = received.path.strip_prefix("/v1beta/models/").and_then(|path| path.split_once(':'));
        let (model, method) = path.ok_or_else(|| format!("no endpoint {}", received.path))?;
        let want = match method {
            "generateContent" => Want::Body,
            "streamGenerateContent?alt=sse" => Want::Stream,
            "countTokens" => Want::Count,
            other => return Err(format!("no method {other}")),
        };
        let mut ask = Ask::new(model, want);
        let body =
            if want == Want::Count { body.get("generateContentRequest").unwrap_or(&body) } else { &body };
        read_contents(list(body, "contents"), &mut ask)?;
        if body["toolConfig"]["functionCallingConfig"]["mode"] != json!("NONE") {
            for tool in list(body, "tools").iter().flat_map(|tool| list(tool, "functionDeclarations")) {
                let schema = either(tool, "parametersJsonSchema", "parameters_json_schema");
                let schema = if schema.is_null() { &tool["parameters"] } else { schema };
                ask.tools.push(Tool { name: required(tool, "name")?, schema: schema.clone() });
            }
        }
        let config = &body["generationConfig"];
        // These models always think; a wish for a budget of nothing is not granted.
        ask.thinks = true;
        ask.shows_thoughts =
            either(&config["thinkingConfig"], "includeThoughts", "include_thoughts") == &json!(true);
        let schema = either(config, "responseJsonSchema", "responseSchema");
        if !schema.is_null() {
            if config["responseMimeType"] != json!("application/json") {
                return Err("a schema needs responseMimeType application/json".to_owned());
            }
            ask.schema = Some(schema.clone());
        }
        Ok(ask)
    }

    fn body(&self, ask: &Ask, answer: &Answer) -> Value {
        let mut parts: Vec<Value> = Vec::new();
        if let Some(thought) = answer.thought.as_ref().filter(|_| ask.shows_thoughts) {
            parts.push(json!({"text": thought, "thought": true}));
        }
        if !answer.text.is_empty() {
            parts.push(json!({"text": answer.text}));
        }
        parts.extend(calls(answer));
        let mut chunk = chunk(ask, &parts, true);
        chunk["usageMetadata"] = usage();
        chunk
    }

    fn frames(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let mut chunks = Vec::new();
        for piece in answer.thought.iter().filter(|_| ask.shows_thoughts).flat_map(|thought| pieces(thought))
        {
            chunks.push(chunk(ask, &[json!({"text": piece, "thought": true})], false));
        }
        chunks.extend(answer.text_pieces().iter().map(|piece| chunk(ask, &[json!({"text": piece})], false)));
        // Parallel calls come together.
        let calls = calls(answer);
        if !calls.is_empty() {
            chunks.push(chunk(ask, &calls, false));
        }
        let mut last = chunk(ask, &[json!({"text": ""})], true);
        last["usageMetadata"] = usage();
        chunks.push(last);
        chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
    }

    fn count(&self, tokens: u64) -> Value {
        json!({"totalTokens": tokens})
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        let name = match status {
            401 => "UNAUTHENTICATED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        json!({"error": {"code": status, "message": message, "status": name}})
    }

    fn failure(&self, message: &str) -> String {
        format!("data: {}\r\n\r\n", self.refusal(500, message))
    }

    fn config(&self, url: &str, models: &str) -> String {
        format!("gemini-api-key:\n  - api-key: simulated-gemini-key\n    base-url: {url}\n    {models}\n")
    }
}

/// A member in either of two names, as both spellings are understood.
fn either<'a>(value: &'a Value, name: &str, other: &str) -> &'a Value {
    value.get(name).or_else(|| value.get(other)).unwrap_or(&Value::Null)
}

fn usage() -> Value {
    json!({"promptTokenCount": USAGE.input, "cachedContentTokenCount": USAGE.cached,
        "candidatesTokenCount": USAGE.output - USAGE.thought, "thoughtsTokenCount": USAGE.thought,
        "totalTokenCount": USAGE.input + USAGE.output})
}

fn chunk(ask: &Ask, parts: &[Value], is_last: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if is_last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": ask.model, "responseId": "simulated"})
}

/// The first of parallel calls is signed.
fn calls(answer: &Answer) -> Vec<Value> {
    let mut parts: Vec<Value> = answer
        .calls
        .iter()
        .map(|call| json!({"functionCall": {"name": call.name, "args": call.arguments}}))
        .collect();
    if let (Some(first), Some(call)) = (parts.first_mut(), answer.calls.first()) {
        first["thoughtSignature"] = json!(Issuer::Google.seal(&format!("{} {}", call.id, call.name)));
    }
    parts
}

fn read_contents(contents: &[Value], ask: &mut Ask) -> Result<(), String> {
    if contents.is_empty() {
        return Err("contents is not specified".to_owned());
    }
    ask.turn = contents.len();
    let mut calls: Vec<String> = Vec::new();
    // Signatures are demanded from the last text of the user on.
    let current = contents.iter().rposition(is_asking).unwrap_or_default();
    for (at, content) in contents.iter().enumerate() {
        let fail = |reason: String| format!("contents[{at}]: {reason}");
        let parts = list(content, "parts");
        if parts.is_empty() {
            return Err(fail("parts must not be empty".to_owned()));
        }
        if text(content, "role") == "model" {
            calls = read_model(parts, at > current).map_err(fail)?;
            continue;
        }
        ask.text.clear();
        ask.media.clear();
        ask.results.clear();
        for part in parts {
            read_part(part, ask).map_err(fail)?;
        }
        let answered: Vec<&String> = ask.results.iter().map(|(name, _)| name).collect();
        if !calls.iter().eq(answered) {
            return Err(fail("the function responses do not match the function calls".to_owned()));
        }
        calls.clear();
    }
    if !calls.is_empty() {
        return Err("function calls at the end have no responses".to_owned());
    }
    Ok(())
}

/// Whether a content is of the user and more than results.
fn is_asking(content: &Value) -> bool {
    text(content, "role") != "model" && list(content, "parts").iter().any(|part| part.get("text").is_some())
}

fn read_model(parts: &[Value], is_current: bool) -> Result<Vec<String>, String> {
    let mut calls = Vec::new();
    for part in parts {
        let signature = either(part, "thoughtSignature", "thought_signature").as_str();
        let signature = signature.map(|signature| match signature {
            SENTINEL => signature.to_owned(),
            _ => signature.replace('-', "+").replace('_', "/"),
        });
        let call = either(part, "functionCall", "function_call");
        if signature.as_ref().is_some_and(|state| state != SENTINEL && Issuer::Google.open(state).is_none()) {
            return Err("the thought signature is not valid".to_owned());
        }
        if call.is_null() {
            continue;
        }
        if is_current && calls.is_empty() && signature.is_none() {
            return Err("the first function call is missing a thought_signature".to_owned());
        }
        calls.push(required(call, "name")?);
    }
    Ok(calls)
}

fn read_part(part: &Value, ask: &mut Ask) -> Result<(), String> {
    let response = either(part, "functionResponse", "function_response");
    let media = either(part, "inlineData", "inline_data");
    if !response.is_null() {
        let output = match &response["response"] {
            Value::Object(members) if members.len() == 1 => members
                .values()
                .next()
                .map(|output| output.as_str().map_or_else(|| output.to_string(), str::to_owned)),
            other => Some(other.to_string()),
        };
        ask.results.push((required(response, "name")?, output.unwrap_or_default()));
    } else if !media.is_null() {
        let kind = either(media, "mimeType", "mime_type").as_str().unwrap_or_default();
        ask.media.push(Media::of_any_alphabet(kind, &text(media, "data"))?);
    } else if let Some(said) = part["text"].as_str() {
        ask.text.push_str(said);
    } else {
        return Err(format!("a part of an unknown kind: {part}"));
    }
    Ok(())
}
