//! The real binary on loopback against scripted upstreams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod access;
mod account;
mod aistudio;
mod allowance;
mod amp;
mod billing;
mod body;
mod browser;
mod chat_accounts;
mod check;
mod clients;
mod codex;
mod combination;
mod conformance;
mod connection;
mod conversation;
mod cooldown;
mod crash;
mod dashboard;
mod demo;
mod directory;
mod doctor;
mod drawing;
mod embedding;
mod empty;
mod explain;
mod failover;
mod fault;
mod flood;
mod gemini_cli_proxy;
mod google;
mod keepalive;
mod leave;
mod ledger;
mod limit;
mod listener;
mod listing;
mod login;
mod management;
mod memory;
mod output;
mod payload;
mod permission;
mod picture;
mod program;
mod proxy;
mod quota;
mod relay;
mod reload;
mod renewal;
mod route;
mod routing;
mod socket;
mod support;
mod telemetry;
mod terminal;
mod websocket;
mod websocket_turns;
mod xai;

#[test]
fn no_module_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e");
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || source.contains(&format!("mod {module};")), "{name} is not in main.rs");
    }
}
