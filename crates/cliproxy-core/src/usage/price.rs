//! What tokens cost, by the table in the configuration. The program knows no prices of its own: they change without
//! its knowledge, and accounts with a flat rate have none.

use std::sync::Arc;

use cliproxy_wire::model::Usage;

use crate::pattern::Pattern;

/// Prices of models, in a currency of the user's choice per million tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    list: Vec<Price>,
    fingerprint: Option<Arc<str>>,
}

/// The price of the models that a pattern names, in millionths of the currency per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Names of models at the upstream.
    pub model: Pattern,
    /// For a million tokens read.
    pub input: u64,
    /// For a million tokens written.
    pub output: u64,
    /// For a million tokens read from a cache; as `input` when it is not said.
    pub cache_read: Option<u64>,
    /// For a million tokens written to a cache; as `input` when it is not said.
    pub cache_write: Option<u64>,
}

impl Price {
    /// An amount as people write it, in millionths; `None` for one that is no price.
    pub fn amount(written: f64) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
        (0.0..=1e9).contains(&written).then(|| (written * 1e6).round() as u64)
    }

    /// The amount as people write it.
    pub fn written(amount: u64) -> String {
        let text = format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Prices {
    /// A table; of several entries that name a model the first counts.
    pub fn new(list: Vec<Price>) -> Self {
        if list.is_empty() {
            return Self::default();
        }
        let text = format!("{list:?}");
        let fingerprint = Some(cliproxy_wire::id::hex("", 12, &["prices", &text]).into());
        Self { list, fingerprint }
    }

    /// The entries, in their order.
    pub fn list(&self) -> &[Price] {
        &self.list
    }

    /// Which table this is: the same prices have the same fingerprint, whenever and wherever.
    pub fn fingerprint(&self) -> Option<&Arc<str>> {
        self.fingerprint.as_ref()
    }

    /// What a request cost; `None` when the table does not name the model.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        let price = self.list.iter().find(|price| price.model.matches(model))?;
        let (read, write) = (usage.cache_read.unwrap_or_default(), usage.cache_write.unwrap_or_default());
        let fresh = usage.input.unwrap_or_default().saturating_sub(read).saturating_sub(write);
        let parts = [
            (fresh, price.input),
            (read, price.cache_read.unwrap_or(price.input)),
            (write, price.cache_write.unwrap_or(price.input)),
            (usage.output.unwrap_or_default(), price.output),
        ];
        let cost: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        #[expect(clippy::cast_precision_loss, reason = "sixteen digits of a cost are enough")]
        Some(cost as f64 / 1e12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        let price = |model: &str, input| Price {
            model: Pattern::any_case(model),
            input: Price::amount(input).unwrap(),
            output: Price::amount(15.0).unwrap(),
            cache_read: Price::amount(0.3),
            cache_write: None,
        };
        Prices::new(vec![price("claude-sonnet-*", 3.0), price("claude-*", 9.0)])
    }

    #[test]
    fn cached_tokens_have_prices_of_their_own_and_the_first_entry_counts() {
        let usage = Usage {
            input: Some(1_000_000),
            cache_read: Some(500_000),
            cache_write: Some(100_000),
            output: Some(200_000),
            ..Usage::default()
        };
        let cost = prices().cost("claude-sonnet-4-6", &usage).unwrap();
        assert!((cost - (0.4 * 3.0 + 0.5 * 0.3 + 0.1 * 3.0 + 0.2 * 15.0)).abs() < 1e-9, "{cost}");
        let other = prices().cost("claude-opus-4-6", &usage).unwrap();
        assert!(other > cost);
        assert_eq!(prices().cost("gemini-3-pro", &usage), None);
    }

    #[test]
    fn counts_that_contradict_each_other_do_not_make_a_request_pay_back() {
        let usage = Usage { input: Some(1), cache_read: Some(1_000_000), ..Usage::default() };
        assert!((prices().cost("claude-sonnet-4-6", &usage).unwrap() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for written in [-0.1, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Price::amount(written), None, "{written}");
        }
        assert_eq!(Price::amount(0.075), Some(75_000));
        assert_eq!([75_000, 3_000_000, 0].map(Price::written), ["0.075", "3", "0"]);
    }

    #[test]
    fn equal_tables_are_one_version() {
        assert_eq!(prices().fingerprint(), prices().fingerprint());
        assert_ne!(prices().fingerprint(), Prices::default().fingerprint());
    }
}
