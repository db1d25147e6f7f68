//! Logins that a panel begins and follows.

use cliproxy_testkit::identity::{Browser, COOKIE, Fault, IdentityProvider};
use serde_json::{Value, json};

use super::{Panel, send};
use crate::support::{self, get};

/// A panel whose logins go to a scripted identity provider.
async fn arranged() -> (IdentityProvider, Panel) {
    let provider = IdentityProvider::start().await;
    let panel = Panel::start(&provider.endpoints());
    (provider, panel)
}

/// The address and the state of a login that began.
async fn begun(panel: &Panel, path: &str) -> (String, String) {
    let answer = panel.get(path).await;
    assert_eq!(answer["status"], "ok", "{answer}");
    (answer["url"].as_str().unwrap().to_owned(), answer["state"].as_str().unwrap().to_owned())
}

/// Polls as panels do until the login has ended.
async fn ended(panel: &Panel, state: &str) -> Value {
    for _ in 0..600 {
        let status = panel.get(&format!("/get-auth-status?state={state}")).await;
        if status["status"] != "wait" {
            return status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the login does not end");
}

async fn accounts(panel: &Panel) -> Vec<String> {
    let list = panel.get("/auth-files").await;
    list["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_on_this_machine_comes_back_by_itself() {
    for (path, file) in [
        ("/anthropic-auth-url", "claude-person@example.com.json"),
        ("/codex-auth-url", "codex-person@example.com-plus.json"),
        ("/gemini-cli-auth-url", "gemini-person@example.com-first-project.json"),
        ("/antigravity-auth-url", "antigravity-person@example.com.json"),
    ] {
        let (_provider, panel) = arranged().await;
        let (url, state) = begun(&panel, &format!("{path}?is_webui=true")).await;
        assert_eq!(panel.get(&format!("/get-auth-status?state={state}")).await, json!({"status": "wait"}));
        let (address, status, _page) = Browser::default().visit(&url).await;
        assert_eq!(status, 200, "{address}");
        assert_eq!(ended(&panel, &state).await, json!({"status": "ok"}), "{path}");
        assert_eq!(accounts(&panel).await, [file], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_for_yes_open_a_port_and_no_others_do() {
    let (_provider, panel) = arranged().await;
    for word in ["1", "TRUE", "yes", "%20On%20"] {
        let (url, state) = begun(&panel, &format!("/anthropic-auth-url?is_webui={word}")).await;
        let (address, status, _page) = Browser::default().visit(&url).await;
        assert_eq!(status, 200, "{word}: {address}");
        assert_eq!(ended(&panel, &state).await, json!({"status": "ok"}), "{word}");
    }
    // Somebody else has the port: who does not need it does not notice.
    let provider = IdentityProvider::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let elsewhere = provider.endpoints().replace("http://localhost:0/", &format!("http://localhost:{port}/"));
    let panel = Panel::start(&elsewhere);
    for word in ["0", "false", "no", "off", "2", "y", ""] {
        let (url, _state) = begun(&panel, &format!("/anthropic-auth-url?is_webui={word}")).await;
        assert!(url.contains(&port.to_string()), "{word}: {url}");
    }
    let busy = format!("port {port}, where the browser comes back to, is in use by another program");
    let answer = panel.send("GET", "/anthropic-auth-url?is_webui=on", Value::Null).await;
    assert_eq!((answer.status, answer.json()), (500, json!({"error": busy, "code": "port_busy"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_login_has_the_port_and_an_older_one_is_finished_by_pasting() {
    let provider = IdentityProvider::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let panel = Panel::start(
        &provider.endpoints().replace("http://localhost:0/", &format!("http://localhost:{port}/")),
    );
    let path = "/anthropic-auth-url?is_webui=1";
    let (_, abandoned) = begun(&panel, path).await;
    let given_up = panel.send("DELETE", &format!("/oauth-session?state={abandoned}"), Value::Null).await;
    assert_eq!(given_up.json(), json!({"status": "ok", "cancelled": true}));
    drop(std::net::TcpListener::bind(("127.0.0.1", port)).expect("given up with its login"));
    let (older_url, older) = begun(&panel, path).await;
    let (url, newer) = begun(&panel, path).await;
    let (address, status, _page) = Browser::default().visit(&url).await;
    assert_eq!(status, 200, "{address}");
    assert_eq!(ended(&panel, &newer).await, json!({"status": "ok"}));
    assert_eq!(panel.get(&format!("/get-auth-status?state={older}")).await, json!({"status": "wait"}));
    let address = Browser::default().stop_at_redirect(&older_url).await;
    let pasted = panel.send("POST", "/oauth-callback", json!({"redirect_url": address})).await;
    assert_eq!((pasted.status, pasted.json()), (200, json!({"status": "ok"})));
    assert_eq!(ended(&panel, &older).await, json!({"status": "ok"}));
    // Of several that begin in the same moment one has the port, and the addresses of the others can be pasted.
    let all = futures_util::future::join_all((0..24).map(|_| begun(&panel, path))).await;
    let mut holder = None;
    for (url, state) in &all {
        if Browser::default().visit(url).await.1 == 200 {
            holder = Some(state);
            break;
        }
    }
    assert_eq!(ended(&panel, holder.expect("one that listens")).await, json!({"status": "ok"}));
    let (url, other) = all.iter().find(|(_, state)| Some(state) != holder).unwrap();
    let address = Browser::default().stop_at_redirect(url).await;
    let pasted = panel.send("POST", "/oauth-callback", json!({"redirect_url": address})).await;
    assert_eq!((pasted.status, ended(&panel, other).await), (200, json!({"status": "ok"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_pasted_from_a_browser_elsewhere() {
    let (_provider, panel) = arranged().await;
    let (url, state) = begun(&panel, "/anthropic-auth-url").await;
    let address = Browser::default().stop_at_redirect(&url).await;
    let paste = |body: Value| panel.send("POST", "/oauth-callback", body);
    for (body, expected) in [
        (json!({"provider": "nobody", "redirect_url": address}), (400, "unsupported provider")),
        (json!({"provider": "codex", "redirect_url": address}), (400, "provider does not match state")),
        (json!({"provider": "claude", "redirect_url": "no address"}), (400, "invalid redirect_url")),
        (json!({"provider": "claude"}), (400, "state is required")),
        (json!({"provider": "claude", "state": "../x", "code": "c"}), (400, "invalid state")),
        (json!({"provider": "claude", "state": state}), (400, "code or error is required")),
        (json!({"provider": "claude", "state": "0123", "code": "c"}), (404, "unknown or expired state")),
    ] {
        let answer = paste(body.clone()).await;
        let expected = (expected.0, json!({"status": "error", "error": expected.1}));
        assert_eq!((answer.status, answer.json()), expected, "{body}");
    }
    let answer = paste(json!({"provider": "anthropic", "redirect_url": address})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
    assert_eq!(ended(&panel, &state).await, json!({"status": "ok"}));
    assert_eq!(accounts(&panel).await, ["claude-person@example.com.json"]);
    let again = paste(json!({"provider": "anthropic", "redirect_url": address})).await;
    assert_eq!((again.status, again.json()["error"].clone()), (409, json!("oauth flow is not pending")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_to_the_gateway_itself_needs_the_state_and_nothing_else() {
    let (_provider, panel) = arranged().await;
    let (url, state) = begun(&panel, "/anthropic-auth-url").await;
    let address = Browser::default().stop_at_redirect(&url).await;
    let query = address.split_once('?').unwrap().1;
    assert_eq!(get(&panel.gateway, "/anthropic/callback?code=c&state=0123").await.status, 404);
    assert_eq!(get(&panel.gateway, "/anthropic/callback").await.status, 404);
    assert_eq!(get(&panel.gateway, &format!("/anthropic/callback?{query}")).await.status, 200);
    assert_eq!(ended(&panel, &state).await, json!({"status": "ok"}));
    assert!(!panel.gateway.log().contains(&state));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_needs_the_state_and_no_other_key() {
    let (_provider, panel) = arranged().await;
    let (url, state) = begun(&panel, "/anthropic-auth-url").await;
    let address = Browser::default().stop_at_redirect(&url).await;
    let query = address.split_once('?').unwrap().1;
    let at = "/v0/management/oauth-callback";
    let stranger = get(&panel.gateway, &format!("{at}?code=c&state=0123")).await;
    assert_eq!((stranger.status, stranger.json()["error"].clone()), (404, json!("unknown or expired state")));
    assert_eq!(get(&panel.gateway, &format!("{at}?{query}")).await.json(), json!({"status": "ok"}));
    assert_eq!(ended(&panel, &state).await, json!({"status": "ok"}));
    let again = support::ask(&panel.gateway, at, &json!({"redirect_url": address})).await;
    assert_eq!(again.status, 409, "{}", again.body);
    let without = support::start("debug: false\n", &[]);
    assert_eq!(get(&without, &format!("{at}?{query}")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_or_abandoned_login_is_told() {
    let (_provider, panel) = arranged().await;
    let (_url, state) = begun(&panel, "/codex-auth-url").await;
    let answer = panel
        .send(
            "POST",
            "/oauth-callback",
            json!({"provider": "openai", "state": state, "error": "access_denied"}),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let status = ended(&panel, &state).await;
    assert_eq!(status["status"], "error");
    assert!(status["error"].as_str().unwrap().contains("access_denied"), "{status}");
    assert_eq!(status["code"], "refused");
    let (_url, state) = begun(&panel, "/codex-auth-url").await;
    let given_up = panel.send("DELETE", &format!("/oauth-session?state={state}"), Value::Null).await;
    assert_eq!(given_up.json(), json!({"status": "ok", "cancelled": true}));
    let unknown = json!({"status": "error", "error": "unknown or expired state"});
    assert_eq!(panel.get(&format!("/get-auth-status?state={state}")).await, unknown);
    assert_eq!(panel.get("/get-auth-status").await, json!({"status": "ok"}));
    let answer = panel.send("GET", "/get-auth-status?state=..%2Fx", Value::Null).await;
    assert_eq!((answer.status, answer.json()), (400, json!({"status": "error", "error": "invalid state"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_says_of_what_kind() {
    for (fault, code) in [(Some(Fault::Json(500, "{}".to_owned())), "try_again"), (None, "not_saved")] {
        let (provider, panel) = arranged().await;
        let (url, state) = begun(&panel, "/codex-auth-url").await;
        let address = Browser::default().stop_at_redirect(&url).await;
        if let Some(fault) = fault {
            provider.fail("/codex/token", fault);
        } else {
            // Nothing can be saved where there is no directory.
            std::fs::remove_dir_all(panel.gateway.accounts()).unwrap();
            support::write(&panel.gateway.accounts(), "not a directory");
        }
        let pasted = panel.send("POST", "/oauth-callback", json!({"redirect_url": address})).await;
        assert_eq!(pasted.status, 200, "{}", pasted.body);
        let status = ended(&panel, &state).await;
        assert_eq!((&status["status"], &status["code"]), (&json!("error"), &json!(code)), "{status}");
        assert!(status["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_and_a_service_account_need_no_browser() {
    let (provider, panel) = arranged().await;
    let answer = panel.send("POST", "/iflow-auth-url", json!({"cookie": COOKIE})).await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("ok")), "{}", answer.body);
    assert_eq!(
        (answer.json()["type"].clone(), answer.json()["email"].clone()),
        (json!("iflow"), json!("key of a person"))
    );
    panel.refused("POST", "/iflow-auth-url", json!({"cookie": " "}), (400, "cookie is required")).await;
    let answer = panel.send("POST", "/iflow-auth-url", json!({"cookie": "other=1"})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (400, &json!("error")));
    assert!(answer.json()["code"].is_string() && answer.json()["error"].is_string(), "{}", answer.body);

    let key = provider.service_account("my-project");
    let answer = send(panel.request("POST", "/vertex/import?location=europe-west4").body(key.clone())).await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["project_id"], &body["location"]),
        (200, &json!("my-project"), &json!("europe-west4"))
    );
    let form = format!(
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"k.json\"\r\n\r\n{key}\r\n--B--\r\n"
    );
    let request =
        panel.request("POST", "/vertex/import").header("content-type", "multipart/form-data; boundary=B");
    assert_eq!(send(request.body(form)).await.status, 200);
    for (body, text) in [
        ("", "file required"),
        ("{", "invalid json"),
        ("{}", "project_id missing"),
        ("{\"project_id\":\"p\"}", "invalid service account"),
    ] {
        let answer = send(panel.request("POST", "/vertex/import").body(body)).await;
        assert_eq!((answer.status, answer.json()["error"].clone()), (400, json!(text)), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_confirmed_on_any_device() {
    for (path, file) in [
        ("/codex-auth-url?device=true", "codex-person@example.com-plus.json"),
        ("/codex-auth-url?device=1&is_webui=true", "codex-person@example.com-plus.json"),
        ("/xai-auth-url", "xai-person@example.com.json"),
        ("/xai-auth-url?device=true", "xai-person@example.com.json"),
    ] {
        let (provider, panel) = arranged().await;
        let answer = panel.get(path).await;
        let (state, code) = (answer["state"].as_str().unwrap(), answer["user_code"].as_str().unwrap());
        assert!(answer["url"].as_str().unwrap().starts_with("http"), "{answer}");
        assert_eq!(panel.get(&format!("/get-auth-status?state={state}")).await, json!({"status": "wait"}));
        provider.confirm(code);
        assert_eq!(ended(&panel, state).await, json!({"status": "ok"}), "{path}");
        assert_eq!(accounts(&panel).await, [file], "{path}");
        assert!(!panel.gateway.log().contains(code), "the code is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_not_to_be_had_or_not_wanted_is_told() {
    let (provider, panel) = arranged().await;
    let without = "this provider has no login by a code; leave `device` out";
    panel.refused("GET", "/anthropic-auth-url?device=true", Value::Null, (400, without)).await;
    // Without the word it is the login in a browser.
    let (url, _state) = begun(&panel, "/codex-auth-url?device=false").await;
    assert!(url.contains("redirect_uri="), "{url}");
    provider.fail("/codex/device", Fault::Json(404, "{}".to_owned()));
    let answer = panel.send("GET", "/codex-auth-url?device=true", Value::Null).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(answer.body.contains("does not offer the device login"), "{}", answer.body);
    let answer = panel.get("/codex-auth-url?device=true").await;
    let state = answer["state"].as_str().unwrap();
    let given_up = panel.send("DELETE", &format!("/oauth-session?state={state}"), Value::Null).await;
    assert_eq!(given_up.json(), json!({"status": "ok", "cancelled": true}));
}
