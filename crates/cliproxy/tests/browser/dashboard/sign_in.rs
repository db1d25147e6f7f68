//! Who gets in, and what others are told.

use cliproxy_testkit::Launch;

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_and_the_right_one_enters_until_it_is_given_up() {
    let Some(desk) = Desk::at_the_door("", &[]).await else { return };
    let browser = &desk.browser;
    browser.fill("input[type=password]", "not the key").await;
    browser.click("button[type=submit]").await;
    browser.shows("[role=alert]", "This is not the management key").await;
    browser.screenshot("dashboard-sign-in").await;
    desk.sign_in().await;
    browser.shows(".steps", "Add an account or a key").await;
    browser.screenshot("dashboard-first-steps").await;
    browser.driver().refresh().await.unwrap();
    browser.shows("h1", "Overview").await;
    browser.click(".side .foot .quiet").await;
    browser.shows("input[type=password]", "").await;
    browser.driver().refresh().await.unwrap();
    browser.shows("input[type=password]", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_remembered_where_that_is_wanted() {
    let Some(desk) = Desk::at_the_door("", &[]).await else { return };
    desk.browser.click("input[type=checkbox]").await;
    desk.sign_in().await;
    desk.browser.run("sessionStorage.clear()").await;
    desk.browser.driver().refresh().await.unwrap();
    desk.browser.shows("h1", "Overview").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_key_says_how_to_open_it() {
    let gateway = Launch::new(crate::binary()).config("").start();
    let Some(desk) = Desk::before(gateway).await else { return };
    desk.browser.fill("input[type=password]", "anything").await;
    desk.browser.click("button[type=submit]").await;
    desk.browser.shows(".notice", "The management interface is switched off").await;
    desk.browser.shows("pre", "secret-key").await;
    desk.browser.screenshot("dashboard-without-a-key").await;
}
