//! Too much of everything from upstreams: nesting without end, frames without number. One answer may fail; the gateway
//! goes on, and needs no more memory than before.

use std::io::Write as _;

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Script, Upstream};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{self, FORMATS, asks_stream};

/// Memory of the gateway in kilobytes; nothing where the system does not tell.
fn resident(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_nested_without_end_cost_one_answer_and_not_the_gateway() {
    let depth = 100_000;
    let nested = Bytes::from(format!("{{\"choices\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
    let open = Bytes::from(format!("{{\"choices\":{}", "{\"a\":".repeat(depth)));
    for format in FORMATS {
        for body in [&nested, &open] {
            let (whole, frame) = (body.clone(), [b"data: ", &body[..], b"\n\n"].concat());
            let upstream = Upstream::start(move |received| {
                if asks_stream(received) {
                    return Script::events(vec![Bytes::from(support::events(format)), frame.clone().into()]);
                }
                Script::json(200, whole.clone())
            })
            .await;
            let config = format!("request-retry: 0\n{}", support::config(format, &upstream));
            let gateway = support::start(&config, &[]);
            for client in FORMATS {
                for is_stream in [false, true] {
                    let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                    let what = format!("{client} over {format}, stream {is_stream}");
                    assert!([200, 502].contains(&answer.status), "{what}: {}", answer.status);
                    assert_eq!(support::get(&gateway, "/healthz").await.status, 200, "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_nested_without_end_are_errors() {
    let depth = 100_000;
    let nested =
        Bytes::from(format!("{{\"error\":{{\"message\":{}1{}}}}}", "[".repeat(depth), "]".repeat(depth)));
    for format in FORMATS {
        let body = nested.clone();
        let upstream = Upstream::start(move |_| Script::json(400, body.clone())).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        for client in FORMATS {
            let answer = support::ask_model(&gateway, client, "up", true).await;
            assert_eq!(answer.status, 400, "{client} over {format}");
            assert_eq!(support::get(&gateway, "/healthz").await.status, 200, "{client} over {format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_swells_when_it_is_unpacked_is_given_up() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let megabyte = vec![b' '; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&megabyte).unwrap();
    }
    let bomb = Bytes::from(encoder.finish().unwrap());
    for status in [200, 500] {
        let bomb = bomb.clone();
        let upstream =
            Upstream::start(move |_| Script::json(status, bomb.clone()).header("content-encoding", "gzip"))
                .await;
        let gateway =
            support::start(&format!("request-retry: 0\n{}", support::config("chat", &upstream)), &[]);
        for client in ["chat", "claude"] {
            let answer = support::ask_model(&gateway, client, "up", false).await;
            assert_eq!(answer.status, if status == 200 { 502 } else { status }, "{client}: {}", answer.body);
            let is_told = answer.error(client).2.contains("larger than");
            assert_eq!(is_told, status == 200, "{client}: {}", answer.body);
        }
        // An error is small, so a small part of it is enough to know.
        let most = if status == 200 { 400_000 } else { 150_000 };
        assert!(resident(&gateway) < most, "{status}: {} kB", resident(&gateway));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_thousands_of_tiny_frames_pass_in_the_memory_of_a_few() {
    const REPEATS: usize = 50;
    const IN_A_PIECE: usize = 4000;
    let frames: Vec<String> = support::events("chat").split_inclusive("\n\n").map(str::to_owned).collect();
    let tiny = frames[1].replace("Grüße ", "x");
    let (head, end) = (Bytes::from(frames[0].clone()), Bytes::from(frames[3..].concat()));
    let piece = Bytes::from(tiny.repeat(IN_A_PIECE));
    let upstream = Upstream::start(move |_| {
        let pieces = std::iter::once(head.clone())
            .chain(std::iter::repeat_n(piece.clone(), REPEATS))
            .chain([end.clone()]);
        Script::events(pieces.collect())
    })
    .await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for client in ["chat", "claude"] {
        let (path, body) = support::request(client, "up", true);
        let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
        let (mut count, mut most, mut tail) = (0, 0, Vec::new());
        let needle: &[u8] = if client == "chat" { b"\"content\":\"x\"" } else { b"\"text\":\"x\"" };
        while let Some(chunk) = support::within(answer.chunk()).await.unwrap() {
            tail.extend_from_slice(&chunk);
            count += tail.windows(needle.len()).filter(|window| *window == needle).count();
            // What may be the beginning of the next one stays.
            tail = tail.split_off(tail.len().saturating_sub(needle.len() - 1));
            most = most.max(resident(&gateway));
        }
        assert_eq!(count, REPEATS * IN_A_PIECE, "{client}");
        assert!(most < 150_000, "{client}: {most} kB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_never_begins_is_given_up() {
    for format in ["claude", "chat"] {
        // Both lanes hold what comes before an answer begins.
        let sign = Bytes::from(format!(": {}\n\n", "still here ".repeat(500)).repeat(200));
        let upstream = Upstream::start(move |_| Script::events(vec![sign.clone(); 70]).stalled()).await;
        let gateway =
            support::start(&format!("request-retry: 0\n{}", support::config(format, &upstream)), &[]);
        let answer = support::ask_model(&gateway, "claude", "up", true).await;
        assert_eq!(answer.status, 502, "{format}: {}", answer.body);
        assert!(answer.error("claude").2.contains("does not begin"), "{}", answer.body);
    }
}
