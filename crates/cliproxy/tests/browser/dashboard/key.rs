//! Keys of clients and of upstreams.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_key_is_made_limits_nothing_else_and_goes() {
    let Some(desk) = Desk::open("api-keys:\n  - first-client-key # the first\n", &[]).await else { return };
    let browser = &desk.browser;
    desk.page("keys").await;
    browser.shows(".key-row code", "fir••••-key").await;
    browser.click(".panel header .primary").await;
    let made = browser.find("dialog input.mono").await.prop("value").await.unwrap().unwrap();
    assert!(made.starts_with("sk-") && made.len() == 51, "{made}");
    browser.click("dialog [type=submit]").await;
    browser.shows("dialog pre", &made).await;
    browser.click("dialog footer .primary").await;
    browser.shows(".key-row:nth-child(2) code", "sk-••••").await;
    assert!(desk.file().contains(&made) && desk.file().contains("# the first"), "{}", desk.file());
    browser.screenshot("dashboard-client-keys").await;
    browser.click(".key-row:nth-child(2) .row > .button.quiet.square:last-child").await;
    browser.click("dialog footer .danger").await;
    browser.hides(".key-row:nth-child(2)", "").await;
    assert!(!desk.file().contains(&made), "{}", desk.file());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_key_is_edited_without_losing_what_the_form_does_not_show() {
    let config = "claude-api-key:\n  - api-key: sk-ant-0001\n    rebuild-mid-system-message: true # keep\n";
    let Some(desk) = Desk::open(config, &[]).await else { return };
    let browser = &desk.browser;
    desk.page("keys").await;
    browser.click(".title .segments label:nth-of-type(2)").await;
    browser.shows(".key-row strong", "sk-••••0001").await;
    browser.click(".key-row .menu button").await;
    browser.click("[role=menuitem]").await;
    browser.fill("dialog .field:nth-child(3) input", "team").await;
    browser.screenshot("dashboard-upstream-key").await;
    browser.click("dialog [type=submit]").await;
    browser.shows(".key-row .about", "prefix team").await;
    let file = desk.file();
    assert!(
        file.contains("rebuild-mid-system-message: true # keep") && file.contains("prefix: \"team\""),
        "{file}"
    );
    browser.click(".panel .row .button:nth-child(7)").await;
    browser.fill("dialog .field:nth-child(1) input", "local").await;
    browser.fill("dialog .field:nth-child(2) input", "not an address").await;
    browser.click("dialog [type=submit]").await;
    browser.shows("dialog [role=alert]", "base-url").await;
    assert_eq!(desk.file(), file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_key_gets_limits_and_loses_them_with_itself() {
    let Some(desk) = Desk::open("api-keys: [first-client-key, second-client-key]\n", &[]).await else {
        return;
    };
    let browser = &desk.browser;
    desk.page("keys").await;
    browser.click(".key-row:nth-child(2) .button:not(.square)").await;
    browser.fill("dialog .field:nth-child(1) input", "laptop").await;
    browser.click("dialog fieldset .button").await;
    browser.fill("dialog .limit-row input:nth-of-type(1)", "many").await;
    browser.shows("dialog fieldset .hint.bad", "Numbers only").await;
    browser.fill("dialog .limit-row input:nth-of-type(1)", "5").await;
    browser.screenshot("dashboard-limits").await;
    browser.click("dialog [type=submit]").await;
    browser.shows(".key-row:nth-child(2) strong", "laptop").await;
    browser.shows(".key-row:nth-child(2) .quota", "0 / 5").await;
    assert!(desk.file().contains("api-key-limits") && desk.file().contains("laptop"), "{}", desk.file());

    browser.click(".key-row:nth-child(2) .row > .button.quiet.square:last-child").await;
    browser.click("dialog footer .danger").await;
    browser.hides(".key-row:nth-child(2)", "").await;
    assert!(!desk.file().contains("second-client-key"), "{}", desk.file());
}
