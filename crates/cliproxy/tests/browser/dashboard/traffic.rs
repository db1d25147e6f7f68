//! Requests: seen as they stream, counted, and explained.

use bytes::Bytes;
use cliproxy_testkit::{Gate, Script, Upstream};

use super::Desk;

const FIRST: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}

"#;
const LAST: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1200,"completion_tokens":34,"total_tokens":1234}}

data: [DONE]

"#;

/// A gateway on record, with one upstream whose streams go on when the gate opens.
async fn arranged() -> Option<(Gate, Upstream, Desk)> {
    let gate = Gate::default();
    let waits = gate.clone();
    let upstream =
        Upstream::start(move |_| Script::events(vec![Bytes::from(FIRST)]).wait(&waits).send(LAST)).await;
    let config = format!(
        "usage-statistics-enabled: true\nusage-ledger:\n  prices:\n    - {{model: '*', input: 1000, output: 1000}}\nopenai-compatibility:\n  - {{name: scripted, base-url: '{}/v1', api-key-entries: [{{api-key: upstream-key-0001}}], models: [{{name: up, alias: up}}]}}\n",
        upstream.url()
    );
    let desk = Desk::open(&config, &[]).await?;
    Some((gate, upstream, desk))
}

/// A streamed request, answered as far as the upstream lets it.
async fn ask(desk: &Desk) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"model":"up","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let request = client.post(format!("{}/v1/chat/completions", desk.gateway.url()));
    request.header("content-type", "application/json").body(body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_seen_to_arrive_and_to_end() {
    let Some((gate, _upstream, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    desk.page("live").await;
    browser.shows(".empty", "Nothing passes at the moment").await;
    browser.shows("h1 + p", "Listening").await;
    let answer = ask(&desk).await;
    browser.shows("tr[data-state=streaming]", "up").await;
    browser.shows("h1 + p", "one request running").await;
    browser.screenshot("dashboard-live").await;
    gate.open();
    assert!(answer.text().await.unwrap().contains("[DONE]"));
    browser.shows("tr[data-state=complete]", "1.2k → 34").await;
    browser.shows("h1 + p", "0 requests running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_stands_in_a_chart_and_in_tables() {
    let Some((gate, _upstream, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    gate.open();
    ask(&desk).await.text().await.unwrap();
    desk.page("usage").await;
    browser.shows(".tile dd", "1.2k").await;
    browser.shows(".tile dd", "1.23").await;
    browser.shows(".legend", "up").await;
    let drawn = "const canvas = document.querySelector('.chart canvas'); \
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); \
        const wanted = getComputedStyle(document.querySelector('.legend .swatch')).backgroundColor.match(/\\d+/g).map(Number); \
        let count = 0; \
        for (let at = 0; at < data.length; at += 4) \
            count += wanted.every((value, channel) => Math.abs(data[at + channel] - value) < 3) && data[at + 3] === 255; \
        return count";
    assert!(browser.run(drawn).await.as_u64().unwrap() > 100, "a column of the color of its legend");
    browser.screenshot("dashboard-usage").await;
    browser.click(".panel header .segments:nth-of-type(2) label:nth-of-type(4)").await;
    browser.shows("td.share", "scripted").await;
    browser.shows("tbody .badge", "Complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explainer_says_who_would_serve_and_that_a_model_is_unknown() {
    let Some((_gate, _upstream, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    desk.page("route").await;
    browser.fill(".ask input", "up").await;
    browser.click(".ask [type=submit]").await;
    browser.shows(".candidate.chosen", "would be asked now").await;
    browser.screenshot("dashboard-route").await;
    browser.fill(".ask input", "nothing-like-it").await;
    browser.click(".ask [type=submit]").await;
    browser.shows("[role=alert]", "Nobody offers this model").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_switched_on_filtered_and_followed() {
    let Some((gate, _upstream, desk)) = arranged().await else { return };
    let browser = &desk.browser;
    gate.open();
    desk.page("logs").await;
    browser.click(".empty .primary").await;
    browser.shows(".log", "").await;
    ask(&desk).await.text().await.unwrap();
    browser.shows(".log .line", "/v1/chat/completions").await;
    browser.screenshot("dashboard-logs").await;
    browser.fill(".search input", "no line has these words").await;
    browser.shows(".log", "Nothing matches").await;
}
