//! What the page asks for, and what it is not allowed to.

use std::io::Write as _;

use super::Desk;

const PAGES: [&str; 8] = ["overview", "accounts", "live", "usage", "route", "keys", "config", "logs"];

#[tokio::test(flavor = "multi_thread")]
async fn no_page_breaks_the_policy_or_asks_anybody_but_the_gateway() {
    let Some(desk) = Desk::open("usage-statistics-enabled: true\n", &["--demo"]).await else { return };
    let browser = &desk.browser;
    for page in PAGES {
        desk.page(page).await;
        browser.until("return document.querySelector('.loading') === null", "", "").await;
        browser.screenshot(&format!("dashboard-{page}")).await;
    }
    browser.click(".side .segments label:nth-of-type(2)").await;
    // The log is not written to files here, which its page finds out by asking.
    let is_expected = |complaint: &String| complaint.contains("/v0/management/logs");
    let complaints: Vec<String> =
        browser.complaints().await.into_iter().filter(|one| !is_expected(one)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let own = format!("{}/", desk.gateway.url());
    let foreign: Vec<String> = browser
        .addresses()
        .await
        .into_iter()
        .filter(|url| !url.starts_with(&own) && !url.starts_with("data:"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_and_styles_of_others_are_refused_by_the_browser() {
    let Some(desk) = Desk::open("", &[]).await else { return };
    let browser = &desk.browser;
    browser.run("const script = document.createElement('script'); script.text = 'window.broken = true'; document.body.append(script)").await;
    assert_eq!(browser.run("return window.broken === undefined").await, true);
    browser.run("fetch('http://127.0.0.1:9/').catch(() => document.body.dataset.refused = 'yes')").await;
    browser.shows("body[data-refused=yes]", "").await;
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().filter(|one| one.contains("Content Security Policy")).count() >= 2,
        "{complaints:?}"
    );
}

/// A measurement to read, not a limit: the machine decides too.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_paint_is_measured() {
    let Some(desk) = Desk::at_the_door("", &[]).await else { return };
    let mut times = Vec::new();
    for _ in 0..5 {
        desk.browser.go("about:blank").await;
        desk.browser.go(&format!("{}/management.html", desk.gateway.url())).await;
        desk.browser.shows("input[type=password]", "").await;
        let paint = "return new Promise(done => new PerformanceObserver(list => { \
            const [first] = list.getEntriesByName('first-contentful-paint'); if (first) done(first.startTime); \
            }).observe({ type: 'paint', buffered: true }))";
        times.push(desk.browser.run(paint).await.as_f64().unwrap());
    }
    assert!(times.iter().all(|time| *time > 0.0), "{times:?}");
    times.sort_by(f64::total_cmp);
    let [best, _, median, _, worst] = times.try_into().unwrap();
    writeln!(
        std::io::stderr(),
        "dashboard: first paint {best:.0} ms at best, {median:.0} in the middle, {worst:.0} at worst"
    )
    .unwrap();
}
