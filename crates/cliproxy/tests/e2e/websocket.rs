//! ChatGPT accounts whose files ask for websockets.

use cliproxy_testkit::{Gateway, Received, Talk, Talker};
use serde_json::{Value, json};

use crate::support;

const MODEL: &str = "gpt-5.5";

fn start(talker: &Talker, names: &[&str]) -> Gateway {
    let url = talker.url();
    let config = format!(
        "oauth-endpoints:\n  codex: {{token-url: '{url}/token', base-url: '{url}/codex'}}\nrequest-retry: 0\n"
    );
    let accounts: Vec<(String, Value)> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let file = json!({
                "type": "codex", "access_token": format!("access-{name}"), "refresh_token": format!("refresh-{name}"),
                "account_id": format!("id-{name}"), "expired": "2099-01-01T00:00:00Z", "websockets": true,
                "priority": names.len() - at,
            });
            (format!("codex-{name}.json"), file)
        })
        .collect();
    let accounts: Vec<(&str, Value)> = accounts.iter().map(|(name, file)| (&**name, file.clone())).collect();
    support::start_with(&config, &accounts)
}

/// The frames of an answer whose end has another name and leaves the items out.
fn frames() -> Vec<String> {
    let events = support::bare_events();
    let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
    let limits = r#"{"type":"codex.rate_limits","plan_type":"plus"}"#;
    let frames = data.map(|data| data.replace("\"response.completed\"", "\"response.done\""));
    std::iter::once(limits.to_owned()).chain(frames).collect()
}

fn is_upgrade(received: &Received) -> bool {
    received.body.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_is_served_over_a_socket() {
    let talker = Talker::start(|_| Talk::Frames(frames())).await;
    let gateway = start(&talker, &["a"]);
    for format in support::FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, MODEL, is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of(format, is_stream, &answer.body), support::TEXT, "{format}");
            assert!(!is_stream || support::is_complete(format, &answer.body), "{format}: {}", answer.body);
        }
    }
    let received = talker.received();
    assert_eq!(talker.frames().len(), 8);
    for asked in received.iter().filter(|received| !is_upgrade(received)) {
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/codex/responses"));
        assert_eq!(asked.header("openai-beta"), "responses_websockets=2026-02-06");
        assert_eq!(
            (asked.header("authorization"), asked.header("chatgpt-account-id")),
            ("Bearer access-a", "id-a")
        );
        let frame = asked.json();
        assert_eq!(
            (&frame["type"], &frame["model"], &frame["store"]),
            (&json!("response.create"), &json!(MODEL), &json!(false))
        );
        assert!(frame.get("stream").is_none() && frame.get("previous_response_id").is_none(), "{frame}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_as_a_frame_is_judged_like_one_by_http() {
    let error = json!({"type": "usage_limit_reached", "message": "The usage limit has been reached"});
    let with_time = json!({"type": "usage_limit_reached", "message": "reached", "resets_in_seconds": 3600});
    let used_up = json!({"used_percent": 100, "window_minutes": 300, "reset_at": 4_102_444_800_u64});
    let frames_of_refusal = [
        vec![json!({"type": "error", "status": 429, "error": with_time})],
        vec![json!({"type": "error", "status": 429, "error": error, "headers": {
            "x-codex-primary-used-percent": "100", "x-codex-primary-reset-at": "4102444800",
        }})],
        // The event that leads says when.
        vec![
            json!({"type": "codex.rate_limits", "rate_limits": {"primary": used_up}}),
            json!({"type": "error", "status": 429, "error": error}),
        ],
    ];
    for refusal in frames_of_refusal {
        let refusal: Vec<String> = refusal.iter().map(Value::to_string).collect();
        let talker = Talker::start(move |received| {
            let is_served = is_upgrade(received) || received.header("chatgpt-account-id") == "id-b";
            Talk::Frames(if is_served { frames() } else { refusal.clone() })
        })
        .await;
        let gateway = start(&talker, &["a", "b"]);
        for model in [MODEL, "gpt-5.4"] {
            let answer = support::ask_model(&gateway, "responses", model, true).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let received = talker.received();
        let refused =
            received.iter().filter(|received| received.header("chatgpt-account-id") == "id-a").count();
        assert_eq!(refused, 2, "one upgrade and one frame; the plan is used up for every model");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_for_a_socket_is_told_as_such() {
    let talker =
        Talker::start(
            |received| if is_upgrade(received) { Talk::Frames(Vec::new()) } else { Talk::Close(1009) },
        )
        .await;
    let gateway = start(&talker, &["a"]);
    let answer = support::ask_model(&gateway, "chat", MODEL, true).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_gets_no_sockets_is_served_by_http_from_then_on() {
    let talker = Talker::start(|received| {
        if received.method == "GET" {
            return Talk::Plain(426, "application/json", json!({"detail": "Upgrade Required"}).to_string());
        }
        assert_eq!(received.json()["stream"], json!(true));
        Talk::Plain(200, "text/event-stream", support::bare_events())
    })
    .await;
    let gateway = start(&talker, &["a"]);
    for format in ["claude", "responses"] {
        let answer = support::ask_model(&gateway, format, MODEL, true).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let methods: Vec<String> = talker.received().iter().map(|received| received.method.to_string()).collect();
    assert_eq!(methods, ["GET", "POST", "POST"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_renews_the_token_and_a_socket_that_ends_early_is_no_answer() {
    let talker = Talker::start(|received| match received.path.as_str() {
        "/token" => Talk::Plain(200, "application/json", json!({"access_token": "access-new"}).to_string()),
        _ if received.header("authorization") == "Bearer access-a" => {
            let error = json!({"error": {"code": "token_expired", "message": "Provided authentication token is expired."}});
            Talk::Plain(401, "application/json", error.to_string())
        }
        _ if is_upgrade(received) => Talk::Frames(Vec::new()),
        _ if received.header("authorization") == "Bearer access-new" => Talk::Close(1001),
        _ => Talk::Frames(frames()),
    })
    .await;
    let gateway = start(&talker, &["a", "b"]);
    let answer = support::ask_model(&gateway, "gemini", MODEL, false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told: Vec<String> =
        talker.received().iter().map(|received| received.header("authorization").to_owned()).collect();
    let expected = [
        "Bearer access-a",
        "",
        "Bearer access-new",
        "Bearer access-new",
        "Bearer access-b",
        "Bearer access-b",
    ];
    assert_eq!(told, expected);
}
