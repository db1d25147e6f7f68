//! Reading what a person pastes: the address that the browser could not open, or a part of it.

use super::Callback;
use crate::secret::Secret;

impl Callback {
    /// Reads a pasted text; `None` when nothing in it looks like a callback.
    ///
    /// Understood are whole addresses, addresses without scheme, bare queries, parameters in the fragment, and the
    /// `code#state` that one provider's page shows.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>', '`']).trim();
        let (head, fragment) = match text.split_once('#') {
            Some((head, fragment)) => (head, Some(fragment)),
            None => (text, None),
        };
        let query = match head.split_once('?') {
            Some((_, query)) => Some(query),
            None if head.contains('=') && !head.contains("://") => Some(head),
            None => None,
        };
        let mut callback = query.map(Self::from_query).unwrap_or_default();
        match fragment {
            Some(fragment) if fragment.contains('=') => callback.read(fragment.trim_start_matches('?')),
            Some(state) if !state.is_empty() => {
                if query.is_none() && !head.is_empty() && !head.contains(['/', ' ']) {
                    callback.code = Some(Secret::new(head.to_owned()));
                }
                callback.state.get_or_insert_with(|| state.to_owned());
            }
            _ => {}
        }
        (callback.code.is_some() || callback.error.is_some()).then_some(callback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::State;

    #[test]
    fn every_form_is_understood() {
        let state = State::from_random(&[1; 16]);
        for form in [
            "http://localhost:1455/auth/callback?code=the-code&state=OURS",
            "https://localhost/auth/callback?state=OURS&code=the-code&scope=x",
            "  \"http://localhost:1455/auth/callback?code=the-code&state=OURS\"  ",
            "?code=the-code&state=OURS",
            "localhost:1455/auth/callback?code=the-code&state=OURS",
            "127.0.0.1:1455/?code=the-code&state=OURS",
            "code=the-code&state=OURS",
            "http://localhost:1455/auth/callback#code=the-code&state=OURS",
            "http://localhost:1455/auth/callback#?code=the-code&state=OURS",
            "http://localhost:1455/auth/callback?state=OURS#code=the-code",
            "http://localhost:54545/callback?code=the-code#OURS",
            "http://localhost:54545/callback?code=the-code%23OURS",
            "code=the-code#OURS",
            "the-code#OURS",
        ] {
            let text = form.replace("OURS", state.as_str());
            let code = Callback::parse(&text).unwrap_or_else(|| panic!("{form}")).check(&state);
            assert_eq!(code.unwrap().expose(), "the-code", "{form}");
        }
    }

    #[test]
    fn other_texts_are_no_callbacks() {
        for text in [
            "",
            "   ",
            "hello",
            "a@b.c",
            "http://localhost:1455/",
            "state=x",
            "#",
            "#x",
            "?",
            "=",
            "two words#x",
        ] {
            assert!(Callback::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_code_without_state_is_not_ours() {
        let state = State::from_random(&[1; 16]);
        for text in ["code=c", "http://localhost/?code=c", "c#other"] {
            assert!(Callback::parse(text).unwrap().check(&state).is_err(), "{text}");
        }
    }
}
