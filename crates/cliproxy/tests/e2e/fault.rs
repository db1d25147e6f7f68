//! Upstreams that break off, send what is no answer, or say an error where an answer should be.

use bytes::Bytes;
use cliproxy_testkit::socket::Peer;
use cliproxy_testkit::{Script, Upstream};
use serde_json::json;

use crate::failover::half;
use crate::support::{self, Answer, FORMATS, TEXT};

/// A configuration that tries once.
fn once(format: &str, url: &str) -> String {
    format!(
        "request-retry: 0\nstreaming: {{bootstrap-retries: 0}}\ndisable-cooling: true\n{}",
        support::config_at(format, url)
    )
}

/// What an upstream's misbehavior is to every client, streaming and not.
async fn every_client_hears(format: &str, url: &str, what: &str, hears: impl Fn(&str, bool, &Answer)) {
    let gateway = support::start(&once(format, url), &[]);
    for client in FORMATS {
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, client, "up", is_stream).await;
            let complete = is_stream && support::is_complete(client, &answer.body);
            assert!(!complete, "{what} of {format} for {client} looks complete: {}", answer.body);
            hears(client, is_stream, &answer);
        }
    }
    let lines = gateway.lines().join("\n");
    assert!(!lines.contains("panicked"), "{lines}");
}

fn refused(what: &str, status: u16) -> impl Fn(&str, bool, &Answer) {
    move |client, is_stream, answer| {
        assert_eq!(answer.status, status, "{what} for {client}, stream {is_stream}: {}", answer.body);
        assert!(!answer.error(client).2.is_empty());
        assert!(!answer.body.contains("<html"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j225_a_stream_that_is_cut_never_looks_complete() {
    for upstream_format in FORMATS {
        for is_reset in [true, false] {
            let half = Bytes::from(half(upstream_format));
            let upstream = Upstream::start(move |_| {
                let script = Script::events(vec![half.clone()]);
                if is_reset { script.cut() } else { script }
            })
            .await;
            every_client_hears(upstream_format, &upstream.url(), "a cut", |client, is_stream, answer| {
                let expected = if is_stream { 200 } else { 502 };
                assert_eq!(answer.status, expected, "{client} over {upstream_format}: {}", answer.body);
                assert!(answer.body.contains("error"), "{client} over {upstream_format}: {}", answer.body);
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_choices_the_first_that_ends_does_not_end_the_stream() {
    let piece = |index: u8, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let (none, stop) = ("null", "\"stop\"");
    let begun = [piece(0, none), piece(1, none), piece(0, stop)].concat();
    for (rest, is_whole) in [
        (String::new(), false),
        (piece(1, none), false),
        (piece(0, stop), false),
        (piece(1, stop), true),
        ("data: [DONE]\n\n".to_owned(), true),
    ] {
        let stream = [begun.as_str(), rest.as_str()].concat();
        let bytes = Bytes::from(stream.clone());
        let upstream = Upstream::start(move |_| Script::events(vec![bytes.clone()])).await;
        let gateway = support::start(&once("chat", &upstream.url()), &[]);
        let (path, mut body) = support::request("chat", "up", true);
        body["n"] = json!(2);
        let answer = support::ask(&gateway, &path, &body).await;
        assert_eq!(answer.status, 200, "{rest}: {}", answer.body);
        let after = answer.body.strip_prefix(&*stream).unwrap_or_else(|| panic!("{rest}: {}", answer.body));
        assert_eq!(after.is_empty(), is_whole, "{rest}: {}", answer.body);
        assert_eq!(after.starts_with("data: {\"error\":{"), !is_whole, "{rest}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_that_is_cut_is_an_error() {
    for format in FORMATS {
        for (what, script) in [
            ("a cut", |body: &str| Script::json(200, body[..40].to_owned()).cut()),
            ("half a body", |body: &str| Script::json(200, body[..40].to_owned())),
            ("an empty body", |_: &str| Script::json(200, "")),
            ("an empty object", |_: &str| Script::json(200, "{}")),
            ("null", |_: &str| Script::json(200, "null")),
            ("a list", |_: &str| Script::json(200, "[1,2,3]")),
        ] as [(&str, fn(&str) -> Script); 6]
        {
            let body = support::body(format).to_string();
            let upstream = Upstream::start(move |_| script(&body)).await;
            every_client_hears(format, &upstream.url(), what, refused(what, 502)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j236_a_page_with_status_200_is_no_answer() {
    for format in FORMATS {
        for kind in ["text/html", "application/json", "text/event-stream", "text/plain"] {
            let page = "<html><body><h1>Sign in to the network</h1></body></html>";
            let upstream =
                Upstream::start(move |_| Script::json(200, page).header("content-type", kind)).await;
            every_client_hears(format, &upstream.url(), kind, refused(kind, 502)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_an_error_status_is_not_shown_to_clients() {
    for format in FORMATS {
        for (status, expected) in [(403, 403), (500, 500), (502, 502), (524, 504)] {
            let page = "<html><head><title>Just a moment...</title></head></html>";
            let upstream =
                Upstream::start(move |_| Script::json(status, page).header("content-type", "text/html"))
                    .await;
            every_client_hears(format, &upstream.url(), "a page", refused("a page", expected)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_even_http_are_a_bad_upstream() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00garbage\x00\xff\xfe"[..],
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"half\":",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\nnonsense\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"",
    ] {
        let peer = Peer::saying(garbage);
        let url = format!("http://{}", peer.address());
        every_client_hears("claude", &url, "garbage", refused("garbage", 502)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_hear_how_an_answer_went_wrong() {
    for (said, told) in [
        (&b"\x16\x03\x01\x02\x00garbage\x00\xff\xfe\r\n\r\n"[..], "answered with something that is not HTTP"),
        (b"HTTP/1.1 banana\r\n\r\n", "answered with something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-ty", "closed the connection without an answer"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":", "in the middle of its answer"),
    ] {
        let peer = Peer::saying(said);
        let config = support::config_at("claude", &format!("http://{}", peer.address()));
        let gateway = support::start(&format!("request-retry: 0\n{config}"), &[]);
        let answer = support::ask_model(&gateway, "chat", "up", false).await;
        assert_eq!(answer.status, 502, "{told}");
        assert!(answer.error("chat").2.ends_with(told), "{told}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_a_bad_upstream() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    every_client_hears("chat", &format!("http://{address}"), "nobody", refused("nobody", 502)).await;
    every_client_hears("chat", "http://no-such-host.invalid", "no name", refused("no name", 502)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_with_status_200_is_that_error() {
    let bodies = [
        (
            "claude",
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}),
            [503, 503, 529, 503],
        ),
        (
            "chat",
            json!({"error": {"message": "too busy", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}),
            [429; 4],
        ),
        (
            "responses",
            json!({"error": {"message": "too busy", "type": "server_error", "code": "server_is_overloaded"}}),
            [503, 503, 529, 503],
        ),
        (
            "gemini",
            json!({"error": {"code": 429, "message": "too busy", "status": "RESOURCE_EXHAUSTED"}}),
            [429; 4],
        ),
    ];
    for (format, body, expected) in bodies {
        for kind in ["application/json", "text/event-stream"] {
            let body =
                if kind == "text/event-stream" { format!("data: {body}\n\n") } else { body.to_string() };
            let upstream =
                Upstream::start(move |_| Script::json(200, body.clone()).header("content-type", kind)).await;
            let what = format!("{kind} of {format}");
            every_client_hears(format, &upstream.url(), &what, |client, is_stream, answer| {
                let expected = expected[FORMATS.iter().position(|known| *known == client).unwrap()];
                assert_eq!(answer.status, expected, "{what} for {client}, {is_stream}: {}", answer.body);
                assert!(answer.error(client).2.contains("too busy"), "{}", answer.body);
            })
            .await;
        }
    }
}

/// An error as a stream of this format says it.
pub(crate) fn error_event(format: &str) -> &'static str {
    match format {
        "claude" => {
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"too busy\"}}\n\n"
        }
        "responses" => {
            "event: error\ndata: {\"type\":\"error\",\"sequence_number\":9,\"code\":\"server_is_overloaded\",\"message\":\"too busy\",\"param\":null}\n\n"
        }
        "gemini" => {
            "data: {\"error\":{\"code\":503,\"message\":\"too busy\",\"status\":\"UNAVAILABLE\"}}\n\n"
        }
        _ => "data: {\"error\":{\"message\":\"too busy\",\"type\":\"server_error\"}}\n\n",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_of_a_stream_is_told_in_the_clients_format() {
    for format in FORMATS {
        let frames = vec![Bytes::from(half(format)), Bytes::from(error_event(format))];
        let upstream = Upstream::start(move |_| Script::events(frames.clone())).await;
        let gateway = support::start(&once(format, &upstream.url()), &[]);
        for client in FORMATS {
            let answer = support::ask_model(&gateway, client, "up", true).await;
            let what = format!("{client} over {format}: {}", answer.body);
            assert!(answer.status == 200 && !support::is_complete(client, &answer.body), "{what}");
            let last = answer.body.trim_end().rsplit("\n\n").next().unwrap();
            let told = match client {
                "claude" => last.starts_with("event: error\ndata: ") && last.contains("\"type\":\"error\""),
                "responses" => last.contains("response.failed") || last.starts_with("event: error\n"),
                "gemini" => last.starts_with("data: {\"error\":{"),
                _ => last.starts_with("data: {\"error\":{"),
            };
            assert!(told && answer.body.contains("too busy"), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_middle_of_a_stream_is_told_and_a_single_bad_frame_is_not() {
    for format in FORMATS {
        let frames: Vec<String> =
            support::events(format).split_inclusive("\n\n").map(str::to_owned).collect();
        let noise = "data: {\"half\": \n\n".to_owned();
        let noisy = |count: usize| {
            let mut noisy = frames.clone();
            let at = noisy.iter().position(|frame| frame.contains('🌤')).unwrap();
            noisy.splice(at..at, std::iter::repeat_n(noise.clone(), count));
            Bytes::from(noisy.concat())
        };
        for count in [1, 3] {
            let bytes = noisy(count);
            let upstream = Upstream::start(move |_| Script::events(vec![bytes.clone()])).await;
            let gateway = support::start(&once(format, &upstream.url()), &[]);
            for client in FORMATS {
                let answer = support::ask_model(&gateway, client, "up", true).await;
                let what = format!("{count} bad frames, {client} over {format}: {}", answer.body);
                if client == format {
                    // Bytes pass; the client sees what its upstream said.
                    assert!(answer.body.contains(&noise), "{what}");
                } else if count == 1 {
                    assert_eq!(support::text_of(client, true, &answer.body), TEXT, "{what}");
                } else {
                    assert!(!support::is_complete(client, &answer.body), "{what}");
                    assert!(answer.body.contains("error"), "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spelling_of_a_stream_does_not_matter() {
    for format in FORMATS {
        let plain = support::events(format);
        let spellings = [
            ("CRLF", plain.replace('\n', "\r\n")),
            ("CR", plain.replace('\n', "\r")),
            ("no space after the colon", plain.replace("data: ", "data:")),
            ("comments", plain.replace("\n\n", "\n\n: hello\n\n")),
            ("ids and retries", plain.replace("data: ", "id: 7\nretry: 10\ndata: ")),
            ("a mark in front", format!("\u{FEFF}{plain}")),
            ("no last blank line", plain.trim_end().to_owned()),
        ];
        for (name, text) in spellings {
            let upstream = Upstream::start(move |received| {
                let script = Script::events(vec![Bytes::from(text.clone())]);
                // Cut everywhere, also inside characters and lines.
                if received.path.is_empty() { script } else { script.in_pieces(1) }
            })
            .await;
            let gateway = support::start(&once(format, &upstream.url()), &[]);
            for client in FORMATS.iter().filter(|client| **client != format) {
                let answer = support::ask_model(&gateway, client, "up", true).await;
                let what = format!("{name}, {client} over {format}: {}", answer.body);
                assert_eq!(support::text_of(client, true, &answer.body), TEXT, "{what}");
                assert!(support::is_complete(client, &answer.body), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_megabytes_pass() {
    let long = "Grüße ".repeat(250_000);
    for format in FORMATS {
        let text = support::events(format).replacen(TEXT.split(' ').next().unwrap(), &long, 1);
        let whole = support::body(format).to_string().replace(TEXT, &long);
        let upstream = Upstream::start(move |received| {
            if support::asks_stream(received) {
                return Script::events(vec![Bytes::from(text.clone())]).in_pieces(60_001);
            }
            Script::json(200, whole.clone()).in_pieces(60_001)
        })
        .await;
        let gateway = support::start(&once(format, &upstream.url()), &[]);
        for client in FORMATS {
            for is_stream in [true, false] {
                let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                let text = support::text_of(client, is_stream, &answer.body);
                assert!(text.contains(&long), "{client} over {format}, {is_stream}: {} bytes", text.len());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_larger_than_any_answer_are_given_up() {
    let line = Bytes::from(vec![b'x'; 1 << 20]);
    let upstream = Upstream::start(move |_| {
        let frame = std::iter::repeat_n(line.clone(), 40).collect::<Vec<_>>();
        let mut pieces = vec![Bytes::from_static(b"data: {\"text\":\"")];
        pieces.extend(frame);
        Script::events(pieces).stalled()
    })
    .await;
    for client in ["chat", "claude"] {
        let gateway = support::start(&once("chat", &upstream.url()), &[]);
        let answer = support::ask_model(&gateway, client, "up", true).await;
        assert_eq!(answer.status, 502, "{}", answer.body);
        support::within(upstream.dropped()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_answers_are_read_although_nobody_asked_for_them() {
    use std::io::Write as _;
    for format in FORMATS {
        let upstream = Upstream::start(move |received| {
            assert_eq!(received.header("accept-encoding"), "identity");
            let (kind, text) = if support::asks_stream(received) {
                ("text/event-stream", support::events(format))
            } else {
                ("application/json", support::body(format).to_string())
            };
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            Script::json(200, encoder.finish().unwrap())
                .header("content-type", kind)
                .header("content-encoding", "gzip")
        })
        .await;
        let gateway = support::start(&once(format, &upstream.url()), &[]);
        for client in FORMATS {
            for is_stream in [false, true] {
                let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                assert_eq!(support::text_of(client, is_stream, &answer.body), TEXT, "{client} over {format}");
            }
        }
    }
}
