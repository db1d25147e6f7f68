//! Root addresses of upstreams.

use std::fmt;

use url::Url;

use crate::config::diagnostic::{Code, Origin, Report};

/// Root of an upstream's addresses: `http` or `https`, without `/` at the end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// Why it cannot be used, without repeating it.
    pub fn parse(text: &str) -> Result<Self, Code> {
        let text = text.trim().trim_end_matches('/');
        let Ok(url) = Url::parse(text) else {
            return Err(Code::NotAnAddress);
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Code::AddressScheme);
        }
        if url.fragment().is_some() {
            return Err(Code::AddressFragment);
        }
        Ok(Self(text.to_owned()))
    }

    /// A default address of this program.
    pub(crate) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The address, for building requests.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address without user name, password and query.
    pub fn redacted(&self) -> String {
        let Ok(mut url) = Url::parse(&self.0) else {
            return "****".to_owned();
        };
        if url.username().is_empty() && url.password().is_none() && url.query().is_none() {
            return self.0.clone();
        }
        let is_cut = url.set_username("").is_ok() && url.set_password(None).is_ok();
        url.set_query(None);
        if is_cut { url.as_str().trim_end_matches('/').to_owned() } else { "****".to_owned() }
    }

    pub(super) fn validate(text: &str, origin: &Origin, report: &mut Report) -> Option<Self> {
        match Self::parse(text) {
            Ok(url) => Some(url),
            Err(code) => {
                report.problem(origin, code);
                None
            }
        }
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_are_cut() {
        assert_eq!(BaseUrl::parse(" https://h/v1// ").unwrap().as_str(), "https://h/v1");
    }

    #[test]
    fn only_web_addresses_are_accepted() {
        for text in ["", "h", "ftp://h", "//h", "https://", "https://h/#x"] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn user_name_password_and_query_never_show() {
        let url = BaseUrl::parse("https://bob:hidden@h/v1?key=hidden").unwrap();
        assert_eq!(format!("{url:?}"), "https://h/v1");
        assert_eq!(url.as_str(), "https://bob:hidden@h/v1?key=hidden");
    }
}
