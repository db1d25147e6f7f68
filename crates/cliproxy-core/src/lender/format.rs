//! How other programs write their logins down, and back.

use serde_json::{Map, Value, json};

use super::Loan;
use crate::credential::Record;
use crate::credential::record::time;
use crate::oauth::claims;
use crate::oauth::login::file_part;
use crate::provider::codex;
use crate::store::Changes;
use crate::time::rfc3339;

/// Reads the file of the program that belongs to a provider.
pub(super) fn read(provider: &str, body: &Value) -> Option<Loan> {
    match provider {
        "codex" => codex_cli(body),
        "claude" => claude_code(body),
        "gemini-cli" => gemini_cli(body),
        "qwen" => qwen_code(body),
        _ => None,
    }
}

/// Members of the other program's file that hold the tokens of one of our records; for giving them back.
pub(super) fn written(provider: &str, record: &Record) -> Option<Changes> {
    let text = |name: &str| record.token(name).map(|token| token.expose().to_owned());
    let milliseconds = record.expires_at().map(|seconds| seconds.saturating_mul(1000));
    let set = |changes: Changes, path: &[&str], value: Option<Value>| match value {
        Some(value) => changes.set_at(path, value),
        None => changes,
    };
    let (access, refresh) = (text("access_token").map(Value::from), text("refresh_token").map(Value::from));
    let changes = Changes::default();
    Some(match provider {
        "codex" => {
            let changes = set(changes, &["tokens", "access_token"], access);
            let changes = set(changes, &["tokens", "refresh_token"], refresh);
            let changes = set(changes, &["tokens", "id_token"], text("id_token").map(Value::from));
            set(changes, &["last_refresh"], record.renewed_at().and_then(rfc3339).map(Value::from))
        }
        "claude" => {
            let changes = set(changes, &["claudeAiOauth", "accessToken"], access);
            let changes = set(changes, &["claudeAiOauth", "refreshToken"], refresh);
            set(changes, &["claudeAiOauth", "expiresAt"], milliseconds.map(Value::from))
        }
        "gemini-cli" | "qwen" => {
            let changes = set(changes, &["access_token"], access);
            let changes = set(changes, &["refresh_token"], refresh);
            set(changes, &["expiry_date"], milliseconds.map(Value::from))
        }
        _ => return None,
    })
}

/// Whether the tokens of a file can be renewed.
fn is_renewable(tokens: &Value, name: &str) -> bool {
    text(tokens, name).is_some()
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// `~/.codex/auth.json`. One with an API key only is no login.
fn codex_cli(body: &Value) -> Option<Loan> {
    let tokens = body.get("tokens").filter(|tokens| tokens.is_object())?;
    let access = text(tokens, "access_token")?;
    let account = codex::login::Account::of(text(tokens, "id_token").unwrap_or_default());
    let id = text(tokens, "account_id").map_or_else(|| account.id.clone(), str::to_owned);
    let account = codex::login::Account { id: id.clone(), ..account };
    let expires_at = claims(access).and_then(|claims| claims.get("exp")?.as_u64());
    Some(Loan {
        provider: "codex",
        tokens: Changes::default()
            .set("access_token", access)
            .set_if_some("id_token", text(tokens, "id_token"))
            .set_if_some("refresh_token", text(tokens, "refresh_token"))
            .set("account_id", id.as_str())
            .set_if_some("expired", expires_at.and_then(rfc3339))
            .set_if_some("last_refresh", text(body, "last_refresh")),
        account: Changes::default().set("type", "codex").set("email", account.email.as_str()),
        identity: vec![("email", account.email.clone()), ("account_id", id)],
        file: account.file(),
        label: if account.email.is_empty() { account.id.clone() } else { account.email.clone() },
        is_renewable: is_renewable(tokens, "refresh_token"),
        expires_at,
    })
}

/// `~/.claude/.credentials.json`. It does not say whose account it is; [`super::find`] looks beside it.
fn claude_code(body: &Value) -> Option<Loan> {
    let login = body.get("claudeAiOauth")?;
    let access = text(login, "accessToken")?;
    let expires_at = login.get("expiresAt").and_then(time);
    Some(Loan {
        provider: "claude",
        tokens: Changes::default()
            .set("access_token", access)
            .set_if_some("refresh_token", text(login, "refreshToken"))
            .set_if_some("expired", expires_at.and_then(rfc3339)),
        account: Changes::default().set("type", "claude"),
        identity: Vec::new(),
        file: "claude-code.json".to_owned(),
        label: "the account of Claude Code".to_owned(),
        is_renewable: is_renewable(login, "refreshToken"),
        expires_at,
    })
}

/// What `~/.claude.json` says of the account of Claude Code.
pub(super) fn with_claude_account(loan: Loan, settings: &Value) -> Loan {
    let Some(account) = settings.get("oauthAccount") else { return loan };
    let Some(email) = text(account, "emailAddress") else { return loan };
    let organization = text(account, "organizationUuid").unwrap_or_default();
    Loan {
        account: loan
            .account
            .set("email", email)
            .set_if_some("account_uuid", text(account, "accountUuid"))
            .set_if_some("organization_uuid", text(account, "organizationUuid"))
            .set_if_some("organization_name", text(account, "organizationName")),
        identity: vec![("email", email.to_owned()), ("organization_uuid", organization.to_owned())],
        file: format!("claude-{}.json", file_part(email)),
        label: email.to_owned(),
        ..loan
    }
}

/// `~/.gemini/oauth_creds.json`. The project is known to Google only.
fn gemini_cli(body: &Value) -> Option<Loan> {
    let access = text(body, "access_token")?;
    let expires_at = body.get("expiry_date").and_then(time);
    let email =
        text(body, "id_token").and_then(claims).and_then(|claims| Some(text(&claims, "email")?.to_owned()));
    let email = email.unwrap_or_default();
    let mut tokens = Changes::default().set_at(&["token", "access_token"], access);
    for (name, value) in [
        ("refresh_token", text(body, "refresh_token").map(Value::from)),
        ("token_type", Some(json!("Bearer"))),
        ("expiry", expires_at.and_then(rfc3339).map(Value::from)),
    ] {
        if let Some(value) = value {
            tokens = tokens.set_at(&["token", name], value);
        }
    }
    let name = if email.is_empty() { "cli".to_owned() } else { file_part(&email) };
    Some(Loan {
        provider: "gemini-cli",
        tokens,
        account: Changes::default().set("type", "gemini").set("email", email.as_str()),
        identity: vec![("email", email.clone())],
        file: format!("gemini-{name}.json"),
        label: if email.is_empty() { "the account of the Gemini CLI".to_owned() } else { email },
        is_renewable: is_renewable(body, "refresh_token"),
        expires_at,
    })
}

/// `~/.qwen/oauth_creds.json`. It does not say whose account it is.
fn qwen_code(body: &Value) -> Option<Loan> {
    let access = text(body, "access_token")?;
    let expires_at = body.get("expiry_date").and_then(time);
    Some(Loan {
        provider: "qwen",
        tokens: Changes::default()
            .set("access_token", access)
            .set_if_some("refresh_token", text(body, "refresh_token"))
            .set_if_some("resource_url", text(body, "resource_url"))
            .set_if_some("expired", expires_at.and_then(rfc3339)),
        account: Changes::default().set("type", "qwen").set("email", "qwen-code"),
        identity: vec![("email", "qwen-code".to_owned())],
        file: "qwen-code.json".to_owned(),
        label: "the account of Qwen Code".to_owned(),
        is_renewable: is_renewable(body, "refresh_token"),
        expires_at,
    })
}

/// An auth file of this program or of one that keeps the same kind.
pub(super) fn auth_file(record: &Record, members: &Map<String, Value>, file: &str) -> Option<Loan> {
    let provider = crate::provider::WITH_LOGINS.iter().find(|name| **name == record.provider())?;
    let is_token = |name: &str| {
        matches!(
            name,
            "access_token"
                | "refresh_token"
                | "id_token"
                | "token"
                | "api_key"
                | "cookie"
                | "service_account"
                | "expired"
                | "expiry"
                | "last_refresh"
                | "timestamp"
                | "expires_in"
                | "token_type"
                | "scope"
        )
    };
    let (mut tokens, mut account) = (Changes::default(), Changes::default());
    for (name, value) in members {
        if is_token(name) {
            tokens = tokens.set(name, value.clone());
        } else {
            account = account.set(name, value.clone());
        }
    }
    let named = |name: &'static str| Some((name, record.text(name)?.to_owned()));
    let identity = ["email", "account_id", "organization_uuid", "sub", "project_id"]
        .into_iter()
        .filter_map(named)
        .collect();
    Some(Loan {
        provider,
        tokens,
        account,
        identity,
        file: file.to_owned(),
        label: record.label().unwrap_or(file).to_owned(),
        is_renewable: record.token("refresh_token").is_some()
            || ["service_account", "cookie", "api_key"].iter().any(|name| members.contains_key(*name)),
        expires_at: record.expires_at(),
    })
}
