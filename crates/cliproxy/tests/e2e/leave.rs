//! Clients that vanish: the upstream request ends with them, whenever they go.

use std::time::Duration;

use bytes::Bytes;
use cliproxy_testkit::{Gateway, Script, Upstream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::failover::half;
use crate::support::{self, FORMATS};

/// The upstream must hear within a second that nobody waits any more.
async fn is_told(upstream: &Upstream) {
    tokio::time::timeout(Duration::from_secs(1), upstream.dropped())
        .await
        .expect("the upstream request ends");
}

/// Sends a request and gives back the socket.
async fn asking(gateway: &Gateway, format: &str, is_stream: bool) -> TcpStream {
    let (path, body) = support::request(format, "up", is_stream);
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn j234_a_client_that_leaves_a_stream_takes_its_upstream_request_with_it() {
    for upstream_format in FORMATS {
        let half = half(upstream_format);
        let upstream =
            Upstream::start(move |_| Script::events(vec![Bytes::from(half.clone())]).stalled()).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            let (path, body) = support::request(client, "up", true);
            let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
            assert!(support::within(answer.chunk()).await.unwrap().is_some());
            drop(answer);
            is_told(&upstream).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_answer_begins_takes_its_upstream_request_with_it() {
    let upstream = Upstream::start(|_| Script::silent()).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let mut count = 0;
    for format in FORMATS {
        for is_stream in [false, true] {
            let socket = asking(&gateway, format, is_stream).await;
            count += 1;
            support::within(upstream.arrived(count)).await;
            drop(socket);
            is_told(&upstream).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_a_whole_answer_takes_its_upstream_request_with_it() {
    let upstream = Upstream::start(|_| Script::json(200, "{\"id\":").stalled()).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for (count, format) in FORMATS.into_iter().enumerate() {
        let socket = asking(&gateway, format, false).await;
        support::within(upstream.arrived(count + 1)).await;
        drop(socket);
        is_told(&upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_after_early_headers_takes_its_upstream_request_with_it() {
    let upstream = Upstream::start(|_| Script::silent()).await;
    let config = format!(
        "streaming: {{keepalive-seconds: 1}}\nnonstream-keepalive-interval: 1\n{}",
        support::config("chat", &upstream)
    );
    let gateway = support::start(&config, &[]);
    for is_stream in [true, false] {
        let (path, body) = support::request("claude", "up", is_stream);
        let mut answer = support::posting(&gateway, &path, &body).send().await.unwrap();
        assert!(support::within(answer.chunk()).await.unwrap().is_some());
        drop(answer);
        is_told(&upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_during_a_pause_between_rounds_causes_no_further_attempt() {
    let upstream = Upstream::start(|_| Script::json(429, "{}").header("retry-after", "1")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let socket = asking(&gateway, "chat", false).await;
    support::within(upstream.arrived(1)).await;
    drop(socket);
    // A second request passes through the same credential once its second of rest is over, so by then the first one
    // would have been repeated.
    let answer = support::ask_model(&gateway, "chat", "up", false).await;
    assert_eq!(answer.status, 429);
    let before = upstream.received().len();
    assert!(before <= 5, "{before} requests for two clients, one of whom left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_an_http2_stream_takes_its_upstream_request_with_it() {
    let half = half("claude");
    let upstream = Upstream::start(move |_| Script::events(vec![Bytes::from(half.clone())]).stalled()).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let (path, body) = support::request("chat", "up", true);
    let request = client.post(format!("{}{path}", gateway.url())).body(body.to_string());
    let mut answer = request.send().await.unwrap();
    assert!(support::within(answer.chunk()).await.unwrap().is_some());
    drop(answer);
    is_told(&upstream).await;
    // The connection itself goes on.
    let health = client.get(format!("{}/healthz", gateway.url())).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.version()), (200, http::Version::HTTP_2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_stops_its_upstream_and_no_other() {
    // More than any buffer on the way holds; what the client does not read must not pile up in the gateway.
    let frame = Bytes::from(support::events("chat").split_inclusive("\n\n").nth(1).unwrap().repeat(4000));
    let upstream =
        Upstream::start(move |_| Script::events(std::iter::repeat_n(frame.clone(), 400).collect())).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    let socket = asking(&gateway, "chat", true).await;
    support::within(upstream.arrived(1)).await;
    for _ in 0..20 {
        assert_eq!(support::get(&gateway, "/healthz").await.status, 200);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    assert!(kilobytes.unwrap_or_default() < 150_000, "{kilobytes:?} kB");
    drop(socket);
    is_told(&upstream).await;
}
