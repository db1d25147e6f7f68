//! The items of an upstream's stream, found by what events call them at the same cost however many there are. What
//! becomes of them is the decoder's.

use std::collections::{HashMap, VecDeque};

use foldhash::quality::RandomState;

use super::track::{ItemKind, Track};

/// Items in the order in which they came; none ever leaves.
#[derive(Debug, Default)]
pub(super) struct Items {
    tracks: Vec<Track>,
    names: HashMap<ItemKind, Names, RandomState>,
}

/// What the items of one kind are called. Of several with one name the last is meant.
#[derive(Debug, Default)]
struct Names {
    by_index: HashMap<u64, usize, RandomState>,
    by_id: HashMap<Box<str>, usize, RandomState>,
    /// Those that are not done, and some that are.
    open: Vec<usize>,
}

impl Items {
    /// Takes an item in; says where it stands.
    pub(super) fn push(&mut self, kind: ItemKind, index: Option<u64>) -> usize {
        let at = self.tracks.len();
        self.tracks.push(Track::new(kind, index));
        let names = self.names.entry(kind).or_default();
        if let Some(index) = index {
            names.by_index.insert(index, at);
        }
        names.open.push(at);
        at
    }

    /// Gives the item at `at` an id. It is also found by those that it had before.
    pub(super) fn set_id(&mut self, at: usize, id: &str) {
        let track = self.get(at);
        if track.id.as_deref() == Some(id) {
            return;
        }
        track.id = Some(id.into());
        let kind = track.kind;
        let known = self.names.entry(kind).or_default().by_id.entry(id.into()).or_insert(at);
        *known = at.max(*known);
    }

    /// The item that is meant by its number, else by its id, else, without a number, the last one that is open. Where
    /// several have one number, the id says which.
    pub(super) fn look_up(&mut self, kind: ItemKind, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let names = self.names.get_mut(&kind)?;
        let by_id = id.and_then(|id| names.by_id.get(id));
        let is_numbered = |at: &&usize| self.tracks.get(**at).is_some_and(|track| track.index == index);
        let by_index = index.and_then(|index| names.by_index.get(&index));
        let known = by_id.filter(is_numbered).or(by_index).or(by_id);
        if known.is_some() || index.is_some() {
            return known.copied();
        }
        let is_done = |at: &mut usize| self.tracks.get(*at).is_none_or(|track| track.is_done);
        while names.open.pop_if(is_done).is_some() {}
        names.open.last().copied()
    }

    /// The item at a position that `push` or `look_up` gave.
    pub(super) fn get(&mut self, at: usize) -> &mut Track {
        #[expect(clippy::indexing_slicing, reason = "positions are those of items, and no item leaves")]
        &mut self.tracks[at]
    }

    /// All of them, to be matched with those of the final response.
    pub(super) fn unclaimed(&self) -> Unclaimed {
        let mut unclaimed =
            Unclaimed { is_claimed: vec![false; self.tracks.len()], queues: HashMap::default() };
        for (at, track) in self.tracks.iter().enumerate() {
            let names = [
                track.id.as_deref().map(|id| Name::Id(id.into())),
                track.call_id.as_deref().map(|id| Name::Call(id.into())),
                track.index.map(Name::Index),
                // Numbers and ids may all be wrong; then the order decides, except for calls that say who they are.
                (!matches!(track.kind, ItemKind::Call(_)) || track.call_id.is_none()).then_some(Name::Any),
            ];
            for name in names.into_iter().flatten() {
                unclaimed.queues.entry((track.kind, name)).or_default().push_back(at);
            }
        }
        unclaimed
    }
}

impl IntoIterator for Items {
    type Item = Track;
    type IntoIter = std::vec::IntoIter<Track>;

    fn into_iter(self) -> Self::IntoIter {
        self.tracks.into_iter()
    }
}

/// The items of a stream that no item of the final response has claimed yet.
pub(super) struct Unclaimed {
    is_claimed: Vec<bool>,
    queues: HashMap<(ItemKind, Name), VecDeque<usize>, RandomState>,
}

/// What an item of the final response and one of the stream may have in common.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Id(Box<str>),
    Call(Box<str>),
    Index(u64),
    Any,
}

impl Unclaimed {
    /// The first item of the stream with this id, else this id of a call, else this number, else the first that may
    /// be meant.
    pub(super) fn claim(
        &mut self,
        kind: ItemKind,
        id: Option<&str>,
        call_id: Option<&str>,
        index: Option<u64>,
    ) -> Option<usize> {
        let names = [
            id.map(|id| Name::Id(id.into())),
            call_id.map(|id| Name::Call(id.into())),
            index.map(Name::Index),
            Some(Name::Any),
        ];
        let is_claimed = &mut self.is_claimed;
        let queues = &mut self.queues;
        names.into_iter().flatten().find_map(|name| {
            let queue = queues.get_mut(&(kind, name))?;
            // Those before were claimed under another name.
            std::iter::from_fn(|| queue.pop_front())
                .find(|at| is_claimed.get_mut(*at).is_some_and(|claimed| !std::mem::replace(claimed, true)))
        })
    }
}
