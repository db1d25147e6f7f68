//! When a token is renewed ahead of its end.

use std::time::Duration;

use crate::credential::{CredentialId, Record, spread};
use crate::provider::Provider;

/// Longest interval that a file may ask for; longer ones are mistakes.
const LONGEST_INTERVAL: u64 = 90 * 24 * 3600;

/// Whether an account's token is to be renewed now. `now` is in Unix seconds.
pub(crate) fn is_due(record: &Record, provider: &dyn Provider, id: &CredentialId, now: u64) -> bool {
    // Renewing a borrowed token stays with the program that it belongs to.
    if record.borrowed_from().is_some() {
        return false;
    }
    if provider.is_incomplete(record) {
        return true;
    }
    if let Some(every) = interval(record) {
        return record.renewed_at().is_none_or(|at| at.saturating_add(every) <= now);
    }
    // Up to a tenth earlier, so that accounts that logged in together do not renew together.
    let lead = provider.lead().map_or(super::ALMOST_OVER, |lead| {
        let lead = lead + lead.mul_f64(spread(id) / 10.0);
        lead.as_secs()
    });
    match (record.expires_at(), record.renewed_at()) {
        // A token that lives shorter than the lead is renewed halfway, not all the time.
        (Some(end), Some(renewed)) if end > renewed => {
            let lead = lead.min((end - renewed) / 2).max(super::ALMOST_OVER);
            end.saturating_sub(lead) <= now
        }
        (Some(end), _) => end.saturating_sub(lead) <= now,
        (None, None) => true,
        (None, Some(_)) => false,
    }
}

/// A fixed interval between renewals, in seconds, where the file names one.
fn interval(record: &Record) -> Option<u64> {
    let seconds = record.number(&["refresh_interval_seconds", "refreshIntervalSeconds"]);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let named = ["refresh_interval", "refreshInterval"].iter().find_map(|name| record.get(&[name]));
    let spelled = named.and_then(|value| match value.as_str() {
        Some(text) => text.parse().ok().or_else(|| duration(text)),
        None => value.as_u64(),
    });
    seconds.or(spelled).filter(|seconds| (1..=LONGEST_INTERVAL).contains(seconds))
}

/// `1h30m`, `45s`.
fn duration(text: &str) -> Option<u64> {
    let span: jiff::SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(span).ok().map(|duration| duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Leading(Option<Duration>);

    impl Provider for Leading {
        fn prepare(
            &self,
            _job: crate::provider::Job<'_>,
            _credential: &crate::credential::Credential,
        ) -> Result<crate::upstream::Outgoing, crate::Failure> {
            unreachable!("nothing is sent in these tests")
        }

        fn lead(&self) -> Option<Duration> {
            self.0
        }
    }

    const HOUR: u64 = 3600;
    const NOW: u64 = 1_788_134_400;

    fn due(members: &str, lead: Option<u64>) -> bool {
        let record = Record::parse(format!(r#"{{"type":"x",{members}}}"#).as_bytes()).unwrap();
        is_due(&record, &Leading(lead.map(Duration::from_secs)), &CredentialId::new("a"), NOW)
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end() {
        let ends_in = |seconds: u64| format!(r#""expired":{}"#, NOW + seconds);
        assert!(due(&ends_in(4 * HOUR - 1), Some(4 * HOUR)));
        assert!(!due(&ends_in(5 * HOUR), Some(4 * HOUR)));
        assert!(due(&ends_in(5), None), "without a lead only when it is about to end");
        assert!(!due(&ends_in(60), None));
    }

    #[test]
    fn a_token_that_lives_shorter_than_the_lead_is_not_renewed_all_the_time() {
        let aged = |age: u64| format!(r#""expired":{},"last_refresh":{}"#, NOW - age + HOUR, NOW - age);
        assert!(!due(&aged(60), Some(4 * HOUR)));
        assert!(due(&aged(HOUR / 2), Some(4 * HOUR)));
    }

    #[test]
    fn a_token_of_unknown_age_is_renewed_now_and_a_fixed_interval_wins() {
        assert!(due(r#""access_token":"a""#, Some(HOUR)));
        assert!(!due(&format!(r#""last_refresh":{}"#, NOW - 60), Some(HOUR)));
        for interval in
            [r#""refresh_interval_seconds":600"#, r#""refreshInterval":"10m""#, r#""refresh_interval":600"#]
        {
            let aged =
                |age: u64| format!(r#"{interval},"last_refresh":{},"expired":{}"#, NOW - age, NOW + 9 * HOUR);
            assert!(due(&aged(601), Some(HOUR)), "{interval}");
            assert!(!due(&aged(500), Some(HOUR)), "{interval}");
        }
    }
}
