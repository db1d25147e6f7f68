//! What client keys have used of their limits.
//!
//! A request is counted when it is let in, so that a limit on requests is exact; tokens and costs are counted when it
//! ends, so that a request that begins within a limit is served to its end. Counts outlive reloads here and restarts in
//! the ledger, from which they are taken over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::allowance::{Allowance, Limit, Per};
use crate::usage::{Record, Used};

/// The counts of all client keys that have limits.
#[derive(Debug, Default)]
pub struct Meter {
    keys: Mutex<HashMap<Arc<str>, HashMap<Per, Counter>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    start: u64,
    end: u64,
    used: Used,
}

impl Counter {
    /// The counter in the window of `now`.
    fn rolled(&mut self, per: Per, now: u64) -> &mut Self {
        if now >= self.end || now < self.start {
            let window = per.window(now);
            *self = Self { start: window.start, end: window.end, used: Used::default() };
        }
        self
    }
}

/// How a key stands with one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "LimitStanding")]
pub struct Standing {
    /// The window's word.
    pub per: &'static str,
    /// When it begins anew, in Unix seconds.
    pub resets_at: u64,
    /// What was used of it.
    pub used: Used,
    /// Requests that are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tokens that are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Costs that are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What of.
    pub what: &'static str,
    /// The window.
    pub per: Per,
    /// Seconds until it begins anew.
    pub wait: u64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, per, wait } = self;
        write!(f, "this API key has used its {what} of this {per}; it begins anew in {wait} s")
    }
}

impl Meter {
    /// Lets a request in and counts it. `now` is in Unix seconds.
    ///
    /// # Errors
    /// A limit is used up.
    pub fn admit(&self, allowance: &Allowance, now: u64) -> Result<(), Exceeded> {
        if allowance.limits.is_empty() {
            return Ok(());
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = keys.entry(Arc::clone(&allowance.client)).or_default();
        for limit in &allowance.limits {
            let counter = counters.entry(limit.per).or_default().rolled(limit.per, now);
            if let Some(what) = exceeded(limit, counter.used) {
                return Err(Exceeded { what, per: limit.per, wait: counter.end.saturating_sub(now).max(1) });
            }
        }
        // Several limits may be on one window, which counts once.
        for counter in counters.values_mut().filter(|counter| (counter.start..counter.end).contains(&now)) {
            counter.used.requests += 1;
        }
        Ok(())
    }

    /// Counts what a request has used.
    pub(crate) fn record(&self, record: &Record) {
        let Some(client) = &record.client else { return };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counters) = keys.get_mut(client) else { return };
        for counter in
            counters.values_mut().filter(|counter| (counter.start..counter.end).contains(&record.at))
        {
            let usage = &record.usage;
            counter.used.tokens += usage.input.unwrap_or_default() + usage.output.unwrap_or_default();
            counter.used.cost += record.cost.unwrap_or_default();
        }
    }

    /// Takes over what was used before this process, or before there were these limits: `used` says what a client has
    /// used since a time. Windows that are counted already stay as they are; counts of keys without limits go.
    ///
    /// # Errors
    /// What `used` says.
    pub fn load<'a, E>(
        &self,
        allowances: impl Iterator<Item = &'a Allowance>,
        now: u64,
        mut used: impl FnMut(&str, u64) -> Result<Used, E>,
    ) -> Result<(), E> {
        let mut wanted: HashMap<Arc<str>, Vec<Per>> = HashMap::new();
        for allowance in allowances.filter(|allowance| !allowance.limits.is_empty()) {
            let windows = allowance.limits.iter().map(|limit| limit.per);
            wanted.entry(Arc::clone(&allowance.client)).or_default().extend(windows);
        }
        self.lock().retain(|client, _| wanted.contains_key(client));
        for (client, windows) in wanted {
            for per in windows {
                if self.lock().get(&client).is_some_and(|counters| counters.contains_key(&per)) {
                    continue;
                }
                let window = per.window(now);
                let used = used(&client, window.start)?;
                let counter = Counter { start: window.start, end: window.end, used };
                self.lock().entry(Arc::clone(&client)).or_default().entry(per).or_insert(counter);
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, HashMap<Per, Counter>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a key stands with its limits. `now` is in Unix seconds.
    pub fn standing(&self, allowance: &Allowance, now: u64) -> Vec<Standing> {
        let mut keys = self.lock();
        let mut counters = keys.get_mut(&allowance.client);
        let of = |limit: &Limit| {
            let window = limit.per.window(now);
            let counter = counters.as_mut().and_then(|counters| counters.get_mut(&limit.per));
            let counter = counter.map(|counter| *counter.rolled(limit.per, now));
            Standing {
                per: limit.per.word(),
                resets_at: window.end,
                used: counter.map(|counter| counter.used).unwrap_or_default(),
                requests: limit.requests,
                tokens: limit.tokens,
                cost: limit.cost.map(money),
            }
        };
        allowance.limits.iter().map(of).collect()
    }
}

/// Millionths as the amount that they are of.
#[expect(clippy::cast_precision_loss, reason = "no budget has sixteen digits")]
fn money(millionths: u64) -> f64 {
    millionths as f64 / 1e6
}

fn exceeded(limit: &Limit, used: Used) -> Option<&'static str> {
    if limit.requests.is_some_and(|most| used.requests >= most) {
        return Some("requests");
    }
    if limit.tokens.is_some_and(|most| used.tokens >= most) {
        return Some("tokens");
    }
    limit.cost.is_some_and(|most| used.cost >= money(most)).then_some("budget")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::tests::record;

    fn allowance(limits: Vec<Limit>) -> Allowance {
        Allowance {
            client: "laptop".into(),
            label: None,
            expires: None,
            models: Vec::new(),
            credentials: Vec::new(),
            limits,
        }
    }

    fn limit(per: Per, requests: Option<u64>, tokens: Option<u64>, cost: Option<u64>) -> Limit {
        Limit { per, requests, tokens, cost }
    }

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn requests_are_let_in_exactly_as_often_as_the_limit_says() {
        let meter = Meter::default();
        let allowance =
            allowance(vec![limit(Per::Minute, Some(2), None, None), limit(Per::Day, Some(3), None, None)]);
        let minute = Per::Minute.window(NOW);
        assert_eq!(meter.admit(&allowance, minute.start), Ok(()));
        assert_eq!(meter.admit(&allowance, minute.start + 1), Ok(()));
        let exceeded = meter.admit(&allowance, minute.start + 2).unwrap_err();
        assert_eq!((exceeded.what, exceeded.per, exceeded.wait), ("requests", Per::Minute, 58));
        // A refused request counts nowhere.
        assert_eq!(meter.admit(&allowance, minute.end), Ok(()));
        assert_eq!(meter.admit(&allowance, minute.end).unwrap_err().per, Per::Day);
        assert_eq!(meter.standing(&allowance, minute.end)[1].used.requests, 3);
    }

    #[test]
    fn tokens_and_costs_are_counted_when_a_request_ends() {
        let meter = Meter::default();
        for (limits, what) in [
            (limit(Per::Day, None, Some(200), None), "tokens"),
            (limit(Per::Day, None, None, Some(400_000)), "budget"),
        ] {
            let allowance = allowance(vec![limits]);
            meter.load([].iter(), NOW, |_, _| Ok::<_, ()>(Used::default())).unwrap();
            for _ in 0..2 {
                assert_eq!(meter.admit(&allowance, NOW), Ok(()));
                meter.record(&record("m", NOW));
            }
            assert_eq!(meter.admit(&allowance, NOW).unwrap_err().what, what);
            meter.record(&Record { client: Some("other".into()), ..record("m", NOW) });
            meter.record(&Record { client: None, ..record("m", NOW) });
        }
    }

    #[test]
    fn what_was_used_before_counts_and_is_not_counted_again() {
        let meter = Meter::default();
        let allowance = allowance(vec![limit(Per::Month, Some(10), None, None)]);
        let start = Per::Month.window(NOW).start;
        let before = |client: &str, from: u64| {
            assert_eq!((client, from), ("laptop", start));
            Ok::<_, ()>(Used { requests: 9, ..Used::default() })
        };
        meter.load([&allowance].into_iter(), NOW, before).unwrap();
        assert_eq!(meter.admit(&allowance, NOW), Ok(()));
        meter.load([&allowance].into_iter(), NOW, before).unwrap();
        assert!(meter.admit(&allowance, NOW).is_err());
        assert_eq!(meter.standing(&allowance, NOW)[0].used.requests, 10);
    }
}
