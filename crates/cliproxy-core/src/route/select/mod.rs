//! The choice of a credential: pure, and able to say why it skipped the others.
//!
//! Candidates stand in ranks of equal priority. [`select`] walks them in the order of the strategy and takes the first
//! that is free, so a choice costs what it looks at and not what there is; whole blocks that are known to rest are passed
//! over ([`nap`]). [`explain`] asks the same function and then looks at everybody.

mod nap;

use std::ops::{ControlFlow, Range};

use crate::credential::{Block, Moment, Scope, Stand};
use nap::{Naps, Watch};

/// How to choose among equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The first until it rests.
    FillFirst,
    /// In turn, by weight.
    WeightedRoundRobin,
}

/// Candidates of equal priority: a run of indices in their stable order.
#[derive(Clone, Debug)]
pub struct Rank {
    members: Range<usize>,
    /// For each member the sum of the weights up to and with it; empty when all are 1.
    sums: Box<[u64]>,
    /// How far apart turns are on the scale of the sums: coprime to the total, so that every point comes once in a
    /// cycle and heavy candidates do not come in runs.
    stride: u64,
    /// Who is known to rest; `None` where there are too few to remember.
    naps: Option<Naps>,
}

impl Rank {
    /// A rank of the candidates `members` with their weights, in order.
    pub fn new(members: Range<usize>, weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<u32> = weights.collect();
        let total = weights.iter().map(|&weight| u64::from(weight)).sum();
        let stride = spread(total);
        let naps = Naps::new(members.len());
        if weights.iter().all(|&weight| weight == 1) {
            return Self { members, sums: Box::default(), stride, naps };
        }
        let sums = weights.iter().scan(0, |sum, &weight| {
            *sum += u64::from(weight);
            Some(*sum)
        });
        Self { sums: sums.collect(), members, stride, naps }
    }

    /// The indices of its candidates.
    pub fn members(&self) -> Range<usize> {
        self.members.clone()
    }

    fn len(&self) -> u64 {
        u64::try_from(self.members.len()).unwrap_or(u64::MAX)
    }

    fn at(&self, offset: u64) -> usize {
        self.members.start + usize::try_from(offset).unwrap_or_default()
    }

    fn weight(&self, place: usize) -> u64 {
        let before = place.checked_sub(1).and_then(|before| self.sums.get(before)).copied().unwrap_or(0);
        self.sums.get(place).map_or(1, |&sum| sum - before)
    }

    /// The member on turn `turn` when shares are by weight.
    fn weighted(&self, turn: u64) -> Option<usize> {
        let total = self.sums.last().copied().unwrap_or_else(|| self.len());
        let point = point(turn, self.stride, total)?;
        if self.sums.is_empty() {
            return Some(self.at(point));
        }
        Some(self.members.start + self.sums.partition_point(|&sum| sum <= point))
    }
}

/// How a candidate stands for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be used.
    Free,
    /// It is used when no other is there.
    LastResort(Skip),
    /// It cannot be used.
    Out(Skip),
}

impl State {
    /// How a candidate with this stand can be used.
    pub fn of(stand: Stand) -> Self {
        match stand {
            Stand::Free => Self::Free,
            Stand::Busy => Self::Out(Skip::Busy),
            Stand::OnTrial(block) => Self::LastResort(Skip::OnTrial(block)),
            Stand::Resting(block) if block.why.is_soft() => Self::LastResort(Skip::Resting(block)),
            Stand::Resting(block) => Self::Out(Skip::Resting(block)),
        }
    }
}

/// Why a candidate was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It failed earlier in this request.
    Tried,
    /// It rests.
    Resting(Block),
    /// Another request is trying whether its rest is over.
    OnTrial(Block),
    /// It serves as many requests as it may.
    Busy,
    /// A person has to do something about the account.
    NeedsAttention,
    /// The conversation stays with another.
    Elsewhere,
    /// Another has a higher priority.
    LowerPriority,
    /// Its weight is 0.
    NoWeight,
    /// It was another's turn.
    NotItsTurn,
}

impl Skip {
    /// In words.
    pub fn text(self) -> String {
        match self {
            Self::Tried => "failed earlier in this request".to_owned(),
            Self::Resting(block) if block.scope == Scope::Model => block.why.text().to_owned(),
            Self::Resting(block) => format!("{}; it rests {}", block.why.text(), block.scope.text()),
            Self::OnTrial(block) => format!("{}; another request is trying it", block.why.text()),
            Self::Busy => "serves as many requests as it may".to_owned(),
            Self::NeedsAttention => "needs attention".to_owned(),
            Self::Elsewhere => "the conversation stays with another".to_owned(),
            Self::LowerPriority => "another has a higher priority".to_owned(),
            Self::NoWeight => "its weight is 0".to_owned(),
            Self::NotItsTurn => "it was another's turn".to_owned(),
        }
    }

    /// A short word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Resting(_) => "resting",
            Self::OnTrial(_) => "on-trial",
            Self::Busy => "busy",
            Self::NeedsAttention => "needs-attention",
            Self::Elsewhere => "elsewhere",
            Self::LowerPriority => "lower-priority",
            Self::NoWeight => "no-weight",
            Self::NotItsTurn => "not-its-turn",
        }
    }

    /// The rest that is the reason.
    pub fn block(self) -> Option<Block> {
        match self {
            Self::Resting(block) | Self::OnTrial(block) => Some(block),
            _ => None,
        }
    }
}

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index of the chosen candidate.
    pub index: usize,
    /// The turn after this one.
    pub next_turn: u64,
}

/// Chooses among the candidates of `ranks`, highest priority first. `turn` is where the last choice for the model left
/// off; `bound` is the candidate that the conversation has been with, which is kept while it is free. `moment` is needed
/// to remember who rests; without it everybody is looked at.
pub fn select(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    moment: Option<Moment>,
    state: impl Fn(usize) -> State,
) -> Option<Choice> {
    if let Some(index) = bound.filter(|&index| state(index) == State::Free) {
        return Some(Choice { index, next_turn: turn });
    }
    let mut last_resort = None;
    for rank in ranks {
        let watch = rank.naps.as_ref().zip(moment).map(|(naps, moment)| naps.watch(moment));
        let mut walk = Walk { rank, strategy, turn, watch, last_resort };
        if let ControlFlow::Break(choice) = walk.run(&state) {
            return Some(choice);
        }
        last_resort = walk.last_resort;
    }
    last_resort
}

/// Draws by weight that may meet somebody who is not free before everybody is looked at, and remembered, once.
const MOST_MISSES: u32 = 128;

/// A walk over one rank in the order of the strategy.
struct Walk<'r> {
    rank: &'r Rank,
    strategy: Strategy,
    turn: u64,
    watch: Option<Watch<'r>>,
    last_resort: Option<Choice>,
}

impl Walk<'_> {
    fn run(&mut self, state: &impl Fn(usize) -> State) -> ControlFlow<Choice> {
        let length = self.rank.members.len();
        match self.strategy {
            Strategy::FillFirst => self.stretch(0..length, state),
            Strategy::RoundRobin => {
                let start = usize::try_from(self.turn % self.rank.len().max(1)).unwrap_or_default();
                self.stretch(start..length, state)?;
                self.stretch(0..start, state)
            }
            Strategy::WeightedRoundRobin => {
                self.draw(state)?;
                self.share(state)
            }
        }
    }

    /// Looks at the places of a rank in order.
    fn stretch(&mut self, places: Range<usize>, state: &impl Fn(usize) -> State) -> ControlFlow<Choice> {
        let mut at = self.awake_from(places.start);
        while at < places.end {
            let block_end = Naps::end_of(at).min(self.rank.members.len());
            let end = block_end.min(places.end);
            let is_whole = end == block_end && (at == 0 || Naps::end_of(at - 1) == at);
            self.block(at..end, is_whole, |walk, place| walk.one(place, state))?;
            at = self.awake_from(end);
        }
        ControlFlow::Continue(())
    }

    /// Looks at one block or a part of it, and remembers when all of it rests.
    fn block(
        &mut self,
        places: Range<usize>,
        is_whole: bool,
        mut look: impl FnMut(&mut Self, usize) -> ControlFlow<Choice, State>,
    ) -> ControlFlow<Choice> {
        let (first, mut wake) = (places.start, None);
        let mut all_rest = is_whole;
        for place in places {
            match look(self, place)? {
                State::Out(Skip::Resting(block)) => {
                    wake =
                        Some(wake.map_or(block.trial, |known: tokio::time::Instant| known.min(block.trial)));
                }
                _ => all_rest = false,
            }
        }
        if let (true, Some(wake), Some(watch)) = (all_rest, wake, &self.watch) {
            watch.note(first, wake);
        }
        ControlFlow::Continue(())
    }

    /// Looks at one place.
    fn one(&mut self, place: usize, state: &impl Fn(usize) -> State) -> ControlFlow<Choice, State> {
        let index = self.rank.members.start + place;
        if self.strategy == Strategy::WeightedRoundRobin && self.rank.weight(place) == 0 {
            return ControlFlow::Continue(State::Out(Skip::NoWeight));
        }
        let next_turn = match self.strategy {
            Strategy::RoundRobin => u64::try_from(place).unwrap_or_default() + 1,
            Strategy::FillFirst => self.turn,
            Strategy::WeightedRoundRobin => self.turn.wrapping_add(1),
        };
        self.judge(Choice { index, next_turn }, state)
    }

    fn judge(&mut self, choice: Choice, state: &impl Fn(usize) -> State) -> ControlFlow<Choice, State> {
        let found = state(choice.index);
        match found {
            State::Free => return ControlFlow::Break(choice),
            State::LastResort(_) => self.last_resort = self.last_resort.or(Some(choice)),
            State::Out(_) => {}
        }
        ControlFlow::Continue(found)
    }

    /// Draws by weight until looking at everybody who is not known to rest costs no more. Some come more than once.
    fn draw(&mut self, state: &impl Fn(usize) -> State) -> ControlFlow<Choice> {
        let (mut misses, mut most) = (0, None);
        for offset in 0..self.rank.len() {
            let turn = self.turn.wrapping_add(offset);
            let Some(index) = self.rank.weighted(turn) else { break };
            let place = index - self.rank.members.start;
            if !self.watch.is_some_and(|watch| watch.is_asleep(place)) {
                self.judge(Choice { index, next_turn: turn.wrapping_add(1) }, state)?;
                misses += 1;
            }
            let most = *most.get_or_insert_with(|| self.watch.map_or(u64::MAX, |watch| watch.awake()));
            if offset + 1 >= most || misses == MOST_MISSES {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Looks at everybody who is not known to rest, and draws by weight from those who are free.
    fn share(&mut self, state: &impl Fn(usize) -> State) -> ControlFlow<Choice> {
        let length = self.rank.members.len();
        // Each with the sum of the weights up to and with it.
        let (mut free, mut total) = (Vec::new(), 0);
        let mut at = self.awake_from(0);
        while at < length {
            let end = Naps::end_of(at).min(length);
            self.block(at..end, true, |walk, place| match walk.one(place, state) {
                ControlFlow::Break(choice) => {
                    total += walk.rank.weight(place);
                    free.push((total, choice));
                    ControlFlow::Continue(State::Free)
                }
                found @ ControlFlow::Continue(_) => found,
            })?;
            at = self.awake_from(end);
        }
        let point = point(self.turn, spread(total), total);
        let drawn = free.partition_point(|(sum, _)| point.is_some_and(|point| *sum <= point));
        match free.get(drawn) {
            Some((_, choice)) => ControlFlow::Break(*choice),
            None => ControlFlow::Continue(()),
        }
    }

    /// The first place from `place` on that is not known to rest.
    fn awake_from(&self, place: usize) -> usize {
        self.watch.map_or(place, |watch| watch.awake_from(place))
    }
}

/// The choice, and why each other candidate was skipped, by index.
pub fn explain(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    moment: Option<Moment>,
    state: impl Fn(usize) -> State,
) -> (Option<Choice>, Vec<(usize, Skip)>) {
    let choice = select(ranks, strategy, turn, bound, moment, &state);
    let is_bound = choice.is_some() && choice.map(|choice| choice.index) == bound;
    let mut is_above = true;
    let mut skipped = Vec::new();
    for rank in ranks {
        let is_here = choice.is_some_and(|choice| rank.members.contains(&choice.index));
        for index in rank.members.clone() {
            if choice.is_some_and(|choice| choice.index == index) {
                continue;
            }
            let has_weight =
                strategy != Strategy::WeightedRoundRobin || rank.weight(index - rank.members.start) > 0;
            let skip = match state(index) {
                State::LastResort(skip) | State::Out(skip) => skip,
                State::Free if !has_weight => Skip::NoWeight,
                State::Free if is_bound => Skip::Elsewhere,
                State::Free if is_above => Skip::NotItsTurn,
                State::Free => Skip::LowerPriority,
            };
            skipped.push((index, skip));
        }
        is_above &= !is_here;
    }
    (choice, skipped)
}

/// Where a turn is on the scale of the weights.
fn point(turn: u64, stride: u64, total: u64) -> Option<u64> {
    let point = (u128::from(turn) * u128::from(stride)).checked_rem(u128::from(total))?;
    u64::try_from(point).ok()
}

/// A number near `total` divided by the golden ratio that has no common divisor with it.
fn spread(total: u64) -> u64 {
    if total == 0 {
        return 1;
    }
    let mut stride = (total.saturating_mul(618) / 1000).max(1);
    while gcd(stride, total) != 1 {
        stride += 1;
    }
    stride
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
