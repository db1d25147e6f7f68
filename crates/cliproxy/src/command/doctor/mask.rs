//! Takes out of a report what others must not read: secrets, e-mail addresses, the home directory.
//!
//! Findings are written without secrets in the first place; this is the net below them.

use cliproxy_core::access::gate::ManagementKey;
use cliproxy_core::config::Settings;
use cliproxy_core::config::settings::HeaderSource;
use cliproxy_core::credential::Record;
use cliproxy_core::env::{self, Env};
use cliproxy_core::proxy::Proxy;
use cliproxy_core::secret::Secret;

/// Shorter texts are words, not secrets.
const SHORTEST: usize = 6;

/// Members of auth files that are secrets.
const TOKENS: [&str; 6] = ["access_token", "refresh_token", "id_token", "api_key", "cookie", "private_key"];

/// What is taken out.
#[derive(Default)]
pub(super) struct Mask {
    home: Option<String>,
    secrets: Vec<Secret>,
}

impl Mask {
    pub(super) fn new(environment: &dyn Env) -> Self {
        let home = environment.get(env::HOME).or_else(|| environment.get(env::USERPROFILE));
        let home = home.map(|home| home.trim_end_matches(['/', '\\']).to_owned());
        let mut mask = Self { home: home.filter(|home| home.len() > 1), secrets: Vec::new() };
        for name in [env::MANAGEMENT_PASSWORD, env::AMP_API_KEY] {
            environment.get(name).into_iter().for_each(|secret| mask.hide(&Secret::from(secret)));
        }
        mask
    }

    fn hide(&mut self, secret: &Secret) {
        if secret.length() >= SHORTEST {
            self.secrets.push(secret.clone());
            // What is inside another one would leave the rest of that one standing.
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.length()));
        }
    }

    /// Keys and passwords of the configuration.
    pub(super) fn hide_settings(&mut self, settings: &Settings) {
        settings.access.client_keys.iter().for_each(|key| self.hide(key));
        if let Some(ManagementKey::Plain(key) | ManagementKey::Hash(key)) = &settings.management.lock.key {
            self.hide(key);
        }
        self.hide_proxy(&settings.proxy);
        let keys = &settings.keys;
        let lists = [&keys.gemini, &keys.interactions, &keys.claude, &keys.codex, &keys.xai, &keys.vertex];
        for entry in lists.into_iter().flatten() {
            self.hide(&entry.key);
            self.hide_proxy(&entry.proxy);
            self.hide_headers(&entry.common.headers);
        }
        for entry in &keys.compatible {
            self.hide_headers(&entry.common.headers);
            for key in &entry.keys {
                key.key.iter().for_each(|key| self.hide(key));
                self.hide_proxy(&key.proxy);
            }
        }
    }

    fn hide_headers(&mut self, headers: &[cliproxy_core::config::settings::Header]) {
        for header in headers {
            if let HeaderSource::Fixed(value) = &header.value {
                self.hide(&Secret::new(value.to_str().unwrap_or_default()));
            }
        }
    }

    fn hide_proxy(&mut self, proxy: &Proxy) {
        if let Proxy::Url(url) = proxy {
            url.credentials().for_each(|secret| self.hide(&secret));
        }
    }

    /// Tokens of an auth file.
    pub(super) fn hide_account(&mut self, record: &Record) {
        let tokens = TOKENS.iter().filter_map(|name| record.token(name));
        tokens.for_each(|token| self.hide(&token));
    }

    /// The text as others may read it.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = secret.taken_out_of(&text);
        }
        if let Some(home) = &self.home {
            text = text.replace(home, "~");
        }
        without_addresses(&text)
    }
}

/// The text with e-mail addresses down to their first letter.
fn without_addresses(text: &str) -> String {
    let is_local = |character: char| character.is_alphanumeric() || "._%+-".contains(character);
    let is_domain = |character: char| character.is_alphanumeric() || ".-".contains(character);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('@') {
        let local = before.rfind(|character| !is_local(character));
        let start = local.map_or(0, |at| {
            at + before.get(at..).and_then(|tail| tail.chars().next()).map_or(0, char::len_utf8)
        });
        let (kept, name) = before.split_at_checked(start).unwrap_or((before, ""));
        let domain = behind.find(|character| !is_domain(character)).unwrap_or(behind.len());
        let (_, after) = behind.split_at_checked(domain).unwrap_or((behind, ""));
        masked.push_str(kept);
        if name.is_empty() || domain == 0 {
            masked.push_str(name);
            masked.push('@');
            rest = behind;
        } else {
            masked.extend(name.chars().next());
            masked.push_str("***@***");
            rest = after;
        }
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use cliproxy_core::config::Source;
    use cliproxy_core::env::Fixed;

    #[test]
    fn addresses_keep_their_first_letter() {
        for (text, expected) in [
            ("claude-jane.doe@example.com.json: no", "c***@***: no"),
            ("(ü.b@c.d), e@f", "(ü***@***), e***@***"),
            ("socks5://****@proxy:1", "socks5://****@proxy:1"),
            ("a @ b", "a @ b"),
        ] {
            assert_eq!(without_addresses(text), expected);
        }
    }

    #[test]
    fn secrets_and_the_home_directory_do_not_show() {
        let environment = Fixed::new([("HOME", "/home/jane"), ("MANAGEMENT_PASSWORD", "manage-me-1")]);
        let mut mask = Mask::new(&environment);
        let config = "api-keys: [client-key-01]\nproxy-url: http://alice1:hunter22@h:1\n\
            claude-api-key: [{api-key: upstream-key-01, headers: {x-a: header-value}}]\n";
        let loaded = Settings::load_text(config, &Source::default(), &environment).unwrap();
        mask.hide_settings(&loaded.settings);
        mask.hide_account(&Record::parse(br#"{"type":"claude","refresh_token":"refresh-1"}"#).unwrap());
        let said =
            "/home/jane/x manage-me-1 client-key-01 alice1 hunter22 upstream-key-01 header-value refresh-1";
        assert_eq!(mask.masked(said), "~/x **** **** **** **** **** **** ****");
    }
}
