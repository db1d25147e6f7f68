//! Accounts: logged in, looked at, switched, changed and removed.

use cliproxy_testkit::identity::{Browser as Elsewhere, IdentityProvider};

use super::Desk;

/// A desk whose logins go to a scripted identity provider.
async fn arranged() -> Option<(IdentityProvider, Desk)> {
    let provider = IdentityProvider::start().await;
    let desk = Desk::open(&provider.endpoints(), &[]).await?;
    desk.page("accounts").await;
    Some((provider, desk))
}

impl Desk {
    /// Begins a login of the provider whose button says this.
    async fn begin(&self, provider: &str) {
        self.begin_by(provider, "").await;
    }

    /// The same, in one of the ways that the provider has.
    async fn begin_by(&self, provider: &str, way: &str) {
        self.browser.click(".page > .title .primary").await;
        self.browser.shows("dialog", "Which account do you have?").await;
        let press = format!(
            "[...document.querySelectorAll('.providers button')].find(one => one.innerText.includes('{provider}') && one.innerText.includes('{way}')).click()"
        );
        self.browser.run(&press).await;
        self.browser.shows("dialog .steps", "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_added_by_its_provider_and_used_and_removed() {
    let Some((_provider, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    browser.shows(".empty", "No accounts yet").await;
    desk.begin("Claude").await;
    browser.screenshot("dashboard-login").await;
    browser.click("dialog .steps a.button").await;
    browser.shows("dialog .notice.good", "The account of Claude is there").await;
    browser.click("dialog footer .primary").await;
    browser.shows(".account .label", "person@example.com").await;
    browser.screenshot("dashboard-account").await;

    browser.click(".account .switch").await;
    browser.shows(".account .badge", "Off").await;
    browser.click(".account .switch").await;
    browser.shows(".account .badge", "Ready").await;

    browser.click(".account .menu button").await;
    browser.click("[role=menuitem]:nth-child(1)").await;
    browser.fill("dialog .field:nth-child(1) input", "7").await;
    browser.fill("dialog .field:nth-child(3) input", "mine").await;
    browser.click("dialog [type=submit]").await;
    browser.shows(".account .about", "priority 7").await;
    browser.shows(".account .about", "mine").await;

    browser.click(".account .menu button").await;
    browser.click("[role=menuitem].bad").await;
    browser.shows("dialog", "with its tokens is deleted").await;
    browser.click("dialog footer .danger").await;
    browser.shows(".empty", "No accounts yet").await;
    assert_eq!(
        std::fs::read_dir(desk.gateway.accounts())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "json"))
            })
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_browser_elsewhere_is_pasted() {
    let Some((_provider, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    desk.begin("Codex").await;
    let url = browser.find("dialog .steps a.button").await.attr("href").await.unwrap().unwrap();
    let pasted = Elsewhere::default().stop_at_redirect(&url).await;
    browser.fill("dialog .steps input", "http://localhost:1455/auth/callback?state=nobody&code=x").await;
    browser.click("dialog .steps [type=submit]").await;
    browser.shows("dialog .hint.bad", "no longer waiting").await;
    browser.fill("dialog .steps input", &pasted).await;
    browser.click("dialog .steps [type=submit]").await;
    browser.shows("dialog .notice.good", "is there and serves").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_login_shows_its_code_and_can_be_given_up() {
    let Some((provider, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    desk.begin("Qwen").await;
    browser.click("dialog footer button").await;
    browser.hides("dialog", "").await;
    desk.begin("Qwen").await;
    let code = browser.text("dialog .device-code").await;
    browser.screenshot("dashboard-device-code").await;
    provider.confirm(&code);
    browser.shows("dialog .notice.good", "is there and serves").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_is_logged_in_by_a_code_too() {
    let Some((provider, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    desk.begin_by("Codex", "with a code").await;
    let code = browser.text("dialog .device-code").await;
    let page = browser.find("dialog .steps a.button").await.attr("href").await.unwrap().unwrap();
    assert!(page.ends_with("/codex/device"), "{page}");
    // Nothing comes back to this machine, so nothing is to be pasted.
    browser.hides("dialog .steps form", "").await;
    browser.screenshot("dashboard-codex-code").await;
    provider.confirm(&code);
    browser.shows("dialog .notice.good", "is there and serves").await;
    browser.click("dialog footer .primary").await;
    browser.shows(".account .label", "person@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_declined_says_why() {
    let Some((provider, desk)) = arranged().await else { return };
    desk.begin("Qwen").await;
    provider.decline(&desk.browser.text("dialog .device-code").await);
    desk.browser.shows("dialog [role=alert]", "").await;
    desk.browser.shows("dialog footer", "Try again").await;
}
