//! The choice of a credential: pure, and able to say why it skipped the others.

use tokio::time::Instant;

use crate::credential::{Block, CredentialId, Why};

/// One credential (and upstream model) that offers the wanted model, with its state of the moment.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The credential.
    pub id: CredentialId,
    /// Higher goes first.
    pub priority: i64,
    /// Share under weighted selection; 0 excludes there.
    pub weight: u32,
    /// Its rest, if it rests.
    pub block: Option<Block>,
    /// It failed earlier in this request.
    pub was_tried: bool,
}

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

/// Why a candidate was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It failed earlier in this request.
    Tried,
    /// It rests.
    Resting(Block),
    /// Another has a higher priority.
    LowerPriority,
    /// Its weight is 0.
    NoWeight,
    /// It was another's turn.
    NotItsTurn,
}

/// The outcome of a choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Index of the chosen candidate.
    pub chosen: Option<usize>,
    /// Why each other one was skipped, by index.
    pub skipped: Vec<(usize, Skip)>,
    /// When nothing was chosen: the earliest end of a rest among untried candidates.
    pub earliest: Option<Instant>,
    /// When nothing was chosen: every untried candidate rests for quota.
    pub is_quota: bool,
}

/// Chooses among `candidates`, which are in a stable order. `turn` counts the choices made for the model.
pub fn select(candidates: &[Candidate], strategy: Strategy, turn: u64, now: Instant) -> Decision {
    let mut skipped = Vec::with_capacity(candidates.len());
    let mut ready = Vec::with_capacity(candidates.len());
    let mut soft = Vec::new();
    let mut earliest: Option<Instant> = None;
    let mut is_quota = true;
    let mut untried = 0usize;
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.was_tried {
            skipped.push((index, Skip::Tried));
            continue;
        }
        untried += 1;
        if strategy == Strategy::WeightedRoundRobin && candidate.weight == 0 {
            skipped.push((index, Skip::NoWeight));
            continue;
        }
        match candidate.block.filter(|block| block.until > now) {
            None => ready.push(index),
            Some(block) => {
                earliest = Some(earliest.map_or(block.until, |known| known.min(block.until)));
                is_quota &= block.why == Why::Quota;
                if block.why.is_soft() {
                    soft.push((index, block));
                } else {
                    skipped.push((index, Skip::Resting(block)));
                }
            }
        }
    }
    if ready.is_empty() {
        // Nobody is well: one that only failed in passing is better than no answer.
        ready = soft.iter().map(|(index, _)| *index).collect();
    } else {
        skipped.extend(soft.iter().map(|(index, block)| (*index, Skip::Resting(*block))));
    }
    let priority = |index: usize| candidates.get(index).map_or(i64::MIN, |candidate| candidate.priority);
    let highest = ready.iter().map(|&index| priority(index)).max().unwrap_or_default();
    ready.retain(|&index| {
        let stays = priority(index) == highest;
        if !stays {
            skipped.push((index, Skip::LowerPriority));
        }
        stays
    });
    let chosen = match strategy {
        Strategy::FillFirst => ready.first().copied(),
        Strategy::RoundRobin => pick(turn, ready.len()).and_then(|at| ready.get(at).copied()),
        Strategy::WeightedRoundRobin => weighted(candidates, &ready, turn),
    };
    skipped
        .extend(ready.iter().filter(|&&index| Some(index) != chosen).map(|&index| (index, Skip::NotItsTurn)));
    skipped.sort_by_key(|(index, _)| *index);
    Decision { chosen, skipped, earliest, is_quota: is_quota && untried > 0 && earliest.is_some() }
}

fn pick(turn: u64, length: usize) -> Option<usize> {
    let length = u64::try_from(length).ok().filter(|&length| length > 0)?;
    usize::try_from(turn % length).ok()
}

fn weighted(candidates: &[Candidate], ready: &[usize], turn: u64) -> Option<usize> {
    let weight = |index: usize| candidates.get(index).map_or(0, |candidate| u64::from(candidate.weight));
    let total: u64 = ready.iter().map(|&index| weight(index)).sum();
    if total == 0 {
        return ready.first().copied();
    }
    // Turns are spread by a stride that is coprime to the total, so that heavy candidates do not come in runs.
    let stride = spread(total);
    let mut at = u64::try_from(u128::from(turn) * u128::from(stride) % u128::from(total)).unwrap_or_default();
    for &index in ready {
        let share = weight(index);
        if at < share {
            return Some(index);
        }
        at -= share;
    }
    ready.last().copied()
}

/// A number near `total` divided by the golden ratio that has no common divisor with it.
fn spread(total: u64) -> u64 {
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
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn candidate(name: &str) -> Candidate {
        Candidate { id: CredentialId::new(name), priority: 0, weight: 1, block: None, was_tried: false }
    }

    fn resting(name: &str, why: Why, seconds: u64) -> Candidate {
        let until = Instant::now() + Duration::from_secs(seconds);
        Candidate { block: Some(Block { until, why }), ..candidate(name) }
    }

    #[test]
    fn round_robin_goes_round() {
        let candidates = [candidate("a"), candidate("b"), candidate("c")];
        let chosen: Vec<_> = (0..6)
            .map(|turn| select(&candidates, Strategy::RoundRobin, turn, Instant::now()).chosen.unwrap())
            .collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn fill_first_stays_until_the_first_rests() {
        let now = Instant::now();
        let mut candidates = vec![candidate("a"), candidate("b")];
        assert_eq!(select(&candidates, Strategy::FillFirst, 7, now).chosen, Some(0));
        candidates[0] = resting("a", Why::Quota, 60);
        assert_eq!(select(&candidates, Strategy::FillFirst, 8, now).chosen, Some(1));
    }

    #[test]
    fn a_lower_priority_serves_only_when_the_higher_is_exhausted() {
        let now = Instant::now();
        let mut candidates = vec![Candidate { priority: 5, ..candidate("a") }, candidate("b")];
        let decision = select(&candidates, Strategy::RoundRobin, 1, now);
        assert_eq!(decision.chosen, Some(0));
        assert_eq!(decision.skipped, [(1, Skip::LowerPriority)]);
        candidates[0].was_tried = true;
        assert_eq!(select(&candidates, Strategy::RoundRobin, 1, now).chosen, Some(1));
    }

    #[test]
    fn a_passing_fault_excludes_only_while_others_are_well() {
        let now = Instant::now();
        let candidates = [resting("a", Why::Transient, 60), candidate("b")];
        assert_eq!(select(&candidates, Strategy::RoundRobin, 0, now).chosen, Some(1));
        let alone = [resting("a", Why::Transient, 60)];
        assert_eq!(select(&alone, Strategy::RoundRobin, 0, now).chosen, Some(0));
    }

    #[test]
    fn when_all_rest_for_quota_the_earliest_end_is_known() {
        let now = Instant::now();
        let candidates = [resting("a", Why::Quota, 60), resting("b", Why::Quota, 30)];
        let decision = select(&candidates, Strategy::RoundRobin, 0, now);
        assert_eq!(decision.chosen, None);
        assert!(decision.is_quota);
        assert_eq!(decision.earliest, candidates[1].block.map(|block| block.until));
    }

    proptest! {
        #[test]
        fn weights_are_met_exactly_over_one_cycle(weights in proptest::collection::vec(1u32..9, 1..6)) {
            let candidates: Vec<_> = weights
                .iter()
                .enumerate()
                .map(|(at, &weight)| Candidate { weight, ..candidate(&at.to_string()) })
                .collect();
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let mut counts = vec![0u32; weights.len()];
            for turn in 0..total {
                let chosen = select(&candidates, Strategy::WeightedRoundRobin, turn, Instant::now()).chosen.unwrap();
                counts[chosen] += 1;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn every_candidate_is_either_chosen_or_explained(
            states in proptest::collection::vec((0i64..3, 0u32..3, 0u8..6, any::<bool>()), 0..8),
            turn in any::<u64>(),
        ) {
            let now = Instant::now();
            let candidates: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(at, &(priority, weight, why, was_tried))| {
                    let why = [Why::Unauthorized, Why::Forbidden, Why::ModelMissing, Why::Quota, Why::Transient]
                        .get(usize::from(why))
                        .copied();
                    let block = why.map(|why| Block { until: now + Duration::from_secs(9), why });
                    Candidate { priority, weight, block, was_tried, ..candidate(&at.to_string()) }
                })
                .collect();
            for strategy in [Strategy::RoundRobin, Strategy::FillFirst, Strategy::WeightedRoundRobin] {
                let decision = select(&candidates, strategy, turn, now);
                let mut seen: Vec<_> = decision.skipped.iter().map(|(index, _)| *index).chain(decision.chosen).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..candidates.len()).collect::<Vec<_>>());
            }
        }
    }
}
