//! What a browser brings back at the end of a login, however it arrives: at the [`Listener`] of this machine, or pasted
//! by a person whose browser is on another one.
//!
//! Both ways end in [`Callback::check`]: only the state that this login sent away makes a code, or an error, its own.

mod listener;
mod page;
mod paste;

pub(crate) use listener::{Arrival, BindError, Listener};

use std::fmt;

use crate::oauth::State;
use crate::oauth::message::shown;
use crate::secret::Secret;

/// The parameters of a callback.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Callback {
    code: Option<Secret>,
    state: Option<String>,
    error: Option<String>,
}

/// Why a callback does not end a login well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unacceptable {
    /// It carries neither a code nor an error.
    Empty,
    /// Its state is missing or not ours: it belongs to something else, and says nothing about this login.
    Foreign,
    /// The provider's own word that the login failed.
    Refused(String),
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has neither a code nor an error"),
            Self::Foreign => f.write_str("its state is not the one of this login"),
            Self::Refused(text) => f.write_str(text),
        }
    }
}

impl Callback {
    /// Reads the query of a callback address.
    pub fn from_query(query: &str) -> Self {
        let mut callback = Self::default();
        callback.read(query);
        callback
    }

    /// Adds the parameters of a query; what is known stays.
    fn read(&mut self, query: &str) {
        let mut description = None;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "code" if self.code.is_none() => match value.split_once('#') {
                    // The page of one provider shows code and state in one text.
                    Some((code, state)) => {
                        self.code = Some(Secret::new(code.to_owned()));
                        self.state.get_or_insert_with(|| state.to_owned());
                    }
                    None => self.code = Some(Secret::new(value.to_owned())),
                },
                "state" if self.state.is_none() => self.state = Some(value.to_owned()),
                "error" if self.error.is_none() => self.error = Some(shown(value)),
                "error_description" if description.is_none() => description = Some(shown(value)),
                _ => {}
            }
        }
        if let Some(description) = description {
            self.error = Some(match self.error.take() {
                Some(error) => format!("{error}: {description}"),
                None => description,
            });
        }
    }

    /// The code, when this is the answer to the login that sent `state` away.
    ///
    /// # Errors
    /// Anything else.
    pub fn check(self, state: &State) -> Result<Secret, Unacceptable> {
        if self.code.is_none() && self.error.is_none() {
            return Err(Unacceptable::Empty);
        }
        if !self.state.is_some_and(|brought| state.matches(&brought)) {
            return Err(Unacceptable::Foreign);
        }
        match (self.error, self.code) {
            (None, Some(code)) => Ok(code),
            (error, _) => Err(Unacceptable::Refused(error.unwrap_or_default())),
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Code and state are secrets.
        f.write_str("Callback")
    }
}

#[cfg(test)]
mod tests;
