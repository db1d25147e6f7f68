//! `accounts`: who can serve, who cannot and why, and what is left of their quotas.
//!
//! Reads the auth directory and what a server last wrote down about it, as a start of the server does. Nobody is asked
//! and nothing is changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use cliproxy_core::Engine;
use cliproxy_core::config::{Settings, Source};
use cliproxy_core::credential::{CredentialId, SavedRest, Window};
use cliproxy_core::survey::survey;
use cliproxy_core::time::rfc3339;
use cliproxy_server::clock;
use serde::Serialize;
use serde_json::json;

use super::show::{self, print, print_json};
use super::table::{Side, Table};

/// What `accounts` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct AccountsArguments {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whether an account serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It does.
    Active,
    /// Not for a while.
    Resting,
    /// Not until somebody does something.
    Attention,
    /// Its file says that it is not to be used.
    Disabled,
    /// No account comes of the file.
    Unusable,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Resting => "resting",
            Self::Attention => "attention",
            Self::Disabled => "disabled",
            Self::Unusable => "unusable",
        }
    }
}

/// One account, or a file that is none.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    /// The file, below the auth directory.
    pub(super) id: String,
    /// The provider; empty when the file does not say one.
    pub(super) provider: String,
    /// Whose it is.
    pub(super) label: String,
    /// Whether it serves.
    pub(super) state: State,
    /// Why not, and what mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// When it is used again.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    wakes_at: Option<u64>,
    /// Names of models that it offers.
    models: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rests: Vec<Rest>,
    /// What is left of its quotas, as far as answers told it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quotas: Vec<Window>,
    /// When the token ends.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    pub(super) expires_at: Option<u64>,
    /// When the token was renewed last.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time")]
    pub(super) last_refresh: Option<u64>,
    /// The program that renews the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    borrowed_from: Option<PathBuf>,
}

/// A rest of a whole account or one of its models.
#[derive(Clone, Debug, Serialize)]
struct Rest {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    why: String,
    #[serde(serialize_with = "moment")]
    until: u64,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn time<S: serde::Serializer>(at: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    at.and_then(rfc3339).serialize(to)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn moment<S: serde::Serializer>(at: &u64, to: S) -> Result<S::Ok, S::Error> {
    rfc3339(*at).serialize(to)
}

/// What mends a file that is no account.
const MEND: &str = "mend the file, log in again, or move it elsewhere";

pub(super) fn run(arguments: &AccountsArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = super::settings(source)?;
    let directory = settings.auth_dir.clone();
    let runtime = super::runtime()?;
    let now = clock::now();
    let engine = runtime.block_on(super::looking(settings.clone(), false))?;
    let lines = runtime.block_on(lines(&engine, &settings, now))?;
    if arguments.json {
        print_json(&json!({"directory": directory, "accounts": lines}));
    } else if lines.is_empty() {
        print(&format!(
            "no accounts in {}; cli-proxy-api --help lists the logins, cli-proxy-api import finds those of other programs\n",
            directory.display()
        ));
    } else {
        print(&table(&lines, now).render());
    }
    Ok(ExitCode::SUCCESS)
}

/// The accounts by name, with the files that are none. `now` is in Unix seconds.
pub(super) async fn lines(engine: &Engine, settings: &Settings, now: u64) -> anyhow::Result<Vec<Line>> {
    let survey = survey(&settings.auth_dir).await.context("cannot look at the auth directory")?;
    let mut unusable: HashMap<String, String> = survey.unusable.into_iter().collect();
    let rests = engine.rests(now);
    let mut lines = Vec::new();
    for listing in engine.roster(now).await {
        let Some(account) = engine.accounts().get(&CredentialId::new(listing.id.as_str())).cloned() else {
            continue;
        };
        let record = account.record();
        let mut line = Line {
            state: State::Active,
            why: None,
            remedy: None,
            wakes_at: None,
            models: engine.models_of_auth_file(&listing.id).len(),
            rests: rests_of(engine, account.id(), &rests, now),
            quotas: listing.quotas,
            expires_at: record.expires_at(),
            last_refresh: record.renewed_at(),
            borrowed_from: record.borrowed_from(),
            id: listing.id,
            provider: listing.provider,
            label: listing.label,
        };
        if let Some(why) = unusable.remove(&line.id) {
            line.stands(State::Unusable, why, Some(MEND.to_owned()));
        } else if listing.disabled {
            line.state = State::Disabled;
        } else if let Some((why, remedy)) = engine.attention_of(&account, now) {
            line.stands(State::Attention, why, Some(remedy));
        } else if listing.unavailable {
            line.stands(State::Resting, listing.status_message, None);
            line.wakes_at = line.wakes_up();
        }
        lines.push(line);
    }
    lines.extend(unusable.into_iter().map(|(id, why)| Line::of_file(id, why)));
    lines.sort_by_cached_key(|line| line.id.to_lowercase());
    Ok(lines)
}

/// The rests of an account, whichever of its projects rests.
fn rests_of(engine: &Engine, account: &CredentialId, all: &[SavedRest], now: u64) -> Vec<Rest> {
    let snapshot = engine.snapshot();
    let is_its = |rest: &&SavedRest| {
        rest.until > now
            && snapshot.routes.credentials().iter().any(|credential| {
                credential.id.as_str() == rest.credential
                    && credential.account.as_ref().is_some_and(|of| of.id() == account)
            })
    };
    let rest =
        |rest: &SavedRest| Rest { model: rest.model.clone(), why: rest.text().to_owned(), until: rest.until };
    all.iter().filter(is_its).map(rest).collect()
}

impl Line {
    fn of_file(id: String, why: String) -> Self {
        Self {
            label: id.clone(),
            id,
            provider: String::new(),
            state: State::Unusable,
            why: Some(why),
            remedy: Some(MEND.to_owned()),
            wakes_at: None,
            models: 0,
            rests: Vec::new(),
            quotas: Vec::new(),
            expires_at: None,
            last_refresh: None,
            borrowed_from: None,
        }
    }

    fn stands(&mut self, state: State, why: String, remedy: Option<String>) {
        (self.state, self.why, self.remedy) = (state, Some(why), remedy);
    }

    /// When something of it serves again: at the end of the rest of the whole account, or of the first of its models.
    fn wakes_up(&self) -> Option<u64> {
        let whole = self.rests.iter().filter(|rest| rest.model.is_none()).map(|rest| rest.until).max();
        whole.or_else(|| self.rests.iter().map(|rest| rest.until).min())
    }
}

fn table(lines: &[Line], now: u64) -> Table {
    let left = Side::Left;
    let mut table = Table::new([
        ("provider", left),
        ("account", left),
        ("state", left),
        ("models", Side::Right),
        ("token ends", left),
        ("renewed", left),
    ]);
    for line in lines {
        let wakes = line.wakes_at.map(|at| format!(", wakes {}", show::when(at, now))).unwrap_or_default();
        table.row([
            line.provider.clone(),
            line.label.clone(),
            format!("{}{wakes}", line.state.word()),
            line.models.to_string(),
            line.expires_at.map(|at| show::when(at, now)).unwrap_or_default(),
            line.last_refresh.map(|at| show::when(at, now)).unwrap_or_default(),
        ]);
        // The rests below say it.
        if let Some(why) = line.why.as_ref().filter(|_| line.rests.is_empty()) {
            table.note(why.as_str());
        }
        if let Some(remedy) = &line.remedy {
            table.note(format!("to do: {remedy}"));
        }
        for rest in &line.rests {
            let what = rest.model.as_deref().unwrap_or("every model");
            table.note(format!(
                "{what} rests for {}: {}",
                show::span(rest.until.saturating_sub(now)),
                rest.why
            ));
        }
        for window in &line.quotas {
            table.note(show::quota(window, now));
        }
        if let Some(from) = &line.borrowed_from {
            table.note(format!("borrowed from {}, which renews it", from.display()));
        }
    }
    table
}
