//! Logins of other programs on this machine: finding them, reading them, borrowing or taking them over.
//!
//! A *borrowed* account is an auth file without tokens that names the other program's file
//! ([`BORROWED_FROM`](crate::credential::record::BORROWED_FROM)). Its tokens are read there, whenever that file changes;
//! renewing them stays with the program that they belong to, because refresh tokens work once and two programs that
//! spend the same ones log each other out. An account that is *taken over* is a copy. Nothing here ever changes another
//! program's file, except that undoing an import gives renewed tokens back.

mod find;
mod format;
mod import;
mod store;
mod undo;

pub use find::{Found, Place, find};
pub use import::{Action, Mode, Planned, apply, plan, set_damaged_aside};
pub use store::LendingStore;
pub use undo::{Undone, undo};

use serde_json::Value;

use crate::credential::Record;
use crate::store::Changes;

/// What another program's file says of an account.
#[derive(Clone, Debug)]
pub struct Loan {
    /// The provider, as in auth files.
    pub provider: &'static str,
    /// The members of an auth file with its tokens.
    pub tokens: Changes,
    /// The members of an auth file without them.
    pub account: Changes,
    /// Members that say whose account it is, most telling first.
    pub identity: Vec<(&'static str, String)>,
    /// The name of the auth file that a login would give it.
    pub file: String,
    /// Whose account it is, for people.
    pub label: String,
    /// It can be renewed, so it can be taken over.
    pub is_renewable: bool,
    /// When the access token ends, in Unix seconds.
    pub expires_at: Option<u64>,
}

/// What renews a borrowed token of a provider.
pub(crate) fn remedy(provider: &str) -> &'static str {
    match provider {
        "codex" => "start `codex` once, which renews it",
        "claude" => "start `claude` once, which renews it",
        "gemini-cli" => "start `gemini` once, which renews it",
        "qwen" => "start `qwen` once, which renews it",
        _ => "start the program that it belongs to, which renews it",
    }
}

/// The members of an auth file of `provider` that the tokens in another program's file become.
pub(crate) fn tokens(provider: &str, content: &[u8]) -> Option<Changes> {
    let body: Value = serde_json::from_slice(content).ok()?;
    let loan = match (Record::parse(content), &body) {
        (Ok(record), Value::Object(members)) if record.provider() == provider => {
            format::auth_file(&record, members, "")
        }
        _ => format::read(provider, &body),
    };
    loan.map(|loan| loan.tokens)
}
