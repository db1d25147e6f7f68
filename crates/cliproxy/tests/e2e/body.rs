//! Request bodies that are wrong: what is refused, where and how it is said, and that nothing is asked upstream.

use std::io::Write as _;

use cliproxy_testkit::{Gateway, Upstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{self, Answer, FORMATS, TEXT};

fn path_of(format: &str) -> String {
    support::request(format, "up", false).0
}

async fn post_bytes(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Answer {
    let request = support::client().post(format!("{}{path}", gateway.url()));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    support::send(request.body(body)).await
}

/// An upstream of another format and of the same, so that both lanes see the body.
async fn both_lanes(format: &'static str) -> [(Upstream, Gateway); 2] {
    let other = if format == "gemini" { "chat" } else { "gemini" };
    let mut lanes = Vec::new();
    for upstream_format in [format, other] {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        lanes.push((upstream, gateway));
    }
    lanes.try_into().unwrap_or_else(|_| unreachable!())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_refused_with_its_place() {
    for format in FORMATS {
        for (_, gateway) in both_lanes(format).await {
            for (body, hint) in [
                ("", "empty"),
                ("{\"model\": \"up\", \"messages\": [", "end"),
                ("{\"model\": \"up\" \"messages\": []}", "byte"),
                ("{\"model\": up}", "byte"),
                ("[1, 2]", "object"),
                ("\"text\"", "object"),
                ("null", "object"),
                ("{\"model\": \"up\"} trailing", "byte"),
                ("{'model': 'up'}", "byte"),
                ("{\"model\": \"up\", \"x\": 01}", "byte"),
            ] {
                let answer = post_bytes(&gateway, &path_of(format), &[], body.to_owned()).await;
                assert_eq!(answer.status, 400, "{format} {body:?}: {}", answer.body);
                let message = answer.error(format).2;
                assert!(message.contains(hint), "{format} {body:?}: {message}");
            }
            let bytes = b"{\"model\": \"up\", \"messages\": \"\xff\xfe\"}".to_vec();
            let answer = post_bytes(&gateway, &path_of(format), &[], bytes).await;
            assert_eq!(answer.status, 400);
            assert!(answer.error(format).2.contains("UTF-8"), "{}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_are_refused_with_their_json_path() {
    let cases: [(&str, Value, &str); 14] = [
        ("chat", json!({"model": 5, "messages": [{"role": "user", "content": "x"}]}), "model"),
        ("chat", json!({"model": "up"}), "messages"),
        ("chat", json!({"model": "up", "messages": 5}), "messages"),
        ("chat", json!({"model": "up", "messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
        (
            "chat",
            json!({"model": "up", "messages": [{"role": "user", "content": [{"type": "text", "text": {}}]}]}),
            "messages[0].content[0].text",
        ),
        (
            "chat",
            json!({"model": "up", "messages": [{"role": "user", "content": "x"}], "temperature": "hot"}),
            "temperature",
        ),
        ("responses", json!({"model": "up", "input": 5}), "input"),
        (
            "responses",
            json!({"model": "up", "input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}),
            "input[0].content[0].text",
        ),
        (
            "responses",
            json!({"model": "up", "input": "x", "tools": [{"type": "function", "name": 5}]}),
            "tools[0].name",
        ),
        (
            "claude",
            json!({"model": "up", "max_tokens": "many", "messages": [{"role": "user", "content": "x"}]}),
            "max_tokens",
        ),
        (
            "claude",
            json!({"model": "up", "max_tokens": 5, "messages": [{"role": "user", "content": 5}]}),
            "messages[0].content",
        ),
        ("claude", json!({"model": "up", "max_tokens": 5}), "messages"),
        ("gemini", json!({"contents": 5}), "contents"),
        ("gemini", json!({"contents": [{"parts": [{"text": 5}]}]}), "contents[0].parts[0].text"),
    ];
    for (format, body, path) in cases {
        let [_, (upstream, gateway)] = both_lanes(format).await;
        let answer = support::ask(&gateway, &path_of(format), &body).await;
        assert_eq!(answer.status, 400, "{format} {body}: {}", answer.body);
        // What is wrong stands behind the path, and what would be right.
        let said = answer.error(format).2;
        let said = said.strip_prefix(path).and_then(|rest| rest.strip_prefix(": ")).unwrap_or_default();
        assert!(
            said.starts_with("expected a") || said.starts_with("required, as a"),
            "{path}: {}",
            answer.body
        );
        if matches!(format, "chat" | "responses") {
            assert_eq!(answer.json()["error"]["param"], path, "{}", answer.body);
        }
        assert!(upstream.received().is_empty(), "nothing is asked for a request that is wrong");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_another_type_is_named_as_what_it_is_at_every_door() {
    let [_, (upstream, gateway)] = both_lanes("chat").await;
    for (path, format) in [
        ("/v1/chat/completions", "chat"),
        ("/v1/completions", "chat"),
        ("/v1/embeddings", "chat"),
        ("/v1/images/generations", "chat"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "claude"),
    ] {
        for (body, said) in [
            (json!({"model": 5}), "model: expected a string, found a number"),
            (json!({}), "model: required, as a string"),
        ] {
            let answer = support::ask(&gateway, path, &body).await;
            assert_eq!(
                (answer.status, answer.error(format).2.as_str()),
                (400, said),
                "{path}: {}",
                answer.body
            );
        }
    }
    assert!(upstream.received().is_empty(), "nothing is asked for a request that is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_nobody_offers_are_answered_with_the_nearest_names() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let models = "models: [{name: a, alias: gemini-2.5-pro}, {name: b, alias: gemini-2.5-flash}, {name: c, alias: kimi}]";
    let config = support::list("chat", &[support::entry("chat", "key-0001", &upstream.url(), models)]);
    let gateway = support::start(&config, &[]);
    for format in FORMATS {
        for is_stream in [false, true] {
            for asked in ["gemini-2.5-por", "gemini-2.5-por(high)", "Gemini_2.5_pro"] {
                let answer = support::ask_model(&gateway, format, asked, is_stream).await;
                assert_eq!(answer.status, 404, "{asked}: {}", answer.body);
                let message = answer.error(format).2;
                assert!(
                    message.contains("did you mean `gemini-2.5-pro`?"),
                    "nothing else is as near: {message}"
                );
            }
            let answer = support::ask_model(&gateway, format, "something-else-entirely", is_stream).await;
            let message = answer.error(format).2;
            assert!(message.contains("GET /v1/models"), "{message}");
            if format == "chat" {
                assert_eq!(answer.error(format).1, "model_not_found");
            }
        }
        let empty = support::start("", &[]);
        let answer = support::ask_model(&empty, format, "gpt-5", false).await;
        assert!(answer.error(format).2.contains("--demo"), "{}", answer.body);
    }
    for format in ["chat", "responses", "claude"] {
        for body in [json!({}), json!({"model": ""}), json!({"model": null}), json!({"model": "  "})] {
            let answer = support::ask(&gateway, &path_of(format), &body).await;
            assert_eq!(answer.status, 400, "{format} {body}: {}", answer.body);
            assert!(answer.error(format).2.contains("model"), "{}", answer.body);
        }
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway =
        support::start(&format!("max-request-body-mb: 1\n{}", support::config("chat", &upstream)), &[]);
    for format in FORMATS {
        let (path, mut body) = support::request(format, "up", false);
        body["padding"] = json!("x".repeat(1 << 20));
        let announced = post_bytes(&gateway, &path, &[], body.to_string()).await;
        let text = body.to_string();
        let pieces: Vec<Result<String, std::io::Error>> =
            text.as_bytes().chunks(10_000).map(|piece| Ok(String::from_utf8_lossy(piece).into())).collect();
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let chunked = post_bytes(&gateway, &path, &[], stream).await;
        for answer in [announced, chunked] {
            assert_eq!(answer.status, 413, "{format}: {}", answer.body);
            let (word, _, message) = answer.error(format);
            assert!(message.contains("1 MiB") && message.contains("max-request-body-mb"), "{message}");
            if format == "claude" {
                assert_eq!(word, "request_too_large");
            }
        }
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_64_mib_unless_told_otherwise() {
    let gateway = support::start("", &["--demo"]);
    for (length, expected) in [(64 << 20, "HTTP/1.1 100 Continue\r\n"), ((64 << 20) + 1, "HTTP/1.1 413 ")] {
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; expected.len()];
        support::within(socket.read_exact(&mut answer)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
}

fn packed(encoding: &str, text: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match encoding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 2, 22).write_all(text).unwrap();
            out
        }
        _ => ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

const ENCODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_unpacked_and_go_out_plain() {
    for format in FORMATS {
        for (upstream, gateway) in both_lanes(format).await {
            for encoding in ENCODINGS {
                let (path, body) = support::request(format, "up", false);
                let bytes = packed(encoding, body.to_string().as_bytes());
                let answer = post_bytes(&gateway, &path, &[("content-encoding", encoding)], bytes).await;
                assert_eq!(answer.status, 200, "{format} {encoding}: {}", answer.body);
                assert_eq!(support::text_of(format, false, &answer.body), TEXT);
                let received = upstream.received().pop().unwrap();
                assert_eq!(received.header("content-encoding"), "");
                assert!(received.json().is_object());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_several_frames_are_read_to_the_end() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let (path, body) = support::request("chat", "up", false);
    let text = body.to_string();
    let (begin, end) = text.as_bytes().split_at(text.len() / 2);
    for encoding in ["gzip", "zstd"] {
        let headers = [("content-encoding", encoding)];
        let mut bytes = [packed(encoding, begin), packed(encoding, end)].concat();
        let answer = post_bytes(&gateway, &path, &headers, bytes.clone()).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.body);
        assert_eq!(upstream.received().pop().unwrap().json()["messages"], body["messages"]);
        bytes.extend_from_slice(b"{}");
        let answer = post_bytes(&gateway, &path, &headers, bytes).await;
        assert_eq!(answer.status, 400, "{encoding}: {}", answer.body);
        assert!(answer.error("chat").2.contains(encoding), "{}", answer.body);
    }
    // What the client has for itself alone.
    let note = [b"\x50\x2A\x4D\x18\x04\0\0\0note", &packed("zstd", text.as_bytes())[..]].concat();
    let answer = post_bytes(&gateway, &path, &[("content-encoding", "zstd")], note).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_damage_and_unknown_encodings_are_refused() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway =
        support::start(&format!("max-request-body-mb: 1\n{}", support::config("chat", &upstream)), &[]);
    let text = vec![b' '; 8 << 20];
    for encoding in ENCODINGS {
        let bomb = packed(encoding, &text);
        assert!(bomb.len() < 1 << 20, "{encoding}: {}", bomb.len());
        for format in FORMATS {
            let headers = [("content-encoding", encoding)];
            let answer = post_bytes(&gateway, &path_of(format), &headers, bomb.clone()).await;
            assert_eq!(answer.status, 413, "{encoding}: {}", answer.body);
            answer.error(format);
            let mut damaged = packed(encoding, b"{\"model\": \"up\", \"messages\": []}");
            damaged.truncate(damaged.len() / 2);
            let answer = post_bytes(&gateway, &path_of(format), &headers, damaged).await;
            assert_eq!(answer.status, 400, "{encoding}: {}", answer.body);
            assert!(answer.error(format).2.contains(encoding), "{}", answer.body);
        }
    }
    for encoding in ["snappy", "gzip, gzip, gzip, gzip"] {
        for format in FORMATS {
            let answer =
                post_bytes(&gateway, &path_of(format), &[("content-encoding", encoding)], "{}").await;
            assert!(matches!(answer.status, 400 | 415), "{encoding}: {}", answer.body);
            answer.error(format);
        }
    }
    let twice = packed(
        "gzip",
        &packed("gzip", b"{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"),
    );
    let answer =
        post_bytes(&gateway, "/v1/chat/completions", &[("content-encoding", "gzip, gzip")], twice).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_that_hold_no_json_are_refused_by_name_and_careless_ones_are_not() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for format in FORMATS {
        let (path, body) = support::request(format, "up", false);
        for kind in ["multipart/form-data; boundary=x", "application/xml", "image/png"] {
            let answer = post_bytes(&gateway, &path, &[("content-type", kind)], body.to_string()).await;
            assert_eq!(answer.status, 415, "{kind}: {}", answer.body);
            assert!(answer.error(format).2.contains("application/json"), "{}", answer.body);
        }
        for kind in [
            "application/json; charset=utf-8",
            "text/plain",
            "application/x-www-form-urlencoded",
            "APPLICATION/JSON",
        ] {
            let answer = post_bytes(&gateway, &path, &[("content-type", kind)], body.to_string()).await;
            assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_deeper_than_any_request_is_refused_in_both_lanes() {
    for format in FORMATS {
        for (upstream, gateway) in both_lanes(format).await {
            for depth in [1_000, 200_000] {
                for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                    let (path, body) = support::request(format, "up", false);
                    let inner = if open == "[" { "" } else { "1" };
                    let deep = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
                    let text = body.to_string().replacen('{', &format!("{{\"deep\":{deep},"), 1);
                    let answer = post_bytes(&gateway, &path, &[], text).await;
                    assert_eq!(answer.status, 400, "{format} {depth}: {}", answer.body);
                    assert!(answer.error(format).2.contains("deep"), "{}", answer.body);
                }
            }
            assert!(upstream.received().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_ends_early_reaches_no_upstream() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for format in FORMATS {
        let path = path_of(format);
        for head in [
            "content-length: 100000\r\n\r\n{\"model\":",
            "transfer-encoding: chunked\r\n\r\n9\r\n{\"model\":\r\n",
        ] {
            let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
            let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}");
            socket.write_all(request.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
            let mut answer = Vec::new();
            support::within(socket.read_to_end(&mut answer)).await.ok();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{format}: {answer}");
        }
    }
    assert_eq!(support::get(&gateway, "/healthz").await.status, 200);
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_legal_bodies_are_read() {
    for format in FORMATS {
        for (_, gateway) in both_lanes(format).await {
            let (path, body) = support::request(format, "up", false);
            let text = body.to_string();
            for odd in [
                format!("\u{FEFF}{text}"),
                format!(" \r\n\t{text}\n\n"),
                text.replace("hi", "h\\u0069 \\ud83c\\udf24"),
                text.replacen('{', "{\"x_unknown\": {\"a\": [1e300, -0, 12345678901234567890]}, ", 1),
            ] {
                let answer = post_bytes(&gateway, &path, &[("expect", "100-continue")], odd.clone()).await;
                assert_eq!(answer.status, 200, "{format} {odd}: {}", answer.body);
            }
        }
    }
}
