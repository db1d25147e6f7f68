//! The load: requests over kept connections, and streams in lockstep.
//!
//! In lockstep the upstream writes a piece only after the piece before it has reached the client. So no two pieces of
//! a stream are ever read in one go, and the cost of a piece is that of a read, a decision and a write.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::client::{Client, Stream};
use crate::upstream::{Lane, Lanes};
use cliproxy_bench::sample::{Dialect, Question};

/// Opens `count` connections.
pub(crate) async fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(Client::connect(address).await?);
    }
    Ok(clients)
}

/// Sends `count` requests over every connection and waits for their answers.
pub(crate) async fn exchange(
    clients: Vec<Client>,
    question: &Question,
    count: usize,
) -> anyhow::Result<Vec<Client>> {
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let question = question.clone();
        tasks.spawn(async move {
            for _ in 0..count {
                client.exchange(&question).await?;
            }
            anyhow::Ok(client)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Who speaks what on a stream.
#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    pub(crate) client: Dialect,
    pub(crate) upstream: Dialect,
    pub(crate) model: String,
}

/// A stream that has begun, with both of its ends in hand.
#[derive(Debug)]
pub(crate) struct Running {
    lane: Lane,
    stream: Stream,
    piece: Bytes,
    closing: Bytes,
}

impl Running {
    /// Begins a stream: its opening and one piece of text have arrived.
    pub(crate) async fn begin(client: Client, lanes: &Lanes, pairing: &Pairing) -> anyhow::Result<Self> {
        let lane = lanes.open();
        let text = format!("Tell me all about tea. lane-{};", lane.number);
        let question = pairing.client.question(&pairing.model, &text, true);
        let piece = pairing.upstream.delta();
        // A gateway may wait for content before it answers at all.
        let opening = pairing.upstream.opening();
        if !opening.is_empty() {
            lane.pieces.send(opening).context("the upstream is gone")?;
        }
        lane.pieces.send(piece.clone()).context("the upstream is gone")?;
        let mut stream = client.stream(&question).await?;
        stream.text().await?;
        Ok(Self { lane, stream, piece, closing: pairing.upstream.closing() })
    }

    /// Begins a stream on every connection.
    pub(crate) async fn begin_all(
        clients: Vec<Client>,
        lanes: &Lanes,
        pairing: &Pairing,
    ) -> anyhow::Result<Vec<Self>> {
        let mut tasks = JoinSet::new();
        for client in clients {
            let (lanes, pairing) = (lanes.clone(), pairing.clone());
            tasks.spawn(async move { Self::begin(client, &lanes, &pairing).await });
        }
        tasks.join_all().await.into_iter().collect()
    }

    /// One piece from upstream to client, and how long it took.
    pub(crate) async fn piece(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.lane.pieces.send(self.piece.clone()).context("the upstream is gone")?;
        self.stream.text().await?;
        Ok(began.elapsed())
    }

    /// `count` pieces on every stream at once.
    pub(crate) async fn pieces(running: Vec<Self>, count: usize) -> anyhow::Result<Vec<Self>> {
        let mut tasks = JoinSet::new();
        for mut one in running {
            tasks.spawn(async move {
                for _ in 0..count {
                    one.piece().await?;
                }
                anyhow::Ok(one)
            });
        }
        tasks.join_all().await.into_iter().collect()
    }

    /// Ends the stream as it should end; gives the connection back.
    pub(crate) async fn end(self) -> anyhow::Result<Client> {
        self.lane.pieces.send(self.closing).context("the upstream is gone")?;
        drop(self.lane.pieces);
        self.stream.end().await
    }

    /// Ends all.
    pub(crate) async fn end_all(running: Vec<Self>) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(running.len());
        for one in running {
            clients.push(one.end().await?);
        }
        Ok(clients)
    }

    /// The client leaves; how long until the upstream has noticed.
    pub(crate) async fn abandon(self) -> anyhow::Result<Duration> {
        let left = Instant::now();
        self.stream.abandon().await;
        let noticed = tokio::time::timeout(Duration::from_secs(5), self.lane.dropped)
            .await
            .context("the upstream never noticed that the client left")?
            .context("the upstream's stream ended by itself")?;
        Ok(noticed.saturating_duration_since(left))
    }
}
