//! Themes, languages, narrow screens, and the keyboard alone.

use super::{Desk, ENTER, ESCAPE, KEY, TAB};

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
    for (at, name) in
        ["overview", "accounts", "live", "usage", "route", "keys", "config", "logs"].iter().enumerate()
    {
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
