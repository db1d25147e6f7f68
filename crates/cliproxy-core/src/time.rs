//! Times as other programs read them.

/// A time in Unix seconds as RFC 3339 writes it; `None` for times that no calendar has.
pub fn rfc3339(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        assert_eq!(rfc3339(1_788_134_400).as_deref(), Some("2026-08-31T00:00:00Z"));
        assert_eq!(rfc3339(u64::MAX), None);
    }
}
