//! The choice among candidates.

use std::time::Duration;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use tokio::time::Instant;

use super::*;
use crate::credential::Why;

const STRATEGIES: [Strategy; 3] = [Strategy::RoundRobin, Strategy::FillFirst, Strategy::WeightedRoundRobin];

/// The choice by a look at everybody.
fn select(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    state: impl Fn(usize) -> State,
) -> Option<Choice> {
    super::select(ranks, strategy, turn, bound, None, state)
}

fn explain(
    ranks: &[Rank],
    strategy: Strategy,
    turn: u64,
    bound: Option<usize>,
    state: impl Fn(usize) -> State,
) -> (Option<Choice>, Vec<(usize, Skip)>) {
    super::explain(ranks, strategy, turn, bound, None, state)
}

fn block(why: Why) -> Block {
    let until = Instant::now() + Duration::from_secs(9);
    Block { until, trial: until, why, scope: Scope::Model }
}

fn out(why: Why) -> State {
    State::of(Stand::Resting(block(why)))
}

fn one_rank(weights: &[u32]) -> Vec<Rank> {
    vec![Rank::new(0..weights.len(), weights.iter().copied())]
}

/// The candidates chosen on `count` turns.
fn chosen(ranks: &[Rank], strategy: Strategy, count: u64, state: impl Fn(usize) -> State) -> Vec<usize> {
    let mut turn = 0;
    (0..count)
        .map(|_| {
            let choice = select(ranks, strategy, turn, None, &state).unwrap();
            turn = choice.next_turn;
            choice.index
        })
        .collect()
}

#[test]
fn round_robin_goes_round() {
    assert_eq!(chosen(&one_rank(&[1; 3]), Strategy::RoundRobin, 6, |_| State::Free), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_neighbor_of_one_that_rests_does_not_get_its_turns() {
    let state = |index| if index == 1 { out(Why::Quota) } else { State::Free };
    assert_eq!(chosen(&one_rank(&[1; 4]), Strategy::RoundRobin, 6, state), [0, 2, 3, 0, 2, 3]);
}

#[test]
fn fill_first_stays_until_the_first_rests() {
    let ranks = one_rank(&[1; 2]);
    assert_eq!(chosen(&ranks, Strategy::FillFirst, 3, |_| State::Free), [0, 0, 0]);
    let state = |index| if index == 0 { out(Why::Quota) } else { State::Free };
    assert_eq!(chosen(&ranks, Strategy::FillFirst, 2, state), [1, 1]);
}

#[test]
fn a_lower_priority_serves_only_when_the_higher_is_exhausted() {
    let ranks = [Rank::new(0..1, [1].into_iter()), Rank::new(1..2, [1].into_iter())];
    let (choice, skipped) = explain(&ranks, Strategy::RoundRobin, 1, None, |_| State::Free);
    assert_eq!(choice.unwrap().index, 0);
    assert_eq!(skipped, [(1, Skip::LowerPriority)]);
    let state = |index| if index == 0 { State::Out(Skip::Tried) } else { State::Free };
    assert_eq!(select(&ranks, Strategy::RoundRobin, 1, None, state).unwrap().index, 1);
}

#[test]
fn a_passing_fault_excludes_only_while_others_are_well() {
    let ranks = one_rank(&[1; 2]);
    let state = |index| if index == 0 { out(Why::Transient) } else { State::Free };
    assert_eq!(chosen(&ranks, Strategy::RoundRobin, 2, state), [1, 1]);
    assert_eq!(select(&ranks, Strategy::RoundRobin, 0, None, |_| out(Why::Transient)).unwrap().index, 0);
    assert_eq!(select(&ranks, Strategy::RoundRobin, 0, None, |_| out(Why::Quota)), None);
}

#[test]
fn a_conversation_stays_with_its_candidate_and_takes_no_turn() {
    let ranks = one_rank(&[1; 3]);
    let choice = select(&ranks, Strategy::RoundRobin, 0, Some(2), |_| State::Free).unwrap();
    assert_eq!(choice, Choice { index: 2, next_turn: 0 });
    let (_, skipped) = explain(&ranks, Strategy::RoundRobin, 0, Some(2), |_| State::Free);
    assert_eq!(skipped, [(0, Skip::Elsewhere), (1, Skip::Elsewhere)]);
    let state = |index| if index == 2 { out(Why::Quota) } else { State::Free };
    assert_eq!(select(&ranks, Strategy::RoundRobin, 0, Some(2), state).unwrap().index, 0);
}

proptest! {
    #[test]
    fn weights_are_met_exactly_over_one_cycle(weights in proptest::collection::vec(0u32..9, 1..6)) {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let ranks = one_rank(&weights);
        let mut counts = vec![0u32; weights.len()];
        for index in chosen(&ranks, Strategy::WeightedRoundRobin, total, |_| State::Free) {
            counts[index] += 1;
        }
        prop_assert_eq!(counts, weights);
    }

    #[test]
    fn round_robin_is_fair_to_those_who_are_free(free in proptest::collection::vec(any::<bool>(), 1..12), cycles in 1u64..5) {
        let ranks = one_rank(&vec![1; free.len()]);
        let ready = free.iter().filter(|is_free| **is_free).count();
        if ready == 0 {
            return Ok(());
        }
        let state = |index: usize| if free[index] { State::Free } else { out(Why::Quota) };
        let mut counts = vec![0u64; free.len()];
        for index in chosen(&ranks, Strategy::RoundRobin, cycles * u64::try_from(ready).unwrap(), state) {
            counts[index] += 1;
        }
        for (index, is_free) in free.iter().enumerate() {
            prop_assert_eq!(counts[index], if *is_free { cycles } else { 0 });
        }
    }

    #[test]
    fn by_weight_nobody_starves_while_others_rest(
        members in proptest::collection::vec((1u32..9, any::<bool>()), 1..8),
    ) {
        let weights: Vec<u32> = members.iter().map(|(weight, _)| *weight).collect();
        let state = |index: usize| if members[index].1 { State::Free } else { out(Why::Quota) };
        if !members.iter().any(|(_, is_free)| *is_free) {
            return Ok(());
        }
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let seen = chosen(&one_rank(&weights), Strategy::WeightedRoundRobin, total, state);
        for (index, (_, is_free)) in members.iter().enumerate() {
            prop_assert_eq!(seen.contains(&index), *is_free);
        }
    }

    #[test]
    fn a_conversation_is_kept_unless_its_candidate_fails(
        free in proptest::collection::vec(any::<bool>(), 1..12),
        turn in any::<u64>(),
        bound in 0usize..12,
    ) {
        let bound = bound % free.len();
        let ranks = one_rank(&vec![1; free.len()]);
        let state = |index: usize| if free[index] { State::Free } else { out(Why::Quota) };
        for strategy in STRATEGIES {
            let choice = select(&ranks, strategy, turn, Some(bound), state);
            if free[bound] {
                prop_assert_eq!(choice, Some(Choice { index: bound, next_turn: turn }));
            } else {
                prop_assert_eq!(choice, select(&ranks, strategy, turn, None, state));
            }
        }
    }

    #[test]
    fn who_is_remembered_to_rest_changes_no_choice(
        steps in proptest::collection::vec((0usize..200, 1u64..90, 0u8..5, any::<bool>()), 1..60),
        weights in proptest::collection::vec(0u32..3, 200),
    ) {
        let start = Instant::now();
        // Until when everybody rests, in seconds; most for long at the beginning.
        let mut rests: Vec<u64> = (0..200).map(|index| if index % 67 == 0 { 0 } else { 40 + index % 50 }).collect();
        for strategy in STRATEGIES {
            let ranks = [
                Rank::new(0..130, weights[..130].iter().copied()),
                Rank::new(130..200, weights[130..].iter().copied()),
            ];
            let (mut turn, mut clock, mut thaws) = (0, 0, 0);
            for (index, seconds, pause, thaws_all) in &steps {
                clock += u64::from(*pause);
                let until = clock + seconds;
                if *thaws_all {
                    thaws += 1;
                    rests[*index] = 0;
                } else if until >= rests[*index] {
                    rests[*index] = until;
                }
                let now = start + Duration::from_secs(clock);
                let state = |index: usize| {
                    if rests[index] <= clock {
                        return State::Free;
                    }
                    let trial = start + Duration::from_secs(rests[index]);
                    State::Out(Skip::Resting(Block { until: trial, trial, why: Why::Quota, scope: Scope::Model }))
                };
                let choice = super::select(&ranks, strategy, turn, None, Some(Moment { now, thaws }), state);
                prop_assert_eq!(choice, select(&ranks, strategy, turn, None, state));
                turn = choice.map_or(turn, |choice| choice.next_turn);
            }
        }
    }

    #[test]
    fn every_candidate_is_either_chosen_or_explained(
        ranks in proptest::collection::vec(proptest::collection::vec((0u32..3, 0u8..8), 1..5), 0..4),
        turn in any::<u64>(),
        bound in proptest::option::of(0usize..12),
    ) {
        let mut start = 0;
        let built: Vec<Rank> = ranks
            .iter()
            .map(|members| {
                let range = start..start + members.len();
                start = range.end;
                Rank::new(range, members.iter().map(|(weight, _)| *weight))
            })
            .collect();
        let flat: Vec<(u32, u8)> = ranks.concat();
        let state = |index: usize| match flat[index].1 {
            0 => out(Why::Unauthorized),
            1 => out(Why::Quota),
            2 => out(Why::Transient),
            3 => State::Out(Skip::Tried),
            4 => State::of(Stand::Busy),
            5 => State::of(Stand::OnTrial(block(Why::Quota))),
            _ => State::Free,
        };
        let bound = bound.filter(|&index| index < flat.len());
        for strategy in STRATEGIES {
            let (choice, skipped) = explain(&built, strategy, turn, bound, state);
            prop_assert_eq!(choice, select(&built, strategy, turn, bound, state));
            let mut seen: Vec<_> = skipped.iter().map(|(index, _)| *index).collect();
            seen.extend(choice.map(|choice| choice.index));
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..flat.len()).collect::<Vec<_>>());
            if let Some(choice) = choice {
                prop_assert!(!matches!(state(choice.index), State::Out(_)));
            }
        }
    }
}

#[test]
fn by_weight_the_few_who_are_free_among_thousands_share_by_weight_and_few_are_looked_at() {
    let start = Instant::now();
    let trial = start + Duration::from_mins(5);
    let resting =
        State::Out(Skip::Resting(Block { until: trial, trial, why: Why::Quota, scope: Scope::Model }));
    let mut weights = vec![1; 5000];
    (weights[1234], weights[4000]) = (1, 3);
    let ranks = one_rank(&weights);
    let looks = std::cell::Cell::new(0);
    let state = |index: usize| {
        looks.set(looks.get() + 1);
        if matches!(index, 1234 | 4000) { State::Free } else { resting }
    };
    let moment = Some(Moment { now: start, thaws: 0 });
    let (mut turn, mut heavy) = (0, 0);
    for round in 0..400 {
        looks.set(0);
        let choice = super::select(&ranks, Strategy::WeightedRoundRobin, turn, None, moment, state).unwrap();
        heavy += u32::from(choice.index == 4000);
        // Every draw takes a turn.
        assert!(
            round == 0 || choice.next_turn - turn <= 32,
            "{} draws in round {round}",
            choice.next_turn - turn
        );
        turn = choice.next_turn;
        assert!(round == 0 || looks.get() <= 64, "{} looks in round {round}", looks.get());
    }
    assert!((290..=310).contains(&heavy), "{heavy} of 400 went to the one with three quarters of the weight");
}

#[test]
fn by_weight_the_many_who_are_free_here_and_there_are_met_by_drawing() {
    let start = Instant::now();
    let trial = start + Duration::from_mins(5);
    let resting =
        State::Out(Skip::Resting(Block { until: trial, trial, why: Why::Quota, scope: Scope::Model }));
    let ranks = one_rank(&vec![1; 5000]);
    let looks = std::cell::Cell::new(0);
    let state = |index: usize| {
        looks.set(looks.get() + 1);
        if index * 7919 % 5003 < 500 { State::Free } else { resting }
    };
    let moment = Some(Moment { now: start, thaws: 0 });
    let mut turn = 0;
    for round in 0..400 {
        looks.set(0);
        let choice = super::select(&ranks, Strategy::WeightedRoundRobin, turn, None, moment, state).unwrap();
        turn = choice.next_turn;
        assert!(looks.get() <= 128, "{} looks in round {round}", looks.get());
    }
}

#[test]
fn among_thousands_that_rest_few_are_looked_at() {
    let start = Instant::now();
    let trial = start + Duration::from_mins(5);
    let resting =
        State::Out(Skip::Resting(Block { until: trial, trial, why: Why::Quota, scope: Scope::Model }));
    for (strategy, most) in
        [(Strategy::RoundRobin, 64), (Strategy::FillFirst, 64), (Strategy::WeightedRoundRobin, 128)]
    {
        let ranks = one_rank(&vec![1; 5000]);
        let looks = std::cell::Cell::new(0);
        let state = |index: usize| {
            looks.set(looks.get() + 1);
            if matches!(index, 1234 | 4000) { State::Free } else { resting }
        };
        let moment = Some(Moment { now: start, thaws: 7 });
        let mut turn = 0;
        for round in 0..50 {
            looks.set(0);
            let choice = super::select(&ranks, strategy, turn, None, moment, state).unwrap();
            assert!(matches!(choice.index, 1234 | 4000));
            turn = choice.next_turn;
            // The first ones learn.
            assert!(round < 6 || looks.get() <= most, "{strategy:?}: {} looks in round {round}", looks.get());
        }
        // Once somebody has recovered before the time, everybody is looked at again.
        looks.set(0);
        let thawed = Some(Moment { now: start, thaws: 8 });
        super::select(&ranks, strategy, turn, None, thawed, |index| {
            if matches!(index, 1234 | 4000) { resting } else { state(index) }
        });
        assert!(
            looks.get() > 4000 || strategy == Strategy::WeightedRoundRobin,
            "{strategy:?}: {}",
            looks.get()
        );
    }
}
