//! Choosing and setting up Google projects.

use cliproxy_testkit::Home;
use cliproxy_testkit::identity::{Browser, IdentityProvider};
use serde_json::{Value, json};

use super::{arranged, only_file, run};

/// Logs in, answers the questions with these lines; gives what was printed and the file.
async fn log_in(home: &Home, arguments: &[&str], lines: &[&str]) -> (String, Option<Value>) {
    let mut terminal = run(home, &[&["--login", "--no-browser"], arguments].concat());
    let url = terminal.url().await;
    Browser::default().visit(&url).await;
    for line in lines {
        terminal.wait_for("Enter project ID [first-project] or ALL: ").await;
        terminal.say(line).await;
    }
    let (code, text) = terminal.end().await;
    assert_eq!(code, 0, "{text}");
    (text, home.auth_files().first().map(|name| home.auth_file(name)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_chosen_by_number_id_or_default() {
    for (line, project) in [
        ("", "first-project"),
        ("2", "second-project"),
        ("second-project", "second-project"),
        ("1001", "second-project"),
    ] {
        let (_provider, home) = arranged().await;
        let (text, saved) = log_in(&home, &[], &[line]).await;
        assert!(
            text.contains("  [2] second-project (Name of second-project)")
                && !text.contains("deleted-project"),
            "{text}"
        );
        let saved = saved.unwrap();
        assert_eq!(
            json!([saved["project_id"], saved["auto"], saved["checked"]]),
            json!([project, false, true]),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_project_is_asked_for_again_or_refused() {
    let (_provider, home) = arranged().await;
    let (text, saved) = log_in(&home, &[], &["nonsense", "3", "2"]).await;
    assert!(text.contains("nonsense is not a project of this account"), "{text}");
    assert_eq!(saved.unwrap()["project_id"], "second-project");
    let (_provider, home) = arranged().await;
    let (text, saved) = log_in(&home, &["--project_id", "nonsense"], &[]).await;
    assert!(
        text.contains("Gemini authentication failed: nonsense is not a project of this account"),
        "{text}"
    );
    assert!(saved.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_projects_share_one_file() {
    for choice in ["ALL", "first-project, 2"] {
        let (_provider, home) = arranged().await;
        log_in(&home, &["-project_id", choice], &[]).await;
        let (name, saved) = only_file(&home);
        assert_eq!(name, "gemini-person@example.com-all.json");
        assert_eq!(saved["project_id"], "first-project,second-project");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_projects_those_that_cannot_be_used_are_left_out() {
    let (provider, home) = arranged().await;
    provider.google(|google| google.broken = ["first-project".to_owned()].into());
    let (text, saved) = log_in(&home, &[], &["all"]).await;
    assert!(
        text.contains(
            "Project first-project is left out: Google answered 403 `PERMISSION_DENIED`: no license"
        ),
        "{text}"
    );
    assert_eq!(saved.unwrap()["project_id"], "second-project");
    // Named by a person, it is a failure.
    let (provider, home) = arranged().await;
    provider.google(|google| google.broken = ["first-project".to_owned()].into());
    let (text, saved) = log_in(&home, &["--project_id=first-project"], &[]).await;
    assert!(text.contains("authentication failed") && saved.is_none(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_is_set_up_with_the_project_that_google_manages() {
    for answers_object in [false, true] {
        let (provider, home) = arranged().await;
        provider.google(|google| {
            google.projects.clear();
            google.is_onboarded = false;
            google.managed = Some("managed-1".to_owned());
            google.answers_object = answers_object;
        });
        let (_, saved) = log_in(&home, &[], &[]).await;
        let saved = saved.unwrap();
        assert_eq!(
            json!([saved["project_id"], saved["auto"], saved["checked"]]),
            json!(["managed-1", true, false])
        );
        provider.google(|google| {
            let body = &google.onboarded()[0];
            assert_eq!(body["tierId"], "free-tier");
            assert!(body.get("cloudaicompanionProject").is_none(), "{body}");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_is_waited_for_and_the_returned_project_counts() {
    let (provider, home) = arranged().await;
    provider.google(|google| {
        google.is_onboarded = false;
        google.looks = 1;
        google.managed = Some("backend-1".to_owned());
    });
    let (_, saved) = log_in(&home, &["--project_id", "first-project"], &[]).await;
    assert_eq!(saved.unwrap()["project_id"], "backend-1");
    provider.google(|google| {
        assert_eq!(google.onboarded().len(), 2);
        assert_eq!(google.onboarded()[0]["cloudaicompanionProject"], "first-project");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_switched_on_does_not_lose_the_login() {
    let (provider, home) = arranged().await;
    provider.google(|google| google.forbidden = ["first-project".to_owned()].into());
    let (text, saved) = log_in(&home, &[], &[""]).await;
    assert!(text.contains("could not be switched on for first-project"), "{text}");
    assert_eq!(saved.unwrap()["checked"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_any_tier_is_told_in_googles_words() {
    let (provider, home) = arranged().await;
    provider.google(|google| {
        google.is_onboarded = false;
        google.ineligible = Some("Not in your country".to_owned());
    });
    let (text, saved) = log_in(&home, &["--project_id", "1"], &[]).await;
    assert!(text.contains("Not in your country (INELIGIBLE_ACCOUNT); use a Gemini API key"), "{text}");
    assert!(saved.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_written_early_answers_the_question_as_programs_around_this_one_expect() {
    let (_provider, home) = arranged().await;
    let mut terminal = run(&home, &["-login", "-no-browser"]);
    terminal.say("").await;
    let url = terminal.url().await;
    Browser::default().visit(&url).await;
    let (_, text) = terminal.end().await;
    assert!(text.contains("Gemini authentication successful!"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_port_changes_the_redirect_of_google() {
    let provider = IdentityProvider::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let home = Home::new(
        &provider.endpoints().replace("localhost:0/oauth2callback", "localhost:8085/oauth2callback"),
    );
    let mut terminal = run(&home, &["-login", "-no-browser", "-oauth-callback-port", &free]);
    let url = terminal.url().await;
    assert!(url.contains(&format!("redirect_uri=http%3A%2F%2Flocalhost%3A{free}%2Foauth2callback")), "{url}");
}
