//! What an auth directory holds, looked at from outside: for `check`, which starts nothing, asks nobody and changes
//! nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::credential::record::NotARecord;
use crate::credential::{Kind, Record};
use crate::login::earlier;
use crate::store::{FileStore, Store as _, StoreError, atomic, blocking};
use crate::time::rfc3339;

/// What is in an auth directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The directory.
    pub directory: PathBuf,
    /// Accounts by provider: how many there are, and how many of them are disabled.
    pub accounts: BTreeMap<String, (usize, usize)>,
    /// Files that no account comes of, by id, and why.
    pub unusable: Vec<(String, String)>,
    /// Logins that were cut off after their token had come: the provider's name for people, and when they began in Unix
    /// seconds. The next start or login finishes them.
    pub logins: Vec<(String, u64)>,
    /// The directory and the files that other users of the machine can reach.
    pub open: Vec<PathBuf>,
}

/// Looks at a directory. One that is not there has nothing in it.
///
/// # Errors
/// When it cannot be listed.
pub async fn survey(directory: &Path) -> Result<Survey, StoreError> {
    let mut survey = Survey { directory: directory.to_owned(), ..Survey::default() };
    let store = FileStore::new(directory).untouched();
    let workplace = store.own();
    survey.logins = blocking(move || earlier::waiting(&workplace)).await.unwrap_or_default();
    if atomic::is_open(directory) {
        survey.open.push(directory.to_owned());
    }
    for id in store.names().await? {
        let path = store.path(&id)?;
        if atomic::is_open(&path) {
            survey.open.push(path);
        }
        let unusable = match store.get(&id).await {
            Ok(Some(document)) => match Record::parse(&document.content) {
                Ok(record) => survey.take(&record),
                Err(NotARecord::Untyped) => Some("it is no auth file: it has no `type`".to_owned()),
                Err(error) => Some(error.to_string()),
            },
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        survey.unusable.extend(unusable.map(|why| (id, why)));
    }
    Ok(survey)
}

impl Survey {
    /// Counts an account, or says why it is none that serves.
    fn take(&mut self, record: &Record) -> Option<String> {
        let name = record.provider();
        if Kind::of_account(name).is_none() {
            return Some(format!("accounts of the provider `{name}` are not known"));
        }
        let (all, disabled) = self.accounts.entry(name.to_owned()).or_default();
        *all += 1;
        *disabled += usize::from(record.is_disabled());
        None
    }
}

/// Lines of comments, so that what `check` prints stays a configuration.
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# auth directory: {}", self.directory.display())?;
        if self.accounts.is_empty() {
            writeln!(f, "# no accounts")?;
        }
        for (provider, (all, disabled)) in &self.accounts {
            let noun = if *all == 1 { "account" } else { "accounts" };
            let note = if *disabled == 0 { String::new() } else { format!(", {disabled} disabled") };
            writeln!(f, "# {provider}: {all} {noun}{note}")?;
        }
        for (id, why) in &self.unusable {
            writeln!(f, "# not usable: {id}: {why}")?;
        }
        for (title, begun) in &self.logins {
            let begun = rfc3339(*begun).unwrap_or_default();
            writeln!(
                f,
                "# a {title} login of {begun} was cut off after its token had come; a start of the server or another login finishes it"
            )?;
        }
        for path in &self.open {
            writeln!(f, "# open to other users: {}; a start of the server closes it", path.display())?;
        }
        Ok(())
    }
}
