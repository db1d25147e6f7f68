//! Why an account does not serve and what mends it: a text for people, and a word with values that interfaces translate by.
//!
//! As with the problems of a configuration, the texts here are the English ones. What others say, such as a provider in its
//! refusal, is a value or has no word, and stays as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::Serialize;

macro_rules! codes {
    ($( $name:ident: $text:literal; )*) => {
        /// What a reason is. Its word stays, whatever the text says; more may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[schemars(rename = "ReasonCode")]
        pub enum Code {
            $( #[doc = $text] $name, )*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$name ),* ];

            /// What it says: lower case, without final dot, with `{places}` for its values.
            pub fn text(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }
        }
    };
}

codes! {
    Answered: "{who} answered {status}{said}";
    NothingToRenewWith: "the token has ended and there is nothing to renew it with";
    AddressUnusable: "an address of the identity provider is missing or cannot be used";
    AddressForeign: "xAI's discovery document names a `{name}` that is not xAI's";
    NoPrivateKey: "the `private_key` of the file is not an RSA private key";
    NoKeyGiven: "{who} gives this account no API key";
    NoKeyShown: "{who} does not show the key of this account";
    NotOffered: "Google does not offer Code Assist to this account: {said}";
    LogIn: "log in again: {command}";
    ImportKey: "import another key of the service account: {command}";
    UseApiKey: "use an API key of the provider; this decision is the provider's and final";
    UseGeminiKey: "use a Gemini API key (`gemini-api-key` in config.yaml)";
    CheckAddresses: "check `oauth-endpoints` in config.yaml";
    VerifyAt: "verify the account at {address} and log in again";
    Verify: "log in again after verifying the account with Google{link}";
    ShutOut: "Google has shut this account out of the service; remove its file and use a Gemini API key or a Vertex service account{link}";
    NoCodex: "use an account whose plan includes Codex, or change the plan and log in again: cli-proxy-api --codex-login{link}";
}

/// A reason, or a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StatusReason")]
pub struct Reason {
    /// The text in English, or in the words of whoever said it.
    message: String,
    /// What it is, where the gateway words it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// What the text says in its places.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<&'static str, String>,
}

impl Code {
    /// What it says with this value in its place.
    pub fn with(self, name: &'static str, value: impl fmt::Display) -> Reason {
        Reason::from(self).with(name, value)
    }
}

impl Reason {
    /// The same with a further value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        self.message = self.message.replacen(&format!("{{{name}}}"), &value, 1);
        self.values.insert(name, value);
        self
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        Self { message: code.text().to_owned(), code: Some(code), values: BTreeMap::new() }
    }
}

/// What is known only as a text. Remedies that name a command are written out where they are known, and told from others by
/// how they begin.
impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        for code in [Code::LogIn, Code::ImportKey] {
            if let Some(command) =
                code.text().strip_suffix("{command}").and_then(|start| text.strip_prefix(start))
            {
                return code.with("command", command);
            }
        }
        Self { message: text.to_owned(), code: None, values: BTreeMap::new() }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, text: &str) -> bool {
        self.message == text
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, text: &&str) -> bool {
        self.message == *text
    }
}

impl PartialEq<String> for Reason {
    fn eq(&self, text: &String) -> bool {
        self.message == *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_its_values_and_tells_them() {
        let reason = Code::Answered.with("who", "Google").with("status", 400).with("said", ": {status}");
        assert_eq!(reason, "Google answered 400: {status}");
        let told = serde_json::to_value(&reason).unwrap();
        assert_eq!(told["code"], "answered");
        assert_eq!(
            told["values"],
            serde_json::json!({"who": "Google", "status": "400", "said": ": {status}"})
        );
        let told = serde_json::to_value(Reason::from("not our words")).unwrap();
        assert_eq!(told, serde_json::json!({"message": "not our words"}));
    }

    #[test]
    fn a_remedy_with_a_command_is_known_by_its_beginning() {
        let remedy = Reason::from("log in again: cli-proxy-api --login");
        assert_eq!(remedy, Code::LogIn.with("command", "cli-proxy-api --login"));
        assert_eq!(Reason::from("log in again").code, None);
    }
}
