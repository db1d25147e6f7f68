//! Statements of the codec specification that only the whole gateway can show: headers, paths, error bodies.

use bytes::Bytes;
use cliproxy_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS};

#[tokio::test(flavor = "multi_thread")]
async fn j005_the_clients_version_and_betas_reach_claude_and_its_credentials_do_not() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = format!("api-keys: [client-key-0001]\n{}", support::config("claude", &upstream));
    let gateway = support::start(&config, &[]);
    let (path, body) = support::request("claude", "up", false);
    for (name, value) in [("x-api-key", "client-key-0001"), ("authorization", "Bearer client-key-0001")] {
        let answer = reqwest::Client::new()
            .post(format!("{}{path}?beta=true", gateway.url()))
            .header("anthropic-version", "2023-01-01")
            .header("anthropic-beta", "context-1m-2025-08-07,files-api-2025-04-14")
            .header("anthropic-beta", "newer-2099-01-01")
            .header("cookie", "session=secret")
            .header(name, value)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    let received = upstream.received();
    assert_eq!(received.len(), 2);
    for received in received {
        let all: Vec<&str> = received
            .headers
            .get_all("anthropic-beta")
            .iter()
            .flat_map(|value| value.to_str().unwrap().split(','))
            .map(str::trim)
            .collect();
        for beta in ["context-1m-2025-08-07", "files-api-2025-04-14", "newer-2099-01-01"] {
            assert_eq!(all.iter().filter(|known| **known == beta).count(), 1, "{beta} in {all:?}");
        }
        assert_eq!(received.headers["anthropic-version"], "2023-01-01");
        // Look-alikes take the key as a bearer token.
        assert_eq!(received.headers["authorization"], "Bearer upstream-key-0001");
        assert!(received.headers.get("x-api-key").is_none());
        assert!(received.headers.get("cookie").is_none());
        assert!(!format!("{:?} {}", received.headers, received.path).contains("client-key"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j012_a_byte_order_mark_and_compressed_bodies_are_accepted_by_every_format() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let (path, body) = support::request(format, "up", false);
        let text = body.to_string().into_bytes();
        let marked = [b"\xEF\xBB\xBF", &text[..]].concat();
        for (encoding, sent) in
            [("identity", marked.clone()), ("gzip", compressed(&text)), ("gzip", compressed(&marked))]
        {
            let answer = reqwest::Client::new()
                .post(format!("{}{path}", gateway.url()))
                .header("content-encoding", encoding)
                .body(sent)
                .send()
                .await
                .unwrap();
            let status = answer.status();
            assert_eq!(status, 200, "{format} {encoding}: {}", answer.text().await.unwrap());
            let received = upstream.received().pop().unwrap();
            assert!(received.headers.get("content-encoding").is_none());
            let read: Value =
                serde_json::from_slice(received.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&received.body))
                    .unwrap();
            assert_eq!(read, body, "{format} {encoding}");
        }
    }
}

fn compressed(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// An error body of each format, with a member that only this upstream writes.
fn error(format: &str, kind: &str) -> Value {
    match format {
        "claude" => {
            json!({"type": "error", "error": {"type": kind, "message": "no, ünd why", "more": 1.0}, "request_id": "req_1"})
        }
        "gemini" => {
            json!({"error": {"code": 400, "message": "no, ünd why", "status": "INVALID_ARGUMENT", "details": [{"@type": "x", "n": 1.0}]}})
        }
        _ => {
            json!({"error": {"message": "no, ünd why", "type": kind, "param": "x", "code": null, "more": 1.0}})
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j014_an_error_of_the_clients_format_passes_unchanged_unless_it_is_about_our_own_key() {
    for format in FORMATS {
        for (status, shown) in [(400, 400), (422, 422), (413, 413), (401, 502)] {
            let text = format!(" {}\n", error(format, "invalid_request_error"));
            let sent = Bytes::from(text.clone());
            let upstream = Upstream::start(move |_| Script::json(status, sent.clone())).await;
            for is_stream in [false, true] {
                // A refused key rests.
                let gateway = support::start(&support::config(format, &upstream), &[]);
                let (path, body) = support::request(format, "up", is_stream);
                let answer = support::ask(&gateway, &path, &body).await;
                let (found, answer) = (answer.status, answer.body);
                assert_eq!(found, shown, "{format} {status}: {answer}");
                if status == 401 {
                    assert!(
                        answer.contains("upstream_auth_failed") || format == "claude" || format == "gemini"
                    );
                    assert!(!answer.contains("ünd why"), "{answer}");
                } else {
                    assert_eq!(answer, text, "{format} {status}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j044_the_suffix_works_percent_encoded_in_a_gemini_path() {
    let upstream = Upstream::start(support::answering("gemini")).await;
    let url = upstream.url();
    let config = format!(
        "gemini-api-key:\n  - api-key: upstream-key-0001\n    base-url: {url}\n    models: [{{name: gemini-2.5-flash, alias: flash}}, {{name: gemini-3-pro-preview, alias: pro}}]\n"
    );
    let gateway = support::start(&config, &[]);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"temperature": 1.0, "thinkingConfig": {"thinkingBudget": 1, "includeThoughts": true}}});
    for (model, method, expected) in [
        ("flash%288192%29", "generateContent", json!({"includeThoughts": true, "thinkingBudget": 8192})),
        ("flash(none)", "generateContent", json!({"includeThoughts": false, "thinkingBudget": 0})),
        (
            "flash%28-1%29",
            "streamGenerateContent?alt=sse",
            json!({"includeThoughts": true, "thinkingBudget": -1}),
        ),
        (
            "models%2Fpro%28HIGH%29",
            "streamGenerateContent",
            json!({"includeThoughts": true, "thinkingLevel": "HIGH"}),
        ),
    ] {
        let path = format!("/v1beta/models/{model}:{method}");
        let answer = support::ask(&gateway, &path, &body).await;
        let (status, answer) = (answer.status, answer.body);
        assert_eq!(status, 200, "{model}: {answer}");
        let received = upstream.received().pop().unwrap();
        let sent: Value = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(sent["generationConfig"]["thinkingConfig"], expected, "{model}");
        assert_eq!(sent["contents"], body["contents"]);
        let name = if model.contains("pro") { "gemini-3-pro-preview" } else { "gemini-2.5-flash" };
        assert!(received.path.starts_with(&format!("/v1beta/models/{name}:")), "{}", received.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_an_upstream_leaves_out_is_estimated_for_every_client() {
    let without_usage = |received: &cliproxy_testkit::Received| {
        let mut body = support::body("chat");
        body.as_object_mut().unwrap().remove("usage");
        if !support::asks_stream(received) {
            return Script::json(200, body.to_string());
        }
        let events = support::events("chat");
        let frames = events.split_inclusive("\n\n").filter(|frame| !frame.contains("\"usage\":{"));
        Script::events(frames.map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect())
    };
    let upstream = Upstream::start(without_usage).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for client in ["responses", "claude", "gemini"] {
        for is_stream in [false, true] {
            let (path, body) = support::request(client, "up", is_stream);
            let answer = support::ask(&gateway, &path, &body).await.body;
            let counts: Vec<u64> = ["\"input_tokens\":", "\"promptTokenCount\":"]
                .iter()
                .flat_map(|name| answer.split(name).skip(1))
                .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap())
                .collect();
            assert!(
                !counts.is_empty() && counts.iter().all(|count| (3..40).contains(count)),
                "{client}: {answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j234_a_client_of_any_format_that_leaves_takes_its_upstream_request_with_it() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(move |_| {
            let start: String = support::events(upstream_format)
                .split_inclusive("\n\n")
                .take(4)
                .take_while(|frame| !frame.contains("STOP"))
                .collect();
            Script::events(vec![start.into()]).stalled()
        })
        .await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            let (path, body) = support::request(client, "up", true);
            let request =
                reqwest::Client::new().post(format!("{}{path}", gateway.url())).body(body.to_string());
            let mut answer = request.send().await.unwrap();
            assert!(answer.chunk().await.unwrap().is_some());
            drop(answer);
            let gone = tokio::time::timeout(std::time::Duration::from_secs(1), upstream.dropped()).await;
            assert!(gone.is_ok(), "{client} over {upstream_format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j235_a_body_in_answer_to_a_stream_request_is_a_stream_for_every_pair() {
    for upstream_format in FORMATS {
        let body = support::body(upstream_format).to_string();
        let upstream = Upstream::start(move |_| Script::json(200, body.clone())).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            let (path, body) = support::request(client, "up", true);
            let support::Answer { status, body: answer, .. } = support::ask(&gateway, &path, &body).await;
            assert_eq!(status, 200, "{client} over {upstream_format}: {answer}");
            assert_eq!(
                support::text_of(client, true, &answer),
                support::TEXT,
                "{client} over {upstream_format}"
            );
            assert!(support::is_complete(client, &answer), "{client} over {upstream_format}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j236_a_page_with_status_200_is_a_502_for_every_pair() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(|_| {
            Script::json(200, "<html><body>Please sign in</body></html>")
                .header("content-type", "text/html; charset=utf-8")
        })
        .await;
        for client in FORMATS {
            for is_stream in [false, true] {
                let config = support::config(upstream_format, &upstream);
                let gateway = support::start(&format!("request-retry: 0\n{config}"), &[]);
                let (path, body) = support::request(client, "up", is_stream);
                let support::Answer { status, body: answer, .. } = support::ask(&gateway, &path, &body).await;
                assert_eq!(status, 502, "{client} over {upstream_format}: {answer}");
                let error: Value = serde_json::from_str(&answer).unwrap();
                assert!(error["error"]["message"].is_string(), "{answer}");
                assert!(!answer.contains("<html"), "{answer}");
            }
        }
    }
}
