//! How decisions are said, with the points on the way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::book::Decision;
use super::{Fault, Grant, Point, Shared};

/// A whole answer.
pub(crate) struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string() }
    }

    pub(crate) fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        response.headers_mut().insert("content-type", HeaderValue::from_static(self.content_type));
        response
    }
}

pub(crate) fn decided(decision: Decision, shared: Arc<Shared>, account: String) -> Response {
    match decision {
        Decision::Granted(grant) => granted(&grant, shared, account, false),
        Decision::Torn(grant) => granted(&grant, shared, account, true),
        Decision::Lost => {
            let mut response =
                Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(cut()) })));
            // Until the body has failed, the head has not gone out either.
            response.headers_mut().insert("content-length", HeaderValue::from_static("100"));
            response
        }
        Decision::Refused => Reply::json(
            400,
            &json!({"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}),
        )
        .response(),
        Decision::Failed(Fault::Page(status)) => {
            let body = "<!doctype html><title>Just a moment</title>".to_owned();
            Reply { status, content_type: "text/html", body }.response()
        }
        Decision::Failed(fault) => {
            let (status, after) =
                if let Fault::Status(status, after) = fault { (status, after) } else { (500, None) };
            let error = json!({"type": "error", "error": {"type": "api_error", "message": "try again"}});
            let mut response = Reply::json(status, &error).response();
            if let Some(after) = after {
                response.headers_mut().insert("retry-after", HeaderValue::from(after));
            }
            response
        }
    }
}

fn cut() -> io::Error {
    io::Error::other("cut by script")
}

/// New tokens in two halves, each on its way before the next point is reached.
fn granted(grant: &Grant, shared: Arc<Shared>, account: String, is_torn: bool) -> Response {
    let mut body = serde_json::Map::new();
    for (name, value) in [
        ("token_type", json!("Bearer")),
        ("access_token", json!(grant.access)),
        ("expires_in", json!(grant.lifetime)),
        ("scope", json!("user:inference")),
        ("account", json!({"uuid": "u", "email_address": account})),
    ] {
        body.insert(name.to_owned(), value);
    }
    if let Some(refresh) = &grant.refresh {
        body.insert("refresh_token".to_owned(), json!(refresh));
    }
    let whole = Bytes::from(Value::Object(body).to_string());
    let (first, second) = (whole.slice(..whole.len() / 2), whole.slice(whole.len() / 2..));
    let end = (!is_torn).then(|| End { shared: Arc::clone(&shared), account: account.clone() });
    let halves = stream::once(async { Ok(first) })
        .chain(stream::once(async move {
            Sent::default().await;
            shared.reached(Point::Halfway, &account);
            if is_torn { Err(cut()) } else { Ok(second) }
        }))
        .inspect(move |_| _ = &end);
    let mut response = Response::new(Body::from_stream(halves));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("content-length", HeaderValue::from(whole.len()));
    if grant.clock != 0 {
        #[expect(clippy::disallowed_methods, reason = "the clock of another machine")]
        let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default();
        let wrong = now + jiff::SignedDuration::from_secs(grant.clock);
        let date = jiff::fmt::rfc2822::to_string(&wrong.to_zoned(jiff::tz::TimeZone::UTC)).expect("a date");
        headers.insert("date", HeaderValue::from_str(&date).expect("a header value"));
    }
    response
}

/// Tells that the whole answer is on its way.
struct End {
    shared: Arc<Shared>,
    account: String,
}

impl Drop for End {
    fn drop(&mut self) {
        let (shared, account) = (Arc::clone(&self.shared), std::mem::take(&mut self.account));
        #[expect(
            clippy::disallowed_methods,
            reason = "the server writes out the last bytes after it has let go of them"
        )]
        drop(tokio::spawn(async move {
            Sent::default().await;
            shared.reached(Point::Answered, &account);
        }));
    }
}

/// Resolves when the server has written out what was said before: it does when a body has nothing to say for a moment.
#[derive(Default)]
struct Sent(bool);

impl Future for Sent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
