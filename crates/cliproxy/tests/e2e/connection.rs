//! Connections to upstreams: used again for the next request, and replaced when the upstream has closed them, also upon a
//! request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cliproxy_testkit::{Authority, Upstream};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
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

/// Answers and promises to keep the connection.
async fn answer(stream: &mut TcpStream) {
    let body = support::body("chat").to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
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
            answer(&mut stream).await;
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

/// One key, no second round, and a log that shows everything.
fn once(url: &str) -> String {
    format!("debug: true\nrequest-retry: 0\n{}", support::config_at("chat", url))
}

/// What the log says of a request that is sent once more.
const AGAIN: &str = "sent once more over a fresh one";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_upstream_closes_upon_a_request_is_no_failed_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Each connection serves one request, is said to be kept, and ends upon the next.
    let serving = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if request(&mut stream).await.is_some() {
                answer(&mut stream).await;
                request(&mut stream).await;
            }
        }
    };
    let gateway = support::start(&once(&format!("http://{}", listener.local_addr().unwrap())), &[]);
    let asking = async {
        for _ in 0..4 {
            let got = support::ask_model(&gateway, "chat", "up", false).await;
            assert_eq!((got.status, support::text_of("chat", false, &got.body)), (200, TEXT.to_owned()));
        }
        assert!(gateway.said("request served", 4).contains("attempts=1"));
        let log = gateway.log();
        assert_eq!(log.matches(AGAIN).count(), 3, "{log}");
        assert!(!log.contains("attempt failed"), "{log}");
    };
    tokio::select! {
        () = serving => {}
        () = asking => {}
    }
}

/// What becomes of the requests of one HTTP/2 connection, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    Answer,
    /// Not even read.
    Refuse,
    /// Read, and the connection ends.
    Close,
    /// The connection takes no more, this one included.
    GoAway,
    /// Read, and given up for another reason.
    Reset,
}

/// Serves HTTP/2 over TLS by `steps`, of which each connection has its own; what comes after them is answered. Counts the
/// requests of each.
async fn serve_h2(
    listener: TcpListener,
    authority: &Authority,
    steps: &[&[Step]],
    asked: &Mutex<Vec<usize>>,
) {
    let acceptor = authority.acceptor(&["h2"]);
    let mut connections = FuturesUnordered::new();
    for number in 0.. {
        let (stream, _) = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted.unwrap(),
                Some(()) = connections.next() => {}
            }
        };
        asked.lock().unwrap().push(0);
        let steps = steps.get(number).copied().unwrap_or_default();
        let acceptor = &acceptor;
        connections.push(async move {
            let open = acceptor.accept(stream).await.unwrap();
            serve_one(open, steps, || asked.lock().unwrap()[number] += 1).await;
        });
    }
}

/// Serves one connection.
async fn serve_one(open: impl AsyncRead + AsyncWrite + Unpin, steps: &[Step], count: impl Fn()) {
    let mut connection = h2::server::handshake(open).await.unwrap();
    let mut steps = steps.iter();
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        count();
        match steps.next().unwrap_or(&Step::Answer) {
            Step::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
            Step::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
            Step::Close => return,
            Step::GoAway => connection.abrupt_shutdown(h2::Reason::NO_ERROR),
            Step::Answer => {
                let head = http::Response::builder().header("content-type", "application/json");
                let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
                body.send_data(Bytes::from(support::body("chat").to_string()), true).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_shared_connection_did_not_take_is_sent_once_more() {
    let authority = Authority::new();
    // What befalls the second request of the first connection, whether a fresh one gets it, and what the client hears.
    for (step, is_again, status) in [
        (Step::Refuse, true, 200),
        (Step::Close, true, 200),
        (Step::GoAway, true, 200),
        (Step::Reset, false, 502),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Mutex::default();
        let steps: [&[Step]; 1] = [&[Step::Answer, step]];
        let gateway =
            support::launch().config(&once(&url)).variable("SSL_CERT_FILE", authority.file()).start();
        let asking = async {
            assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200, "{step:?}");
            let got = support::ask_model(&gateway, "chat", "up", false).await;
            assert_eq!(got.status, status, "{step:?}: {}\n{}", got.body, gateway.log());
            gateway.said("request served", 2);
            assert_eq!(gateway.log().contains(AGAIN), is_again, "{step:?}: {}", gateway.log());
        };
        tokio::select! {
            () = serve_h2(listener, &authority, &steps, &asked) => {}
            () = asking => {}
        }
        let expected = if is_again { vec![2, 1] } else { vec![2] };
        assert_eq!(*asked.lock().unwrap(), expected, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fresh_connection_does_not_take_is_a_failed_attempt() {
    let authority = Authority::new();
    for step in [Step::Refuse, Step::Close, Step::GoAway] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Mutex::default();
        let steps: [&[Step]; 2] = [&[Step::Answer, step], &[step]];
        let gateway =
            support::launch().config(&once(&url)).variable("SSL_CERT_FILE", authority.file()).start();
        let asking = async {
            assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200, "{step:?}");
            assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 502, "{step:?}");
        };
        tokio::select! {
            () = serve_h2(listener, &authority, &steps, &asked) => {}
            () = asking => {}
        }
        assert_eq!(*asked.lock().unwrap(), [2, 1], "{step:?}");
    }
}
