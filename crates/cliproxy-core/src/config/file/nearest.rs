//! Guessing what a mistyped key was meant to be.

/// The known key that was probably meant.
pub(crate) fn nearest<'known>(key: &str, known: &[&'known str]) -> Option<&'known str> {
    let wanted = normal(key);
    if wanted.chars().count() > 60 {
        return None;
    }
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    known
        .iter()
        .map(|candidate| (distance(&wanted, &normal(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn normal(key: &str) -> String {
    key.to_lowercase().replace(['_', ' '], "-")
}

/// Edit distance with transposition of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous: Option<char> = None;
    for (row, character) in left.chars().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (column, other) in right.iter().enumerate() {
            let at = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column).saturating_add(usize::from(character != *other));
            let removed = at(&last, column.saturating_add(1)).saturating_add(1);
            let added = at(&current, column).saturating_add(1);
            let mut best = replaced.min(removed).min(added);
            if let Some(before) = column.checked_sub(1)
                && previous == Some(*other)
                && right.get(before) == Some(&character)
            {
                best = best.min(at(&before_last, before).saturating_add(1));
            }
            current.push(best);
        }
        previous = Some(character);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_typing_errors_and_wrong_separators() {
        let known = ["proxy-url", "port", "api-keys", "request-retry"];
        assert_eq!(nearest("proxy_url", &known), Some("proxy-url"));
        assert_eq!(nearest("prot", &known), Some("port"));
        assert_eq!(nearest("apikeys", &known), Some("api-keys"));
        assert_eq!(nearest("request-retires", &known), Some("request-retry"));
        assert_eq!(nearest("something-else", &known), None);
    }

    #[test]
    fn distance_counts_edits_and_transpositions() {
        assert_eq!(distance("port", "prot"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
