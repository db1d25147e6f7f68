//! The choice of a credential: pure, and able to say why it skipped the others.
//!
//! Candidates stand in ranks of equal priority. [`select`] walks them in the order of the strategy and takes the first
//! that is free, so a choice costs what it looks at and not what there is. [`explain`] asks the same function and then
//! looks at everybody.

use std::ops::Range;

use crate::credential::{Block, Scope, Stand};

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
}

impl Rank {
    /// A rank of the candidates `members` with their weights, in order.
    pub fn new(members: Range<usize>, weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<u32> = weights.collect();
        let total = weights.iter().map(|&weight| u64::from(weight)).sum();
        let stride = spread(total);
        if weights.iter().all(|&weight| weight == 1) {
            return Self { members, sums: Box::default(), stride };
        }
        let sums = weights.iter().scan(0, |sum, &weight| {
            *sum += u64::from(weight);
            Some(*sum)
        });
        Self { sums: sums.collect(), members, stride }
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

    fn has_weight(&self, index: usize) -> bool {
        let Some(at) = index.checked_sub(self.members.start) else { return false };
        let before = at.checked_sub(1).and_then(|at| self.sums.get(at)).copied().unwrap_or(0);
        self.sums.get(at).is_none_or(|&sum| sum > before)
    }

    /// The member on turn `turn` when shares are by weight.
    fn weighted(&self, turn: u64) -> Option<usize> {
        let total = self.sums.last().copied().unwrap_or_else(|| self.len());
        if total == 0 {
            return None;
        }
        let point = u128::from(turn) * u128::from(self.stride) % u128::from(total);
        let point = u64::try_from(point).unwrap_or_default();
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
/// off; `bound` is the candidate that the conversation has been with, which is kept while it is free.
pub fn select(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    state: impl Fn(usize) -> State,
) -> Option<Choice> {
    if let Some(index) = bound.filter(|&index| state(index) == State::Free) {
        return Some(Choice { index, next_turn: turn });
    }
    let mut last_resort = None;
    for rank in ranks {
        for (index, next_turn) in order(rank, strategy, turn) {
            if strategy == Strategy::WeightedRoundRobin && !rank.has_weight(index) {
                continue;
            }
            match state(index) {
                State::Free => return Some(Choice { index, next_turn }),
                State::LastResort(_) => last_resort = last_resort.or(Some(Choice { index, next_turn })),
                State::Out(_) => {}
            }
        }
    }
    last_resort
}

/// The order in which a rank is looked at, each candidate with the turn that follows when it is taken. By weight some
/// come more than once, and those that chance left out come at the end.
fn order(rank: &Rank, strategy: Strategy, turn: u64) -> impl Iterator<Item = (usize, u64)> {
    let length = rank.len();
    let in_turn = move |offset: u64| {
        let at = turn.wrapping_add(offset) % length.max(1);
        (rank.at(at), at + 1)
    };
    let drawn = if strategy == Strategy::WeightedRoundRobin { length } else { 0 };
    let by_weight = (0..drawn).filter_map(move |offset| {
        let turn = turn.wrapping_add(offset);
        rank.weighted(turn).map(|index| (index, turn.wrapping_add(1)))
    });
    let one_by_one = (0..length).map(move |offset| match strategy {
        Strategy::RoundRobin => in_turn(offset),
        Strategy::FillFirst => (rank.at(offset), turn),
        Strategy::WeightedRoundRobin => (rank.at(offset), turn.wrapping_add(1)),
    });
    by_weight.chain(one_by_one)
}

/// The choice, and why each other candidate was skipped, by index.
pub fn explain(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    state: impl Fn(usize) -> State,
) -> (Option<Choice>, Vec<(usize, Skip)>) {
    let choice = select(ranks, strategy, turn, bound, &state);
    let is_bound = choice.is_some() && choice.map(|choice| choice.index) == bound;
    let mut is_above = true;
    let mut skipped = Vec::new();
    for rank in ranks {
        let is_here = choice.is_some_and(|choice| rank.members.contains(&choice.index));
        for index in rank.members.clone() {
            if choice.is_some_and(|choice| choice.index == index) {
                continue;
            }
            let has_weight = strategy != Strategy::WeightedRoundRobin || rank.has_weight(index);
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
