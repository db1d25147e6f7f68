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
    let outgoing =
        Outgoing::Http { method: Method::GET, uri, headers: HeaderMap::new(), body: Pieces::default() };
    clients.send(&egress, outgoing, &Limits::default(), None).await
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
