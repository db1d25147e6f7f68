//! Everything that can be wrong with a configuration: a word for programs, a text for people, and what to do about it.
//!
//! Interfaces translate by the word and fill in the values; the texts here are the English ones. Whoever finds the matter
//! says [`Code::with`] which values it has. Texts never have a place for what the file says: a line of it may hold a key.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

macro_rules! codes {
    ($( $name:ident: $message:literal $(, $advice:literal)?; )*) => {
        /// What a problem or warning is about. Its word stays, whatever the message says; more may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[schemars(rename = "DiagnosticCode")]
        pub enum Code {
            $( #[doc = $message] $name, )*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$name ),* ];

            /// What is wrong: lower case, without final dot, with `{places}` for its values.
            pub fn message(self) -> &'static str {
                match self { $( Self::$name => $message, )* }
            }

            /// What to do about it. It is said when every value that it has a place for is known.
            pub fn advice(self) -> Option<&'static str> {
                match self { $( Self::$name => [$( $advice )?].first().copied(), )* }
            }
        }
    };
}

codes! {
    FileMissing: "the configuration file does not exist", "create it from config.example.yaml, or name another one with --config";
    FileIsDirectory: "a directory is at the place of the configuration file",
        "container runtimes create it when the file to be mounted is missing on the host: remove the directory, create the file and start again";
    FileUnreadable: "the configuration file cannot be read: {why}";
    FileNotText: "the file is not UTF-8 text", "save it as UTF-8";
    FileTooLarge: "the file is larger than {most} MiB";
    Syntax: "not valid YAML: {why}";
    BrokenStructure: "not valid YAML: the structure is broken here";
    UnknownAnchor: "not valid YAML: an alias refers to an anchor that does not exist";
    AliasToItself: "an alias refers to the collection that contains it";
    AliasesTooLarge: "aliases expand to too much content";
    NestedTooDeep: "nested deeper than {most} levels";
    KeyNotSingle: "a mapping key must be a single value";
    MergeNotMapping: "a merge key takes a mapping or a list of mappings";
    SeveralDocuments: "only the first YAML document of the file is read", "remove the line `---` and what follows";
    DuplicateKey: "the key is written twice", "keep one of them; the first is at line {first}";
    UnknownKey: "unknown key, ignored", "did you mean `{near}`?";
    OlderKey: "older key, still read", "write it as `{new}`";
    DisguiseKey: "accepted without effect: its only purpose is to disguise the client towards a provider";
    NoPlugins: "plugins are not supported, nothing is loaded";
    ControlPlaneKey: "only an external control plane uses this, no effect here";
    WrongType: "expected {wanted}, found {found}";
    QuotedValue: "expected {wanted}, found a quoted string", "write it without quotes";
    ImageSwitch: "expected true, false, chat or passthrough";
    NotADuration: "not a duration", "write for example 30m, 1h or 1h30m";
    NotATime: "not a day or a time", "write for example 2027-01-31 or 2027-01-31T12:00:00Z";
    NotAnAddress: "not an address; it must start with http:// or https://";
    AddressScheme: "the address must start with http:// or https://";
    AddressFragment: "an address with `#` cannot be extended by a path";
    NotAProxy: "not an address of a proxy",
        "use http://, https://, socks5:// or socks5h:// with host and port, or `direct` for no proxy";
    ProxyScheme: "the proxy's scheme is not supported",
        "use http://, https://, socks5:// or socks5h:// with host and port, or `direct` for no proxy";
    ProxyWithoutHost: "the proxy's address has no host",
        "use http://, https://, socks5:// or socks5h:// with host and port, or `direct` for no proxy";
    NotANetwork: "not an address and not a network", "write for example 127.0.0.1 or 10.0.0.0/8";
    NotACollector: "not an address of a collector", "write for example http://127.0.0.1:4318";
    CollectorHeader: "not a header that can be sent";
    NotAnExpression: "not a regular expression";
    HeaderName: "not a name of a header";
    HeaderValue: "a header cannot have this value";
    ClientHeader: "a header cannot have this value",
        "after `$` comes the name of a header of the client, such as $X-Request-Id";
    TemplateClientKey: "this client key is a placeholder of the example file: everybody knows it",
        "write a key of your own, for example the output of `openssl rand -hex 24`";
    TemplateManagementKey: "this management key is a placeholder of the example file",
        "write a key of your own, or leave it empty to switch the interface off";
    TemplateKey: "this key is a placeholder of the example file", "write the real key, or remove the entry";
    KeyCharacters: "this key has characters that cannot be sent in a header";
    EmptyClientKey: "an empty client key never matches, ignored";
    RepeatedClientKey: "this client key is listed twice";
    OpenWithoutKeys: "this address serves other machines, but no client keys are configured",
        "set `api-keys`, or `allow-unauthenticated-remote: true` to serve everybody";
    NoClientKeys: "no client keys are configured, so only this machine is served",
        "set `api-keys`, or `allow-unauthenticated-remote: true` to serve everybody";
    LastKeyRemoved:
        "the last client key was removed while the server listens for other machines, so the keys stay in use",
        "restart to serve this machine only, or set `allow-unauthenticated-remote: true`";
    HomeUnknown: "the home directory is unknown, so `~` cannot be expanded",
        "set `auth-dir` to an absolute path, or the variable HOME";
    PortRange: "a port is a number from 0 to 65535";
    TlsIncomplete: "HTTPS needs both a certificate and a key",
        "set `tls.cert` and `tls.key` to PEM files, or `tls.enable: false`";
    BodyLimit: "the body limit must be at least 1 MiB";
    ImageLimit: "the limit of images must be at least 1 MiB";
    NegativeCount: "a negative count is not possible, {used} is used";
    LimitsWithoutKey: "limits need the `api-key` that they are for";
    LimitsOfNobody: "this client key is none of `api-keys`, so its limits have no effect";
    LimitsTwice: "this client key has limits already; write them into one entry";
    LimitWindow: "a limit needs the window that it is for", "write `per: minute`, `hour`, `day`, `week` or `month`";
    LimitRange: "a limit is a number that is not negative";
    LimitEmpty: "this limit limits nothing";
    PriceRange: "a price is a number that is not negative";
    PriceWithoutModel: "a price needs the `model` that it is for, such as `claude-*`";
    EntryWithoutKey: "entry without `{key}`, ignored";
    EntryWithoutBaseUrl: "entry without `base-url`, ignored";
    EntryWithoutModels: "entry without `models`: nothing is offered by this upstream";
    EntryRepeated: "the same key is listed before, this entry is ignored";
    BuiltInName: "the name is the one of a built-in provider; its models will mix";
    WeightRange: "a weight is at most {most}";
    PrefixWithSlash: "a prefix cannot have a `/` inside, ignored";
    ModelWithoutName: "model without `name`, ignored";
    ModelWithoutAlias: "a model needs both `name` and `alias` here, ignored";
    ThinkingBudgets: "the largest thinking budget is below the smallest one";
    ThinkingLevel: "unknown thinking level", "the levels are minimal, low, medium, high, xhigh and max";
    AliasIncomplete: "alias without `name` or `alias`, ignored";
    AliasOfItself: "the alias is the name itself, ignored";
    AliasTaken: "the alias is taken in this channel, ignored";
    FallbackToItself: "the model itself, or one that is named before; ignored";
    UnknownStrategy: "unknown strategy, round-robin is used", "use round-robin, fill-first or weighted-round-robin";
    UnknownStrictness: "unknown strictness of translation", "use lenient, default or strict";
    UnknownThinkingTable: "unknown thinking table", "use default, compact or generous";
    UnknownImageChoice: "unknown choice of when images are read", "use needed, always or never";
    UnknownProvider: "no such provider, ignored", "providers with logins are {known}";
    Unencrypted: "tokens would travel unencrypted", "use https://; http:// is for addresses of this machine";
    ImageToolModel: "the model of the image tool must start with `gpt-`, the default is used";
    OneUdpPort: "either both UDP ports are set or none";
    FewUdpPorts: "a session needs two UDP ports, the range is too small";
    MappingCircle: "the mappings lead from this name back to it", "map to a model that is served here";
    MappingIncomplete: "mapping without `from` or `to`, ignored";
    MappingExpression: "`from` is not a regular expression, mapping ignored";
    RepeatedAmpKey: "this client key is listed twice, the first entry counts";
    ErrorRuleStatus: "rule without a `status` above 0, ignored";
    ErrorRuleMatch: "rule without `match` and `match-regexr`, ignored";
    ErrorRuleAction: "rule without a known `action`, ignored",
        "use stop, stop-and-cooldown, continue or continue-and-cooldown";
    ConditionWithoutName: "condition without `name` never applies";
    ConditionProtocol: "unknown protocol, the condition never applies", "use openai, codex, claude, gemini or antigravity";
    ConditionHeader: "not a name of a header, the condition never applies";
    RuleWithoutModels: "rule without `models` never applies, ignored",
        "add `models: [{name: \"*\"}]` to apply it to every model";
    RawJson: "payload rule dropped: invalid raw JSON";
    PathQuery: "queries are not supported in paths";
    PathModifier: "modifiers are not supported in paths";
    PathEmptyStep: "a path has no empty steps";
}

/// Values that are English words, for interfaces to translate.
pub const NOUNS: &[&str] = &[
    noun::NOTHING,
    noun::QUOTED,
    noun::OTHER_TEXT,
    noun::SINGLE,
    noun::LIST,
    noun::MAPPING,
    noun::TEXT,
    noun::BOOLEAN,
    noun::WHOLE_NUMBER,
    noun::NUMBER,
    noun::LIST_LINES,
    noun::MAPPING_LINES,
];

/// What is wanted and found.
pub(super) mod noun {
    pub(in crate::config) const NOTHING: &str = "nothing";
    pub(in crate::config) const QUOTED: &str = "a quoted string";
    pub(in crate::config) const OTHER_TEXT: &str = "other text";
    pub(in crate::config) const SINGLE: &str = "a single value";
    pub(in crate::config) const LIST: &str = "a list";
    pub(in crate::config) const MAPPING: &str = "a mapping";
    pub(in crate::config) const TEXT: &str = "text";
    pub(in crate::config) const BOOLEAN: &str = "true or false";
    pub(in crate::config) const WHOLE_NUMBER: &str = "a whole number";
    pub(in crate::config) const NUMBER: &str = "a number";
    pub(in crate::config) const LIST_LINES: &str = "a list (lines that start with `- `)";
    pub(in crate::config) const MAPPING_LINES: &str = "a mapping (`key: value` lines)";
}

/// The values of a matter, by the names of their places.
pub type Values = BTreeMap<&'static str, String>;

/// A code with its values.
#[derive(Clone, Debug)]
pub(crate) struct Matter {
    pub(super) code: Code,
    pub(super) values: Values,
}

impl Code {
    /// Adds a value.
    pub(crate) fn with(self, name: &'static str, value: impl fmt::Display) -> Matter {
        Matter::from(self).with(name, value)
    }
}

impl From<Code> for Matter {
    fn from(code: Code) -> Self {
        Self { code, values: Values::new() }
    }
}

impl Matter {
    /// Adds a further value.
    pub(crate) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.insert(name, value.to_string());
        self
    }

    /// What is wrong.
    pub(super) fn message(&self) -> String {
        let text = self.code.message();
        self.filled(text).unwrap_or_else(|| text.to_owned())
    }

    /// What to do about it.
    pub(super) fn advice(&self) -> Option<String> {
        self.filled(self.code.advice()?)
    }

    /// A text with its values in their places; none when one is missing.
    fn filled(&self, text: &str) -> Option<String> {
        let mut full = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let Some((name, after)) = from.split_once('}') else { break };
            full.push_str(before);
            // A brace that is part of the text is not a place.
            if name.bytes().all(|byte| byte.is_ascii_lowercase()) {
                full.push_str(self.values.get(name)?);
            } else {
                full.extend(["{", name, "}"]);
            }
            rest = after;
        }
        full.push_str(rest);
        Some(full)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_into_their_places_and_advice_that_lacks_one_is_left_out() {
        let known = Code::DuplicateKey.with("first", 3);
        assert_eq!(known.advice().as_deref(), Some("keep one of them; the first is at line 3"));
        assert_eq!(Matter::from(Code::UnknownKey).advice(), None);
        assert_eq!(Code::WeightRange.with("most", 9).message(), "a weight is at most 9");
        let plain = Matter::from(Code::RuleWithoutModels);
        assert_eq!(
            plain.advice().as_deref(),
            Some("add `models: [{name: \"*\"}]` to apply it to every model")
        );
    }
}
