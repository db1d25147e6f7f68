//! The four limits on upstreams, each by itself, and that none of them ends what makes progress.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cliproxy_testkit::socket::Peer;
use cliproxy_testkit::{Script, Upstream};
use futures_util::future::join_all;

use crate::failover::half;
use crate::support::{self, FORMATS, TEXT};

fn limited(limits: &str, rest: &str) -> String {
    format!("request-retry: 0\nstreaming: {{bootstrap-retries: 0}}\nupstream-timeouts: {{{limits}}}\n{rest}")
}

async fn times_out(config: &str, what: &str) {
    let gateway = support::start(config, &[]);
    let asking = FORMATS.map(async |format| {
        let started = Instant::now();
        let answer = support::ask_model(&gateway, format, "up", format == "chat").await;
        assert_eq!(answer.status, 504, "{format}: {}", answer.body);
        let (_, _, message) = answer.error(format);
        assert!(message.contains(what), "{message}");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(10), "{took:?}");
    });
    join_all(asking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_has_a_limit() {
    let peer = Peer::unreachable().await;
    let config = support::config_at("chat", &format!("http://{}", peer.address()));
    let told = "no connection with the upstream within 1 s";
    times_out(&limited("connect: 1, tls: 30, first-byte: 30, idle: 30", &config), told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_of_a_proxy_counts_as_connecting() {
    let (peer, upstream) = (Peer::deaf(), Upstream::start(support::answering("chat")).await);
    for scheme in ["http", "socks5"] {
        // An http proxy forwards plain http without a handshake, so the way leads to an https address.
        let target = if scheme == "http" { "https://127.0.0.1:1".to_owned() } else { upstream.url() };
        let proxy = format!("proxy-url: {scheme}://{}\n", peer.address());
        let config = proxy + support::config_at("chat", &target).as_str();
        // Whose matter it is, and nothing of where anybody is.
        let told = "the configured proxy opened no way to the upstream within 1 s";
        times_out(&limited("connect: 1, tls: 30, first-byte: 30, idle: 30", &config), told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_has_a_limit() {
    let peer = Peer::deaf();
    let config = support::config_at("chat", &format!("https://{}", peer.address()));
    let told = "no TLS handshake with the upstream within 1 s";
    times_out(&limited("connect: 30, tls: 1, first-byte: 30, idle: 30", &config), told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_has_a_limit_and_the_upstream_hears_of_it() {
    let upstream = Upstream::start(|_| Script::silent()).await;
    let config = support::config("chat", &upstream);
    times_out(
        &limited("connect: 30, tls: 30, first-byte: 1, idle: 30", &config),
        "did not begin to answer within 1 s",
    )
    .await;
    for _ in FORMATS {
        support::within(upstream.dropped()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_in_a_whole_answer_has_a_limit() {
    let upstream = Upstream::start(|_| Script::json(200, "{\"id\":").stalled()).await;
    let config = support::config("chat", &upstream);
    let limits = limited("connect: 30, tls: 30, first-byte: 30, idle: 1", &config);
    times_out(&limits, "sent nothing for 1 s").await;
    for _ in FORMATS {
        support::within(upstream.dropped()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_in_a_stream_is_told_inside_it_and_the_stream_does_not_look_complete() {
    let asking = FORMATS.map(async |upstream_format| {
        let half = Bytes::from(half(upstream_format));
        let upstream = Upstream::start(move |_| Script::events(vec![half.clone()]).stalled()).await;
        let config = support::config(upstream_format, &upstream);
        let gateway = support::start(&limited("idle: 1", &config), &[]);
        let asking = FORMATS.map(async |client| {
            let answer = support::ask_model(&gateway, client, "up", true).await;
            let what = format!("{client} over {upstream_format}: {}", answer.body);
            assert_eq!(answer.status, 200, "{what}");
            assert!(answer.body.contains("sent nothing for 1 s"), "{what}");
            assert!(!support::is_complete(client, &answer.body), "{what}");
            support::within(upstream.dropped()).await;
        });
        join_all(asking).await;
    });
    join_all(asking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_limit_ends_an_answer_that_makes_progress() {
    let pause = Duration::from_millis(300);
    let asking = FORMATS.map(async |format| {
        let upstream = Upstream::start(move |received| {
            if !support::asks_stream(received) {
                let text = support::body(format).to_string();
                let pieces = text.as_bytes().chunks(text.len() / 8);
                let script = Script::json(200, "");
                return pieces.fold(script, |script, piece| script.pause(pause).send(piece.to_vec()));
            }
            // Ten pauses together last three times as long as any limit.
            let text = support::events(format);
            let pieces = text.as_bytes().chunks(text.len() / 10);
            pieces.fold(Script::events(Vec::new()), |script, piece| script.pause(pause).send(piece.to_vec()))
        })
        .await;
        let config = support::config(format, &upstream);
        let gateway = support::start(&limited("connect: 1, tls: 1, first-byte: 1, idle: 1", &config), &[]);
        let asking = [true, false].map(async |is_stream| {
            let answer = support::ask_model(&gateway, "claude", "up", is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert_eq!(support::text_of("claude", is_stream, &answer.body), TEXT, "{format}");
        });
        join_all(asking).await;
    });
    join_all(asking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_waits_for_ever() {
    let upstream = Upstream::start(|received| {
        assert!(!support::asks_stream(received));
        Script::json(200, "").pause(Duration::from_millis(1500)).send(support::body("chat").to_string())
    })
    .await;
    let config = support::config("chat", &upstream);
    let gateway = support::start(&limited("connect: 0, tls: 0, first-byte: 0, idle: 0", &config), &[]);
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
}
