//! What is sent to Vertex-compatible services.

use insta::assert_snapshot;

use super::*;
use crate::provider::Operation;
use crate::provider::trial::{Trial, credential, with_account};

#[test]
fn models_lie_under_their_publisher() {
    let trial = Trial::new(Operation::Stream, Format::Gemini);
    assert_snapshot!(trial.sent(&Vertex, &credential("https://vertex.example/api")), @r"
    POST https://vertex.example/api/v1/publishers/google/models/some-model:streamGenerateContent?alt=sse
    accept: text/event-stream
    accept-encoding: identity
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-api-key: upstream-key-0123456789 (sensitive)
    x-goog-request-params: model=m
    ");
}

#[test]
fn other_clients_send_nothing_of_their_own() {
    let trial = Trial::new(Operation::CountTokens, Format::Claude);
    assert_snapshot!(trial.sent(&Vertex, &credential("https://vertex.example/api")), @r"
    POST https://vertex.example/api/v1/publishers/google/models/some-model:countTokens
    accept: application/json
    accept-encoding: identity
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-api-key: upstream-key-0123456789 (sensitive)
    ");
}

fn record(members: &serde_json::Value) -> serde_json::Value {
    let mut file = serde_json::json!({"type": "vertex", "project_id": "my-project", "access_token": "upstream-key-access"});
    file.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    file
}

#[test]
fn a_service_account_names_its_project_and_its_location() {
    let trial = Trial::new(Operation::Generate, Format::Gemini);
    let file = record(&serde_json::json!({"location": "europe-west4"}));
    let account = with_account(&file, credential("https://europe-west4-aiplatform.googleapis.com"));
    assert_snapshot!(trial.sent(&Vertex, &account), @r"
    POST https://europe-west4-aiplatform.googleapis.com/v1/projects/my-project/locations/europe-west4/publishers/google/models/some-model:generateContent
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-access (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-request-params: model=m
    ");
}

#[test]
fn each_location_has_its_host_and_none_leads_elsewhere() {
    let base = |members: serde_json::Value| {
        let record = Record::parse(record(&members).to_string().as_bytes()).unwrap();
        Vertex.adopt(&record, &login::identity()).map(|adopted| adopted.base_url.to_string())
    };
    for (location, host) in [
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
    ] {
        let found = base(serde_json::json!({"location": location}));
        assert_eq!(found, Some(format!("https://{host}")), "{location}");
    }
    assert_eq!(base(serde_json::json!({})), base(serde_json::json!({"location": "us-central1"})));
    assert_eq!(base(serde_json::json!({"location": "evil.example/"})), None);
    assert_eq!(base(serde_json::json!({"project_id": ""})), None);
    let own = base(serde_json::json!({"base_url": "https://proxy.example/"}));
    assert_eq!(own.as_deref(), Some("https://proxy.example"));
}

#[test]
fn a_service_that_is_off_is_off_for_every_model() {
    let off = Fault::new(Kind::Permission, "It is off.").with_code("SERVICE_DISABLED");
    assert_eq!(Vertex.judge(&off), Retry::Leave(Rest::Forbidden));
    let busy = Fault::new(Kind::RateLimit, "Resource exhausted.");
    assert_eq!(Vertex.judge(&busy), Retry::Next(Rest::Quota(None)));
}
