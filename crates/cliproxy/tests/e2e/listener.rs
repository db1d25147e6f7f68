//! The listener: TLS, both versions of HTTP, those who connect and say nothing, and how it ends.

use std::time::Duration;

use bytes::Bytes;
use cliproxy_testkit::{Authority, Gate, Gateway, Script, ServerFiles, Upstream};
use futures_util::future::{join, join_all};
use reqwest::{Certificate, ClientBuilder, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failover::half;
use crate::support::{self, FORMATS, TEXT};

fn with_tls(files: &ServerFiles, rest: &str) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("tls: {{enable: true, cert: '{certificate}', key: '{key}'}}\n{rest}")
}

fn builder() -> ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

/// Where it listens, under the name that certificates hold.
fn secure(gateway: &Gateway) -> String {
    format!("https://localhost:{}", gateway.address().rsplit(':').next().unwrap())
}

/// A stream of `up` that has begun, at `base`.
async fn begun(client: &reqwest::Client, base: &str, format: &str) -> (reqwest::Response, String) {
    let (path, body) = support::request(format, "up", true);
    let sending = client.post(format!("{base}{path}")).body(body.to_string()).send();
    let mut answer = support::within(sending).await.unwrap();
    let first = support::within(answer.chunk()).await.unwrap().unwrap();
    (answer, String::from_utf8_lossy(&first).into_owned())
}

/// Says the first half of a stream at once and the rest when the gate opens.
async fn halting(format: &'static str, gate: &Gate) -> Upstream {
    let (all, first) = (support::events(format), half(format));
    let gate = gate.clone();
    let rest = all.strip_prefix(&first).unwrap().to_owned();
    Upstream::start(move |_| {
        Script::events(vec![Bytes::from(first.clone())]).wait(&gate).send(Bytes::from(rest.clone()))
    })
    .await
}

/// Waits until the gateway takes no more connections.
async fn refuses(gateway: &Gateway) {
    let trying = async { while TcpStream::connect(gateway.address()).await.is_ok() {} };
    support::within(trying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_carries_every_format_over_both_versions_of_http() {
    let authority = Authority::new();
    let upstream = Upstream::start(support::answering("chat")).await;
    let config = with_tls(&authority.server_files(), &support::config("chat", &upstream));
    let gateway = support::start(&config, &[]);
    // Peers that do not finish their handshake are in nobody's way.
    let _silent = join_all((0..8).map(|_| TcpStream::connect(gateway.address()))).await;
    let trusting = || builder().tls_certs_only([Certificate::from_pem(authority.pem().as_bytes()).unwrap()]);
    for (client, version) in [
        (trusting().build().unwrap(), Version::HTTP_2),
        (trusting().http1_only().build().unwrap(), Version::HTTP_11),
    ] {
        for format in FORMATS {
            for is_stream in [false, true] {
                let (path, body) = support::request(format, "up", is_stream);
                let address = format!("{}{path}", secure(&gateway));
                let answer =
                    support::within(client.post(address).body(body.to_string()).send()).await.unwrap();
                assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{format}");
                let text = support::within(answer.text()).await.unwrap();
                assert_eq!(support::text_of(format, is_stream, &text), TEXT, "{format} {version:?}");
            }
        }
    }

    // Neither plain HTTP nor a client that does not trust the certificate gets in, and both leave it serving.
    let plain = builder().build().unwrap();
    assert!(support::within(plain.get(format!("{}/healthz", gateway.url())).send()).await.is_err());
    assert!(support::within(plain.get(format!("{}/healthz", secure(&gateway))).send()).await.is_err());
    let health = trusting().build().unwrap().get(format!("{}/healthz", secure(&gateway))).send();
    assert_eq!(support::within(health).await.unwrap().status().as_u16(), 200);
}

#[test]
fn tls_files_that_cannot_be_used_are_named_before_anything_is_said_to_serve() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.server_files();
    let missing = ServerFiles { certificate: "missing.pem".into(), key: good.key.clone() };
    let no_key = ServerFiles { certificate: good.certificate.clone(), key: authority.file() };
    let foreign = ServerFiles { certificate: good.certificate.clone(), key: other.server_files().key };
    for (files, told) in
        [(missing, "missing.pem"), (no_key, "authority.pem"), (foreign, "certificate and key")]
    {
        let ended = support::launch().config(&with_tls(&files, "")).arguments(&["--port", "0"]).run();
        assert_eq!(ended.code, Some(1), "{told}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(!ended.stdout.contains("started successfully"), "{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_without_tls_carries_many_streams_on_one_connection() {
    let gate = Gate::default();
    let upstream = halting("claude", &gate).await;
    let gateway = support::start(&support::config("claude", &upstream), &[]);
    let client = builder().http2_prior_knowledge().build().unwrap();
    let streams = FORMATS.iter().cycle().take(40).map(|format| begun(&client, gateway.url(), format));
    let streams = join_all(streams).await;
    gate.open();
    for ((answer, first), format) in streams.into_iter().zip(FORMATS.iter().cycle()) {
        assert_eq!(answer.version(), Version::HTTP_2);
        let text = first + support::within(answer.text()).await.unwrap().as_str();
        assert!(support::is_complete(format, &text), "{format}: {text}");
        assert_eq!(support::text_of(format, true, &text), TEXT, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_bring_no_request_are_closed_and_streams_that_last_are_not() {
    let (authority, gate) = (Authority::new(), Gate::default());
    let upstream = halting("claude", &gate).await;
    let config = support::config("claude", &upstream);
    let plain = support::start(&config, &[]);
    let tls = support::start(&with_tls(&authority.server_files(), &config), &[]);
    let client = builder().build().unwrap();
    let (lasting, first) = begun(&client, plain.url(), "claude").await;

    let beginnings: [(&Gateway, &[u8]); 7] = [
        (&plain, b""),
        (&plain, b"P"),
        (&plain, b"POST /v1/chat/completions HTT"),
        (&plain, b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: "),
        (&plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (&tls, b""),
        (&tls, b"\x16\x03\x01\x02\x00\x01"),
    ];
    let waiting = beginnings.map(async |(gateway, beginning)| {
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        let mut said = Vec::new();
        let reading = socket.read_to_end(&mut said);
        // The limit is half a minute; that there is one is what counts.
        let closed = tokio::time::timeout(Duration::from_mins(3), reading).await;
        assert!(closed.is_ok(), "{:?} is left open", String::from_utf8_lossy(beginning));
    });
    join_all(waiting).await;

    gate.open();
    let text = first + support::within(lasting.text()).await.unwrap().as_str();
    assert!(support::is_complete("claude", &text), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_order_lets_answers_finish_and_takes_no_new_ones() {
    for (signal, is_h2) in [("TERM", false), ("INT", false), ("TERM", true)] {
        let gate = Gate::default();
        let upstream = halting("claude", &gate).await;
        let gateway = support::start(&support::config("claude", &upstream), &[]);
        let client = if is_h2 { builder().http2_prior_knowledge() } else { builder() }.build().unwrap();
        let streams = join_all(FORMATS.map(|format| begun(&client, gateway.url(), format))).await;
        let (path, body) = support::request("chat", "up", false);
        let whole = support::send(client.post(format!("{}{path}", gateway.url())).body(body.to_string()));
        let ending = async {
            support::within(upstream.arrived(FORMATS.len() + 1)).await;
            // Connections that wait for a next request, or for their first, hold up nothing.
            assert_eq!(support::get(&gateway, "/healthz").await.status, 200);
            let _idle = TcpStream::connect(gateway.address()).await.unwrap();
            gateway.signal(signal);
            gateway.line("ending: no new connections").await;
            refuses(&gateway).await;
            gate.open();
            for ((answer, first), format) in streams.into_iter().zip(FORMATS) {
                let text = first + support::within(answer.text()).await.unwrap().as_str();
                assert!(support::is_complete(format, &text), "{format}: {text}");
                assert_eq!(support::text_of(format, true, &text), TEXT, "{format}");
            }
        };
        let (whole, ()) = join(whole, ending).await;
        assert_eq!(support::text_of("chat", false, &whole.body), TEXT);
        assert!(gateway.ended().await.success(), "{}", gateway.log());
        assert!(!gateway.log().contains("cut off"), "{}", gateway.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_and_no_stream_looks_complete() {
    for (signals, is_h2) in [(["TERM", "TERM"], false), (["INT", "TERM"], false), (["INT", "INT"], true)] {
        let upstream = halting("claude", &Gate::default()).await;
        let gateway = support::start(&support::config("claude", &upstream), &[]);
        let client = if is_h2 { builder().http2_prior_knowledge() } else { builder() }.build().unwrap();
        let streams = join_all(FORMATS.map(|format| begun(&client, gateway.url(), format))).await;
        gateway.signal(signals[0]);
        gateway.line("ending: no new connections").await;
        gateway.signal(signals[1]);
        assert!(gateway.ended().await.success(), "{}", gateway.log());
        assert!(gateway.log().contains("running answers are cut off"), "{}", gateway.log());
        for ((mut answer, _), format) in streams.into_iter().zip(FORMATS) {
            let rest = async {
                loop {
                    match answer.chunk().await {
                        Ok(Some(_)) => {}
                        Ok(None) => return false,
                        Err(_cut) => return true,
                    }
                }
            };
            assert!(support::within(rest).await, "{format} ended as if it were complete");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_work_it_ends_when_asked() {
    let gateway = support::start("", &["--demo"]);
    assert_eq!(support::get(&gateway, "/healthz").await.status, 200);
    let _idle = TcpStream::connect(gateway.address()).await.unwrap();
    gateway.signal("TERM");
    assert!(gateway.ended().await.success(), "{}", gateway.log());
    assert!(!gateway.log().contains("cut off"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_has_called_and_calls_no_more_takes_the_gateway_with_it() {
    let without = support::start("", &["--demo"]);
    assert_eq!(support::get(&without, "/keep-alive").await.status, 404);
    let gateway = support::start("", &["--demo", "--password", "local-password-0001"]);
    let call = |headers: &[(&str, &str)]| {
        let request = support::client().get(format!("{}/keep-alive", gateway.url()));
        support::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("x-local-password", "wrong")],
        &[("authorization", "Bearer local-password-0001"), ("x-forwarded-for", "127.0.0.1")],
    ] {
        let refused = call(headers).await;
        assert_eq!((refused.status, refused.body.as_str()), (401, r#"{"error":"invalid password"}"#));
    }
    for (name, value) in [
        ("authorization", "Bearer local-password-0001"),
        ("authorization", "local-password-0001"),
        ("x-local-password", "local-password-0001"),
    ] {
        let answer = call(&[(name, value)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#), "{name}");
    }
    gateway.line_after(0, "keep-alive endpoint idle for 10s, shutting down").await;
    assert!(gateway.ended().await.success(), "{}", gateway.log());
    assert!(!gateway.log().contains("local-password"), "{}", gateway.log());
}
