//! Web pages of AI Studio that ask Gemini for the gateway: every client through them, several at once, and what becomes of
//! requests when they misbehave or go.

mod access;
mod fault;
mod page;
mod slow;

use futures_util::future::join_all;
use serde_json::{Value, json};

use self::page::Page;
use crate::support::{self, FORMATS, TEXT};

const MODEL: &str = "gemini-2.5-pro";

/// A configuration without keys of clients, where nothing is tried twice over.
const CONFIG: &str = "request-retry: 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_by_a_page_that_learns_nothing_of_the_client() {
    let gateway = support::start("api-keys: [client-key-0001]\nrequest-retry: 0\n", &[]);
    let mut page = Page::try_connect(&gateway, "?auth_token=client-key-0001", &[]).await.unwrap();
    for format in FORMATS {
        for is_stream in [false, true] {
            let (path, body) = support::request(format, MODEL, is_stream);
            let path = format!("{path}{}key=client-key-0001", if path.contains('?') { '&' } else { '?' });
            let asking =
                support::posting(&gateway, &path, &body).header("authorization", "Bearer client-key-0001");
            let (answer, asked) = tokio::join!(support::send(asking), page.serve());
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
            let payload = &asked["payload"];
            let method = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let url = format!("https://generativelanguage.googleapis.com/v1beta/models/{MODEL}:{method}");
            assert_eq!((&payload["method"], &payload["url"]), (&json!("POST"), &json!(url)), "{format}");
            assert_eq!(payload["headers"], json!({"content-type": ["application/json"]}));
            let body: Value = serde_json::from_str(payload["body"].as_str().unwrap()).unwrap();
            assert!(body["contents"].is_array(), "{body}");
            assert!(payload["sent_at"].as_str().unwrap().ends_with('Z'), "{payload}");
            assert!(!asked.to_string().contains("client-key-0001"), "{asked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_answer_in_the_other_manner() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    for is_stream in [false, true] {
        let answering = async {
            let asked = page.asked().await;
            let body = support::body("gemini").to_string();
            if is_stream {
                let payload = json!({"body": body});
                page.say(&json!({"id": asked["id"], "type": "http_response", "payload": payload})).await;
            } else {
                let (head, tail) = body.split_at(body.len() / 2 - 1);
                page.chunk(&asked, head).await;
                page.chunk(&asked, tail).await;
                page.end(&asked).await;
            }
        };
        let (answer, ()) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, is_stream), answering);
        assert_eq!(support::text_of("chat", is_stream, &answer.body), TEXT, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_by_the_page_and_without_what_counts_nothing() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let body = json!({
        "model": MODEL, "max_tokens": 9, "system": "be brief",
        "messages": [{"role": "user", "content": "hello"}],
    });
    let counting = support::ask(&gateway, "/v1/messages/count_tokens", &body);
    let (answer, asked) = tokio::join!(counting, async {
        let asked = page.asked().await;
        page.answer(&asked, 200, r#"{"totalTokens": 31}"#).await;
        asked
    });
    assert_eq!(answer.json(), json!({"input_tokens": 31}));
    assert!(asked["payload"]["url"].as_str().unwrap().ends_with(":countTokens"), "{asked}");
    let body: Value = serde_json::from_str(asked["payload"]["body"].as_str().unwrap()).unwrap();
    for name in ["generationConfig", "tools", "safetySettings"] {
        assert!(body.get(name).is_none(), "{body}");
    }
    // What is no count is estimated.
    for broken in [r#"{"totalTokens": 0}"#, "{}", r#"{"totalTokens": -1}"#, "no count"] {
        let request = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]});
        let counting = support::ask(&gateway, "/v1/messages/count_tokens", &request);
        let (answer, ()) = tokio::join!(counting, async {
            let asked = page.asked().await;
            page.answer(&asked, 200, broken).await;
        });
        assert_eq!((answer.status, answer.header("x-gateway-estimated")), (200, "true"), "{broken}");
        assert!(answer.json()["input_tokens"].as_u64().unwrap() > 0, "{broken}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pages_do_not_take_is_left_out_and_named() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    let chat = json!({
        "model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    });
    let gemini = json!({
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}], "session_id": "s-1",
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 50},
    });
    let path = format!("/v1beta/models/{MODEL}:generateContent");
    for (path, body, limit) in
        [("/v1/chat/completions", chat, "max"), (&*path, gemini, "generationConfig.maxOutputTokens")]
    {
        let (answer, asked) = tokio::join!(support::ask(&gateway, path, &body), page.serve());
        assert!(answer.header("x-gateway-dropped").contains(limit), "{:?}", answer.headers);
        let sent = asked["payload"]["body"].as_str().unwrap();
        for name in ["maxOutputTokens", "responseMimeType", "responseJsonSchema", "session_id"] {
            assert!(!sent.contains(name), "{sent}");
        }
        assert!(sent.contains(if limit == "max" { "JSON Schema" } else { r#""temperature":0.5"# }), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_the_preview_are_asked_to_think_by_budget() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let body = json!({
        "model": "gemini-3-pro-preview", "reasoning_effort": "high",
        "messages": [{"role": "user", "content": "hello"}],
    });
    let (_, asked) = tokio::join!(support::ask(&gateway, "/v1/chat/completions", &body), page.serve());
    let sent: Value = serde_json::from_str(asked["payload"]["body"].as_str().unwrap()).unwrap();
    let thinking = &sent["generationConfig"]["thinkingConfig"];
    assert_eq!((&thinking["thinkingBudget"], thinking.get("thinkingLevel")), (&json!(24576), None), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_socket_carries_many_requests_whose_answers_cross() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let asking = join_all((0..8).map(|at| {
        let body = json!({"model": MODEL, "stream": at % 2 == 0, "messages": [{"role": "user", "content": format!("n{at}")}]});
        let gateway = &gateway;
        async move { support::ask(gateway, "/v1/chat/completions", &body).await }
    }));
    let answering = async {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(page.asked().await);
        }
        let word = |asked: &Value| {
            let body: Value = serde_json::from_str(asked["payload"]["body"].as_str().unwrap()).unwrap();
            body["contents"][0]["parts"][0]["text"].as_str().unwrap().to_owned()
        };
        let event = |text: &str, end: &str| {
            format!(
                r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}{end}}}]}}{}"#,
                "\r\n\r\n"
            )
        };
        let is_stream = |asked: &Value| asked["payload"]["url"].as_str().unwrap().contains(":stream");
        for asked in all.iter().filter(|asked| is_stream(asked)) {
            page.begin(asked).await;
            page.chunk(asked, &event(&word(asked), "")).await;
        }
        for asked in all.iter().rev() {
            if is_stream(asked) {
                page.chunk(asked, &event("!", r#","finishReason":"STOP""#)).await;
                page.end(asked).await;
            } else {
                let body = json!({"candidates": [{"content": {"parts": [{"text": format!("{}!", word(asked))}]}, "finishReason": "STOP"}]});
                page.answer(asked, 200, &body.to_string()).await;
            }
        }
    };
    let (answers, ()) = tokio::join!(asking, answering);
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(support::text_of("chat", at % 2 == 0, &answer.body), format!("n{at}!"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_take_turns() {
    let gateway = support::start(CONFIG, &[]);
    let mut pages = [Page::connect(&gateway).await, Page::connect(&gateway).await];
    let mut turns = Vec::new();
    for _ in 0..4 {
        let (answer, turn) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, false), async {
            let [one, two] = &mut pages;
            tokio::select! {
                _ = one.serve() => 0,
                _ = two.serve() => 1,
            }
        });
        assert_eq!(answer.status, 200, "{}", answer.body);
        turns.push(turn);
    }
    assert!(turns == [0, 1, 0, 1] || turns == [1, 0, 1, 0], "{turns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_listed_with_the_accounts_as_long_as_it_is_connected() {
    let gateway = support::launch().config(CONFIG).arguments(&["--password", "panel-key-0001"]).start();
    let asked = async |path: &str| {
        let request = support::client().get(format!("{}/v0/management{path}", gateway.url()));
        support::send(request.header("authorization", "Bearer panel-key-0001")).await.json()
    };
    let files = async || asked("/auth-files").await["files"].clone();
    assert_eq!(files().await, json!([]));
    assert!(!support::get(&gateway, "/v1/models").await.body.contains(MODEL));
    let page = Page::connect(&gateway).await;
    let listed = files().await;
    let id = listed[0]["id"].as_str().unwrap();
    let rest = id.strip_prefix("aistudio-").unwrap();
    assert!(rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    for (name, value) in [
        ("name", json!(id)),
        ("label", json!(id)),
        ("email", json!(id)),
        ("provider", json!("aistudio")),
        ("status", json!("active")),
        ("runtime_only", json!(true)),
        ("source", json!("memory")),
    ] {
        assert_eq!(listed[0][name], value, "{name}");
    }
    let explained = asked(&format!("/explain?model={MODEL}")).await;
    assert_eq!(explained["chosen"]["credential"], json!(id), "{explained}");
    let models = support::get(&gateway, "/v1/models").await.body;
    assert!(models.contains("gemini-pro-latest") && models.contains("gemini-2.5-flash-image"), "{models}");
    drop(page);
    gateway.line("a page of AI Studio has gone").await;
    assert_eq!(files().await, json!([]));
    assert!(!support::get(&gateway, "/v1/models").await.body.contains(MODEL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_no_file_to_change_and_is_in_nobodys_way_when_all_files_go() {
    let gateway = support::launch().config(CONFIG).arguments(&["--password", "panel-key-0001"]).start();
    let asked = async |method: &str, path: &str, body: Value| {
        let url = format!("{}/v0/management{path}", gateway.url());
        let request = support::client().request(method.parse().unwrap(), url).body(body.to_string());
        support::send(request.header("authorization", "Bearer panel-key-0001")).await
    };
    let account =
        json!({"type": "claude", "email": "z", "access_token": "t", "expired": "2099-01-01T00:00:00Z"});
    // By name the page comes before the account.
    let uploaded = asked("POST", "/auth-files?name=claude-z.json", account).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.body);
    let _page = Page::connect(&gateway).await;
    let files = asked("GET", "/auth-files", Value::Null).await.json()["files"].clone();
    assert_eq!(files.as_array().map(Vec::len), Some(2), "{files}");
    let id = &files[0]["id"];
    assert_eq!(files[0]["runtime_only"], true, "{files}");
    for (path, change) in
        [("/auth-files/status", json!({"disabled": true})), ("/auth-files/fields", json!({"priority": 1}))]
    {
        let mut body = change;
        body["name"] = id.clone();
        let refused = asked("PATCH", path, body).await;
        assert_eq!(refused.status, 409, "{path}: {}", refused.body);
    }
    let removed = asked("DELETE", "/auth-files?all=true", Value::Null).await;
    assert_eq!((removed.status, removed.json()), (200, json!({"status": "ok", "deleted": 1})));
    let files = asked("GET", "/auth-files", Value::Null).await.json()["files"].clone();
    assert_eq!((files.as_array().map(Vec::len), &files[0]["id"]), (Some(1), id), "{files}");
}
