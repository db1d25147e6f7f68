//! Attempts and rounds before the first byte: to the next key, once more to all, and never after a byte is out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cliproxy_testkit::{Script, Upstream};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{self, FORMATS, TEXT};

/// Answers with `script` for the first `failures` requests and as asked from then on.
async fn failing(format: &'static str, failures: usize, script: Script) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    let answering = support::answering(format);
    Upstream::start(move |received| {
        if count.fetch_add(1, Ordering::SeqCst) < failures { script.clone() } else { answering(received) }
    })
    .await
}

fn config(format: &str, upstream: &Upstream, retry: &str) -> String {
    format!("{retry}\n{}", support::config(format, upstream))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_in_passing_is_tried_again_before_the_client_notices() {
    let faults = [
        ("hung up", Script::hang_up()),
        ("500", Script::json(500, "{}")),
        ("503", Script::json(503, "busy")),
        ("garbage", Script::json(200, "{\"half\":")),
        ("a page", Script::json(200, "<html>").header("content-type", "text/html")),
    ];
    let trying = FORMATS.into_iter().flat_map(|format| {
        let faults = faults.iter().flat_map(move |(name, fault)| [(name, fault, false), (name, fault, true)]);
        faults.map(move |(name, fault, is_stream)| async move {
            let upstream = failing(format, 2, fault.clone()).await;
            let gateway = support::start(&config(format, &upstream, "request-retry: 2"), &[]);
            let answer = support::ask_model(&gateway, "chat", "up", is_stream).await;
            assert_eq!(answer.status, 200, "{name} from {format}: {}", answer.body);
            assert_eq!(support::text_of("chat", is_stream, &answer.body), TEXT, "{name} from {format}");
            assert_eq!(upstream.received().len(), 3, "{name} from {format}");
        })
    });
    join_all(trying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_end_where_the_configuration_says_and_clients_hear_not_to_repeat() {
    for (retry, expected) in [
        ("request-retry: 0", 1),
        ("request-retry: 1", 2),
        ("request-retry: 3\nmax-retry-interval: 0", 4),
        ("request-retry: 0\nmax-retry-credentials: 1", 1),
    ] {
        let upstream = Upstream::start(|_| Script::json(503, "{}")).await;
        let gateway = support::start(&config("claude", &upstream, retry), &[]);
        let answer = support::ask_model(&gateway, "chat", "up", false).await;
        assert_eq!((answer.status, upstream.received().len()), (503, expected), "{retry}");
        let told = if expected > 1 { "false" } else { "" };
        assert_eq!(answer.header("x-should-retry"), told, "{retry}");
    }
    let upstream = Upstream::start(|_| Script::json(503, "{}")).await;
    let entry =
        support::entry("claude", "key-0001", &upstream.url(), "request-retry: 2, models: [{name: up}]");
    let gateway = support::start(&format!("request-retry: 0\n{}", support::list("claude", &[entry])), &[]);
    support::ask_model(&gateway, "chat", "up", false).await;
    assert_eq!(upstream.received().len(), 3, "an entry's own number wins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_cooldown_is_waited_for_and_a_long_one_is_not() {
    for (wait, longest, expected) in [("1", 2, 200), ("5", 2, 429)] {
        let upstream = failing("claude", 1, Script::json(429, "{}").header("retry-after", wait)).await;
        let retry = format!("request-retry: 1\nmax-retry-interval: {longest}");
        let gateway = support::start(&config("claude", &upstream, &retry), &[]);
        let answer = support::ask_model(&gateway, "chat", "up", false).await;
        assert_eq!(answer.status, expected, "{wait}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_broke_before_its_first_content_is_begun_anew() {
    for format in FORMATS {
        // Heads without content, as far as the format has such.
        let head: String = match format {
            "claude" | "responses" => support::events(format).split_inclusive("\n\n").take(1).collect(),
            _ => ": waiting\n\n".to_owned(),
        };
        let broken = Script::events(vec![Bytes::from(head)]).cut();
        for (retries, expected) in [(1, 200), (0, 502)] {
            let upstream = failing(format, 1, broken.clone()).await;
            let retry = format!("request-retry: 0\nstreaming: {{bootstrap-retries: {retries}}}");
            let gateway = support::start(&config(format, &upstream, &retry), &[]);
            let answer = support::ask_model(&gateway, "claude", "up", true).await;
            assert_eq!(answer.status, expected, "{format}: {}", answer.body);
            if expected == 200 {
                assert_eq!(support::text_of("claude", true, &answer.body), TEXT, "{format}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_inside_a_stream_before_its_content_moves_to_the_next_key() {
    for format in FORMATS {
        let error = match format {
            "claude" => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
            }
            "responses" => {
                "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"busy\",\"param\":null}\n\n"
            }
            "gemini" => {
                "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n"
            }
            _ => "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":503}}\n\n",
        };
        let answering = support::answering(format);
        let upstream = Upstream::start(move |received| {
            if format!("{:?}", received.headers).contains("second-key")
                || received.header("authorization").contains("second")
                || received.header("x-goog-api-key").contains("second")
            {
                return answering(received);
            }
            Script::events(vec![Bytes::from_static(error.as_bytes())])
        })
        .await;
        let entries = [("first-key-0001", "priority: 1, "), ("second-key-0001", "")].map(|(key, more)| {
            support::entry(format, key, &upstream.url(), &format!("{more}{}", support::UP))
        });
        let gateway = support::start(&support::list(format, &entries), &[]);
        for client in FORMATS {
            let answer = support::ask_model(&gateway, client, "up", true).await;
            assert_eq!(answer.status, 200, "{client} over {format}: {}", answer.body);
            assert_eq!(support::text_of(client, true, &answer.body), TEXT, "{client} over {format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tried_again_once_a_byte_of_content_is_out() {
    for format in FORMATS {
        let half = half(format);
        let upstream = failing(format, 1, Script::events(vec![Bytes::from(half)]).cut()).await;
        let gateway = support::start(&config(format, &upstream, "request-retry: 3"), &[]);
        let answer = support::ask_model(&gateway, "chat", "up", true).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        assert!(answer.body.contains("\"error\""), "{format}: {}", answer.body);
        assert_eq!(upstream.received().len(), 1, "{format}");
    }
}

/// The first half of a stream, with content and without an end.
pub(crate) fn half(format: &str) -> String {
    let is_last = |frame: &str| frame.contains("🌤");
    let frames = support::events(format);
    frames.split_inclusive("\n\n").take_while(|frame| !is_last(frame)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_asked_so_leaves_the_request_to_others() {
    // Audio has no place in a Claude request; the other upstream takes it.
    let claude = Upstream::start(support::answering("claude")).await;
    let gemini = Upstream::start(support::answering("gemini")).await;
    let config = support::list(
        "claude",
        &[support::entry(
            "claude",
            "first-key-0001",
            &claude.url(),
            &format!("priority: 1, {}", support::UP),
        )],
    ) + support::config("gemini", &gemini).as_str();
    let gateway = support::start(&config, &[]);
    let body = json!({"model": "up", "messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    let answer = support::ask(&gateway, "/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((claude.received().len(), gemini.received().len()), (0, 1));
}
