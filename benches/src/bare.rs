//! The bare proxy: hyper in, hyper out, bodies forwarded frame by frame, nothing looked at.
//!
//! It is the floor that the gateway is compared with: what any proxy on this stack costs on this machine at this
//! moment. It runs as a process of its own, with the same allocator, runtime and socket options as the gateway.

use std::net::SocketAddr;

use anyhow::Context as _;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Either;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Upstream = Client<HttpConnector, Incoming>;
type Body = Either<Incoming, Empty<Bytes>>;

/// Forwards what arrives at `listen` to `upstream` until the process is told to end.
pub(crate) fn run(listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            result = serve(listen, upstream) => result,
            told = tokio::signal::ctrl_c() => Ok(told?),
        }
    })
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.context("cannot listen")?;
    let authority: Authority = upstream.to_string().parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, authority) = (client.clone(), authority.clone());
        let service = service_fn(move |request| forward(client.clone(), authority.clone(), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(
    client: Upstream,
    authority: Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, http::Error> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    // The benchmark's own question whether the process is up.
    if parts.path_and_query.as_ref().is_some_and(|path| path == "/healthz") {
        return Ok(Response::new(Either::Right(Empty::new())));
    }
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    request.headers_mut().remove(http::header::HOST);
    match client.request(request).await {
        Ok(response) => Ok(response.map(Either::Left)),
        Err(_unreachable) => {
            Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new()))
        }
    }
}
