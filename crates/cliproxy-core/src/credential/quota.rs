//! What is left of the quotas of accounts and keys, as providers told it in the answers to normal traffic. Nobody is
//! asked for it: what no answer has told is not known.
//!
//! Which headers and refusals tell something is a provider's knowledge ([`crate::provider::Told`]); who rests because of
//! it is the [pool](super::Pool)'s.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::CredentialId;

/// One quota of one account, as last told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "QuotaWindow")]
pub struct Window {
    /// The provider's word for it, such as `5h`, `weekly` or `tokens`.
    pub name: Cow<'static, str>,
    /// The upstream model that it limits; `None` when it is for the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<str>>,
    /// The share that is used, from 0 to 1.
    pub used: f64,
    /// How much it is in all, in the provider's unit, where the provider tells counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// How long a window lasts, where the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    #[schemars(with = "Option<u64>")]
    pub length: Option<Duration>,
    /// When it begins anew, in Unix seconds; an estimate of the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<u64>,
    /// When this was told, in Unix seconds.
    pub told_at: u64,
}

/// Lengths in files and answers: whole seconds.
mod seconds {
    use super::{Deserialize as _, Deserializer, Duration, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(length: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        length.map(|length| length.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

impl Window {
    /// A window of the whole account of which this share (from 0 to 1) is used.
    pub fn new(name: impl Into<Cow<'static, str>>, used: f64, now: u64) -> Self {
        Self {
            name: name.into(),
            model: None,
            used: if used.is_finite() { used.clamp(0.0, 1.0) } else { 0.0 },
            limit: None,
            length: None,
            resets_at: None,
            told_at: now,
        }
    }

    /// Whether nothing is left of it.
    pub fn is_used_up(&self) -> bool {
        self.used >= 1.0
    }

    /// Whether nothing worth writing down differs: not when it was told, and no hundredth of the share.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let reset = |window: &Self| window.resets_at.unwrap_or_default();
        self.name == other.name
            && self.model == other.model
            && self.length == other.length
            && (self.used - other.used).abs() < 0.01
            && self.is_used_up() == other.is_used_up()
            && reset(self).abs_diff(reset(other)) < 60
    }

    /// What is known of it at another time: after its reset nothing of it is used, as far as anybody knows.
    fn at(&self, now: u64) -> Self {
        let is_over = self.resets_at.is_some_and(|at| at <= now);
        Self { used: if is_over { 0.0 } else { self.used }, ..self.clone() }
    }
}

/// The quotas of all credentials.
#[derive(Debug, Default)]
pub struct Quotas {
    known: Mutex<HashMap<CredentialId, Vec<Window>>>,
}

impl Quotas {
    /// Takes over what was told; what is known of other windows stays.
    pub fn note(&self, id: &CredentialId, told: Vec<Window>) {
        if told.is_empty() {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = known.entry(id.clone()).or_default();
        for window in told {
            let same = |known: &&mut Window| known.name == window.name && known.model == window.model;
            match windows.iter_mut().find(same) {
                // A refusal says when, but not how long; what an earlier answer said of that still holds.
                Some(known) => {
                    *known = Window {
                        length: window.length.or(known.length),
                        limit: window.limit.or(known.limit),
                        ..window
                    };
                }
                None => windows.push(window),
            }
        }
    }

    /// What is known of a credential, in the order in which it was first told. `now` is in Unix seconds.
    pub fn of(&self, id: &CredentialId, now: u64) -> Vec<Window> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).into_iter().flatten().map(|window| window.at(now)).collect()
    }

    /// What is known of every credential, by id. `now` is in Unix seconds.
    pub(crate) fn all(&self, now: u64) -> BTreeMap<String, Vec<Window>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(id, windows): (&CredentialId, &Vec<Window>)| {
            (id.as_str().to_owned(), windows.iter().map(|window| window.at(now)).collect())
        };
        known.iter().map(of).collect()
    }

    /// Forgets credentials that are no more.
    pub(super) fn retain(&self, keep: impl Fn(&CredentialId) -> bool) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| keep(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_later_replaces_what_was_told_of_the_same_window_alone() {
        let (quotas, id) = (Quotas::default(), CredentialId::new("a.json"));
        let week = Window { length: Some(Duration::from_hours(168)), ..Window::new("weekly", 0.25, 10) };
        let of_model = Window { model: Some("m".into()), ..Window::new("weekly", 0.5, 10) };
        quotas.note(&id, vec![week.clone(), of_model.clone()]);
        let refused = Window { resets_at: Some(100), ..Window::new("weekly", 1.0, 20) };
        quotas.note(&id, vec![refused.clone()]);
        let known = quotas.of(&id, 50);
        assert_eq!(known, [Window { length: week.length, ..refused }, of_model]);
        assert!(known[0].is_used_up());
    }

    #[test]
    fn after_its_reset_a_window_is_not_used_as_far_as_anybody_knows() {
        let (quotas, id) = (Quotas::default(), CredentialId::new("a.json"));
        quotas.note(&id, vec![Window { resets_at: Some(100), ..Window::new("5h", 0.9, 10) }]);
        assert!((quotas.of(&id, 99)[0].used - 0.9).abs() < f64::EPSILON);
        assert!(quotas.of(&id, 100)[0].used.abs() < f64::EPSILON);
    }

    #[test]
    fn shares_are_shares_whatever_is_told() {
        for (told, used) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (-1.0, 0.0), (1.7, 1.0)] {
            assert!((Window::new("w", told, 0).used - used).abs() < f64::EPSILON, "{told}");
        }
    }
}
