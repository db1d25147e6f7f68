//! The dashboard, as a person uses it. Pictures of what the tests saw lie in `target/screenshots`.

mod account;
mod configuration;
mod key;
mod look;
mod safety;
mod sign_in;
mod traffic;

use cliproxy_testkit::browser::Browser;
use cliproxy_testkit::{Gateway, Launch};

/// The management key of these tests.
const KEY: &str = "dashboard-key-0001";

/// Keys of a keyboard as the driver wants them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// Somebody before the dashboard.
struct Desk {
    browser: Browser,
    gateway: Gateway,
}

impl Desk {
    /// Signed in. `None` means that the reason to skip has been said.
    async fn open(config: &str, arguments: &[&str]) -> Option<Self> {
        let desk = Self::at_the_door(config, arguments).await?;
        desk.sign_in().await;
        Some(desk)
    }

    /// Before the sign-in page.
    async fn at_the_door(config: &str, arguments: &[&str]) -> Option<Self> {
        let arguments = [&["--password", KEY], arguments].concat();
        Self::before(Launch::new(crate::binary()).config(config).arguments(&arguments).start()).await
    }

    /// Before the first page of a gateway.
    async fn before(gateway: Gateway) -> Option<Self> {
        let browser = Browser::open().await?;
        browser.go(gateway.url()).await;
        if browser.run("return document.querySelector('#app') === null").await == true {
            cliproxy_testkit::skip("the dashboard is not built: Node.js is missing");
            return None;
        }
        browser.run("localStorage.setItem('cliproxy.language', 'en')").await;
        browser.driver().refresh().await.expect("a page");
        Some(Self { browser, gateway })
    }

    async fn sign_in(&self) {
        self.browser.fill("input[type=password]", KEY).await;
        self.browser.click("button[type=submit]").await;
        self.browser.shows("h1", "Overview").await;
    }

    /// Goes to a page by its link.
    async fn page(&self, name: &str) {
        self.browser.click(&format!(".side nav a[href='#/{name}']")).await;
        self.browser.shows(&format!(".side nav a[href='#/{name}'][aria-current=page]"), "").await;
    }

    /// Presses keys, wherever the focus is.
    async fn press(&self, keys: &str) {
        let keyboard = self.browser.driver().action_chain().send_keys(keys);
        keyboard.perform().await.expect("keys");
    }

    /// What has the focus, as people hear it.
    async fn focused(&self) -> String {
        let script = "const at = document.activeElement; \
            return (at.getAttribute('aria-label') ?? at.innerText ?? '').trim() || at.tagName.toLowerCase()";
        self.browser.run(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Presses Tab until something with this name has the focus.
    async fn tab_to(&self, name: &str) {
        for _ in 0..80 {
            if self.focused().await == name {
                return;
            }
            self.press(TAB).await;
        }
        panic!("the keyboard does not reach {name}");
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.gateway.config()).unwrap()
    }
}
