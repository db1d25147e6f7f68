//! A body as coding agents send it: a long instruction, 40 tools, 100 messages of calls and their results, 200 KB.

use serde_json::{Value, json};

use super::{Dialect, Question};

const TOOLS: usize = 40;
/// Half of the messages are calls, half are results.
const CALLS: usize = 49;

/// A question of `format` for a model.
pub fn agentic(format: Dialect, model: &str) -> Question {
    let body = match format {
        Dialect::Chat => chat(model),
        Dialect::Responses => responses(model),
        Dialect::Claude => claude(model),
        Dialect::Gemini => gemini(),
    };
    format.question_of(model, &body, false)
}

/// Prose with what JSON has to escape: quotes, line ends, backslashes, letters beyond ASCII.
fn prose(seed: usize, bytes: usize) -> String {
    const SENTENCES: [&str; 6] = [
        "The function reads the file and returns its lines in order.\n",
        "    let path = root.join(\"src\").join(name);\n",
        "Größe und Höhe bleiben gleich; nothing else depends on them.\n",
        "error: expected `;`, found `}` at src/main.rs:42:17\n",
        "It must stay below C:\\Users\\agent\\work and never leave it.\n",
        "    \"scripts\": { \"build\": \"vite build\", \"test\": \"vitest\" },\n",
    ];
    let sentences = SENTENCES.iter().cycle().skip(seed % SENTENCES.len());
    let mut text = format!("[{seed}] ");
    for sentence in sentences {
        if text.len() >= bytes {
            break;
        }
        text.push_str(sentence);
    }
    text
}

fn instruction() -> String {
    prose(0, 9000)
}

fn task() -> String {
    prose(1, 900)
}

fn tool(at: usize) -> (String, String, Value) {
    let mut properties = serde_json::Map::new();
    for name in ["path", "pattern", "replacement", "encoding", "limit", "flags"] {
        let kind = if name == "limit" { "integer" } else { "string" };
        properties.insert(name.to_owned(), json!({"type": kind, "description": prose(at, 90)}));
    }
    properties.insert("mode".to_owned(), json!({"type": "string", "enum": ["read", "write", "append"]}));
    properties.insert(
        "edits".to_owned(),
        json!({"type": "array", "items": {"type": "object", "properties": {"old": {"type": "string"},
            "new": {"type": "string"}}, "required": ["old", "new"]}}),
    );
    let schema = json!({"type": "object", "properties": properties, "required": ["path", "mode"]});
    (format!("tool_{at}"), prose(at, 500), schema)
}

/// Name, id, what is said before the call, arguments, result.
fn call(at: usize) -> (String, String, String, Value, String) {
    let arguments = json!({"path": format!("src/module_{at}/file.rs"), "mode": "read", "limit": at,
        "pattern": prose(at, 300)});
    let name = format!("tool_{}", at % TOOLS);
    (name, format!("call_{at:024}"), prose(at, 350), arguments, prose(at + 3, 1200))
}

fn chat(model: &str) -> Value {
    let mut messages =
        vec![json!({"role": "system", "content": instruction()}), json!({"role": "user", "content": task()})];
    for (name, id, said, arguments, result) in (0..CALLS).map(call) {
        messages
            .push(json!({"role": "assistant", "content": said, "tool_calls": [{"id": id, "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(tool)
        .map(|(name, description, schema)| {
            json!({"type": "function",
            "function": {"name": name, "description": description, "parameters": schema}})
        })
        .collect();
    json!({"model": model, "stream": false, "messages": messages, "tools": tools, "tool_choice": "auto"})
}

fn responses(model: &str) -> Value {
    let message = |role: &str, kind: &str, text: String| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let mut input = vec![message("user", "input_text", task())];
    for (name, id, said, arguments, result) in (0..CALLS).map(call) {
        input.push(message("assistant", "output_text", said));
        input.push(json!({"type": "function_call", "call_id": id, "name": name,
            "arguments": arguments.to_string()}));
        input.push(json!({"type": "function_call_output", "call_id": id, "output": result}));
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(tool)
        .map(|(name, description, schema)| {
            json!({"type": "function", "name": name, "description": description,
            "parameters": schema, "strict": false})
        })
        .collect();
    json!({"model": model, "stream": false, "store": false, "instructions": instruction(), "input": input,
        "tools": tools, "tool_choice": "auto"})
}

fn claude(model: &str) -> Value {
    let mut messages = vec![json!({"role": "user", "content": task()})];
    for (name, id, said, arguments, result) in (0..CALLS).map(call) {
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": said},
            {"type": "tool_use", "id": id, "name": name, "input": arguments}]}));
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": result}]}]}));
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(tool)
        .map(|(name, description, schema)| json!({"name": name, "description": description, "input_schema": schema}))
        .collect();
    json!({"model": model, "stream": false, "max_tokens": 8192, "system": [{"type": "text", "text": instruction(),
        "cache_control": {"type": "ephemeral"}}], "messages": messages, "tools": tools})
}

fn gemini() -> Value {
    let mut contents = vec![json!({"role": "user", "parts": [{"text": task()}]})];
    for (name, id, said, arguments, result) in (0..CALLS).map(call) {
        contents.push(json!({"role": "model", "parts": [{"text": said},
            {"functionCall": {"id": id, "name": name, "args": arguments}}]}));
        contents.push(json!({"role": "user", "parts": [
            {"functionResponse": {"id": id, "name": name, "response": {"output": result}}}]}));
    }
    let tools: Vec<Value> = (0..TOOLS)
        .map(tool)
        .map(|(name, description, schema)| json!({"name": name, "description": description, "parameters": schema}))
        .collect();
    json!({"systemInstruction": {"parts": [{"text": instruction()}]}, "contents": contents,
        "tools": [{"functionDeclarations": tools}], "generationConfig": {"maxOutputTokens": 8192}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_size_that_the_targets_speak_of() {
        for format in Dialect::ALL {
            let length = agentic(format, "model").body.len();
            assert!((190_000..230_000).contains(&length), "{}: {length}", format.name());
        }
    }
}
