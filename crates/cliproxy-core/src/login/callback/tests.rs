//! What counts as a callback, and the listener, asked over real sockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Arrival, BindError, Callback, Listener, Unacceptable};
use crate::oauth::State;
use crate::secret::Secret;

fn state() -> State {
    State::from_random(&[1; 16])
}

/// Runs a listener while `visit` visits it; what arrived comes back.
async fn listening<F: Future<Output = ()>>(visit: impl FnOnce(u16) -> F) -> Vec<Arrival> {
    let listener = Listener::bind(0, "/callback").await.unwrap();
    let (report, mut arrivals) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let port = listener.port();
    let visiting = async {
        visit(port).await;
        stop.cancel();
    };
    tokio::join!(visiting, listener.serve(state(), report, stop.clone()));
    let mut arrived = Vec::new();
    while let Some(arrival) = arrivals.recv().await {
        arrived.push(arrival);
    }
    arrived
}

async fn ask(address: (&str, u16), head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head.replace("OURS", state().as_str());
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(port: u16, target: &str) -> String {
    ask(("127.0.0.1", port), &format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}")).await
}

#[tokio::test]
async fn a_code_counts_once() {
    let arrived = listening(async |port| {
        let first = get(port, "/callback?code=the-code&state=OURS").await;
        assert!(first.starts_with("HTTP/1.1 200") && first.contains("Login received"), "{first}");
        assert!(first.contains("no-store") && first.contains("no-referrer") && !first.contains("the-code"));
        let second = get(port, "/callback?code=another&state=OURS").await;
        assert!(second.starts_with("HTTP/1.1 409") && second.contains("Already used"), "{second}");
    })
    .await;
    assert!(matches!(&arrived[..], [Arrival::Code(code)] if code.expose() == "the-code"), "{arrived:?}");
}

#[tokio::test]
async fn what_is_not_ours_changes_nothing() {
    let arrived = listening(async |port| {
        for (target, status) in [
            ("/callback?code=c&state=wrong", 400),
            ("/callback?code=c", 400),
            ("/callback?error=no&state=wrong", 400),
            ("/callback", 400),
            ("/", 404),
            ("/favicon.ico", 404),
        ] {
            let answer = get(port, target).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {answer}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", ""] {
            let head = format!("GET /callback?code=c&state=OURS HTTP/1.1\r\nHost: {host}");
            let answer = ask(("127.0.0.1", port), &head).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        }
        let head = "POST /callback?code=c&state=OURS HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0";
        assert!(ask(("127.0.0.1", port), head).await.starts_with("HTTP/1.1 405"));
        let answer = get(port, "/callback?code=c&state=OURS").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "the login still waits: {answer}");
    })
    .await;
    let codes = arrived.iter().filter(|arrival| matches!(arrival, Arrival::Code(_))).count();
    assert!(codes <= 1 && arrived.len() == 8, "the channel holds eight: {arrived:?}");
}

#[tokio::test]
async fn the_providers_refusal_is_shown_as_text() {
    let arrived = listening(async |port| {
        let answer = get(port, "/callback?error=access_denied&error_description=%3Cb%3Eno&state=OURS").await;
        assert!(answer.contains("access_denied: &lt;b&gt;no"), "{answer}");
    })
    .await;
    assert!(
        matches!(&arrived[..], [Arrival::Refused(text)] if text == "access_denied: <b>no"),
        "{arrived:?}"
    );
}

#[tokio::test]
async fn both_loopback_addresses_and_tunnels_from_other_ports_lead_here() {
    let arrived = listening(async |port| {
        let head = "GET /callback?code=c&state=OURS HTTP/1.1\r\nHost: localhost:54545";
        if TcpStream::connect(("::1", port)).await.is_ok() {
            assert!(ask(("::1", port), head).await.starts_with("HTTP/1.1 200"));
        } else {
            assert!(ask(("127.0.0.1", port), head).await.starts_with("HTTP/1.1 200"));
        }
    })
    .await;
    assert_eq!(arrived.len(), 1);
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let taken = Listener::bind(0, "/").await.unwrap();
    let error = Listener::bind(taken.port(), "/").await.unwrap_err();
    assert!(matches!(error, BindError::Busy(port) if port == taken.port()), "{error}");
}

fn check(query: &str) -> Result<Secret, Unacceptable> {
    Callback::from_query(&query.replace("OURS", state().as_str())).check(&state())
}

#[test]
fn only_our_state_makes_a_code_ours() {
    assert_eq!(check("code=c&state=OURS").unwrap().expose(), "c");
    assert_eq!(check("code=4%2F0x&state=OURS&scope=a+b").unwrap().expose(), "4/0x");
    assert_eq!(check("code=c%23OURS").unwrap().expose(), "c");
    for foreign in ["code=c", "code=c&state=", "code=c&state=x", "error=no", "error=no&state=x"] {
        assert_eq!(check(foreign), Err(Unacceptable::Foreign), "{foreign}");
    }
    for empty in ["", "state=OURS", "code=&state=OURS"] {
        assert_eq!(check(empty), Err(Unacceptable::Empty), "{empty}");
    }
}

#[test]
fn an_error_with_our_state_is_the_providers_word() {
    let refused = |text: &str| Err(Unacceptable::Refused(text.to_owned()));
    assert_eq!(check("error=access_denied&state=OURS"), refused("access_denied"));
    assert_eq!(
        check("error=access_denied&error_description=missing+it&state=OURS&code=c"),
        refused("access_denied: missing it")
    );
    assert_eq!(check("error_description=only+this&state=OURS"), refused("only this"));
}
