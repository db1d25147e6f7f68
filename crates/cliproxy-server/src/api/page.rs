//! `GET /v1/ws`: web pages of AI Studio connect here and ask the Gemini API for the gateway.
//!
//! What frames mean is the core's business ([`cliproxy_core::engine::Page`]); here a page is let in, its socket is read
//! and written, its end noticed, and a page let go that may not stay. A page needs a client key unless `ws-auth` is off;
//! with a key it may be of any origin, because AI Studio runs pages on addresses of its own. Without client keys the rules
//! for browsers hold as everywhere: a page that connects sees what its owner asks, so it must be of this machine.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::engine::Page;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_core::upstream::{Answers, Questions};
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio::time::{Instant, timeout};

use super::call;
use crate::{App, reply};

/// Longest frame: a whole answer may come in one, with pictures in it.
const LONGEST: usize = 64 << 20;
/// A page is asked for a sign of life this often. Browsers answer by themselves.
const PING: Duration = Duration::from_secs(30);
/// A page that has given none for this long is gone.
const SILENCE: Duration = Duration::from_mins(1);
/// Longest time that a frame may take to be sent, and how many bytes more may take another second.
const WRITE: Duration = Duration::from_secs(10);
const BYTES_A_SECOND: usize = 128 << 10;

/// Opens a page's socket.
pub(super) async fn open(State(app): State<App>, request: Request) -> Response {
    let (mut head, _body) = request.into_parts();
    let refuse = |fault: &Fault| reply::fault(Format::Chat, fault, &call::request_id(), false);
    if let Err(fault) = admit(&app.engine.snapshot(), &head) {
        return refuse(&fault);
    }
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut head, &app).await else {
        let fault = Fault::new(Kind::InvalidRequest, "pages of AI Studio open a websocket here")
            .with_code("upgrade_required")
            .with_status(StatusCode::UPGRADE_REQUIRED.as_u16());
        let mut response = refuse(&fault);
        response.headers_mut().insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    let Some(page) = app.engine.connect_page() else {
        return refuse(&Fault::new(Kind::Unavailable, "as many pages are connected as may be; close one"));
    };
    let open = app.sockets.pages.enter();
    upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(move |socket| async move {
        let _open = open;
        // Boxed: what a socket holds is larger than what a task should move around.
        Box::pin(keep(app, head, page, socket)).await;
    })
}

/// Whether a page may connect, or stay.
fn admit(snapshot: &Snapshot, head: &Parts) -> Result<(), Fault> {
    if !snapshot.settings.access.ws_auth {
        return Ok(());
    }
    call::admit(snapshot, head).map(drop)
}

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The page closed it, or the connection broke.
    Left,
    /// Nothing was heard of it.
    Silent,
    /// It does not take what it is sent.
    Stuck,
    /// A frame is none.
    Wrong,
    /// A frame is not text.
    Binary,
    /// A frame is too long.
    TooLong,
    /// It may not be here any more.
    Refused,
    /// The gateway ends.
    Over,
}

impl Ending {
    /// How the page is told; whoever left hears nothing.
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Left => return None,
            Self::Silent => (close_code::POLICY, "no sign of life for 60 s"),
            Self::Stuck => (close_code::POLICY, "frames are not taken"),
            Self::Wrong => (close_code::INVALID, "a frame is a JSON object with the texts id and type"),
            Self::Binary => (close_code::UNSUPPORTED, "frames are text"),
            Self::TooLong => (close_code::SIZE, "a frame is 64 MiB at most"),
            Self::Refused => (close_code::POLICY, "a client key is needed: connect with ?auth_token="),
            Self::Over => (close_code::AWAY, "the gateway ends"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

/// Keeps a page connected until either side ends it.
async fn keep(app: App, head: Parts, mut page: Page, socket: WebSocket) {
    let id = page.id().clone();
    tracing::info!(credential = %id, "a page of AI Studio has connected");
    let cancel = app.engine.tasks().1.clone();
    let end = app.sockets.pages.clone();
    let (mut out, incoming) = socket.split();
    let refused = async {
        while admit(&app.engine.snapshot(), &head).is_ok() {
            if page.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let ending = tokio::select! {
        ending = read(incoming, &page.answers) => ending,
        ending = write(&mut out, &mut page.questions) => ending,
        () = refused => Ending::Refused,
        () = end.come() => Ending::Over,
        () = cancel.cancelled() => Ending::Over,
    };
    tracing::info!(credential = %id, "a page of AI Studio has gone: {ending:?}");
    // Those who wait go elsewhere before the page has heard of it.
    drop(page);
    if let Some(frame) = ending.frame() {
        // Whether it arrives or not, the connection ends.
        drop(timeout(WRITE, out.send(Message::Close(Some(frame)))).await);
    }
}

/// Hands over what the page says.
async fn read(
    mut incoming: impl Stream<Item = Result<Message, axum::Error>> + Unpin,
    answers: &Answers,
) -> Ending {
    loop {
        // Time that a slow client takes is not the page's.
        let Ok(message) = timeout(SILENCE, incoming.next()).await else { return Ending::Silent };
        match message {
            Some(Ok(Message::Text(text))) => {
                if let Err(wrong) = answers.take(text.as_str()).await {
                    tracing::warn!("a page of AI Studio sent what is no frame: {wrong}");
                    return Ending::Wrong;
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Ending::Binary,
            Some(Ok(Message::Close(_))) | None => return Ending::Left,
            // The library tells limits from broken connections by its words alone.
            Some(Err(error)) if error.to_string().contains("too long") => return Ending::TooLong,
            Some(Err(_)) => return Ending::Left,
        }
    }
}

/// Sends what the page is to be told.
async fn write(out: &mut (impl Sink<Message> + Unpin), questions: &mut Questions) -> Ending {
    let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
    loop {
        let message = tokio::select! {
            question = questions.next() => match question {
                Some(question) => Message::Text(question.into()),
                None => return Ending::Left,
            },
            _ = ping.tick() => Message::Ping(Bytes::from_static(b"ping")),
        };
        let length = if let Message::Text(text) = &message { text.len() } else { 0 };
        let seconds = u64::try_from(length / BYTES_A_SECOND).unwrap_or_default();
        match timeout(WRITE + Duration::from_secs(seconds), out.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return Ending::Left,
            Err(_elapsed) => return Ending::Stuck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cliproxy_core::Engine;
    use cliproxy_core::config::{Settings, Source};
    use cliproxy_core::env::Fixed;

    /// Just in time.
    const LATE: Duration = Duration::from_secs(59);

    /// A socket that takes nothing.
    fn stuck() -> impl Sink<Message> + Unpin {
        Box::pin(futures_util::sink::unfold((), |(), _: Message| std::future::pending::<Result<(), ()>>()))
    }

    fn page() -> (Engine, Page) {
        let settings = Settings::load_text("auth-dir: /nowhere\n", &Source::default(), &Fixed::default());
        let settings = settings.unwrap().settings;
        let engine = Engine::builder(settings).build();
        let page = engine.connect_page().unwrap();
        (engine, page)
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_without_a_sign_of_life_is_gone_after_a_minute() {
        let (_engine, page) = page();
        let started = Instant::now();
        let lives = futures_util::stream::unfold(0, |count| async move {
            tokio::time::sleep(LATE).await;
            (count < 3).then_some((Ok(Message::Pong(Bytes::new())), count + 1))
        });
        let silent = lives.chain(futures_util::stream::pending());
        // The third pause ends the first stream with nothing.
        assert_eq!(read(Box::pin(silent), &page.answers).await, Ending::Silent);
        assert_eq!(started.elapsed(), LATE * 3 + SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_asked_for_signs_of_life_and_one_that_takes_nothing_is_gone() {
        let (_engine, mut page) = page();
        let started = Instant::now();
        assert_eq!(write(&mut stuck(), &mut page.questions).await, Ending::Stuck);
        assert_eq!(started.elapsed(), PING + WRITE);
    }

    #[tokio::test]
    async fn a_page_is_a_credential_until_it_goes() {
        let (engine, page) = page();
        let serves = || engine.snapshot().routes.resolve("gemini-2.5-pro").is_some();
        assert!(serves());
        drop(page);
        assert!(!serves());
    }
}
