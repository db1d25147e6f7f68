//! A scripted upstream that speaks over websockets, and over HTTP where a script says so.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::authority::Authority;
use crate::upstream::Received;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Talk {
    /// Text frames, after which the socket stays open.
    Frames(Vec<String>),
    /// Text frames, after which the socket is closed.
    Last(Vec<String>),
    /// The socket is closed with this code.
    Close(u16),
    /// An answer by HTTP: status, content type, body. An upgrade is refused by it.
    Plain(u16, &'static str, String),
}

type Talks = dyn Fn(&Received) -> Talk + Send + Sync;

struct Shared {
    talk: Box<Talks>,
    received: Mutex<Vec<Received>>,
    n_opened: AtomicUsize,
    /// How many sockets stand; told whenever one ends.
    standing: watch::Sender<usize>,
}

/// The header by which frames of one socket are told from those of others: sockets are counted from 1.
const SOCKET: &str = "x-talker-socket";

impl Shared {
    fn decide(&self, received: Received) -> Talk {
        let talk = (self.talk)(&received);
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        talk
    }
}

/// A running scripted upstream; ends with the runtime of its test.
pub struct Talker {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

impl Talker {
    /// Starts one that decides by `talk`: of a request by HTTP, of an upgrade (without a body; frames mean yes), and of
    /// every frame on a socket, which is its body.
    pub async fn start(talk: impl Fn(&Received) -> Talk + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            talk: Box::new(talk),
            received: Mutex::default(),
            n_opened: AtomicUsize::new(0),
            standing: watch::Sender::new(0),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        super::background(async move { axum::serve(listener, app).await.expect("the server runs") });
        Self { address, scheme: "http", shared }
    }

    /// The same behind TLS.
    pub async fn start_tls(
        authority: &Authority,
        talk: impl Fn(&Received) -> Talk + Send + Sync + 'static,
    ) -> Self {
        let behind = Self::start(talk).await;
        let (acceptor, inner) = (authority.acceptor(&["h2", "http/1.1"]), behind.address);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        super::background(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                super::background(async move {
                    // Either end may go at any time.
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let Ok(mut inside) = TcpStream::connect(inner).await else { return };
                    drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
                });
            }
        });
        Self { address, scheme: "https", ..behind }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// The frames that arrived so far, each with the number of its socket.
    pub fn frames(&self) -> Vec<(usize, serde_json::Value)> {
        let frames = self.received().into_iter().filter(|received| !received.body.is_empty());
        frames.map(|frame| (frame.header(SOCKET).parse().expect("a number"), frame.json())).collect()
    }

    /// Waits until no more than so many sockets stand.
    pub async fn until_standing(&self, most: usize) {
        let mut standing = self.shared.standing.subscribe();
        standing.wait_for(|n_standing| *n_standing <= most).await.expect("the server runs");
    }

    /// What arrived so far, upgrades and frames alike.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let head = Received {
        method: parts.method.clone(),
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        version: parts.version,
        headers: parts.headers.clone(),
        body: body.collect().await.expect("a body").to_bytes(),
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &shared).await;
    match (shared.decide(head.clone()), upgrade) {
        (Talk::Plain(status, kind, body), _) => plain(status, kind, body),
        (_, Ok(upgrade)) => upgrade.on_upgrade(|socket| converse(shared, head, socket)),
        // The script meant a socket.
        (talk, Err(_)) => plain(500, "text/plain", format!("{talk:?} is no answer to a request by HTTP")),
    }
}

fn plain(status: u16, kind: &str, body: String) -> Response {
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.body(Body::from(body)).expect("a response")
}

async fn converse(shared: Arc<Shared>, mut head: Received, socket: WebSocket) {
    let number = shared.n_opened.fetch_add(1, Ordering::Relaxed) + 1;
    head.headers.insert(SOCKET, number.into());
    shared.standing.send_modify(|n_standing| *n_standing += 1);
    talk(&shared, &head, socket).await;
    shared.standing.send_modify(|n_standing| *n_standing -= 1);
}

async fn talk(shared: &Shared, head: &Received, mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let said = shared.decide(Received { body: text.as_str().to_owned().into(), ..head.clone() });
        let is_last = matches!(said, Talk::Last(_));
        match said {
            Talk::Frames(frames) | Talk::Last(frames) => {
                // A client must answer this and go on.
                drop(socket.send(Message::Ping(Bytes::new())).await);
                for frame in frames {
                    drop(socket.send(Message::Text(frame.into())).await);
                }
            }
            Talk::Close(code) => {
                drop(socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await);
            }
            // The script meant a request by HTTP; the socket just ends.
            Talk::Plain(..) => return,
        }
        if is_last {
            drop(socket.send(Message::Close(None)).await);
            // What is unread would turn the end into a break.
            while let Some(Ok(_)) = socket.recv().await {}
            return;
        }
    }
}
