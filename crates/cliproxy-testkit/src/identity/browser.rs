//! A browser, as far as a login needs one: it follows redirects.

/// Somebody's browser.
#[derive(Clone)]
pub struct Browser(reqwest::Client);

impl Default for Browser {
    fn default() -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self(client)
    }
}

impl Browser {
    /// Visits a page, follows it wherever it leads, and tells where that was: the last address, its status and text.
    pub async fn visit(&self, url: &str) -> (String, u16, String) {
        let answer = self.0.get(url).send().await.expect("an answer");
        let (address, status) = (answer.url().to_string(), answer.status().as_u16());
        (address, status, answer.text().await.expect("a text"))
    }

    /// Visits a page that may break off.
    pub async fn try_visit(&self, url: &str) {
        drop(self.0.get(url).send().await);
    }

    /// Visits a page and stops at the address to which it would go on: what is left in the address bar of a browser
    /// on another machine.
    pub async fn stop_at_redirect(&self, url: &str) -> String {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let answer = client.get(url).send().await.expect("an answer");
        let target = answer.headers().get("location").expect("a redirect");
        target.to_str().expect("an address").to_owned()
    }
}
