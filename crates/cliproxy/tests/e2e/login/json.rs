//! Logins for programs: JSON lines and honest exit codes.

use cliproxy_testkit::Terminal;
use cliproxy_testkit::identity::{Browser, Consent, Fault};
use serde_json::{Value, json};

use super::{arranged, run};

async fn next(terminal: &mut Terminal) -> Value {
    serde_json::from_str(&terminal.line().await).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_an_event() {
    let (_provider, home) = arranged().await;
    let mut terminal = run(&home, &["--login", "--json"]);
    let notice = next(&mut terminal).await;
    assert_eq!(notice["event"], "notice");
    let visit = next(&mut terminal).await;
    assert_eq!(visit["event"], "visit");
    assert_eq!(visit["browser_port"], visit["listening_port"]);
    Browser::default().visit(visit["url"].as_str().unwrap()).await;
    assert_eq!(next(&mut terminal).await, json!({"event": "returned"}));
    assert_eq!(next(&mut terminal).await["event"], "progress");
    let question = next(&mut terminal).await;
    assert_eq!(
        json!([question["event"], question["name"], question["default"]]),
        json!(["question", "project", "first-project"])
    );
    terminal.say("2").await;
    let (code, text) = terminal.end().await;
    let all = lines(&text);
    let saved = all.last().unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        saved,
        &json!({"event": "saved", "provider": "gemini-cli", "account": "person@example.com", "is_known": false,
            "is_disabled": false, "path": home.auth_dir().join("gemini-person@example.com-second-project.json")})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_say_what_happened() {
    let (provider, home) = arranged().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = run(&home, &["--login", "--json", "--oauth-callback-port", &port]).end().await;
    assert_eq!((code, &lines(&text)[0]["kind"]), (13, &json!("port_busy")));

    let failed = async |consent: Consent, fault: Option<Fault>| {
        provider.set_consent(consent);
        if let Some(fault) = fault {
            provider.fail("/claude/token", fault);
        }
        let mut terminal = run(&home, &["--claude-login", "--json"]);
        next(&mut terminal).await;
        let visit = next(&mut terminal).await;
        Browser::default().visit(visit["url"].as_str().unwrap()).await;
        let (code, text) = terminal.end().await;
        let last = lines(&text).pop().unwrap();
        (code, last["event"].as_str().unwrap().to_owned(), last["kind"].as_str().unwrap().to_owned())
    };
    let ended = |code: i32, kind: &str| (code, "failed".to_owned(), kind.to_owned());
    assert_eq!(failed(Consent::Deny, None).await, ended(1, "refused"));
    assert_eq!(failed(Consent::Allow, Some(Fault::Page(503))).await, ended(4, "passing"));
    let forbidden = r#"{"error":{"message":"This credential is only authorized for use with Claude Code and cannot be used for other API requests."}}"#;
    assert_eq!(
        failed(Consent::Allow, Some(Fault::Json(400, forbidden.to_owned()))).await,
        ended(3, "forbidden")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_to_confirm_is_an_event_too() {
    let (provider, home) = arranged().await;
    let mut terminal = run(&home, &["--codex-device-login", "--json"]);
    let shown = next(&mut terminal).await;
    assert_eq!(
        json!([shown["event"], shown["url"]]),
        json!(["code", format!("{}/codex/device", provider.url())])
    );
    provider.confirm(shown["user_code"].as_str().unwrap());
    let (code, text) = terminal.end().await;
    assert_eq!((code, &lines(&text).pop().unwrap()["event"]), (0, &json!("saved")));
}
