//! Which item of a list became which: equal ones stay, the others between them are changed, added or taken away.

use serde_json::Value;

use super::span::Node;

/// What happens to an item, by its index before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Keep(usize),
    Change(usize, usize),
    Remove(usize),
    Insert(usize),
}

/// Lists beyond this are not compared with themselves.
const LONGEST: usize = 2000;

/// The steps from one list to the other, in order.
pub(super) fn align(old: &[Node], new: &[Value]) -> Vec<Step> {
    let values: Vec<Option<Value>> = old.iter().map(Node::value).collect();
    let is_equal = |old: usize, new_index: usize| {
        let old = values.get(old).and_then(Option::as_ref);
        old.is_some() && old == new.get(new_index)
    };
    let start = (0..old.len().min(new.len())).take_while(|&index| is_equal(index, index)).count();
    let room = old.len().min(new.len()) - start;
    let end = (1..=room).take_while(|&back| is_equal(old.len() - back, new.len() - back)).count();
    let mut steps: Vec<Step> = (0..start).map(Step::Keep).collect();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let mut kept = if old_end - start <= LONGEST && new_end - start <= LONGEST {
        common(start..old_end, start..new_end, is_equal)
    } else {
        Vec::new()
    };
    kept.push((old_end, new_end));
    let (mut from, mut to) = (start, start);
    for (keep_old, keep_new) in kept {
        gap(from..keep_old, to..keep_new, &mut steps);
        if keep_old < old_end {
            steps.push(Step::Keep(keep_old));
        }
        (from, to) = (keep_old + 1, keep_new + 1);
    }
    steps.extend((old_end..old.len()).map(Step::Keep));
    steps
}

/// What lies between two items that stay.
fn gap(old: std::ops::Range<usize>, new: std::ops::Range<usize>, steps: &mut Vec<Step>) {
    let both = old.len().min(new.len());
    steps.extend(old.clone().zip(new.clone()).map(|(old, new)| Step::Change(old, new)));
    steps.extend(old.skip(both).map(Step::Remove));
    steps.extend(new.skip(both).map(Step::Insert));
}

/// The longest common part of two lists, as pairs of indexes.
fn common(
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
    is_equal: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    let read = |table: &[u32], index: usize| table.get(index).copied().unwrap_or_default();
    for row in (0..old.len()).rev() {
        for column in (0..new.len()).rev() {
            let best = if is_equal(old.start + row, new.start + column) {
                read(&longest, at(row + 1, column + 1)) + 1
            } else {
                read(&longest, at(row + 1, column)).max(read(&longest, at(row, column + 1)))
            };
            if let Some(cell) = longest.get_mut(at(row, column)) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
    while row < old.len() && column < new.len() {
        if is_equal(old.start + row, new.start + column) {
            pairs.push((old.start + row, new.start + column));
            (row, column) = (row + 1, column + 1);
        } else if read(&longest, at(row + 1, column)) >= read(&longest, at(row, column + 1)) {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
}
