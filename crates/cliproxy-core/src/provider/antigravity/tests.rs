//! What is sent by an Antigravity login, and what it offers.

use cliproxy_wire::Format;
use cliproxy_wire::model::Owner;
use serde_json::{Value, json};

use super::*;
use crate::provider::trial::{Trial, credential, with_account};

const BASE: &str = "https://daily-cloudcode-pa.googleapis.com";

fn file() -> Value {
    json!({"type": "antigravity", "access_token": "upstream-key-access", "refresh_token": "refresh", "project_id": "one"})
}

#[test]
fn the_envelope_says_what_the_service_wants_to_know() {
    let account = Credential { project: Some("one".into()), ..with_account(&file(), credential(BASE)) };
    let mut trial = Trial::new(Operation::Stream, Format::Chat);
    trial.body = r#"{"model":"m","request":{}}"#;
    let body: Value = serde_json::from_str(&trial.sent_body(&Antigravity, &account)).unwrap();
    assert_eq!(
        json!([body["project"], body["userAgent"], body["requestType"], body["model"]]),
        json!(["one", "antigravity", "agent", "m"])
    );
    assert!(body["requestId"].as_str().unwrap().starts_with("agent-"));
    let session = body["request"]["sessionId"].as_str().unwrap();
    assert!(session.strip_prefix('-').unwrap().parse::<u64>().is_ok(), "{session}");
    trial.operation = Operation::CountTokens;
    assert_eq!(trial.sent_body(&Antigravity, &account), trial.body);
    assert!(user_agent().starts_with("antigravity/") && user_agent().ends_with(PRODUCT));
}

#[test]
fn models_of_other_makers_have_dialects_of_their_own() {
    let record = Record::parse(file().to_string().as_bytes()).unwrap();
    let adopted = Antigravity.adopt(&record, &login::identity()).unwrap();
    assert_eq!(&*adopted.base_url, BASE);
    let account = with_account(&file(), credential(BASE));
    let account = Credential {
        profile: adopted.profile.into(),
        of_models: adopted.of_models.into_iter().map(|(names, profile)| (names, profile.into())).collect(),
        ..account
    };
    for (model, owner) in [
        ("claude-opus-4-6-thinking", Owner::Anthropic),
        ("gpt-oss-120b-medium", Owner::OpenAi),
        ("gemini-3-flash", Owner::Google),
    ] {
        assert_eq!(account.profile_for(Format::Gemini, model).owner, owner, "{model}");
    }
    let nowhere = Record::parse(br#"{"type":"antigravity","access_token":"a"}"#).unwrap();
    assert!(Antigravity.adopt(&nowhere, &login::identity()).is_none());
}
