//! One connection of a client: requests one after the other, answers read to the end or piece by piece.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use cliproxy_bench::sample::{MARK, Question};

/// A keep-alive connection; closed when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    connection: JoinSet<hyper::Result<()>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Ok(Self { sender, host: HeaderValue::from_str(&address.to_string())?, connection: tasks })
    }

    async fn ask(&mut self, question: &Question) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::post(&question.path).body(Full::new(question.body.clone()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer client-key-0001"));
        let answer = self.sender.send_request(request).await.context("no answer")?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            anyhow::bail!("{} answered {status}: {}", question.path, String::from_utf8_lossy(&body));
        }
        Ok(answer)
    }

    /// Asks and reads the whole answer.
    pub(crate) async fn exchange(&mut self, question: &Question) -> anyhow::Result<()> {
        let mut body = self.ask(question).await?.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        ensure!(length > 0, "an empty answer");
        Ok(())
    }

    /// Asks for a stream.
    pub(crate) async fn stream(mut self, question: &Question) -> anyhow::Result<Stream> {
        let body = self.ask(question).await?.into_body();
        Ok(Stream { body, seen: 0, client: self })
    }
}

/// A stream that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    /// Marks that came and were not yet waited for.
    seen: usize,
    client: Client,
}

impl Stream {
    /// Reads until one more piece of text has come.
    pub(crate) async fn text(&mut self) -> anyhow::Result<()> {
        while self.seen == 0 {
            let frame = self.body.frame().await.context("the stream ended early")??;
            if let Some(bytes) = frame.data_ref() {
                self.seen += memchr::memmem::find_iter(bytes, MARK).count();
            }
        }
        self.seen -= 1;
        Ok(())
    }

    /// Reads to the end; the connection can be used again.
    pub(crate) async fn end(mut self) -> anyhow::Result<Client> {
        while let Some(frame) = self.body.frame().await {
            frame?;
        }
        Ok(self.client)
    }

    /// Closes the connection in the middle.
    pub(crate) async fn abandon(mut self) {
        self.client.connection.shutdown().await;
    }
}
