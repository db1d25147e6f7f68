//! The memory of thoughts and signatures that clients do not send back.
//!
//! Providers sign their thinking and want it back with the next request. Clients of other formats carry it in a slot of
//! their own, but many drop what they do not know, so answers that were translated leave their state here, under the
//! ids of the calls and the texts of the thoughts, and the next request finds it. It belongs to one client key and one
//! maker. Bounded in bytes and in time; what is gone is only missed, never an error (see [`cliproxy_wire::opaque`] for
//! what then happens). It lives in this process: state survives neither a restart nor another instance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::id::digest;
use cliproxy_wire::model::fold::Fold;
use cliproxy_wire::model::{
    Anchor, BlockKind, Channel, Content, Delta, Event, Opaque, Owner, Reasoning, Response, Status,
};
use cliproxy_wire::normalize::id;
use cliproxy_wire::opaque::{Memory, Remembered};
use cliproxy_wire::profile::{Profile, ReasoningHistory};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::Job;
use crate::route::Offer;

/// Bytes that all entries may take together.
const CAPACITY: u64 = 32 << 20;
/// What an entry takes beyond its texts.
const OVERHEAD: u64 = 256;
/// How long a conversation may rest between two requests.
const LIFETIME: Duration = Duration::from_hours(6);

/// A hash, so that texts need not be kept to be found.
type Key = [u8; 32];

/// Everything that is remembered.
#[derive(Clone)]
pub(super) struct Memories(Arc<Cache<Key, Arc<Entry>, Weights>>);

#[derive(Debug)]
struct Entry {
    what: Remembered,
    since: Instant,
}

#[derive(Clone, Copy)]
struct Weights;

impl Weighter<Key, Arc<Entry>> for Weights {
    fn weight(&self, _: &Key, entry: &Arc<Entry>) -> u64 {
        let state = |state: &Opaque| state.data.len() as u64;
        let thought = |thought: &Reasoning| {
            let texts = thought.summary.iter().chain(&thought.raw).map(|text| text.len() as u64);
            texts.chain(thought.opaque.iter().map(state)).sum::<u64>() + OVERHEAD
        };
        let thoughts: u64 = entry.what.thoughts.iter().map(thought).sum();
        OVERHEAD + thoughts + entry.what.signature.as_ref().map_or(0, state)
    }
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memories({} of {} bytes)", self.0.weight(), self.0.capacity())
    }
}

impl Default for Memories {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Memories {
    fn with_capacity(bytes: u64) -> Self {
        let items = usize::try_from(bytes / (4 * OVERHEAD)).unwrap_or(usize::MAX);
        Self(Arc::new(Cache::with_weighter(items, bytes, Weights)))
    }

    /// What the client of a job and an upstream share.
    pub(super) fn shared(&self, job: &Job, offer: &Offer) -> Shared {
        Shared {
            memories: self.clone(),
            tenant: job.call.client.clone(),
            maker: maker(offer.profile(job.call.format), &offer.credential.provider),
        }
    }
}

/// Whose state it is: makers with services of several names read it in all of them.
fn maker(profile: &Profile, provider: &Arc<str>) -> Maker {
    match profile.owner {
        Owner::Anthropic => Maker::Known("anthropic"),
        Owner::Google => Maker::Known("google"),
        Owner::OpenAi => Maker::Known("openai"),
        Owner::Other => Maker::Named(Arc::clone(provider)),
    }
}

#[derive(Clone, Debug)]
enum Maker {
    Known(&'static str),
    Named(Arc<str>),
}

impl Maker {
    fn name(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Named(name) => name,
        }
    }
}

/// What one client and one maker share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    memories: Memories,
    tenant: Option<Arc<str>>,
    maker: Maker,
}

impl Shared {
    fn key(&self, kind: &str, of: &str) -> Key {
        digest(&[self.tenant.as_deref().unwrap_or_default(), self.maker.name(), kind, of])
    }

    fn get(&self, key: &Key) -> Option<Remembered> {
        let entry = self.memories.0.get(key)?;
        if entry.since.elapsed() > LIFETIME {
            self.memories.0.remove(key);
            return None;
        }
        Some(entry.what.clone())
    }

    fn put(&self, key: Key, what: Remembered) {
        self.memories.0.insert(key, Arc::new(Entry { what, since: Instant::now() }));
    }

    /// Keeps what an answer's thoughts and calls left.
    fn keep(&self, response: &Response, recorder: &Recorder) {
        let Some(candidate) = response.candidates.first() else { return };
        let mut thoughts = Vec::new();
        let mut ordinal = 0;
        for block in &candidate.blocks {
            match &block.content {
                Content::Reasoning(thought) => {
                    let text = thought.text();
                    if !thought.opaque.is_empty() && !text.is_empty() {
                        let what = Remembered { thoughts: vec![thought.clone()], signature: None };
                        // One state says which thought it is of; one is enough to find it by.
                        if let Some(state) = thought.opaque.first() {
                            self.put(self.key("state", &state.data), what.clone());
                        }
                        self.put(self.key("text", &text), what);
                    }
                    if !thought.opaque.is_empty() || recorder.keeps_texts {
                        thoughts.push(thought.clone());
                    }
                }
                Content::ToolCall(call) => {
                    let anchor = Anchor::ToolCall(ordinal);
                    let signature = call.opaque.as_ref().map(|state| Opaque { anchor, ..state.clone() });
                    ordinal += 1;
                    let what = Remembered { thoughts: std::mem::take(&mut thoughts), signature };
                    if what != Remembered::default() {
                        let id = id::fit(&call.call_id, recorder.format.tool_id());
                        self.put(self.key("call", &id), what);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Memory for Shared {
    fn by_call(&self, call_id: &str) -> Option<Remembered> {
        self.get(&self.key("call", call_id))
    }

    fn by_text(&self, text: &str) -> Option<Reasoning> {
        self.get(&self.key("text", text))?.thoughts.pop()
    }

    fn by_state(&self, data: &str) -> Option<Reasoning> {
        self.get(&self.key("state", data))?.thoughts.pop()
    }
}

/// Watches a translated answer for what has to be kept of it.
#[derive(Debug)]
pub(super) struct Recorder {
    shared: Shared,
    format: Format,
    /// The upstream wants the texts of its thoughts back.
    keeps_texts: bool,
    /// The upstream's format, once the answer has begun.
    origin: Option<Format>,
    /// The blocks that matter.
    blocks: Vec<u32>,
    /// Those blocks, folded; most answers have none.
    fold: Option<Box<Fold>>,
}

impl Recorder {
    pub(super) fn new(shared: Shared, client: Format, upstream: &Profile) -> Self {
        let keeps_texts =
            upstream.format == Format::Chat && upstream.reasoning_history != ReasoningHistory::None;
        Self { shared, format: client, keeps_texts, origin: None, blocks: Vec::new(), fold: None }
    }

    /// Notes an event of the answer in the client's terms; keeps what there is at its end, good or bad: a call that
    /// was told may come back.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Start(start) => self.origin = Some(start.origin),
            Event::BlockStart {
                candidate: 0,
                block,
                kind: BlockKind::Reasoning { .. } | BlockKind::ToolCall { .. },
            } => {
                self.blocks.push(*block);
                self.fold(event);
            }
            Event::Delta { block, delta: Delta::Opaque(_), .. }
            | Event::Delta {
                block,
                delta: Delta::Reasoning { channel: Channel::Summary | Channel::Raw, .. },
                ..
            }
            | Event::BlockStop { block, full: Some(_), .. }
                if self.blocks.binary_search(block).is_ok() =>
            {
                self.fold(event);
            }
            Event::End { .. } | Event::Error(_) if !self.blocks.is_empty() => {
                self.blocks.clear();
                let Some(mut fold) = self.fold.take() else { return };
                fold.event(Event::End { status: Status::Completed, ext: cliproxy_wire::model::Ext::new() });
                if let Some(response) = fold.finish() {
                    self.shared.keep(&response, self);
                }
            }
            _ => {}
        }
    }

    fn fold(&mut self, event: &Event) {
        let origin = self.origin;
        let fold = self.fold.get_or_insert_with(|| {
            let mut fold = Box::<Fold>::default();
            if let Some(origin) = origin {
                fold.event(Event::Start(Box::new(Response::new(origin))));
            }
            fold
        });
        fold.event(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cliproxy_wire::model::{CallKind, Ext, OpaqueKind};

    fn shared(memories: &Memories, tenant: &str, maker: &'static str) -> Shared {
        Shared { memories: memories.clone(), tenant: Some(tenant.into()), maker: Maker::Known(maker) }
    }

    fn state(data: &str) -> Opaque {
        Opaque {
            owner: Owner::Anthropic,
            kind: OpaqueKind::ClaudeSignature,
            scope: None,
            model: None,
            data: data.into(),
            anchor: Anchor::This,
        }
    }

    /// An answer that thinks and then calls `id`.
    fn events(id: &str, thought: &str, data: &str) -> Vec<Event> {
        let delta = |delta| Event::Delta { candidate: 0, block: 0, delta };
        vec![
            Event::Start(Box::new(Response::new(Format::Claude))),
            Event::BlockStart {
                candidate: 0,
                block: 0,
                kind: BlockKind::Reasoning { id: None, is_redacted: false },
            },
            delta(Delta::Reasoning { channel: Channel::Summary, part: 0, text: thought.to_owned() }),
            delta(Delta::Opaque(state(data))),
            Event::BlockStop { candidate: 0, block: 0, full: None },
            Event::BlockStart { candidate: 0, block: 1, kind: BlockKind::Text },
            Event::Delta { candidate: 0, block: 1, delta: Delta::Text("said".to_owned()) },
            Event::BlockStop { candidate: 0, block: 1, full: None },
            Event::BlockStart {
                candidate: 0,
                block: 2,
                kind: BlockKind::ToolCall {
                    call_id: id.into(),
                    is_id_synthetic: false,
                    item_id: None,
                    name: "f".into(),
                    namespace: None,
                    kind: CallKind::Function,
                    native: None,
                    caller: None,
                    opaque: None,
                },
            },
            Event::BlockStop { candidate: 0, block: 2, full: None },
            Event::End { status: Status::Completed, ext: Ext::new() },
        ]
    }

    fn record(shared: &Shared, events: &[Event]) {
        let mut recorder = Recorder::new(shared.clone(), Format::Chat, &Profile::claude());
        for event in events {
            recorder.note(event);
        }
    }

    fn signature(of: Option<Remembered>) -> Option<String> {
        of?.thoughts.first()?.opaque.first().map(|state| state.data.to_string())
    }

    #[tokio::test]
    async fn thoughts_are_found_by_call_and_by_text_and_only_by_their_own_client() {
        let memories = Memories::default();
        let own = shared(&memories, "a", "anthropic");
        record(&own, &events("toolu_1", "why", "SIG"));
        assert_eq!(signature(own.by_call("toolu_1")).as_deref(), Some("SIG"));
        assert_eq!(own.by_text("why").unwrap().text(), "why");
        assert_eq!(own.by_call("toolu_2"), None);
        for other in [shared(&memories, "b", "anthropic"), shared(&memories, "a", "google")] {
            assert_eq!((other.by_call("toolu_1"), other.by_text("why")), (None, None));
        }
    }

    #[tokio::test]
    async fn a_call_is_found_by_the_id_that_the_client_was_told() {
        let own = shared(&Memories::default(), "a", "anthropic");
        let long = "x".repeat(80);
        record(&own, &events(&long, "why", "SIG"));
        assert_eq!(own.by_call(&long), None);
        assert!(own.by_call(&id::fit(&long, Format::Chat.tool_id())).is_some());
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_kept_as_far_as_it_came() {
        let own = shared(&Memories::default(), "a", "anthropic");
        let mut events = events("toolu_1", "why", "SIG");
        events.pop();
        events.push(Event::Error(Box::new(cliproxy_wire::fault::Fault::truncated())));
        record(&own, &events);
        assert!(own.by_call("toolu_1").is_some());
    }

    #[tokio::test]
    async fn the_memory_stays_within_its_bytes() {
        let memories = Memories::with_capacity(1 << 20);
        let own = shared(&memories, "a", "anthropic");
        for number in 0..200 {
            record(
                &own,
                &events(&format!("toolu_{number}"), &format!("why {number}"), &"S".repeat(16 << 10)),
            );
            assert!(memories.0.weight() <= 1 << 20);
        }
        assert!(own.by_call("toolu_199").is_some());
        let kept = (0..200).filter(|number| own.by_call(&format!("toolu_{number}")).is_some()).count();
        assert!((10..64).contains(&kept), "{kept}");
        // What is larger than everything is not kept, and nothing else goes for it.
        record(&own, &events("toolu_huge", "why huge", &"S".repeat(2 << 20)));
        assert_eq!(own.by_call("toolu_huge"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_its_lifetime_is_gone() {
        let own = shared(&Memories::default(), "a", "anthropic");
        record(&own, &events("toolu_1", "why", "SIG"));
        tokio::time::advance(Duration::from_hours(3)).await;
        assert!(own.by_call("toolu_1").is_some());
        tokio::time::advance(Duration::from_hours(4)).await;
        assert_eq!((own.by_call("toolu_1"), own.by_text("why")), (None, None));
    }
}
