//! Themes, languages, narrow screens, and the keyboard alone.

use cliproxy_testkit::{Launch, Received, Script, Upstream};
use serde_json::json;

use super::{Desk, ENTER, ESCAPE, KEY, TAB};

const PAGES: [&str; 8] = ["overview", "accounts", "live", "usage", "route", "keys", "config", "logs"];

/// An answer with quotas in its headers, a refusal for one key, and a login that is over.
fn service(received: &Received) -> Script {
    if received.path.ends_with("/token") {
        let error =
            json!({"error": "invalid_grant", "error_description": "Refresh token not found or invalid"});
        return Script::json(400, error.to_string());
    }
    if received.header("authorization") == "Bearer upstream-key-0002" {
        let error = json!({"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}});
        return Script::json(429, error.to_string()).header("retry-after", "1800");
    }
    let answer = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 340, "total_tokens": 1540}});
    Script::json(200, answer.to_string())
        .header("x-ratelimit-limit-requests", "1000")
        .header("x-ratelimit-remaining-requests", "120")
        .header("x-ratelimit-reset-requests", "6m0s")
}

/// A gateway that has much to show: accounts that serve and one that does not, keys of which one rests, requests on
/// record, a log.
async fn lively() -> Option<(Upstream, Desk)> {
    let upstream = Upstream::start(service).await;
    let url = upstream.url();
    let directory = tempfile::tempdir().unwrap();
    let accounts = directory.path().join(".cli-proxy-api");
    std::fs::create_dir(&accounts).unwrap();
    for (name, expired) in
        [("anna", "2099-01-01T00:00:00Z"), ("bertram-with-a-long-name", "2020-01-01T00:00:00Z")]
    {
        let file = json!({"type": "claude", "email": format!("{name}@example.org"), "access_token": "access",
            "refresh_token": "refresh", "expired": expired, "note": "team"});
        let path = accounts.join(format!("claude-{name}.json"));
        std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), file.to_string().as_bytes())
            .unwrap();
    }
    let config = format!(
        "usage-statistics-enabled: true\nlogging-to-file: true\nrequest-retry: 0\napi-keys: [first-client-key, second-client-key]\n\
         api-key-limits:\n  - {{api-key: second-client-key, name: laptop, limits: [{{per: day, requests: 50, tokens: 100000}}]}}\n\
         oauth-endpoints:\n  claude: {{token-url: '{url}/token', base-url: '{url}'}}\n\
         openai-compatibility:\n  - name: scripted\n    base-url: '{url}/v1'\n    api-key-entries: [{{api-key: upstream-key-0001}}, {{api-key: upstream-key-0002}}]\n    models: [{{name: up}}]\n"
    );
    let launch = Launch::new_in(directory, crate::binary()).config(&config);
    let desk = Desk::before(launch.arguments(&["--password", KEY, "--demo"]).start()).await?;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for model in ["up", "up", "up", "demo", "claude-sonnet-4-6", "demo-429", "up"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        let request = client.post(format!("{}/v1/chat/completions", desk.gateway.url()));
        let request = request.header("authorization", "Bearer second-client-key").body(body.to_string());
        // Some are refused, which is to be shown.
        request.header("content-type", "application/json").send().await.unwrap().text().await.unwrap();
    }
    desk.sign_in().await;
    Some((upstream, desk))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_holds_in_every_look() {
    let Some((_upstream, desk)) = lively().await else { return };
    let browser = &desk.browser;
    for (width, size) in [(1280, "wide"), (500, "narrow")] {
        browser.driver().set_window_rect(0, 0, width, 900).await.unwrap();
        for theme in ["light", "dark"] {
            for language in ["en", "zh"] {
                let choose = format!(
                    "localStorage.setItem('cliproxy.theme', '{theme}'); localStorage.setItem('cliproxy.language', '{language}')"
                );
                browser.run(&choose).await;
                browser.driver().refresh().await.unwrap();
                browser.shows("main h1", "").await;
                for page in PAGES {
                    let hash = if page == "route" { "route?model=up" } else { page };
                    browser.run(&format!("location.hash = '#/{hash}'")).await;
                    browser.until("return location.hash.startsWith('#/' + text) && document.querySelector('main h1') !== null && document.querySelector('.loading') === null", "", page).await;
                    let name = format!("look-{size}-{theme}-{language}-{page}");
                    browser.screenshot(&name).await;
                    let beyond =
                        "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                    assert_eq!(browser.run(beyond).await, 0, "{name} is wider than the screen");
                    let cut = "return [...document.querySelectorAll('main .button, main th, main h1, main h2, main .badge')] \
                        .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible') \
                        .map(one => one.innerText)";
                    assert_eq!(browser.run(cut).await, json!([]), "{name}: texts are cut off");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn theme_and_language_change_at_once_and_are_remembered() {
    let Some(desk) = Desk::open("", &["--demo"]).await else { return };
    let browser = &desk.browser;
    let page = "return getComputedStyle(document.body).backgroundColor";
    browser.click(".side .segments label:nth-of-type(2)").await;
    let light = browser.run(page).await;
    browser.click(".side .segments label:nth-of-type(3)").await;
    browser.shows("html[data-theme=dark]", "").await;
    assert_ne!(browser.run(page).await, light);
    browser.click(".side .row .segments:nth-child(2) label:nth-of-type(2)").await;
    browser.shows("h1", "概览").await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "zh-CN");
    browser.screenshot("dashboard-dark-chinese").await;
    browser.driver().refresh().await.unwrap();
    browser.shows("html[data-theme=dark] h1", "概览").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_a_phone() {
    let Some(desk) = Desk::open("", &["--demo"]).await else { return };
    let browser = &desk.browser;
    browser.driver().set_window_rect(0, 0, 500, 900).await.unwrap();
    for (at, name) in PAGES.iter().enumerate() {
        browser.click(".top .button").await;
        browser.click(&format!("dialog.drawer nav a:nth-child({})", at + 1)).await;
        browser.hides("dialog.drawer", "").await;
        browser.until("return document.querySelector('.loading') === null", "", "").await;
        let beyond = browser
            .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert_eq!(beyond, 0, "{name} is wider than the screen");
        browser.screenshot(&format!("dashboard-narrow-{name}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() {
    let Some(desk) = Desk::at_the_door("", &["--demo"]).await else { return };
    let browser = &desk.browser;
    browser.shows("input[type=password]:focus", "").await;
    desk.press(&format!("{KEY}{ENTER}")).await;
    browser.shows("h1", "Overview").await;
    browser.run("document.activeElement.blur()").await;
    desk.press(TAB).await;
    assert_eq!(desk.focused().await, "Skip to content");
    desk.press(ENTER).await;
    browser.shows("main:focus", "").await;
    browser.run("document.activeElement.blur()").await;
    desk.tab_to("Accounts").await;
    let ring = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.run(ring).await, "solid", "the focus is seen");
    desk.press(ENTER).await;
    browser.shows("h1", "Accounts").await;

    desk.tab_to("Add account").await;
    desk.press(ENTER).await;
    browser.shows("dialog .providers button:first-child:focus", "").await;
    for _ in 0..30 {
        desk.press(TAB).await;
        let inside = "return document.activeElement === document.body || document.activeElement.closest('dialog') !== null";
        assert_eq!(browser.run(inside).await, true, "the focus stays in the dialog");
    }
    desk.press(ESCAPE).await;
    browser.hides("dialog", "").await;
    assert_eq!(desk.focused().await, "Add account", "the focus comes back");

    browser.shows(".account .menu", "").await;
    let name = browser.find(".account .menu button").await.attr("aria-label").await.unwrap().unwrap();
    desk.tab_to(&name).await;
    desk.press(ENTER).await;
    browser.shows("[role=menuitem]:focus", "").await;
    desk.press(ESCAPE).await;
    browser.hides("[role=menu]", "").await;
    assert_eq!(desk.focused().await, name);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_gets_out_of_the_editor() {
    let Some(desk) = Desk::open("", &[]).await else { return };
    desk.page("config").await;
    desk.browser.shows(".badge.good", "Valid").await;
    desk.browser.run("document.querySelector('.host').shadowRoot.querySelector('.cm-content').focus()").await;
    desk.press(ESCAPE).await;
    desk.press(TAB).await;
    let inside = "return document.activeElement?.classList.contains('host') ?? false";
    assert_eq!(desk.browser.run(inside).await, false);
}
