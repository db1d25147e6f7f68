//! The reference file in the repository root is tested like code: it loads, it changes nothing,
//! and it names every key.
use std::collections::BTreeSet;

use super::diagnostic::Report;
use super::file;
use super::file::tree::{Kind, Node, parse};
use super::{Settings, Source};
use crate::env::Fixed;

const EXAMPLE: &str = include_str!("../../../../config.example.yaml");
const GUIDE: &str = include_str!("../../../../docs/CONFIG.md");

fn env() -> Fixed {
    Fixed::new([("HOME", "/home/u")])
}

/// The example with every commented key in use. Prose has exactly one space behind its `#`.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && (!key.starts_with(' ') || key.starts_with("  ")) => key,
        _ => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_example_loads_quietly_and_changes_no_default() {
    let loaded = Settings::load_text(EXAMPLE, &Source::default(), &env()).unwrap();
    assert_eq!(loaded.warnings, []);
    let defaults = Settings::load(&Source::default(), &env()).unwrap().settings;
    assert_eq!(loaded.settings, defaults);
}

#[test]
fn the_example_with_everything_in_use_has_no_other_problem_than_its_placeholders() {
    let text = uncommented();
    let problems = Settings::load_text(&text, &Source::default(), &env()).unwrap_err();
    for problem in &problems.list {
        assert!(problem.message.contains("placeholder"), "{problem}");
    }
    assert_eq!(problems.list.len(), 9, "{problems}");
    let filled = text.replace("your-", "mine-");
    let loaded = Settings::load_text(&filled, &Source::default(), &env())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.settings.payload.len(), 5);
}

#[test]
fn the_example_names_every_key() {
    let mut report = Report::default();
    let tree = parse(&uncommented(), &mut report).unwrap();
    let mut written = BTreeSet::new();
    collect(&tree, "", &mut written);
    let older = [
        "auth",
        "generative-language-api-key",
        "amp-upstream-url",
        "amp-upstream-api-key",
        "amp-restrict-management-to-localhost",
        "amp-model-mappings",
        "oauth-model-mappings",
        "openai-compatibility.api-keys",
        // Nothing below it has an effect.
        "antigravity",
    ];
    let missing: Vec<String> =
        known().into_iter().filter(|key| !written.contains(key) && !older.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_guide_names_every_variable() {
    for (name, _) in crate::env::VARIABLES {
        assert!(GUIDE.contains(&format!("`{name}`")), "{name}");
    }
}

fn collect(node: &Node, path: &str, written: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                collect(&entry.value, &path, written);
                written.insert(path);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| collect(item, path, written)),
        Kind::Null | Kind::Scalar { .. } => {}
    }
}

/// Every key of the file, lists without indexes.
fn known() -> Vec<String> {
    let specific = ["websockets", "alpha-search", "rebuild-mid-system-message"];
    let shared = file::KeyEntry::keys().into_iter().filter(|key| !specific.contains(&key.as_str())).collect();
    let sections: Vec<(&str, Vec<String>)> = vec![
        ("", file::Config::keys()),
        ("tls.", file::Tls::keys()),
        ("remote-management.", file::RemoteManagement::keys()),
        ("api-key-limits.", file::KeyLimit::keys()),
        ("api-key-limits.limits.", file::Limit::keys()),
        ("pprof.", file::Pprof::keys()),
        ("quota-exceeded.", file::QuotaExceeded::keys()),
        ("routing.", file::Routing::keys()),
        ("streaming.", file::Streaming::keys()),
        ("upstream-timeouts.", file::UpstreamTimeouts::keys()),
        ("gemini-api-key.", shared),
        ("gemini-api-key.models.", file::Model::keys()),
        ("gemini-api-key.models.thinking.", file::Thinking::keys()),
        ("gemini-api-key.request-scoped-errors.", file::ErrorRule::keys()),
        ("claude-api-key.", vec!["rebuild-mid-system-message".to_owned()]),
        ("codex-api-key.", vec!["websockets".to_owned(), "alpha-search".to_owned()]),
        ("openai-compatibility.", file::CompatibleEntry::keys()),
        ("openai-compatibility.api-key-entries.", file::CompatibleKey::keys()),
        ("openai-compatibility.models.", file::CompatibleModel::keys()),
        ("oauth-endpoints.antigravity.", file::Endpoint::keys()),
        ("oauth-model-alias.codex.", file::ModelAlias::keys()),
        ("payload.", file::Payload::keys()),
        ("payload.default.models.", file::PayloadModel::keys()),
        ("telemetry.", file::Telemetry::keys()),
        ("ampcode.", file::Ampcode::keys()),
        ("ampcode.upstream-api-keys.", file::UpstreamKey::keys()),
        ("ampcode.model-mappings.", file::ModelMapping::keys()),
        ("xai.", file::Xai::keys()),
        ("codex.", file::Codex::keys()),
        ("codex.live-media-relay.", file::LiveMediaRelay::keys()),
        ("codex.live-media-relay.ice-servers.", file::IceServer::keys()),
        ("claude-code.", file::ClaudeCode::keys()),
        ("plugins.", file::Plugins::keys()),
    ];
    let full = |(prefix, keys): (&str, Vec<String>)| -> Vec<String> {
        keys.iter().map(|key| format!("{prefix}{key}")).collect()
    };
    sections.into_iter().flat_map(full).collect()
}
