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
        .map(|candidate| (strsim::osa_distance(&wanted, &normal(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn normal(key: &str) -> String {
    key.to_lowercase().replace(['_', ' '], "-")
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
}
