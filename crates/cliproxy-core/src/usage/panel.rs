//! The ledger in the shape that control panels draw their charts from.
//!
//! Totals are of all that is on record. Single requests are listed for the last day only, the newest of them: panels add
//! them up for their short windows, and a year of them would fit no page.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use super::{By, Ledger, LedgerError, Row, Span};
use crate::time::rfc3339;

/// How far back single requests are listed, in seconds.
const LISTED: u64 = 24 * 60 * 60;
/// Single requests at most.
const MOST: u64 = 20_000;
/// How panels know a client: by the name of its key or, without one, by what it asked. Its format says that.
pub(super) fn client_name() -> &'static str {
    "coalesce(client, CASE format WHEN 'claude' THEN 'POST /v1/messages' WHEN 'responses' THEN 'POST /v1/responses'
       WHEN 'gemini' THEN 'POST /v1beta/models' ELSE 'POST /v1/chat/completions' END)"
}

/// The same for a row that was read.
fn client_of(row: &Row) -> String {
    let asked = match row.format.as_str() {
        "claude" => "POST /v1/messages",
        "responses" => "POST /v1/responses",
        "gemini" => "POST /v1beta/models",
        _ => "POST /v1/chat/completions",
    };
    row.client.clone().unwrap_or_else(|| asked.to_owned())
}

/// What is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Statistics {
    /// Requests.
    pub total_requests: u64,
    /// Those that did not fail.
    pub success_count: u64,
    /// Those that failed.
    pub failure_count: u64,
    /// Tokens read and written.
    pub total_tokens: u64,
    /// By name of the client key.
    pub apis: BTreeMap<String, Client>,
    /// By day, as `YYYY-MM-DD`.
    pub requests_by_day: BTreeMap<String, u64>,
    /// By hour of the day, from `00` to `23`.
    pub requests_by_hour: BTreeMap<String, u64>,
    /// By day.
    pub tokens_by_day: BTreeMap<String, u64>,
    /// By hour of the day.
    pub tokens_by_hour: BTreeMap<String, u64>,
}

/// What one client key was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfClient")]
pub struct Client {
    /// Requests.
    pub total_requests: u64,
    /// Tokens read and written.
    pub total_tokens: u64,
    /// By model.
    pub models: BTreeMap<String, Model>,
}

/// What one model was used for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfModel")]
pub struct Model {
    /// Requests.
    pub total_requests: u64,
    /// Tokens read and written.
    pub total_tokens: u64,
    /// Single requests of the last day, oldest first.
    pub details: Vec<Detail>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UsageDetail")]
pub struct Detail {
    /// When it came, RFC 3339.
    pub timestamp: String,
    /// The account or key that served it.
    pub source: String,
    /// Short id of the account.
    pub auth_index: String,
    /// Tokens.
    pub tokens: Tokens,
    /// Whether it failed.
    pub failed: bool,
}

/// Tokens of one request.
#[expect(clippy::struct_field_names, reason = "the names of the format")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UsageTokens")]
pub struct Tokens {
    /// Read.
    pub input_tokens: u64,
    /// Written.
    pub output_tokens: u64,
    /// Part of those written that was reasoning.
    pub reasoning_tokens: u64,
    /// Part of those read that was in a cache.
    pub cached_tokens: u64,
    /// Read and written.
    pub total_tokens: u64,
}

impl Ledger {
    /// What is on record, in the shape of panels. `now` is in Unix seconds. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn statistics(&self, now: u64, ids: &ShortIds) -> Result<Statistics, LedgerError> {
        let mut statistics = self.sums()?;
        for (client, model, requests, tokens) in self.by_client_and_model()? {
            let client = statistics.apis.entry(client).or_default();
            client.total_requests += requests;
            client.total_tokens += tokens;
            let model = client.models.entry(model).or_default();
            (model.total_requests, model.total_tokens) = (requests, tokens);
        }
        let span = Span { from: now.saturating_sub(LISTED), until: u64::MAX };
        let skip = self.totals(span)?.requests.saturating_sub(MOST);
        for row in self.rows(span, skip, MOST)? {
            let client = client_of(&row);
            let model = row.upstream_model.clone().unwrap_or_else(|| row.requested_model.clone());
            let client = statistics.apis.entry(client).or_default();
            client.models.entry(model).or_default().details.push(detail(&row, ids));
        }
        Ok(statistics)
    }

    /// The sums of all that is on record, by time and not by client.
    pub(super) fn sums(&self) -> Result<Statistics, LedgerError> {
        let totals = self.totals(Span::ALL)?;
        let mut statistics = Statistics {
            total_requests: totals.requests,
            success_count: totals.requests.saturating_sub(totals.failures()),
            failure_count: totals.failures(),
            total_tokens: totals.input + totals.output,
            ..Statistics::default()
        };
        for (day, totals) in self.totals_by(By::Day, Span::ALL)? {
            statistics.requests_by_day.insert(day.clone(), totals.requests);
            statistics.tokens_by_day.insert(day, totals.input + totals.output);
        }
        for (hour, totals) in self.totals_by(By::Hour, Span::ALL)? {
            statistics.requests_by_hour.insert(hour.clone(), totals.requests);
            statistics.tokens_by_hour.insert(hour, totals.input + totals.output);
        }
        Ok(statistics)
    }

    /// Requests and tokens by client and model.
    pub(super) fn by_client_and_model(&self) -> Result<Vec<(String, String, u64, u64)>, LedgerError> {
        self.with(|database| {
            let mut statement = database.prepare_cached(&format!(
                "SELECT {}, coalesce(upstream_model, requested_model), count(*),
                   coalesce(sum(input + output), 0)
                 FROM request GROUP BY 1, 2",
                client_name()
            ))?;
            let rows = statement.query_map([], |row| {
                let number =
                    |at: usize| row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or(0));
                Ok((row.get(0)?, row.get(1)?, number(2)?, number(3)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// The short ids by which panels know credentials.
#[derive(Clone, Debug, Default)]
pub struct ShortIds(HashMap<String, String>);

impl ShortIds {
    /// Those of keys, by their credentials. That of an auth file is made of its name.
    pub fn new(of_keys: HashMap<String, String>) -> Self {
        Self(of_keys)
    }

    /// That of a credential; empty for none.
    pub(super) fn of(&self, credential: Option<&str>) -> String {
        let Some(id) = credential else { return String::new() };
        self.0.get(id).cloned().unwrap_or_else(|| crate::credential::auth_index(id))
    }
}

pub(super) fn detail(row: &Row, ids: &ShortIds) -> Detail {
    Detail {
        timestamp: rfc3339(row.at).unwrap_or_default(),
        auth_index: ids.of(row.credential.as_deref()),
        source: row.credential.clone().unwrap_or_default(),
        tokens: tokens(row),
        failed: row.is_failed(),
    }
}

/// The counts of a row as panels read them.
pub(super) fn tokens(row: &Row) -> Tokens {
    Tokens {
        input_tokens: row.input,
        output_tokens: row.output,
        reasoning_tokens: row.reasoning,
        cached_tokens: row.cache_read,
        total_tokens: row.input + row.output,
    }
}
