//! The example page between the gateway and a scripted Gemini.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cliproxy_testkit::browser::Browser;
use cliproxy_testkit::{Gate, Gateway, Received, Script, Upstream};
use serde_json::Value;

use crate::format::{FORMATS, TEXT, answering, is_complete, request, text_of};

const MODEL: &str = "gemini-2.5-pro";
const CONFIG: &str = "api-keys: [client-key-0001]\nrequest-retry: 0\n";
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/aistudio-app");

/// Serves the page.
async fn site() -> Upstream {
    Upstream::start(|received| {
        let (file, kind) = match received.path.trim_start_matches('/') {
            "" => ("index.html", "text/html"),
            "app.js" => ("app.js", "text/javascript"),
            _ => return Script::json(404, ""),
        };
        let content = std::fs::read(format!("{PAGE}/{file}")).unwrap();
        Script::json(200, content).header("content-type", kind)
    })
    .await
}

/// A Gemini that lets pages of any origin ask, and answers by `script`.
async fn gemini(script: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |received| {
        let answer =
            if received.method == "OPTIONS" { Script::json(204, Bytes::new()) } else { script(received) };
        answer
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-headers", "content-type, x-goog-api-key")
    })
    .await
}

/// Opens the page in the tab of the moment and connects it, with this key of Gemini.
async fn connect(browser: &Browser, gateway: &Gateway, gemini: &Upstream, key: &str) {
    let site = site().await;
    browser.go(&site.url()).await;
    browser.fill("#url", &format!("ws://{}/v1/ws", gateway.address())).await;
    browser.fill("#key", "client-key-0001").await;
    browser.fill("#base", &gemini.url()).await;
    browser.fill("#gemini-key", key).await;
    browser.click("#connect").await;
    browser.shows("#state", "connected").await;
}

/// Asks by any format, and reads the answer to its end.
async fn ask(gateway: &Gateway, format: &str, is_stream: bool) -> (u16, String) {
    let (path, body) = request(format, MODEL, is_stream);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asking = client.post(format!("{}{path}", gateway.url())).header("x-api-key", "client-key-0001");
    let answer = asking.header("content-type", "application/json").body(body.to_string()).send();
    let answer = answer.await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn posts(gemini: &Upstream) -> Vec<Received> {
    gemini.received().into_iter().filter(|received| received.method == "POST").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_is_served_by_a_page_in_a_browser() {
    let Some(browser) = Browser::open().await else { return };
    let gateway = Gateway::start(crate::binary(), CONFIG, &[]);
    let gemini = gemini(answering("gemini")).await;
    connect(&browser, &gateway, &gemini, "gemini-key-0001").await;
    for format in FORMATS {
        for is_stream in [false, true] {
            let (status, body) = ask(&gateway, format, is_stream).await;
            assert_eq!((status, &*text_of(format, is_stream, &body)), (200, TEXT), "{format}: {body}");
            assert!(!is_stream || is_complete(format, &body), "{format}: {body}");
        }
    }
    let asked = posts(&gemini);
    assert_eq!(asked.len(), 8);
    for received in asked {
        assert_eq!(received.header("x-goog-api-key"), "gemini-key-0001");
        assert!(received.header("origin").starts_with("http://127.0.0.1:"), "{:?}", received.headers);
        let all = format!("{received:?}");
        assert!(!all.contains("client-key-0001"), "{all}");
    }
    browser.shows("#requests", "done").await;
    browser.screenshot("aistudio").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pages_take_turns_and_refusals_are_what_they_are() {
    let Some(browser) = Browser::open().await else { return };
    let gateway = Gateway::start(crate::binary(), CONFIG, &[]);
    let serve = answering("gemini");
    let gemini = gemini(move |received| match received.header("x-goog-api-key") {
        "used-up" => Script::json(
            429,
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"quota","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3600s"}]}}"#,
        ),
        _ => serve(received),
    })
    .await;
    connect(&browser, &gateway, &gemini, "one").await;
    let tab = browser.driver().new_tab().await.unwrap();
    browser.driver().switch_to_window(tab).await.unwrap();
    connect(&browser, &gateway, &gemini, "two").await;
    for at in 0..4 {
        assert_eq!(ask(&gateway, "chat", at % 2 == 0).await.0, 200);
    }
    let mut keys: Vec<String> =
        posts(&gemini).iter().map(|received| received.header("x-goog-api-key").to_owned()).collect();
    keys.sort();
    assert_eq!(keys, ["one", "one", "two", "two"]);
    // The same tab again, with a key whose quota is used up: both requests are served by the other page.
    connect(&browser, &gateway, &gemini, "used-up").await;
    for _ in 0..3 {
        let (status, body) = ask(&gateway, "claude", true).await;
        assert_eq!((status, &*text_of("claude", true, &body)), (200, TEXT), "{body}");
    }
    let refused =
        posts(&gemini).iter().filter(|received| received.header("x-goog-api-key") == "used-up").count();
    assert_eq!(refused, 1, "it rests from then on: {}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_closed_in_the_middle_of_a_stream_is_an_error_and_the_other_serves_on() {
    let Some(browser) = Browser::open().await else { return };
    let gateway = Gateway::start(crate::binary(), CONFIG, &[]);
    let (gate, count) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let asker: Arc<Mutex<String>> = Arc::default();
    let (serve, held, noted) = (answering("gemini"), gate.clone(), Arc::clone(&asker));
    let gemini = gemini(move |received| {
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            return serve(received);
        }
        *noted.lock().unwrap() = received.header("x-goog-api-key").to_owned();
        let event = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"half\"}]}}]}\r\n\r\n";
        Script::events(vec![Bytes::from_static(event.as_bytes())]).wait(&held)
    })
    .await;
    let first = browser.driver().window().await.unwrap();
    connect(&browser, &gateway, &gemini, "one").await;
    let second = browser.driver().new_tab().await.unwrap();
    browser.driver().switch_to_window(second.clone()).await.unwrap();
    connect(&browser, &gateway, &gemini, "two").await;

    let (path, body) = request("chat", MODEL, true);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asking = client.post(format!("{}{path}", gateway.url())).header("x-api-key", "client-key-0001");
    let mut answer =
        asking.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let mut text = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let is_first = *asker.lock().unwrap() == "one";
    let (goes, stays) = if is_first { (first, second) } else { (second, first) };
    browser.driver().switch_to_window(goes).await.unwrap();
    browser.driver().close_window().await.unwrap();
    while let Some(piece) = answer.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("half") && text.contains("disconnected"), "{text}");
    assert!(!is_complete("chat", &text), "{text}");
    gate.open();
    browser.driver().switch_to_window(stays).await.unwrap();
    for format in FORMATS {
        assert_eq!(ask(&gateway, format, true).await.0, 200, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_let_go_says_why_and_comes_back_by_itself() {
    let Some(browser) = Browser::open().await else { return };
    let gateway = Gateway::start(crate::binary(), CONFIG, &[]);
    let gemini = gemini(answering("gemini")).await;
    connect(&browser, &gateway, &gemini, "one").await;
    let updated = "clients and configuration updated";
    gateway.reload("api-keys: [client-key-0002]\nrequest-retry: 0\n", updated).await;
    browser.shows("#state", "connecting again").await;
    gateway.reload(CONFIG, updated).await;
    browser.until("return document.querySelector(css).textContent === text", "#state", "connected").await;
    let (status, body) = ask(&gateway, "responses", true).await;
    assert_eq!((status, &*text_of("responses", true, &body)), (200, TEXT), "{body}");
    browser.click("#disconnect").await;
    gateway.said("a page of AI Studio has gone", 2);
    let models: Value = {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asking =
            client.get(format!("{}/v1/models", gateway.url())).header("x-api-key", "client-key-0001");
        serde_json::from_str(&asking.send().await.unwrap().text().await.unwrap()).unwrap()
    };
    assert_eq!(models["data"], serde_json::json!([]));
}
