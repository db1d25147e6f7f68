//! The configuration: broken, mended, overtaken by others, put back.

use super::Desk;

const CONFIG: &str = "# mine\nrequest-retry: 2\n";

impl Desk {
    /// Opens the editor with the focus at the end of the text.
    async fn edit(&self) {
        self.page("config").await;
        self.browser.shows(".badge.good", "Valid").await;
        self.browser
            .run("document.querySelector('.host').shadowRoot.querySelector('.cm-content').focus()")
            .await;
        let at_the_end = self
            .browser
            .driver()
            .action_chain()
            .key_down('\u{e009}')
            .send_keys("\u{e010}")
            .key_up('\u{e009}');
        at_the_end.perform().await.expect("keys");
    }

    async fn save(&self) {
        self.browser.click(".page > .tools .primary").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_text_is_marked_at_its_line_and_never_saved() {
    let Some(desk) = Desk::open(CONFIG, &[]).await else { return };
    let browser = &desk.browser;
    desk.edit().await;
    desk.press("max-request-body-mb: lots").await;
    browser.shows(".problems .place", "line 3").await;
    browser.shows(".problems .place", "max-request-body-mb").await;
    browser.screenshot("dashboard-broken-configuration").await;
    let language = async |nth: u8| {
        browser.click(&format!(".side .row .segments:nth-child(2) label:nth-of-type({nth})")).await;
    };
    language(2).await;
    browser.shows(".problems", "应为整数，实际为其他文本").await;
    browser.screenshot("dashboard-broken-chinese").await;
    language(1).await;
    browser.shows(".problems", "expected a whole number, found other text").await;
    let marks =
        "return document.querySelector('.host').shadowRoot.querySelectorAll('.cm-lintRange-error').length";
    assert_eq!(browser.run(marks).await, 1);
    desk.save().await;
    browser.shows(".toast.bad", "Not saved").await;
    assert_eq!(desk.file(), CONFIG);

    browser.click(".problems button").await;
    desk.press("5").await;
    browser.shows(".badge.good", "Valid").await;
    desk.save().await;
    browser.shows(".toast.good", "Saved and applied").await;
    assert!(desk.file().starts_with("# mine\nrequest-retry: 2\nmax-request-body-mb: 5"), "{}", desk.file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_others_changed_meanwhile_is_not_overwritten_unasked() {
    let Some(desk) = Desk::open(CONFIG, &[]).await else { return };
    let browser = &desk.browser;
    desk.edit().await;
    desk.press("debug: true\n").await;
    browser.shows(".badge.info", "Changed").await;
    desk.gateway.reload("# theirs\nrequest-retry: 5\n", "configuration updated").await;
    desk.save().await;
    browser.shows(".notice.warn", "Somebody else changed the file").await;
    browser.screenshot("dashboard-stale-configuration").await;
    assert_eq!(desk.file(), "# theirs\nrequest-retry: 5\n");
    browser.click(".notice.warn .button:nth-child(2)").await;
    browser.shows(".toast.good", "Saved and applied").await;
    assert!(desk.file().contains("debug: true"), "{}", desk.file());

    browser.click(".page > .tools .button:nth-child(3)").await;
    browser.click(".versions li:nth-child(1) .button:nth-child(2)").await;
    browser.shows("dialog pre", "# theirs").await;
    browser.screenshot("dashboard-versions").await;
    browser.click(".versions li:nth-child(1) .button:nth-child(3)").await;
    browser.click("dialog.small footer .primary").await;
    browser.shows(".toast.good", "Restored and applied").await;
    assert_eq!(desk.file(), "# theirs\nrequest-retry: 5\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_written_as_it_is_switched() {
    let Some(desk) = Desk::open(CONFIG, &[]).await else { return };
    desk.page("config").await;
    desk.browser.click(".title .segments label:nth-of-type(2)").await;
    desk.browser.click("[role=switch][aria-label='Log details that help to find faults']").await;
    desk.browser
        .shows("[role=switch][aria-checked=true][aria-label='Log details that help to find faults']", "")
        .await;
    assert!(desk.file().starts_with(CONFIG) && desk.file().contains("debug: true"), "{}", desk.file());
}
