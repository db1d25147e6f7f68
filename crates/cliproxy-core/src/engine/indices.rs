//! Which offers a request leaves alone: a set of small numbers, asked for every offer that a choice looks at.

/// Bits of a word.
const BITS: usize = 64;

/// A set of indices.
#[derive(Clone, Debug, Default)]
pub(super) struct Indices(Vec<u64>);

impl Indices {
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.get(index / BITS).is_some_and(|word| word >> (index % BITS) & 1 == 1)
    }

    pub(super) fn insert(&mut self, index: usize) {
        let at = index / BITS;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            *word |= 1 << (index % BITS);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

impl Extend<usize> for Indices {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, indices: I) {
        indices.into_iter().for_each(|index| self.insert(index));
    }
}

impl FromIterator<usize> for Indices {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = Self::default();
        set.extend(indices);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_nothing_else() {
        let indices = [0, 1, 63, 64, 130];
        let set: Indices = indices.into_iter().chain([64]).collect();
        assert_eq!((0..500).filter(|index| set.contains(*index)).collect::<Vec<_>>(), indices);
        assert_eq!((set.len(), Indices::default().len()), (indices.len(), 0));
    }
}
