//! What a credential's refusal means: who rests, for which model and how long, and what clients hear of it.

use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS, key_of, keys_of};

/// An error body as the service of `format` writes it.
fn refusal(format: &str, status: u16, message: &str) -> Value {
    match format {
        "claude" => {
            let word = match status {
                401 => "authentication_error",
                402 => "billing_error",
                403 => "permission_error",
                404 => "not_found_error",
                429 => "rate_limit_error",
                _ => "api_error",
            };
            json!({"type": "error", "error": {"type": word, "message": message}, "request_id": "req_up"})
        }
        "gemini" => {
            let word = match status {
                401 => "UNAUTHENTICATED",
                402 | 403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                503 => "UNAVAILABLE",
                _ => "INTERNAL",
            };
            json!({"error": {"code": status, "message": message, "status": word}})
        }
        _ => json!({"error": {"message": message, "type": "error", "param": null, "code": null}}),
    }
}

/// Two keys for `up` and `other` at one upstream, the first preferred.
fn two_keys(format: &str, upstream: &Upstream) -> String {
    let models = "models: [{name: up, alias: up}, {name: other, alias: other}]";
    let first = support::entry(format, "first-key-0001", &upstream.url(), &format!("priority: 1, {models}"));
    let second = support::entry(format, "second-key-0001", &upstream.url(), models);
    format!("request-retry: 0\n{}", support::list(format, &[first, second]))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_the_next_key_serves_and_the_refused_one_rests_for_that_model_alone() {
    for format in FORMATS {
        for status in [401, 402, 403, 404, 429, 500, 502, 503, 504, 529] {
            let upstream = Upstream::start(move |received| {
                let is_first = key_of(received).starts_with("first");
                let names_up = received.path.contains("/up:")
                    || received.header("content-length") == "0"
                    || { received.json()["model"] == "up" };
                if is_first && names_up {
                    return Script::json(status, refusal(format, status, "no").to_string());
                }
                Script::json(200, support::body(format).to_string())
            })
            .await;
            let gateway = support::start(&two_keys(format, &upstream), &[]);
            for model in ["up", "up", "other", "up"] {
                let answer = support::ask_model(&gateway, "chat", model, false).await;
                assert_eq!(answer.status, 200, "{status} of {format}: {}", answer.body);
            }
            let (first, second) = ("first-key-0001", "second-key-0001");
            // A key that is not accepted rests with all its models.
            let other = if status == 401 { second } else { first };
            assert_eq!(keys_of(&upstream), [first, second, second, other, second], "{status} of {format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_request_itself_burns_no_key() {
    for status in [400, 409, 413, 422] {
        let upstream =
            Upstream::start(move |_| Script::json(status, refusal("claude", status, "wrong").to_string()))
                .await;
        let gateway = support::start(&two_keys("claude", &upstream), &[]);
        for attempt in 1..=2 {
            let answer = support::ask_model(&gateway, "claude", "up", false).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(keys_of(&upstream), vec!["first-key-0001"; attempt], "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suffixes_of_a_model_rest_with_it() {
    let upstream = Upstream::start(|_| Script::json(429, refusal("claude", 429, "slow").to_string())).await;
    let gateway = support::start(&two_keys("claude", &upstream), &[]);
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 429);
    assert_eq!(support::ask_model(&gateway, "claude", "up(high)", false).await.status, 429);
    assert_eq!(upstream.received().len(), 2, "one a key, none for the suffix");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_keys_rest_clients_hear_when_to_come_back() {
    for format in FORMATS {
        let upstream = Upstream::start(|_| {
            Script::json(429, refusal("claude", 429, "slow").to_string()).header("retry-after", "600")
        })
        .await;
        let gateway = support::start(&support::config("claude", &upstream), &[]);
        assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 429);
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, format, "up", is_stream).await;
            assert_eq!(answer.status, 429, "{format}: {}", answer.body);
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((590..=600).contains(&wait), "{wait}");
            let (word, code, message) = answer.error(format);
            let expected = if format == "gemini" { "RESOURCE_EXHAUSTED" } else { "rate_limit_error" };
            assert_eq!(word, expected);
            assert!(message.contains(&format!("try again in {wait} s")), "{message}");
            if matches!(format, "chat" | "responses") {
                assert_eq!(code, "model_cooldown");
            }
            if format == "gemini" {
                let delay = &answer.json()["error"]["details"][0]["retryDelay"];
                assert_eq!(delay, &json!(format!("{wait}s")));
            }
        }
        assert_eq!(upstream.received().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_earliest_end_of_all_rests_is_told() {
    let upstream = Upstream::start(|received| {
        let wait = if key_of(received).starts_with("first") { "600" } else { "120" };
        Script::json(429, refusal("claude", 429, "slow").to_string()).header("retry-after", wait)
    })
    .await;
    let gateway = support::start(&two_keys("claude", &upstream), &[]);
    support::ask_model(&gateway, "chat", "up", false).await;
    let answer = support::ask_model(&gateway, "chat", "up", false).await;
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((110..=120).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_an_upstream_says_when_is_heard() {
    let in_details = json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "299.2s"}]}});
    let in_seconds =
        json!({"error": {"type": "usage_limit_reached", "message": "used up", "resets_in_seconds": 300}});
    let in_words = json!({"error": {"message": "slow, try again in 300s", "type": "rate_limit_error"}});
    for (format, body, headers) in [
        ("claude", refusal("claude", 429, "slow"), vec![("retry-after", "300")]),
        ("claude", refusal("claude", 429, "slow"), vec![("retry-after-ms", "299500")]),
        ("gemini", in_details, vec![]),
        ("responses", in_seconds, vec![]),
        ("chat", in_words, vec![]),
    ] {
        let shown = format!("{format} {body} {headers:?}");
        let upstream = Upstream::start(move |_| {
            let script = Script::json(429, body.to_string());
            headers.iter().fold(script, |script, (name, value)| script.header(name, value))
        })
        .await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        for _ in 0..2 {
            let answer = support::ask_model(&gateway, "chat", "up", false).await;
            let wait: u64 = answer.header("retry-after").parse().unwrap_or_default();
            assert!((290..=300).contains(&wait), "{wait} for {shown}: {}", answer.body);
        }
        assert_eq!(upstream.received().len(), 1, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resting_for_another_reason_than_quota_is_told_with_its_reason() {
    for (status, reason) in [
        (401, "does not accept the credential"),
        (403, "payment or permission is missing"),
        (404, "does not have the model"),
    ] {
        let upstream =
            Upstream::start(move |_| Script::json(status, refusal("claude", status, "no").to_string())).await;
        let gateway = support::start(&support::config("claude", &upstream), &[]);
        support::ask_model(&gateway, "chat", "up", false).await;
        let answer = support::ask_model(&gateway, "chat", "up", false).await;
        assert_eq!((answer.status, answer.error("chat").1), (503, json!("auth_unavailable")));
        assert!(answer.body.contains(reason), "{}", answer.body);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 1700, "{:?}", answer.headers);
        assert_eq!(upstream.received().len(), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j198_overload_and_rate_limit_have_the_words_that_claude_clients_know() {
    for format in FORMATS {
        for (status, wait, expected, word) in [
            (503, "", 529, "overloaded_error"),
            (529, "", 529, "overloaded_error"),
            (429, "600", 429, "rate_limit_error"),
        ] {
            let upstream = Upstream::start(move |_| {
                let script = Script::json(status, refusal(format, status, "not now").to_string());
                if wait.is_empty() { script } else { script.header("retry-after", wait) }
            })
            .await;
            let config = format!("request-retry: 0\n{}", support::config(format, &upstream));
            for is_stream in [false, true] {
                let gateway = support::start(&config, &[]);
                let answer = support::ask_model(&gateway, "claude", "up", is_stream).await;
                // An upstream of the client's own format speaks for itself.
                let expected = if format == "claude" { status } else { expected };
                assert_eq!(answer.status, expected, "{status} of {format}: {}", answer.body);
                assert_eq!(answer.header("retry-after"), wait, "{status} of {format}");
                if format != "claude" {
                    assert_eq!(answer.error("claude").0, word, "{status} of {format}");
                    assert!(answer.error("claude").2.contains("not now"), "{}", answer.body);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_of_the_gateway_never_looks_like_the_clients_key() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(move |_| {
            Script::json(401, refusal(upstream_format, 401, "bad key upstream-key-0001").to_string())
        })
        .await;
        for client in FORMATS {
            let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
            let answer = support::ask_model(&gateway, client, "up", false).await;
            assert_eq!(answer.status, 502, "{client} over {upstream_format}: {}", answer.body);
            answer.error(client);
            assert!(!answer.body.contains("upstream-key"), "{}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cooldowns_can_be_switched_off_for_all_and_for_one() {
    let upstream = Upstream::start(|_| Script::json(401, refusal("claude", 401, "no").to_string())).await;
    let entry = support::entry("claude", "upstream-key-0001", &upstream.url(), support::UP);
    let single = entry.replace("models:", "disable-cooling: true, models:");
    for config in [
        format!("disable-cooling: true\n{}", support::list("claude", &[entry])),
        support::list("claude", &[single]),
    ] {
        let before = upstream.received().len();
        let gateway = support::start(&config, &[]);
        for _ in 0..3 {
            support::ask_model(&gateway, "chat", "up", false).await;
        }
        assert_eq!(upstream.received().len() - before, 3, "{config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_an_entry_decide_what_its_errors_mean() {
    for (action, is_continued, rests) in [
        ("stop", false, false),
        ("stop-and-cooldown", false, true),
        ("continue", true, false),
        ("continue-and-cooldown", true, true),
    ] {
        let upstream = Upstream::start(|received| {
            if key_of(received).starts_with("first") {
                return Script::json(400, refusal("claude", 400, "credit balance is too low").to_string());
            }
            Script::json(200, support::body("claude").to_string())
        })
        .await;
        let rule =
            format!("request-scoped-errors: [{{status: 400, match: ['credit balance'], action: {action}}}]");
        let config = two_keys("claude", &upstream).replace("priority: 1", &format!("priority: 1, {rule}"));
        let gateway = support::start(&config, &[]);
        let first = support::ask_model(&gateway, "chat", "up", false).await;
        assert_eq!(first.status, if is_continued { 200 } else { 400 }, "{action}: {}", first.body);
        let asked = upstream.received().len();
        support::ask_model(&gateway, "chat", "up", false).await;
        let is_asked = keys_of(&upstream)[asked].starts_with("first");
        assert_eq!(is_asked, !rests, "{action}: {:?}", keys_of(&upstream));
    }
}
