//! The line that every request leaves in the log file, in the shape that panels take apart.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::content::masked_query;

/// A request on its way; leaves its line when the answer's body ends or is dropped.
struct Line {
    started: Instant,
    method: Method,
    path: String,
    peer: String,
    id: String,
    status: StatusCode,
}

/// Runs a request and follows its answer to the end.
pub(crate) async fn follow<Work>(request: Request, run: impl FnOnce(Request) -> Work) -> Response
where
    Work: Future<Output = Response>,
{
    let uri = request.uri();
    let path: String = uri.path().chars().take(300).collect();
    let query = uri.query().map(|query| format!("?{}", masked_query(query))).unwrap_or_default();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let mut line = Line {
        started: Instant::now(),
        method: request.method().clone(),
        path: format!("{path}{query}"),
        peer: peer.map_or_else(|| "-".to_owned(), |peer| peer.0.ip().to_canonical().to_string()),
        id: String::new(),
        status: StatusCode::OK,
    };
    let response = run(request).await;
    let id = response.headers().get("x-request-id").or_else(|| response.headers().get("request-id"));
    id.and_then(|id| id.to_str().ok()).unwrap_or_default().clone_into(&mut line.id);
    line.status = response.status();
    response.map(|inner| Body::new(Followed { inner, _line: line }))
}

impl Drop for Line {
    fn drop(&mut self) {
        let seconds = self.started.elapsed();
        let latency = format!("{seconds:.1?}");
        let (status, peer, method, path) =
            (self.status.as_u16(), &self.peer, self.method.as_str(), &self.path);
        let message = format!("{status:3} | {latency:>13} | {peer:>15} | {method:<7} \"{path}\"");
        let request_id = self.id.as_str();
        if status >= 500 {
            tracing::error!(request_id, "{message}");
        } else if status >= 400 {
            tracing::warn!(request_id, "{message}");
        } else {
            tracing::info!(request_id, "{message}");
        }
    }
}

/// The body of an answer that is followed.
struct Followed {
    inner: Body,
    _line: Line,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
