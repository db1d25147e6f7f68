//! Connections to upstreams: used again for the next request, and replaced when the upstream has closed them.

use std::sync::atomic::{AtomicUsize, Ordering};

use cliproxy_testkit::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{self, TEXT};

#[tokio::test(flavor = "multi_thread")]
async fn requests_one_after_the_other_share_a_connection() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let gateway = support::start(&support::config("chat", &upstream), &[]);
    for format in ["chat", "claude", "chat", "gemini", "responses"] {
        let answer = support::ask_model(&gateway, format, "up", false).await;
        assert_eq!(support::text_of(format, false, &answer.body), TEXT, "{format}: {}", answer.body);
    }
    assert_eq!((upstream.received().len(), upstream.connections()), (5, 1));
}

/// Reads one request to its end.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_upstream_closes_between_requests_is_no_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closed = AtomicUsize::new(0);
    // It promises to keep the connection, and closes it.
    let serving = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if request(&mut stream).await.is_none() {
                continue;
            }
            let body = format!(
                r#"{{"id":"x","object":"chat.completion","created":1,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"{TEXT}"}},"finish_reason":"stop"}}]}}"#
            );
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            drop(stream);
            closed.fetch_add(1, Ordering::SeqCst);
        }
    };
    let config = format!("request-retry: 0\n{}", support::config_at("chat", &url));
    let gateway = support::start(&config, &[]);
    let asking = async {
        for number in 1..=5 {
            let answer = support::ask_model(&gateway, "chat", "up", false).await;
            assert_eq!(
                (answer.status, support::text_of("chat", false, &answer.body)),
                (200, TEXT.to_owned())
            );
            while closed.load(Ordering::SeqCst) < number {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = asking => {}
    }
}
