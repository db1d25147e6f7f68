//! Every route of the clients: that it is there, what it answers, and what a wrong one says.

use cliproxy_testkit::{Gate, Gateway, Script, Upstream};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{self, Answer, FORMATS, TEXT};

async fn call(gateway: &Gateway, method: Method, path: &str) -> Answer {
    support::send(support::client().request(method, format!("{}{path}", gateway.url()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn text_completions_are_served_by_every_upstream() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let whole =
            support::ask(&gateway, "/v1/completions", &json!({"model": "up", "prompt": "Say it"})).await;
        let body = whole.json();
        assert_eq!((whole.status, &body["object"]), (200, &json!("text_completion")), "{format}: {body}");
        assert_eq!(body["choices"][0]["text"], TEXT, "{format}");
        assert_eq!(body["choices"][0]["finish_reason"], "stop", "{format}");
        let usage = &body["usage"];
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&json!(10), &json!(5)),
            "{format}"
        );

        let request = json!({"model": "up", "prompt": ["Say it"], "stream": true, "max_tokens": 9});
        let stream = support::ask(&gateway, "/v1/completions", &request).await;
        assert_eq!(stream.status, 200, "{format}: {}", stream.body);
        assert!(stream.body.ends_with("data: [DONE]\n\n"), "{format}: {}", stream.body);
        let chunks: Vec<Value> = stream
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{chunks:?}");
        let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert_eq!(text, TEXT, "{format}: {chunks:?}");
        let received = upstream.received();
        assert!(received.iter().all(|request| String::from_utf8_lossy(&request.body).contains("Say it")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_calls_are_served_under_both_versions() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for version in ["v1", "v1beta"] {
        for model in ["up", "models/up", "up%28high%29"] {
            let path = format!("/{version}/models/{model}:generateContent");
            let answer = support::ask(&gateway, &path, &body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(support::text_of("gemini", false, &answer.body), TEXT, "{path}");
            for query in ["?alt=sse", "?key=x&alt=sse", "?$alt=sse", "?%24alt=sse"] {
                let path = format!("/{version}/models/{model}:streamGenerateContent{query}");
                let answer = support::ask(&gateway, &path, &body).await;
                assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8", "{path}");
                assert_eq!(support::text_of("gemini", true, &answer.body), TEXT, "{path}: {}", answer.body);
            }
            let path = format!("/{version}/models/{model}:streamGenerateContent");
            let answer = support::ask(&gateway, &path, &body).await;
            assert_eq!(answer.header("content-type"), "application/json; charset=UTF-8", "{path}");
            let chunks = answer.json();
            let parts = chunks.as_array().unwrap().iter();
            let text: String = parts
                .filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str())
                .collect();
            assert_eq!(text, TEXT, "{path}");
            let path = format!("/{version}/models/{model}:countTokens");
            let answer = support::ask(&gateway, &path, &body).await;
            assert!(answer.json()["totalTokens"].as_u64().unwrap() > 0, "{path}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_by_upstreams_that_can_and_estimated_for_the_others() {
    let routes = [
        (
            "claude",
            "/v1/messages/count_tokens?beta=true",
            json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]}),
        ),
        ("gemini", "/v1beta/models/up:countTokens", json!({"contents": [{"parts": [{"text": "hi"}]}]})),
        ("responses", "/v1/responses/input_tokens", json!({"model": "up", "input": "hi"})),
    ];
    for upstream_format in FORMATS {
        let upstream = Upstream::start(move |received| {
            let count = match upstream_format {
                "claude" => json!({"input_tokens": 77}),
                "gemini" => json!({"totalTokens": 77}),
                _ => json!({"object": "response.input_tokens", "input_tokens": 77}),
            };
            assert!(received.path.contains("oken"), "{}", received.path);
            Script::json(200, count.to_string())
        })
        .await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for (client, path, body) in &routes {
            let answer = support::ask(&gateway, path, body).await;
            let counted = answer.json();
            let tokens = &counted[if *client == "gemini" { "totalTokens" } else { "input_tokens" }];
            let what = format!("{client} over {upstream_format}: {counted}");
            assert_eq!(answer.status, 200, "{what}");
            if upstream_format == "chat" {
                assert_eq!(answer.header("x-gateway-estimated"), "true", "{what}");
                assert!((1..77).contains(&tokens.as_u64().unwrap()), "{what}");
            } else {
                assert_eq!((tokens, answer.header("x-gateway-estimated")), (&json!(77), ""), "{what}");
            }
        }
        assert_eq!(upstream.received().len(), if upstream_format == "chat" { 0 } else { 3 });
    }
}

/// A count, asked for with a body as it is written here.
async fn count(gateway: &Gateway, path: &str, body: &'static str) -> Answer {
    let request = support::client().post(format!("{}{path}", gateway.url()));
    support::send(request.header("content-type", "application/json").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_passes_byte_for_byte_where_the_formats_agree() {
    for (format, path, body, said) in [
        (
            "claude",
            "/v1/messages/count_tokens?beta=true",
            r#"{ "model":"up","newer":1.0,"messages":[{"role":"user","content":"h\u0069 \/"}],"tools":[{"name":"f"}] }"#,
            r#"{"input_tokens": 77, "newer":{}}"#,
        ),
        (
            "gemini",
            "/v1beta/models/up:countTokens",
            r#"{"contents" : [{"parts":[{"text":"h\u0069"}]}]}"#,
            r#"{ "totalTokens": 77,"promptTokensDetails":[{"modality":"TEXT","tokenCount":77}]}"#,
        ),
        (
            "responses",
            "/v1/responses/input_tokens",
            r#"{"model":"up" ,"input":"h\u0069","personality":"newer"}"#,
            r#"{"input_tokens" : 77,"object":"response.input_tokens"}"#,
        ),
    ] {
        let upstream =
            Upstream::start(move |_| Script::json(200, said).header("x-ratelimit-remaining-requests", "9"))
                .await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let first = count(&gateway, path, body).await;
        assert_eq!(first.header("x-ratelimit-remaining-requests"), "9", "{format}");
        // The second is remembered.
        for answer in [first, count(&gateway, path, body).await] {
            assert_eq!((answer.status, &*answer.body), (200, said), "{format}");
            assert_eq!(answer.header("x-gateway-estimated"), "", "{format}");
        }
        let received = upstream.received();
        assert_eq!(received.len(), 1, "{format}");
        assert_eq!(String::from_utf8_lossy(&received[0].body), body, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_count_only_what_the_route_does_not_know_and_the_name_are_changed() {
    for (format, path, body, expected) in [
        (
            "claude",
            "/v1/messages/count_tokens",
            r#"{"model" : "up","max_tokens":5,"stream":true, "messages":[{"role":"user","content":"h\u0069"}],"metadata":{"user_id":"u"}}"#,
            Some(r#"{"model" : "real", "messages":[{"role":"user","content":"h\u0069"}]}"#),
        ),
        (
            "gemini",
            "/v1beta/models/up:countTokens",
            r#"{"generateContentRequest":{"model":"models/up","contents":[ {"parts":[{"text":"h\u0069"}]} ],"tools":[]}}"#,
            Some(
                r#"{"generateContentRequest":{"model":"models/real","contents":[ {"parts":[{"text":"h\u0069"}]} ],"tools":[]}}"#,
            ),
        ),
        (
            "responses",
            "/v1/responses/input_tokens",
            r#"{"store":false,"model":"up","input":"h\u0069","temperature":1.0}"#,
            Some(r#"{"model":"real","input":"h\u0069"}"#),
        ),
        // What the services do not count, or want in another form, is written anew.
        (
            "claude",
            "/v1/messages/count_tokens",
            r#"{"model":"up","messages":[{"role":"user","content":"h\u0069"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
            None,
        ),
        (
            "gemini",
            "/v1beta/models/up:countTokens",
            r#"{"contents":[{"parts":[{"text":"h\u0069"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}"#,
            None,
        ),
    ] {
        let upstream = Upstream::start(move |_| {
            Script::json(
                200,
                if format == "gemini" { r#"{"totalTokens":7}"# } else { r#"{"input_tokens":7}"# },
            )
        })
        .await;
        let entry =
            support::entry(format, "upstream-key-0001", &upstream.url(), "models: [{name: real, alias: up}]");
        let gateway = support::start(&support::list(format, &[entry]), &[]);
        let answer = count(&gateway, path, body).await;
        assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, ""), "{}", answer.body);
        let sent = String::from_utf8(upstream.received()[0].body.to_vec()).unwrap();
        if let Some(expected) = expected {
            assert_eq!(sent, expected, "{format}");
        } else {
            assert!(!sent.contains("web_search") && sent.contains("\"hi\""), "{format}: {sent}");
            assert_eq!(sent.contains("generateContentRequest"), format == "gemini", "{sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_count_is_asked_for_once() {
    let upstream = Upstream::start(|received| {
        let said = String::from_utf8_lossy(&received.body).contains("fail");
        let tokens = json!({"input_tokens": received.body.len()});
        if said { Script::json(500, "{}") } else { Script::json(200, tokens.to_string()) }
    })
    .await;
    let keys = ["upstream-key-0001", "upstream-key-0002"]
        .map(|key| support::entry("claude", key, &upstream.url(), "models: [{name: up}, {name: other}]"));
    let gateway = support::start(&support::list("claude", &keys), &[]);
    let count = async |model: &str, text: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
        let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["input_tokens"].as_u64().unwrap()
    };
    // Whichever key is asked, the model is the same.
    let first = count("up", "hello").await;
    for _ in 0..3 {
        assert_eq!(count("up", "hello").await, first);
    }
    assert_eq!(upstream.received().len(), 1);
    // Another text, and another model, are counted by themselves.
    count("up", "hello you").await;
    count("other", "hello").await;
    assert_eq!(upstream.received().len(), 3);
    // An estimate is none of an upstream's counts: it is asked again.
    count("up", "fail").await;
    count("up", "fail").await;
    assert_eq!(upstream.received().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_different_counts_is_counted_at_once_each_for_itself() {
    let together = Gate::default();
    let gate = together.clone();
    let upstream = Upstream::start(move |received| {
        let words = String::from_utf8_lossy(&received.body).matches("word").count();
        Script::json(200, "").wait(&gate).send(json!({"input_tokens": words}).to_string())
    })
    .await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let text = |number: usize| "word ".repeat(number);
    let body =
        |number: usize| json!({"model": "up", "messages": [{"role": "user", "content": text(number)}]});
    // Claude Code asks for some 25 when it shows what fills its context.
    let asking = (1..=25).map(async |number| {
        let answer = support::ask(&gateway, "/v1/messages/count_tokens?beta=true", &body(number)).await;
        assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, ""), "{}", answer.body);
        answer.json()["input_tokens"].as_u64().unwrap()
    });
    let asking = futures_util::future::join_all(asking);
    let arriving = async {
        support::within(upstream.arrived(25)).await;
        together.open();
    };
    let (counts, ()) = tokio::join!(asking, arriving);
    assert_eq!(counts, (1..=25).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_never_fails_for_reasons_of_the_upstream() {
    for status in [404, 405, 429, 500, 503] {
        let upstream = Upstream::start(move |_| Script::json(status, "{}")).await;
        let gateway = support::start(&support::config("claude", &upstream), &[]);
        let body = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
        let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
        assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, "true"), "{status}");
    }
    let refusal = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "too odd"}});
    let upstream = Upstream::start(move |_| Script::json(400, refusal.to_string())).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let body = json!({"model": "up", "messages": [{"role": "user", "content": "hi"}]});
    let answer = support::ask(&gateway, "/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status, &answer.json()["error"]["message"]), (400, &json!("too odd")));
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_finds_its_routes_below_the_path_of_its_backend() {
    let upstream = Upstream::start(support::answering("responses")).await;
    let gateway = support::start(
        &format!("api-keys: [client-key-0001]\n{}", support::config("responses", &upstream)),
        &[],
    );
    let (_, body) = support::request("responses", "up", true);
    let path = "/backend-api/codex/responses";
    let refused = support::ask(&gateway, path, &body).await;
    assert_eq!(refused.status, 401, "{}", refused.body);
    refused.error("responses");
    let with_key = |request: reqwest::RequestBuilder| {
        support::send(request.header("authorization", "Bearer client-key-0001"))
    };
    let answer = with_key(support::posting(&gateway, path, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(support::text_of("responses", true, &answer.body), TEXT);
    let unknown = json!({"model": "none", "input": "hi"});
    let answer = with_key(support::posting(&gateway, &format!("{path}/compact"), &unknown)).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert!(answer.error("responses").2.contains("`none`"), "{}", answer.body);
    let at = |path: &str| support::client().get(format!("{}{path}", gateway.url()));
    let models = with_key(at("/backend-api/codex/models?client_version=1.0.0")).await.json();
    assert_eq!(models["models"][0]["slug"], "up", "{models}");
    // Whoever wants a websocket gets one here too; without an upgrade it is told so.
    let answer = with_key(at(path)).await;
    assert_eq!(answer.status, 426, "{}", answer.body);
    answer.error("responses");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_reaches_upstreams_that_have_it() {
    let compacted = json!({"id": "resp_1", "object": "response.compaction", "output": []});
    let answer = compacted.clone();
    let upstream = Upstream::start(move |_| Script::json(200, answer.to_string())).await;
    let gateway = support::start(&support::config("responses", &upstream), &[]);
    let chat = support::start(&support::config("chat", &upstream), &[]);
    let body = json!({"model": "up", "input": [{"role": "user", "content": "hi"}], "stream": false});
    for gateway in [&gateway, &chat] {
        let answer = support::ask(gateway, "/v1/responses/compact", &body).await;
        assert_eq!((answer.status, answer.json()), (200, compacted.clone()));
        let received = upstream.received().pop().unwrap();
        assert_eq!(received.path, "/v1/responses/compact");
        assert_eq!(received.json(), json!({"model": "up", "input": [{"role": "user", "content": "hi"}]}));
    }

    let streamed = json!({"model": "up", "input": "hi", "stream": true});
    let answer = support::ask(&gateway, "/v1/responses/compact", &streamed).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.error("responses").2.contains("stream"), "{}", answer.body);

    let other = support::start(&support::config("gemini", &upstream), &[]);
    let answer = support::ask(&other, "/v1/responses/compact", &body).await;
    assert_eq!(answer.status, 501, "{}", answer.body);
    assert!(answer.error("responses").2.contains("compact"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_the_websocket_that_opens_none_is_told_so_and_clients_post_at_once() {
    let gateway = support::start("", &["--demo"]);
    let plain = support::get(&gateway, "/v1/responses").await;
    let upgrade = support::client()
        .get(format!("{}/v1/responses", gateway.url()))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "8")
        .header("openai-beta", "responses_websockets=2026-02-06");
    for answer in [plain, support::send(upgrade).await] {
        assert_eq!(answer.status, 426, "{}", answer.body);
        assert!(answer.error("responses").2.contains("POST"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_need_no_key_and_tell_the_truth() {
    let gateway = support::start("api-keys: [client-key-0123456789]\n", &[]);
    let root = support::get(&gateway, "/").await.json();
    assert_eq!(root["message"], "CLI Proxy API Server");
    assert_eq!(
        root["endpoints"],
        json!(["POST /v1/chat/completions", "POST /v1/completions", "GET /v1/models"])
    );
    assert_eq!(root["authentication"]["required"], true);

    let health = support::get(&gateway, "/health").await.json();
    assert_eq!(health["status"], "ok");
    let time = health["timestamp"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");

    assert_eq!(support::get(&gateway, "/healthz").await.json(), json!({"status": "ok"}));
    let head = call(&gateway, Method::HEAD, "/healthz").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));

    let ready = support::get(&gateway, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("no model is configured"), "{}", ready.body);
    let demo = support::start("", &["--demo"]);
    let ready = support::get(&demo, "/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ok", "problems": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_text_is_refused_in_the_format_that_it_belongs_to() {
    let gateway = support::start("", &["--demo"]);
    for (format, path) in [
        ("gemini", "/v1beta/models/a%ff:generateContent"),
        ("gemini", "/v1/models/a%ff:generateContent"),
        ("chat", "/v1/models/a%ff"),
        ("gemini", "/v1internal:a%ff"),
        ("gemini", "/api/provider/google/v1beta/models/a%ff:generateContent"),
        ("chat", "/api/provider/openai/v1/models/a%ff"),
    ] {
        for method in [Method::POST, Method::GET] {
            let answer = call(&gateway, method.clone(), path).await;
            if answer.status == 405 {
                continue;
            }
            assert_eq!(answer.status, 400, "{method} {path}: {}", answer.body);
            assert!(answer.error(format).2.contains("not UTF-8"), "{method} {path}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_gateway_for_a_proxy_hears_what_it_is() {
    let gateway = support::start("api-keys: [client-key-0001]\n", &["--demo"]);
    let asked = "CONNECT api.openai.com:443 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let said = spoken(&gateway, asked, "no proxy").await;
    assert!(said.starts_with("HTTP/1.1 404 Not Found\r\n"), "{said}");
}

/// What is said to bytes on a connection, up to `last`.
async fn spoken(gateway: &Gateway, asked: &str, last: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut said = String::new();
    support::within(async {
        while !said.contains(last) {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    })
    .await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_http_has_no_words_for_has_some() {
    let demo = support::start("", &["--demo"]);
    let upstream =
        Upstream::start(|_| Script::json(529, r#"{"type":"error","error":{"message":"busy"}}"#)).await;
    let relaying = support::start(&support::config("claude", &upstream), &[]);
    for (gateway, model) in [(&demo, "demo-529"), (&relaying, "up")] {
        let body = json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        let body = body.to_string();
        let length = body.len();
        let asked = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let said = spoken(gateway, &asked, "\"error\"").await;
        assert!(said.starts_with("HTTP/1.1 529 Overloaded\r\n"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_say_so_in_the_format_of_their_path() {
    let gateway = support::start("", &["--demo"]);
    for (format, path) in [
        ("chat", "/v1/nothing"),
        ("chat", "/nothing"),
        ("chat", "/v1/chat"),
        ("responses", "/v1/responses/resp_1/nothing"),
        ("claude", "/v1/messages/nothing"),
        ("claude", "/v1/messages/batches"),
        ("gemini", "/v1beta/nothing"),
        ("gemini", "/v1beta/models/demo-echo:nothing"),
        ("gemini", "/v1/models/demo-echo:nothing"),
    ] {
        // What stands behind `/v1/models/` is a model's name for a get, colon or not.
        let methods: &[Method] =
            if path.starts_with("/v1/models/") { &[Method::POST] } else { &[Method::POST, Method::GET] };
        for method in methods {
            let answer = call(&gateway, method.clone(), path).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
            let word = match format {
                "claude" => "not_found_error",
                "gemini" => "NOT_FOUND",
                _ => "invalid_request_error",
            };
            assert_eq!(answer.error(format).0, word, "{method} {path}");
            assert_eq!(answer.header("content-type"), "application/json");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_are_named_with_those_that_are_right() {
    let gateway = support::start("", &["--demo"]);
    for (format, method, path, allowed) in [
        ("chat", Method::GET, "/v1/chat/completions", "POST"),
        ("chat", Method::PUT, "/v1/completions", "POST"),
        ("chat", Method::POST, "/v1/models", "GET,HEAD"),
        ("responses", Method::DELETE, "/v1/responses", "GET,HEAD,POST"),
        ("claude", Method::GET, "/v1/messages", "POST"),
        ("claude", Method::GET, "/v1/messages/count_tokens", "POST"),
        ("gemini", Method::POST, "/v1beta/models", "GET,HEAD"),
        ("gemini", Method::DELETE, "/v1beta/models/demo-echo:generateContent", "GET,HEAD,POST"),
        ("gemini", Method::GET, "/v1beta/models/demo-echo:generateContent", "POST"),
        ("chat", Method::POST, "/health", "GET,HEAD"),
    ] {
        let answer = call(&gateway, method.clone(), path).await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.body);
        let said = answer.error(format).2;
        assert!(said.contains("`allow`") || said.contains("send it by POST"), "{said}");
        let mut given: Vec<&str> =
            answer.header("allow").split([',', ' ']).filter(|m| !m.is_empty()).collect();
        given.sort_unstable();
        assert_eq!(given.join(","), allowed, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spelling_of_paths_is_forgiven_without_a_redirect() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for (format, path) in [
        ("chat", "/v1/chat/completions/"),
        ("chat", "//v1/chat/completions"),
        ("chat", "/v1/v1/chat/completions"),
        ("chat", "/chat/completions"),
        ("claude", "/v1/messages/"),
        ("claude", "/v1//messages?beta=true"),
        ("responses", "/v1/responses/"),
        ("gemini", "//v1beta/models/up:generateContent"),
    ] {
        let (_, body) = support::request(format, "up", false);
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(support::text_of(format, false, &answer.body), TEXT, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_a_request_id_in_the_header_of_their_format() {
    let gateway = support::start("", &["--demo"]);
    for format in FORMATS {
        for (model, is_stream) in [("demo-echo", false), ("demo-echo", true), ("demo-500", false)] {
            let answer = support::ask_model(&gateway, format, model, is_stream).await;
            let name = if format == "claude" { "request-id" } else { "x-request-id" };
            assert!(answer.header(name).starts_with("req_"), "{format} {model}: {:?}", answer.headers);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responses_body_on_the_chat_route_is_answered_as_chat() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let body = json!({"model": "up", "instructions": "be brief", "input": "hi"});
        let answer = support::ask(&gateway, "/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert_eq!(support::text_of("chat", false, &answer.body), TEXT, "{format}");
    }
}
