//! Embeddings, for clients of OpenAI and of Gemini, from every upstream that has them.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

const MODELS: &str = "models: [{name: text-embedding-up, alias: embed}, {name: up, alias: up}]";

fn gateway(format: &str, upstream: &Upstream, config: &str) -> Gateway {
    let entry = support::entry(format, "upstream-key-0001", &upstream.url(), MODELS);
    support::start(&format!("request-retry: 0\n{}{config}", support::list(format, &[entry])), &[])
}

/// Each upstream's own answer: a vector for each text, told by its length.
fn answering(received: &Received) -> Script {
    let body = received.json();
    let texts = |list: &Value, path: &str| -> Vec<usize> {
        let texts = list.as_array().unwrap().iter();
        texts.map(|entry| entry.pointer(path).unwrap().as_str().unwrap().len()).collect()
    };
    let method = received.path.rsplit(['/', ':']).next().unwrap();
    let answer = match method {
        "embeddings" => {
            let data: Vec<Value> = texts(&body["input"], "")
                .into_iter()
                .enumerate()
                .map(|(index, length)| json!({"object": "embedding", "index": index, "embedding": [length, 0.25]}))
                .collect();
            json!({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 4, "total_tokens": 4}})
        }
        "embedContent" => json!({"embedding": {"values": [1, 0.25]}}),
        "batchEmbedContents" => {
            let lengths = texts(&body["requests"], "/content/parts/0/text");
            let vectors = lengths.into_iter().map(|length| json!({"values": [length, 0.25]}));
            json!({"embeddings": vectors.collect::<Vec<_>>()})
        }
        "predict" => {
            let lengths = texts(&body["instances"], "/content");
            let vectors = lengths.into_iter().map(|length| {
                json!({"embeddings": {"values": [length, 0.25], "statistics": {"token_count": 2.0}}})
            });
            json!({"predictions": vectors.collect::<Vec<_>>()})
        }
        other => panic!("{other}"),
    };
    Script::json(200, answer.to_string())
}

fn openai(input: &Value) -> Value {
    json!({"model": "embed", "input": input, "dimensions": 2})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upstream_that_has_them_embeds_for_both_clients() {
    let batch = json!({"requests": [
        {"model": "models/embed", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"},
        {"model": "models/embed", "content": {"parts": [{"text": "bcd"}]}, "taskType": "RETRIEVAL_QUERY"}]});
    for (format, called, sent) in [
        (
            "chat",
            "/v1/embeddings",
            json!({"model": "text-embedding-up", "input": ["a", "bcd"], "encoding_format": "float"}),
        ),
        (
            "gemini",
            "/v1beta/models/text-embedding-up:batchEmbedContents",
            json!({"requests": [
            {"model": "models/text-embedding-up", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"},
            {"model": "models/text-embedding-up", "content": {"parts": [{"text": "bcd"}]}, "taskType": "RETRIEVAL_QUERY"}]}),
        ),
        (
            "vertex",
            "/v1/publishers/google/models/text-embedding-up:predict",
            json!({"instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "bcd", "task_type": "RETRIEVAL_QUERY"}]}),
        ),
    ] {
        let upstream = Upstream::start(answering).await;
        let gateway = gateway(format, &upstream, "");
        let answer = support::ask(&gateway, "/v1/embeddings", &openai(&json!(["a", "bcd"]))).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        let body = answer.json();
        assert_eq!(
            body["data"][1],
            json!({"object": "embedding", "index": 1, "embedding": [3, 0.25]}),
            "{format}"
        );
        assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!("embed")), "{format}");
        assert!(body["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{format}: {body}");
        assert_eq!(answer.header("x-gateway-estimated") == "true", format == "gemini", "{format}");
        let answer = support::ask(&gateway, "/v1beta/models/embed:batchEmbedContents", &batch).await;
        assert_eq!(
            answer.json(),
            json!({"embeddings": [{"values": [1, 0.25]}, {"values": [3, 0.25]}]}),
            "{format}"
        );
        let last = upstream.received().pop().unwrap();
        assert_eq!((last.path.as_str(), last.json()), (called, sent), "{format}");
        assert_eq!(support::key_of(&last), "upstream-key-0001", "{format}");
        let one = json!({"content": {"parts": [{"text": "a"}]}});
        let answer = support::ask(&gateway, "/v1beta/models/embed:embedContent", &one).await;
        assert_eq!(answer.json(), json!({"embedding": {"values": [1, 0.25]}}), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_language_passes_as_it_is() {
    let upstream = Upstream::start(|_| {
        Script::json(200, "{\"object\" : \"list\",\"data\":[{\"embedding\":\"AACAPw==\"}], \"x\":1.0,\"usage\":{\"prompt_tokens\":4}}")
    })
    .await;
    let gateway = gateway("chat", &upstream, "");
    let body = r#"{"model": "embed", "input":[[1,2]], "encoding_format":"base64","x":1.0}"#;
    let request = support::client().post(format!("{}/v1/embeddings", gateway.url()));
    let answer = support::send(request.header("content-type", "application/json").body(body)).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.starts_with("{\"object\" : \"list\"") && answer.body.contains("\"x\":1.0"),
        "{}",
        answer.body
    );
    let sent = upstream.received().remove(0);
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), body.replace("\"embed\"", "\"text-embedding-up\""));
    assert!(sent.header("content-type").starts_with("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_vectors_are_packed_from_numbers() {
    let upstream = Upstream::start(answering).await;
    let gateway = gateway("gemini", &upstream, "");
    let mut body = openai(&json!("a"));
    body["encoding_format"] = json!("base64");
    let answer = support::ask(&gateway, "/v1/embeddings", &body).await.json();
    // 1.0 and 0.25 as floats, little end first.
    assert_eq!(answer["data"][0]["embedding"], "AACAPwAAgD4=", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_out_of_quota_rests_and_the_next_one_embeds() {
    let upstream = Upstream::start(|received| {
        if support::key_of(received) == "key-a" {
            let error = json!({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "99s"}]}});
            return Script::json(429, error.to_string());
        }
        answering(received)
    })
    .await;
    let entries = [("key-a", "priority: 1, "), ("key-b", "")]
        .map(|(key, more)| support::entry("gemini", key, &upstream.url(), &format!("{more}{MODELS}")));
    let gateway = support::start(&support::list("gemini", &entries), &[]);
    for _ in 0..2 {
        let answer = support::ask(&gateway, "/v1/embeddings", &openai(&json!("a"))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(support::keys_of(&upstream), ["key-a", "key-b", "key-b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_them_is_refused_and_those_with_them_are_named() {
    let upstream = Upstream::start(answering).await;
    let gateway = gateway("gemini", &upstream, "");
    let refused = async |path: &str, format: &str, body: Value| {
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.error(format).2
    };
    let said = refused("/v1/embeddings", "chat", json!({"model": "up", "input": "a"})).await;
    assert!(said.contains("`up` gives no embeddings") && said.contains("`embed`"), "{said}");
    let said = refused("/v1beta/models/up:embedContent", "gemini", json!({"content": {"parts": []}})).await;
    assert!(said.contains("`embed`"), "{said}");
    let said = refused("/v1/embeddings", "chat", json!({"model": "embed", "input": [1, 2]})).await;
    assert!(said.contains("input[0]") || said.contains("tokens"), "{said}");
    let said = refused("/v1/embeddings", "chat", json!({"model": "embed"})).await;
    assert!(said.contains("input: required"), "{said}");
    let (path, body) = support::request("chat", "embed", false);
    let said = refused(&path, "chat", body).await;
    assert!(said.contains("gives no answers") && said.contains("`up`"), "{said}");
    assert!(upstream.received().is_empty());
    let claude = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&support::config("claude", &claude), &[]);
    let answer = support::ask(&gateway, "/v1/embeddings", &json!({"model": "up", "input": "a"})).await;
    assert!(answer.error("chat").2.contains("no configured model does"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_without_the_model_keeps_it_for_conversations() {
    let upstream = Upstream::start(|received| {
        if received.path.ends_with("/embeddings") {
            let error = json!({"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}});
            return Script::json(404, error.to_string());
        }
        support::answering("chat")(received)
    })
    .await;
    let gateway = gateway("chat", &upstream, "");
    let answer = support::ask(&gateway, "/v1/embeddings", &json!({"model": "up", "input": "a"})).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let answer = support::ask_model(&gateway, "chat", "up", false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_told_as_the_upstreams_fault() {
    for (format, body) in [("chat", "<html>"), ("gemini", "{}"), ("vertex", "{\"predictions\":[]}")] {
        let upstream = Upstream::start(move |_| Script::json(200, body)).await;
        let gateway = gateway(format, &upstream, "");
        let answer = support::ask(&gateway, "/v1/embeddings", &openai(&json!("a"))).await;
        assert_eq!(answer.status, 502, "{format}: {}", answer.body);
        answer.error("chat");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_cost_is_recorded() {
    let upstream = Upstream::start(answering).await;
    let gateway = gateway(
        "vertex",
        &upstream,
        "usage-statistics-enabled: true\nremote-management: {secret-key: management-key}\n",
    );
    support::ask(&gateway, "/v1/embeddings", &openai(&json!(["a", "bcd"]))).await;
    let request = support::client().get(format!("{}/v0/management/usage", gateway.url()));
    let usage = support::send(request.header("authorization", "Bearer management-key")).await.json();
    assert_eq!(usage["usage"]["total_tokens"], 4, "{usage}");
    assert_eq!(usage["usage"]["total_requests"], 1, "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_one_text_at_a_time_is_asked_for_each() {
    let upstream = Upstream::start(|received: &Received| {
        if received.json()["instances"].as_array().unwrap().len() > 1 {
            let error =
                json!({"error": {"code": 400, "message": "one input, please", "status": "INVALID_ARGUMENT"}});
            return Script::json(400, error.to_string());
        }
        answering(received)
    })
    .await;
    let entry = "models: [{name: gemini-embedding-001, alias: embed}]";
    let entry = support::entry("vertex", "upstream-key-0001", &upstream.url(), entry);
    let gateway = support::start(&support::list("vertex", &[entry]), &[]);
    let texts: Vec<String> = (1..=9).map(|length| "x".repeat(length)).collect();
    let answer = support::ask(&gateway, "/v1/embeddings", &openai(&json!(texts))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    for (index, vector) in body["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&vector["index"], &vector["embedding"][0]), (&json!(index), &json!(index + 1)), "{body}");
    }
    assert_eq!(body["usage"]["prompt_tokens"], 18, "{body}");
    assert_eq!(upstream.received().len(), 9);
}
