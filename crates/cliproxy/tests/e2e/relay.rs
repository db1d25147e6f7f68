//! The Code Assist routes, for a Gemini CLI client that is pointed at the gateway.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cliproxy_testkit::{Abroad, Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, Answer, TEXT};

const MODEL: &str = "gemini-2.5-pro";
/// What the client signs in with at Google; nobody else must see it.
const OWN_TOKEN: &str = "Bearer token-of-the-client";

/// An auth file of the Gemini CLI.
fn account(name: &str, priority: u8) -> (String, Value) {
    let file = json!({
        "type": "gemini", "email": format!("{name}@b.c"), "project_id": format!("project-{name}"), "priority": priority,
        "token": {"access_token": format!("access-{name}"), "refresh_token": format!("refresh-{name}"),
            "expiry": "2099-01-01T00:00:00Z", "client_id": "client", "client_secret": "shared"},
    });
    (format!("{name}.json"), file)
}

/// A gateway with these accounts at `upstream`.
fn start(upstream: &Upstream, accounts: &[(String, Value)], config: &str) -> Gateway {
    let url = upstream.url();
    let config = format!(
        "oauth-endpoints:\n  gemini-cli: {{token-url: '{url}/token', base-url: '{url}'}}\nrequest-retry: 0\n{config}"
    );
    let accounts: Vec<_> = accounts.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    support::start_with(&config, &accounts)
}

/// What Code Assist answers. What is asked for in the body is not looked at.
fn code_assist(received: &Received) -> Script {
    let method = received.path.split(['?', ':']).nth(1).unwrap_or_default();
    match method {
        "generateContent" => Script::json(200, answer_in_envelope()),
        "streamGenerateContent" => {
            Script::events(stream_in_envelope().as_bytes().chunks(9).map(Bytes::copy_from_slice).collect())
        }
        "countTokens" => Script::json(200, "{\"totalTokens\":7}"),
        _ => Script::json(200, "{\"currentTier\" : {\"id\":\"free-tier\"}, \"x\":1.0}"),
    }
}

fn answer_in_envelope() -> String {
    format!("{{\"response\": {} , \"traceId\":\"t-1\"}}", support::body("gemini"))
}

fn stream_in_envelope() -> String {
    let events = support::events("gemini");
    let frames = events.split_terminator("\n\n").map(|frame| {
        format!(
            "data: {{\"response\": {},\"traceId\":\"t-1\"}}\r\n\r\n",
            frame.strip_prefix("data: ").unwrap()
        )
    });
    frames.collect()
}

fn refusal(status: u16, word: &str, reason: &str) -> Script {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
        "domain": "cloudcode-pa.googleapis.com", "metadata": {"quotaResetDelay": "3h0m0s"}}]);
    let error = json!({"error": {"code": status, "message": "No more.", "status": word, "details": details}});
    Script::json(status, error.to_string())
}

/// A request as the client writes it.
fn wrapped(model: &str) -> String {
    format!(
        r#"{{"model":"{model}", "project":"theirs","user_prompt_id":"u-1","request":{{"contents":[ {{"role":"user","parts":[{{"text":"hi"}}]}} ],"session_id":"s-1", "generationConfig":{{"topP":1.0}}}}}}"#
    )
}

async fn posted(gateway: &Gateway, call: &str, body: impl Into<String>) -> Answer {
    let request = support::client().post(format!("{}/v1internal{call}", gateway.url()));
    let request = request.header("authorization", OWN_TOKEN).header("content-type", "application/json");
    support::send(request.body(body.into())).await
}

fn bearer(received: &Received) -> &str {
    received.header("authorization").trim_start_matches("Bearer ")
}

/// The text of an answer or chunk inside the envelope.
fn text_of(wrapped: &Value) -> &str {
    let response = &wrapped["response"];
    assert!(response.is_object(), "{wrapped}");
    response["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn between_code_assist_and_its_client_only_model_and_project_change() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start(&upstream, &[account("a", 0)], "");
    let whole = posted(&gateway, ":generateContent", wrapped(MODEL)).await;
    assert_eq!((whole.status, whole.body), (200, answer_in_envelope()));
    let stream = posted(&gateway, ":streamGenerateContent?alt=sse", wrapped(MODEL)).await;
    assert_eq!((stream.status, stream.body), (200, stream_in_envelope()));
    for received in upstream.received() {
        assert_eq!(bearer(&received), "access-a");
        let sent = std::str::from_utf8(&received.body).unwrap();
        let expected = wrapped(MODEL).replace(r#" "project":"theirs","#, "");
        assert_eq!(sent, expected.replacen('{', r#"{"project":"project-a","#, 1));
    }
    // Without server-sent events it is one list.
    let list = posted(&gateway, ":streamGenerateContent", wrapped(MODEL)).await;
    let list = list.json();
    let said: String = list.as_array().unwrap().iter().map(text_of).collect();
    assert_eq!(said, TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upstream_serves_a_client_inside_the_envelope() {
    for format in support::FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let whole = posted(&gateway, ":generateContent", wrapped("up")).await;
        assert_eq!(whole.status, 200, "{format}: {}", whole.body);
        assert_eq!(text_of(&whole.json()), TEXT, "{format}");
        assert_eq!(whole.json()["response"]["usageMetadata"]["promptTokenCount"], 10, "{format}");
        let stream = posted(&gateway, ":streamGenerateContent?alt=sse", wrapped("up")).await;
        assert_eq!(stream.status, 200, "{format}: {}", stream.body);
        let frames: Vec<Value> = stream
            .body
            .split_terminator("\n\n")
            .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        assert_eq!(frames.iter().map(text_of).collect::<String>(), TEXT, "{format}");
        let last = &frames.last().unwrap()["response"];
        assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{format}: {last}");
        let list = posted(&gateway, ":streamGenerateContent", wrapped("up")).await.json();
        assert_eq!(list.as_array().unwrap().iter().map(text_of).collect::<String>(), TEXT, "{format}");
        for received in upstream.received() {
            assert!(!received.headers.values().any(|value| value == OWN_TOKEN), "{format}");
            let sent = received.json();
            for name in ["request", "project", "user_prompt_id", "session_id"] {
                assert!(sent.get(name).is_none(), "{format}: {name} in {sent}");
            }
            assert!(sent.to_string().contains("hi"), "{format}: {sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_to_a_stream_request_is_unfolded_inside_the_envelope() {
    for format in ["chat", "gemini"] {
        let upstream = Upstream::start(move |_| Script::json(200, support::body(format).to_string())).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let stream = posted(&gateway, ":streamGenerateContent?alt=sse", wrapped("up")).await;
        let said: String = stream
            .body
            .split_terminator("\n\n")
            .map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ").unwrap()).unwrap())
            .map(|frame| text_of(&frame).to_owned())
            .collect();
        assert_eq!(said, TEXT, "{format}: {}", stream.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_out_of_quota_rests_and_the_next_one_serves_until_none_is_left() {
    let upstream = Upstream::start(|received| {
        let is_out = bearer(received) == "access-a" || received.json()["model"] == "gemini-2.5-flash";
        if is_out { refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXHAUSTED") } else { code_assist(received) }
    })
    .await;
    let gateway = start(&upstream, &[account("a", 1), account("b", 0)], "");
    for _ in 0..2 {
        let answer = posted(&gateway, ":streamGenerateContent?alt=sse", wrapped(MODEL)).await;
        assert_eq!((answer.status, answer.body), (200, stream_in_envelope()));
    }
    let asked: Vec<_> = upstream.received().iter().map(|received| bearer(received).to_owned()).collect();
    assert_eq!(asked, ["access-a", "access-b", "access-b"]);
    // The refusal of the last one, then the gateway's own.
    for _ in 0..2 {
        let answer = posted(&gateway, ":generateContent", wrapped("gemini-2.5-flash")).await;
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(answer.error("gemini").0, "RESOURCE_EXHAUSTED");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 3600, "{:?}", answer.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_model_answers_is_asked_in_the_name_of_an_account() {
    let upstream = Upstream::start(|received| match (received.path.as_str(), bearer(received)) {
        ("/token", _) => Script::json(200, "{\"access_token\":\"access-new\",\"expires_in\":3599}"),
        (_, "access-a") => refusal(403, "PERMISSION_DENIED", "SERVICE_DISABLED"),
        (_, "access-b") => refusal(401, "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"),
        ("/v1internal:listExperiments", _) => refusal(404, "NOT_FOUND", "METHOD_NOT_FOUND"),
        _ => code_assist(received),
    })
    .await;
    let gateway = start(&upstream, &[account("a", 1), account("b", 0)], "");
    let body = r#"{"cloudaicompanionProject":"theirs", "metadata":{"ideType":"X","duetProject":"theirs"}}"#;
    let answer = posted(&gateway, ":loadCodeAssist?key=none", body).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\"currentTier\" : {\"id\":\"free-tier\"}, \"x\":1.0}")
    );
    let asked = upstream.received();
    let bearers: Vec<_> = asked.iter().map(bearer).collect();
    assert_eq!(bearers, ["access-a", "access-b", "", "access-new"]);
    for (received, project) in asked.iter().zip(["project-a", "project-b", "", "project-b"]) {
        if received.path != "/token" {
            assert_eq!(received.path, "/v1internal:loadCodeAssist?key=none");
            assert_eq!(received.body, body.replace("theirs", project));
        }
    }
    // An operation is looked at by name, with what the query says.
    let looked = support::client().get(format!("{}/v1internal/operations/op-1?x=1", gateway.url()));
    assert_eq!(support::send(looked).await.status, 200);
    let last = upstream.received().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("GET", "/v1internal/operations/op-1?x=1"));
    assert!(last.body.is_empty());
    // What one account's upstream does not know no other is asked for.
    let count = upstream.received().len();
    let answer = posted(&gateway, ":listExperiments", "{}").await;
    assert_eq!((answer.status, answer.error("gemini").0.as_str()), (404, "NOT_FOUND"));
    assert_eq!(upstream.received().len(), count + 2, "the first one refuses everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kept_connection_loses_is_asked_once_more_where_it_only_reads() {
    for (call, status, count) in [(":retrieveUserQuota", 200, 3), (":recordCodeAssistMetrics", 502, 2)] {
        let asked_before = AtomicUsize::new(0);
        let upstream = Upstream::start(move |received| match asked_before.fetch_add(1, Ordering::SeqCst) {
            1 => Script::hang_up(),
            _ => code_assist(received),
        })
        .await;
        let gateway = start(&upstream, &[account("a", 0)], "");
        assert_eq!(posted(&gateway, ":loadCodeAssist", "{}").await.status, 200);
        let answer = posted(&gateway, call, "{}").await;
        assert_eq!((answer.status, upstream.received().len()), (status, count), "{call}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_the_client_is_set_up_and_other_models_serve_it() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let answer = posted(&gateway, ":loadCodeAssist", r#"{"metadata":{}}"#).await.json();
    assert!(
        answer["currentTier"]["id"].is_string() && answer["cloudaicompanionProject"].is_string(),
        "{answer}"
    );
    let answer = posted(&gateway, ":listExperiments", "{}").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"experimentIds": [], "flags": []})));
    let answer = posted(&gateway, ":retrieveUserQuota", "{}").await;
    assert_eq!((answer.status, answer.error("gemini").0.as_str()), (404, "NOT_FOUND"));
    assert!(upstream.received().is_empty());
    assert_eq!(posted(&gateway, ":generateContent", wrapped("up")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_by_whoever_serves_the_model() {
    let upstream = Upstream::start(code_assist).await;
    let chat = support::config("chat", &upstream);
    let gateway = start(&upstream, &[account("a", 0)], &chat);
    for (model, is_estimated) in [(MODEL, "true"), ("up", "true")] {
        let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
        let body = json!({"request": {"model": format!("models/{model}"), "contents": contents}});
        let answer = posted(&gateway, ":countTokens", body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.json()["totalTokens"].as_u64().unwrap() > 0, "{}", answer.body);
        assert_eq!(answer.header("x-gateway-estimated"), is_estimated, "{model}");
    }
    let asked = upstream.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].json()["request"]["model"], format!("models/{MODEL}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_this_machine_are_let_in_and_others_with_a_key() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start(&upstream, &[account("a", 0)], "host: ''\napi-keys: [client-key-0001]\n");
    let port = gateway.url().rsplit(':').next().unwrap().to_owned();
    let ask = async |base: &str, call: &str, headers: &[(&str, &str)]| {
        let request = support::client().post(format!("{base}/v1internal{call}"));
        let request = request.header("content-type", "application/json").body(wrapped(MODEL));
        let headers = headers.iter().chain(&[("authorization", OWN_TOKEN)]);
        let answer =
            support::send(headers.fold(request, |request, (name, value)| request.header(*name, *value)))
                .await;
        assert!(answer.status == 200 || answer.error("gemini").2.contains("client key"), "{}", answer.body);
        answer.status
    };
    let hosts = ["127.0.0.1", "localhost"].into_iter();
    let v6 = std::net::TcpListener::bind("[::1]:0").is_ok().then_some("[::1]");
    for base in hosts.chain(v6).map(|host| format!("http://{host}:{port}")) {
        for call in [":generateContent", ":loadCodeAssist"] {
            assert_eq!(ask(&base, call, &[]).await, 200, "{base}");
            for header in [
                ("x-forwarded-for", "127.0.0.1"),
                ("forwarded", "for=127.0.0.1"),
                ("via", "1.1 proxy"),
                ("origin", "https://evil.example"),
                ("host", "evil.example"),
            ] {
                assert_eq!(ask(&base, call, &[header]).await, 403, "{base} {header:?}");
                let key = ("x-goog-api-key", "client-key-0001");
                assert_eq!(ask(&base, call, &[header, key]).await, 200, "{base} {header:?}");
            }
        }
    }
    for received in upstream.received() {
        let is_secret = |value: &str| value.contains("client-key") || value == OWN_TOKEN;
        assert!(!received.headers.values().any(|value| is_secret(value.to_str().unwrap())));
    }
    let Some(abroad) = Abroad::open() else { return };
    let door = abroad.door(&gateway).await;
    for call in [":generateContent", ":loadCodeAssist"] {
        assert_eq!(ask(&door, call, &[]).await, 403, "{call}");
        assert_eq!(ask(&door, call, &[("x-forwarded-for", "127.0.0.1")]).await, 403, "{call}");
        assert_eq!(ask(&door, call, &[("host", "localhost")]).await, 403, "{call}");
        assert_eq!(ask(&door, &format!("{call}?key=client-key-0001"), &[]).await, 200, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_its_word_says_who_is_of_this_machine() {
    let upstream = Upstream::start(code_assist).await;
    let config =
        "api-keys: [client-key-0001]\nremote-management: {trusted-proxies: ['127.0.0.1', '10.0.0.0/8']}\n";
    let gateway = start(&upstream, &[account("a", 0)], config);
    let port = gateway.url().rsplit(':').next().unwrap();
    for call in [":generateContent", ":loadCodeAssist"] {
        for (name, value, status) in [
            ("x-forwarded-for", "203.0.113.7", 403),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.7, 10.1.2.3", 403),
            ("x-real-ip", "203.0.113.7", 403),
            ("forwarded", "for=127.0.0.1", 403),
            ("x-forwarded-for", "not an address", 403),
            ("x-forwarded-for", "::1, 10.1.2.3", 200),
            ("x-forwarded-for", "127.0.0.1", 200),
            ("x-real-ip", "127.0.0.1", 200),
        ] {
            let request = support::client().post(format!("http://127.0.0.1:{port}/v1internal{call}"));
            let request = request.header("content-type", "application/json").header(name, value);
            let answer = support::send(request.body(wrapped(MODEL))).await;
            assert_eq!(answer.status, status, "{call} {name}: {value}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_with_its_place_and_asks_nobody() {
    let upstream = Upstream::start(code_assist).await;
    let gateway = start(&upstream, &[account("a", 0)], "");
    for (call, body, status, words) in [
        (":generateContent", format!(r#"{{"model":"{MODEL}","contents":[]}}"#), 400, "request"),
        (":generateContent", r#"{"model":"gemini-2.5-pro","request":[]}"#.to_owned(), 400, "request"),
        (":generateContent", r#"{"request":{"contents":[]}}"#.to_owned(), 400, "model"),
        (":generateContent", "{".to_owned(), 400, ""),
        (":generateContent", wrapped("no-such-model"), 404, "no-such-model"),
        (":countTokens", "[]".to_owned(), 400, ""),
        (":loadCodeAssist", String::new(), 400, "empty"),
        (":loadCodeAssist", "nothing".to_owned(), 400, ""),
        (":load.Code", "{}".to_owned(), 404, "no route"),
        (":", "{}".to_owned(), 404, "no route"),
    ] {
        let answer = posted(&gateway, call, body).await;
        assert_eq!(answer.status, status, "{call}: {}", answer.body);
        assert!(answer.error("gemini").2.contains(words), "{call}: {}", answer.body);
    }
    for path in ["/v1internal:generateContent", "/v1internal/operations/a%2f..%2fb", "/v1internal/x"] {
        let answer = support::get(&gateway, path).await;
        assert!([404, 405].contains(&answer.status), "{path}: {}", answer.body);
        answer.error("gemini");
    }
    assert!(upstream.received().is_empty());
}
