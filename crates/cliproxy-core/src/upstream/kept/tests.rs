//! Connections against a peer whose every byte and every end the test decides.

use http::header::HOST;
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{IDLE, MOST_PLACES, SWEEP};
use crate::credential::CredentialId;
use crate::failure::Failure;
use crate::proxy::Proxy;
use crate::upstream::socket::Talk;
use crate::upstream::{Clients, Egress, Limits, Local, LocalEnding, Outgoing, Pieces, Reply, read_all};

/// An upstream whose every byte is said by the test.
struct Peer(TcpListener);

impl Peer {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn uri(&self) -> Uri {
        format!("http://{}/v1?q", self.0.local_addr().unwrap()).parse().unwrap()
    }

    async fn accept(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

/// Reads one request without a body to its end.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn answer(stream: &mut TcpStream, text: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    stream.write_all(head.as_bytes()).await.unwrap();
}

async fn ask(clients: &Clients, uri: Uri) -> Result<Reply, Failure> {
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    clients.send_again(&egress, || Ok(get(uri.clone())), &Limits::default(), None).await
}

fn get(uri: Uri) -> Outgoing {
    Outgoing::Http { method: Method::GET, uri, headers: HeaderMap::new(), body: Pieces::default() }
}

/// The same to another path of the host.
fn elsewhere(uri: &Uri) -> Uri {
    format!("http://{}/other", uri.authority().unwrap()).parse().unwrap()
}

async fn text(reply: Reply) -> String {
    String::from_utf8(read_all(reply.body, None, 1000).await.unwrap().to_vec()).unwrap()
}

/// Everything that the sockets of this thread have to tell has been told.
async fn settled() {
    let other = Peer::new().await;
    let (ours, _theirs) = tokio::join!(TcpStream::connect(other.0.local_addr().unwrap()), other.accept());
    ours.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_again_until_its_peer_closes_it() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let [read, closed] = [(); 2].map(|()| tokio::sync::Notify::new());
    let serving = async {
        let mut first = peer.accept().await;
        for word in ["one", "two"] {
            let head = request(&mut first).await.to_ascii_lowercase();
            assert!(head.starts_with("get /v1?q http/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("{HOST}: {}\r\n", peer.0.local_addr().unwrap())), "{head}");
            answer(&mut first, word).await;
        }
        // While nobody looks at it.
        read.notified().await;
        drop(first);
        closed.notify_one();
        let mut second = peer.accept().await;
        request(&mut second).await;
        answer(&mut second, "three").await;
        second
    };
    let asking = async {
        for word in ["one", "two", "three"] {
            let reply = ask(&clients, peer.uri()).await.unwrap();
            assert_eq!((reply.status, text(reply).await), (StatusCode::OK, word.to_owned()));
            if word == "two" {
                read.notify_one();
                closed.notified().await;
                settled().await;
            }
        }
    };
    let (_open, ()) = tokio::join!(serving, asking);
}

#[tokio::test]
async fn an_answer_that_is_given_up_takes_its_connection_with_it() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let serving = async {
        let mut stream = peer.accept().await;
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun").await.unwrap();
        // The end, or that it is of no use to say more.
        assert!(!matches!(stream.read(&mut [0; 10]).await, Ok(1..)));
    };
    let asking = async {
        let mut reply = ask(&clients, peer.uri()).await.unwrap();
        assert_eq!(reply.body.next(None).await.unwrap().unwrap(), "begun");
        drop(reply);
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn an_answer_that_has_come_is_not_waited_for_and_its_connection_is_kept() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let serving = async {
        let mut stream = peer.accept().await;
        for word in ["not read", "read"] {
            request(&mut stream).await;
            answer(&mut stream, word).await;
        }
        stream
    };
    let asking = async {
        drop(ask(&clients, peer.uri()).await.unwrap());
        assert_eq!(text(ask(&clients, peer.uri()).await.unwrap()).await, "read");
    };
    let (_open, ()) = tokio::join!(serving, asking);
}

#[tokio::test]
async fn hosts_of_long_ago_are_forgotten_with_their_connections() {
    let clients = Clients::default();
    let first = Peer::new().await;
    let serving = async {
        let mut stream = first.accept().await;
        request(&mut stream).await;
        answer(&mut stream, "one").await;
        assert!(!matches!(stream.read(&mut [0; 10]).await, Ok(1..)));
    };
    let asking = async {
        assert_eq!(text(ask(&clients, first.uri()).await.unwrap()).await, "one");
        let mut open = Vec::new();
        for _ in 0..MOST_PLACES {
            let peer = Peer::new().await;
            let answering = async {
                let mut stream = peer.accept().await;
                request(&mut stream).await;
                answer(&mut stream, "other").await;
                stream
            };
            let (reply, stream) = tokio::join!(ask(&clients, peer.uri()), answering);
            assert_eq!(text(reply.unwrap()).await, "other");
            open.push(stream);
        }
    };
    tokio::time::timeout(IDLE / 2, async { tokio::join!(serving, asking) }).await.unwrap();
}

#[tokio::test]
async fn connections_that_have_a_task_of_their_own_end_with_the_others() {
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let (peer, clients) = (Peer::new().await, Clients::new(tasks.clone(), cancel.clone()));
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    let instead = Outgoing::Local {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Local::new(Vec::new(), LocalEnding::Complete),
    };
    let talk = Talk {
        uri: peer.uri(),
        headers: HeaderMap::new(),
        opening: "{}".to_owned(),
        instead,
        goes_on: false,
    };
    let limits = Limits { first_byte: None, ..Limits::default() };
    let asking = clients.send(&egress, Outgoing::Socket(Box::new(talk)), &limits, None);
    let ending = async {
        let mut stream = peer.accept().await;
        request(&mut stream).await;
        assert_eq!(tasks.len(), 1);
        cancel.cancel();
        tasks.close();
        tasks.wait().await;
        assert!(!matches!(stream.read(&mut [0; 10]).await, Ok(1..)));
    };
    let (failed, ()) = tokio::join!(asking, ending);
    failed.unwrap_err();
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_a_failure_and_not_asked_again() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let serving = async {
        let mut stream = peer.accept().await;
        request(&mut stream).await;
    };
    let (failed, ()) = tokio::join!(ask(&clients, peer.uri()), serving);
    let failure = failed.unwrap_err();
    assert!(failure.fault().message.contains("closed the connection"), "{failure:?}");
}

#[tokio::test]
async fn what_is_idle_for_too_long_is_closed() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let serving = async {
        let mut stream = peer.accept().await;
        request(&mut stream).await;
        answer(&mut stream, "one").await;
        assert!(!matches!(stream.read(&mut [0; 10]).await, Ok(1..)));
    };
    let asking = async {
        assert_eq!(text(ask(&clients, peer.uri()).await.unwrap()).await, "one");
        tokio::time::pause();
        tokio::time::advance(IDLE + SWEEP).await;
    };
    tokio::join!(serving, asking);
}

/// As many connections as are wanted, each of which has served and stands idle.
async fn idle<const N: usize>(peer: &Peer, clients: &Clients) -> [TcpStream; N] {
    let serving = async {
        let mut streams = Vec::new();
        while streams.len() < N {
            let mut stream = peer.accept().await;
            request(&mut stream).await;
            streams.push(stream);
        }
        for stream in &mut streams {
            answer(stream, "before").await;
        }
        streams
    };
    let asking = futures_util::future::join_all((0..N).map(|_| ask(clients, peer.uri())));
    let (streams, replies) = tokio::join!(serving, asking);
    for reply in replies {
        assert_eq!(text(reply.unwrap()).await, "before");
    }
    streams.try_into().unwrap()
}

/// Waits for a request on any of these connections, of which it reads a part or all, and closes that one.
async fn closing(streams: &mut Vec<TcpStream>, reads_all: bool) {
    let peeking = streams.iter().map(|stream| Box::pin(async { stream.peek(&mut [0]).await.unwrap() }));
    let (_, index, _) = futures_util::future::select_all(peeking).await;
    let mut stream = streams.remove(index);
    if reads_all {
        request(&mut stream).await;
    } else {
        // What is unread makes the end a break.
        stream.read_u8().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_kept_connection_is_closed_upon_is_sent_once_more_over_a_fresh_one() {
    for reads_all in [true, false] {
        let (peer, clients) = (Peer::new().await, Clients::default());
        let mut streams = Vec::from(idle::<3>(&peer, &clients).await);
        let serving = async {
            closing(&mut streams, reads_all).await;
            // Though two others are idle, which may be as stale.
            let mut fresh = peer.accept().await;
            let head = request(&mut fresh).await.to_ascii_lowercase();
            assert!(head.starts_with("get /v1?q http/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("{HOST}: {}\r\n", peer.0.local_addr().unwrap())), "{head}");
            answer(&mut fresh, "after").await;
            fresh
        };
        let (reply, _open) = tokio::join!(ask(&clients, peer.uri()), serving);
        assert_eq!(text(reply.unwrap()).await, "after", "read all: {reads_all}");
    }
}

#[tokio::test]
async fn a_body_is_sent_once_more_as_it_was() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let mut streams = Vec::from(idle::<1>(&peer, &clients).await);
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    let body = Pieces::from([&b"one, "[..], b"two, ", b"three"].map(bytes::Bytes::from_static));
    let headers = HeaderMap::from_iter([(http::header::COOKIE, "it is".parse().unwrap())]);
    let outgoing = || {
        let (headers, body) = (headers.clone(), body.clone());
        Ok(Outgoing::Http { method: Method::POST, uri: peer.uri(), headers, body })
    };
    let limits = Limits::default();
    let serving = async {
        closing(&mut streams, true).await;
        let mut fresh = peer.accept().await;
        let head = request(&mut fresh).await.to_ascii_lowercase();
        assert!(head.starts_with("post ") && head.contains("cookie: it is\r\n"), "{head}");
        let mut sent = [0; 15];
        fresh.read_exact(&mut sent).await.unwrap();
        assert_eq!(&sent, b"one, two, three");
        answer(&mut fresh, "after").await;
        fresh
    };
    let (reply, _open) = tokio::join!(clients.send_again(&egress, outgoing, &limits, None), serving);
    assert_eq!(text(reply.unwrap()).await, "after");
}

#[tokio::test]
async fn nothing_is_sent_a_third_time() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let mut streams = Vec::from(idle::<2>(&peer, &clients).await);
    let serving = async {
        closing(&mut streams, true).await;
        request(&mut peer.accept().await).await;
    };
    let (failed, ()) = tokio::join!(ask(&clients, peer.uri()), serving);
    let failure = failed.unwrap_err();
    assert!(failure.fault().message.contains("closed the connection"), "{failure:?}");
    // The next to come is the next to be asked, over what is left.
    let serving = async {
        closing(&mut streams, true).await;
        let mut fresh = peer.accept().await;
        assert!(request(&mut fresh).await.starts_with("GET /other "));
        answer(&mut fresh, "other").await;
        fresh
    };
    let (reply, _open) = tokio::join!(ask(&clients, elsewhere(&peer.uri())), serving);
    assert_eq!(text(reply.unwrap()).await, "other");
}

#[tokio::test]
async fn what_has_begun_to_be_answered_is_not_sent_again() {
    for begun in ["H", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 103 Early Hints\r\n\r\n", "\r\n"] {
        let (peer, clients) = (Peer::new().await, Clients::default());
        let [mut stream] = idle::<1>(&peer, &clients).await;
        let serving = async {
            request(&mut stream).await;
            stream.write_all(begun.as_bytes()).await.unwrap();
            drop(stream);
        };
        let (failed, ()) = tokio::join!(ask(&clients, peer.uri()), serving);
        failed.unwrap_err();
        let serving = async {
            let mut fresh = peer.accept().await;
            assert!(request(&mut fresh).await.starts_with("GET /other "), "{begun:?}");
            answer(&mut fresh, "other").await;
            fresh
        };
        let (reply, _open) = tokio::join!(ask(&clients, elsewhere(&peer.uri())), serving);
        assert_eq!(text(reply.unwrap()).await, "other", "{begun:?}");
    }
}

#[tokio::test]
async fn a_limit_that_ends_is_not_begun_anew() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let limits = Limits { first_byte: Some(std::time::Duration::from_secs(10)), ..Limits::default() };
    let [mut stream] = idle::<1>(&peer, &clients).await;
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    let send = |uri: Uri| clients.send_again(&egress, move || Ok(get(uri.clone())), &limits, None);
    // The line of these limits has no connection yet.
    let serving = async {
        stream = peer.accept().await;
        request(&mut stream).await;
        answer(&mut stream, "before").await;
        request(&mut stream).await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(11)).await;
    };
    let asking = async {
        assert_eq!(text(send(peer.uri()).await.unwrap()).await, "before");
        send(peer.uri()).await
    };
    let (failed, ()) = tokio::join!(asking, serving);
    let failure = failed.unwrap_err();
    assert!(failure.fault().message.contains("within 10 s"), "{failure:?}");
    tokio::time::resume();
    let serving = async {
        let mut fresh = peer.accept().await;
        assert!(request(&mut fresh).await.starts_with("GET /other "));
        answer(&mut fresh, "other").await;
        fresh
    };
    let (reply, _open) = tokio::join!(send(elsewhere(&peer.uri())), serving);
    assert_eq!(text(reply.unwrap()).await, "other");
}

#[tokio::test]
async fn what_may_not_come_twice_is_sent_once() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let mut streams = Vec::from(idle::<1>(&peer, &clients).await);
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    let limits = Limits::default();
    let sending = clients.send(&egress, get(peer.uri()), &limits, None);
    let (failed, ()) = tokio::join!(sending, closing(&mut streams, true));
    let failure = failed.unwrap_err();
    assert!(failure.fault().message.contains("closed the connection"), "{failure:?}");
    assert!(failure.unheard().is_some());
}

#[tokio::test]
async fn a_limit_beyond_the_end_of_time_is_none() {
    let (peer, clients) = (Peer::new().await, Clients::default());
    let egress = Egress { credential: CredentialId::new("a"), proxy: Proxy::Direct };
    let limits = Limits { first_byte: Some(std::time::Duration::MAX), ..Limits::default() };
    let serving = async {
        let mut stream = peer.accept().await;
        request(&mut stream).await;
        answer(&mut stream, "one").await;
        stream
    };
    let (reply, _open) = tokio::join!(clients.send(&egress, get(peer.uri()), &limits, None), serving);
    assert_eq!(text(reply.unwrap()).await, "one");
}
