//! What is sent to Code Assist, what its refusals mean, and what a renewal changes.

use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{HeaderHints, Kind, decode};
use http::HeaderMap;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::failure::Rest;
use crate::oauth::{Answer, Input, Step};
use crate::provider::trial::{Trial, credential, with_account};

const BASE: &str = "https://cloudcode-pa.googleapis.com";

fn file() -> Value {
    json!({
        "type": "gemini", "email": "a@b.c", "project_id": " one, two,one,,",
        "token": {"access_token": "upstream-key-access", "refresh_token": "refresh", "expiry": "2020-01-01T00:00:00Z"},
    })
}

#[test]
fn a_token_says_who_asks_and_the_user_agent_is_our_own() {
    let mut trial = Trial::new(Operation::Stream, Format::Gemini);
    trial.is_sse = false;
    let account = with_account(&file(), credential(BASE));
    assert_snapshot!(trial.sent(&GeminiCli, &account), @r"
    POST https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent?alt=sse
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-access (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn the_project_is_the_credentials_and_counting_has_none() {
    let account = Credential { project: Some("one".into()), ..with_account(&file(), credential(BASE)) };
    let mut trial = Trial::new(Operation::Generate, Format::Chat);
    trial.body = r#"{"model":"m","request":{}}"#;
    assert_eq!(trial.sent_body(&GeminiCli, &account), r#"{"project":"one","model":"m","request":{}}"#);
    trial.operation = Operation::CountTokens;
    assert_eq!(trial.sent_body(&GeminiCli, &account), trial.body);
    trial.operation = Operation::Compact;
    assert_eq!(trial.refusal(&GeminiCli, &account).retry(), Retry::Next(Rest::None));
}

#[test]
fn each_project_of_a_file_is_offered_once() {
    let record = Record::parse(file().to_string().as_bytes()).unwrap();
    let adopted = GeminiCli.adopt(&record, &GeminiCli.identity()).unwrap();
    assert_eq!(adopted.projects, [std::sync::Arc::from("one"), "two".into()]);
    assert_eq!((&*adopted.base_url, adopted.channel), (BASE, "gemini-cli"));
}

/// The fault in an error body as Google writes it.
fn fault(status: u16, word: &str, message: &str, details: &Value) -> Fault {
    let error = json!([{"error": {"code": status, "message": message, "status": word, "details": details}}]);
    decode(Format::Gemini, status, &HeaderHints::default(), error.to_string().as_bytes())
}

fn exhausted(reason: &str, metadata: &Value) -> Fault {
    let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
        "domain": "cloudcode-pa.googleapis.com", "metadata": metadata});
    fault(429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model.", &json!([info]))
}

#[test]
fn limits_quotas_and_busy_models_are_told_apart() {
    let day = Some(Duration::from_secs(3 * 3600 + 62));
    let second = Some(Duration::from_millis(847));
    let info = |delay: &str| json!({"quotaResetDelay": delay, "model": "gemini-2.5-pro"});
    let violation = |id: &str| json!([{"violations": [{"quotaId": id, "quotaMetric": "m"}]}]);
    for (fault, kind, retry) in [
        (exhausted("QUOTA_EXHAUSTED", &info("3h1m2s")), Kind::Quota, Retry::Next(Rest::Quota(day))),
        (
            exhausted("RATE_LIMIT_EXCEEDED", &info("0.847s")),
            Kind::RateLimit,
            Retry::Next(Rest::Quota(second)),
        ),
        (
            fault(
                429,
                "RESOURCE_EXHAUSTED",
                "No capacity available.",
                &json!([{"reason": "MODEL_CAPACITY_EXHAUSTED"}]),
            ),
            Kind::Overloaded,
            Retry::Next(Rest::Transient(None)),
        ),
        (
            fault(429, "RESOURCE_EXHAUSTED", "Slow down.", &json!([{"reason": "RATE_LIMIT_EXCEEDED"}])),
            Kind::RateLimit,
            Retry::Next(Rest::Quota(Some(Duration::from_secs(10)))),
        ),
        (
            fault(429, "RESOURCE_EXHAUSTED", "Slow down.", &violation("RequestsPerMinutePerProject")),
            Kind::RateLimit,
            Retry::Next(Rest::Quota(Some(Duration::from_mins(1)))),
        ),
        (
            fault(429, "RESOURCE_EXHAUSTED", "Used up.", &violation("RequestsPerDayPerProject")),
            Kind::Quota,
            Retry::Next(Rest::Quota(None)),
        ),
        (
            fault(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0, model: m", &json!([])),
            Kind::Quota,
            Retry::Next(Rest::ModelMissing),
        ),
        (
            fault(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0.5", &json!([])),
            Kind::RateLimit,
            Retry::Next(Rest::Quota(None)),
        ),
    ] {
        assert_eq!((fault.kind, GeminiCli.judge(&fault)), (kind, retry), "{}", fault.message);
    }
}

#[test]
fn who_is_shut_out_needs_a_person_and_is_told_where_to_go() {
    let message = "This service has been disabled in this account for violation of Terms of Service.";
    let shut_out = fault(403, "PERMISSION_DENIED", message, &json!([]));
    assert!(matches!(GeminiCli.judge(&shut_out), Retry::Leave(Rest::NeedsAttention(_))));
    let link = "https://accounts.google.com/signin/continue?plt=AKgnsbu1x9Qz7mN4pL2vT8yR3wE6kJ5h";
    let details = json!([
        {"reason": "VALIDATION_REQUIRED", "domain": "cloudcode-pa.googleapis.com"},
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "Verify", "url": link}, {"url": "https://other"}]},
    ]);
    let verify = fault(403, "PERMISSION_DENIED", "Verify your account to continue.", &details);
    assert!(matches!(GeminiCli.judge(&verify), Retry::Leave(Rest::NeedsAttention(_))));
    assert_eq!(verify.link.as_deref(), Some(link));
    assert!(!format!("{verify:?}").contains("plt="));
    let off = fault(403, "PERMISSION_DENIED", "It is off.", &json!([{"reason": "SERVICE_DISABLED"}]));
    assert_eq!(GeminiCli.judge(&off), Retry::Leave(Rest::Forbidden));
}

#[test]
fn a_days_quota_is_remembered_for_its_model() {
    let headers = HeaderMap::new();
    let told =
        |fault| GeminiCli.quotas(&Told { headers: &headers, fault, model: "gemini-2.5-pro", now: 1000 });
    let violation = json!([
        {"violations": [{"quotaId": "RequestsPerDayPerProject"}]},
        {"reason": "QUOTA_EXHAUSTED", "metadata": {"quotaResetDelay": "2h"}},
    ]);
    let used_up = fault(429, "RESOURCE_EXHAUSTED", "Used up.", &violation);
    let windows = told(Some(&used_up));
    assert_eq!(windows.len(), 1);
    assert_eq!((&*windows[0].name, windows[0].model.as_deref()), ("day", Some("gemini-2.5-pro")));
    assert_eq!((windows[0].resets_at, windows[0].is_used_up()), (Some(8200), true));
    assert!(told(None).is_empty());
    let busy = exhausted("RATE_LIMIT_EXCEEDED", &json!({"quotaResetDelay": "3s"}));
    assert!(told(Some(&busy)).is_empty(), "a pace is no quota");
}

/// What a renewal of a file writes, after its request was answered.
fn renewed(file: &Value) -> Record {
    let record = Record::parse(file.to_string().as_bytes()).unwrap();
    let mut flow = GeminiCli.renew(&record, &GeminiCli.identity(), 1_788_134_400).unwrap();
    let Step::Redeem(request) = flow.step(Input::Start) else { panic!("nothing is redeemed") };
    let form = String::from_utf8(request.body.to_vec()).unwrap();
    assert!(form.contains("grant_type=refresh_token&refresh_token=refresh"), "{form}");
    let id =
        if file["token"]["client_id"].is_string() { "client_id=its-own" } else { "client_id=681255809395-" };
    assert!(form.contains(id), "{form}");
    let body = json!({"access_token": "next", "expires_in": 3599, "token_type": "Bearer"});
    let answer =
        Answer { status: http::StatusCode::OK, headers: HeaderMap::new(), body: body.to_string().into() };
    let Step::Done(changes) = flow.step(Input::Answer(answer)) else { panic!("no tokens") };
    record.with(&changes)
}

#[test]
fn a_renewal_writes_where_the_file_has_its_tokens() {
    let end = json!("2026-08-31T00:59:59Z");
    let inside = renewed(&file());
    assert_eq!(inside.get(&["token", "access_token"]), Some(&json!("next")));
    assert_eq!(inside.get(&["token", "refresh_token"]), Some(&json!("refresh")));
    assert_eq!(inside.get(&["token", "expiry"]), Some(&end));
    assert_eq!(inside.get(&["access_token"]), None, "no copies are made");
    let mut copied = file();
    copied["access_token"] = json!("stale");
    copied["token"]["client_id"] = json!("its-own");
    copied["token"]["client_secret"] = json!("with-secret");
    let copied = renewed(&copied);
    assert_eq!(copied.get(&["access_token"]), Some(&json!("next")), "copies do not become stale");
    let beside = renewed(&json!({"type": "gemini", "access_token": "old", "refresh_token": "refresh"}));
    assert_eq!((beside.get(&["expiry"]), beside.get(&["token"])), (Some(&end), None));
}
