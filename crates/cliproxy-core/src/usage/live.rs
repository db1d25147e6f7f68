//! Requests as they happen, for whoever watches: every station of every request as one frame of an event stream.
//!
//! Nobody watches most of the time, and then a request costs one atomic read for each piece of its answer. A frame is
//! written once for all who watch. Who is too slow loses the oldest frames and is told how many; nobody waits for them.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use super::{Happening, Record, Sink};

/// Frames that a watcher may be behind.
const BEHIND: usize = 1024;
/// Watchers at once.
const MOST: usize = 16;

/// Tells watchers what happens. Cheap to clone.
#[derive(Clone, Default)]
pub struct Live(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Somebody watches.
    is_watched: AtomicBool,
    sender: Mutex<Option<broadcast::Sender<Bytes>>>,
}

/// One who watches. Dropping it ends that.
pub struct Watcher {
    receiver: Option<broadcast::Receiver<Bytes>>,
    live: Live,
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An event, as server-sent events write it.
    Event(Bytes),
    /// So many are lost, because the watcher was too slow.
    Lost(u64),
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({})", if self.is_watching() { "watched" } else { "unwatched" })
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Live {
    /// Watches from now on; `None` when as many watch as may.
    pub fn watch(&self) -> Option<Watcher> {
        let mut sender = self.0.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.get_or_insert_with(|| broadcast::Sender::new(BEHIND));
        if sender.receiver_count() >= MOST {
            return None;
        }
        let receiver = Some(sender.subscribe());
        self.0.is_watched.store(true, Ordering::Relaxed);
        Some(Watcher { receiver, live: self.clone() })
    }

    fn tell(&self, event: &str, data: &Value) {
        let frame = Bytes::from(format!("event: {event}\ndata: {data}\n\n"));
        if let Some(sender) = &*self.0.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // The last watcher may have gone this moment.
            drop(sender.send(frame));
        }
    }
}

impl Watcher {
    /// The next frame; it never ends by itself.
    pub async fn next(&mut self) -> Frame {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        match receiver.recv().await {
            Ok(frame) => Frame::Event(frame),
            Err(broadcast::error::RecvError::Lagged(count)) => Frame::Lost(count),
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut sender = self.live.0.sender.lock().unwrap_or_else(PoisonError::into_inner);
        self.receiver = None;
        if sender.as_ref().is_some_and(|sender| sender.receiver_count() == 0) {
            *sender = None;
            self.live.0.is_watched.store(false, Ordering::Relaxed);
        }
    }
}

impl Sink for Live {
    fn record(&self, record: &Record) {
        if self.is_watching() {
            self.tell("end", &end(record));
        }
    }

    fn is_watching(&self) -> bool {
        self.0.is_watched.load(Ordering::Relaxed)
    }

    fn happened(&self, happening: &Happening<'_>) {
        let (event, data) = written(happening);
        self.tell(event, &data);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn written(happening: &Happening<'_>) -> (&'static str, Value) {
    match *happening {
        Happening::Started { request_id, at, client, format, model, is_stream } => {
            let mut data = object(json!({
                "id": &**request_id, "at": at, "format": format.name(), "model": model, "is_stream": is_stream,
            }));
            put(&mut data, "client", client.map(|client| json!(&**client)));
            ("start", data.into())
        }
        Happening::Attempted { request_id, number, provider, credential, upstream_model } => (
            "attempt",
            json!({
                "id": &**request_id, "number": number, "provider": provider,
                "credential": credential.as_str(), "upstream_model": upstream_model,
            }),
        ),
        Happening::Streaming { request_id, first_byte, lane } => {
            ("stream", json!({"id": &**request_id, "first_byte_ms": milliseconds(first_byte), "lane": lane}))
        }
        Happening::Progressed { request_id, elapsed, bytes, usage } => (
            "progress",
            json!({
                "id": &**request_id, "elapsed_ms": milliseconds(elapsed), "bytes": bytes,
                "input": usage.input.unwrap_or_default(), "output": usage.output.unwrap_or_default(),
                "reasoning": usage.reasoning.unwrap_or_default(),
                "cache_read": usage.cache_read.unwrap_or_default(),
            }),
        ),
    }
}

fn end(record: &Record) -> Value {
    let usage = &record.usage;
    let mut data = object(json!({
        "id": &*record.request_id, "outcome": record.outcome.word(), "attempts": record.attempts,
        "at": record.at, "format": record.format.name(), "model": &*record.requested_model, "lane": record.lane,
        "input": usage.input.unwrap_or_default(), "output": usage.output.unwrap_or_default(),
        "reasoning": usage.reasoning.unwrap_or_default(), "cache_read": usage.cache_read.unwrap_or_default(),
        "cache_write": usage.cache_write.unwrap_or_default(), "is_estimated": usage.is_estimated,
        "total_ms": milliseconds(record.total),
    }));
    put(&mut data, "client", record.client.as_deref().map(Value::from));
    put(&mut data, "upstream_model", record.upstream_model.as_deref().map(Value::from));
    put(&mut data, "provider", record.provider.as_deref().map(Value::from));
    put(&mut data, "credential", record.credential.as_ref().map(|id| id.as_str().into()));
    put(&mut data, "first_byte_ms", record.first_byte.map(|time| milliseconds(time).into()));
    put(&mut data, "cost", record.cost.map(Value::from));
    data.into()
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}

fn put(data: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        data.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(live: &Live, number: u32) {
        live.happened(&Happening::Attempted {
            request_id: &"req_1".into(),
            number,
            provider: "claude",
            credential: &crate::credential::CredentialId::new("a.json"),
            upstream_model: "m",
        });
    }

    #[tokio::test]
    async fn whoever_watches_is_told_and_nobody_is_kept_waiting() {
        let live = Live::default();
        assert!(!live.is_watching());
        let mut watcher = live.watch().unwrap();
        assert!(live.is_watching());
        attempt(&live, 1);
        let Frame::Event(frame) = watcher.next().await else { panic!("an event") };
        let text = std::str::from_utf8(&frame).unwrap();
        assert!(text.starts_with("event: attempt\ndata: {\"id\":\"req_1\",\"number\":1"), "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
        for number in 0..u32::try_from(BEHIND).unwrap() + 5 {
            attempt(&live, number);
        }
        assert_eq!(watcher.next().await, Frame::Lost(5));
        assert!(matches!(watcher.next().await, Frame::Event(_)));
    }

    #[tokio::test]
    async fn watchers_are_few_and_the_last_one_puts_the_light_out() {
        let live = Live::default();
        let mut watchers: Vec<Watcher> = (0..MOST).map(|_| live.watch().unwrap()).collect();
        assert!(live.watch().is_none());
        watchers.pop();
        assert!(live.watch().is_some());
        assert!(live.is_watching());
        watchers.clear();
        assert!(!live.is_watching());
        assert!(live.watch().is_some(), "and it can be lit again");
    }
}
