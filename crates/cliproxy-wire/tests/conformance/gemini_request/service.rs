//! What the services want of their own: the envelope of Code Assist, what each knows, counting.

use cliproxy_wire::codec::{Encoded, Strictness, Target};
use cliproxy_wire::format::RequestContext;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{Format, catalog, gemini, normalize, reasoning, schema};
use serde_json::{Value, json};

use super::flash;
use crate::support::Upstream;

fn count(profile: &Profile, body: &Value) -> Value {
    let request = gemini::decode_count(
        &serde_json::to_vec(body).unwrap(),
        RequestContext { model: "gemini-2.5-flash", ..RequestContext::default() },
    )
    .unwrap();
    let caps = catalog::caps("gemini-2.5-flash");
    let table = reasoning::Table::default();
    let schemas = schema::Cleaned::default();
    let target = Target {
        profile,
        caps: &caps,
        model: "gemini-2.5-flash",
        suffix: None,
        stream: false,
        scope: None,
        strictness: Strictness::Default,
        table: &table,
        schemas: &schemas,
        memory: None,
        repair: None,
    };
    let prepared = normalize::prepare(request, &target).unwrap();
    let Encoded { body, .. } = gemini::encode_count(prepared, &target).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn j106_code_assist_bodies_have_everything_in_the_envelope() {
    let body = json!({"model": "gemini-3-flash-preview", "project": "of-the-client", "user_prompt_id": "u", "request": {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}], "session_id": "s",
        "systemInstruction": {"parts": [{"text": "s"}]}, "generationConfig": {"temperature": 1},
        "labels": {"a": "b"}, "safetySettings": [{"category": "C", "threshold": "OFF"}],
    }});
    let sent = Upstream::new(Profile::code_assist(), "gemini-3-flash-preview").encode(Format::Gemini, &body);
    let mut expected = body;
    expected.as_object_mut().unwrap().remove("project");
    assert_eq!(sent, expected);
}

#[test]
fn the_services_get_what_they_know() {
    let body = json!({"contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "own", "name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "own", "name": "f", "response": {"output": "y"}}}]},
        ],
        "labels": {"team": "a"}, "serviceTier": "flex",
        "generationConfig": {"audioTimestamp": true, "enableEnhancedCivicAnswers": true}});
    let sent = |profile| {
        let encoded = Upstream::new(profile, "gemini-2.5-flash").try_encode(Format::Gemini, &body).unwrap();
        (serde_json::from_slice::<Value>(&encoded.body).unwrap(), encoded.notes)
    };
    let (key, notes) = sent(Profile::gemini());
    assert_eq!(key["serviceTier"], "flex");
    assert_eq!(key["contents"][2]["parts"][0]["functionResponse"]["id"], "own");
    assert_eq!(key["generationConfig"], json!({"enableEnhancedCivicAnswers": true}));
    assert!(key.get("labels").is_none());
    assert!(notes.paths().iter().any(|path| path == "labels"), "{notes:?}");

    let (vertex, _) = sent(Profile::vertex());
    assert_eq!(vertex["labels"], json!({"team": "a"}));
    assert!(vertex.get("serviceTier").is_none());
    assert_eq!(vertex["generationConfig"], json!({"audioTimestamp": true}));
    assert!(vertex["contents"][1]["parts"][0]["functionCall"].get("id").is_none());
    assert!(vertex["contents"][2]["parts"][0]["functionResponse"].get("id").is_none());
}

#[test]
fn j107_a_cached_content_of_google_is_refused_elsewhere() {
    let body = json!({"contents": "x", "cachedContent": "cachedContents/1"});
    let error =
        Upstream::new(Profile::claude(), "claude-sonnet-4-5").try_encode(Format::Gemini, &body).unwrap_err();
    assert!(error.path().unwrap().contains("cachedContent"), "{error}");
    assert_eq!(flash().encode(Format::Gemini, &body)["cachedContent"], "cachedContents/1");
}

#[test]
fn j254_counting_with_tools_is_said_in_each_services_form() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"temperature": 1, "thinkingConfig": {"thinkingBudget": 100}}});
    let input = json!({"contents": body["contents"], "systemInstruction": body["systemInstruction"], "tools": body["tools"]});
    let mut wrapped = input.clone();
    wrapped["model"] = json!("models/gemini-2.5-flash");
    assert_eq!(count(&Profile::gemini(), &body), json!({"generateContentRequest": wrapped}));
    assert_eq!(
        count(&Profile::gemini(), &json!({"generateContentRequest": wrapped})),
        json!({"generateContentRequest": wrapped})
    );
    assert_eq!(count(&Profile::vertex(), &body), input);
    assert_eq!(gemini::decode_count_response(br#"{"totalTokens":31,"promptTokensDetails":[]}"#).unwrap(), 31);
    assert_eq!(gemini::decode_count_response(b"{}").unwrap(), 0);
    assert_eq!(gemini::encode_count_response(31), br#"{"totalTokens":31}"#);
}

#[test]
fn j255_code_assist_counts_the_conversation_without_thoughts() {
    let body = json!({"request": {"model": "models/gemini-2.5-flash", "contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [{"text": "t", "thought": true, "thoughtSignature": "c2ln"}, {"text": "y"}]},
        {"role": "user", "parts": [{"text": "z"}]},
    ], "systemInstruction": {"parts": [{"text": "s"}]}}});
    assert_eq!(
        count(&Profile::code_assist(), &body),
        json!({"request": {"model": "models/gemini-2.5-flash", "contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {"role": "model", "parts": [{"text": "y"}]},
            {"role": "user", "parts": [{"text": "z"}]},
        ]}})
    );
}
