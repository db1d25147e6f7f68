//! Pages that misbehave, refuse, or go while they are asked.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::page::Page;
use super::{CONFIG, MODEL};
use crate::support::{self, FORMATS, TEXT};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_before_it_answers_is_replaced_by_the_next_one() {
    let gateway = support::start(CONFIG, &[]);
    for is_stream in [false, true] {
        let (one, two) = (Page::connect(&gateway).await, Page::connect(&gateway).await);
        let (answer, ()) = tokio::join!(support::ask_model(&gateway, "claude", MODEL, is_stream), async {
            let (mut one, mut two) = (one, two);
            let (gone, mut stays) = tokio::select! {
                _ = one.asked() => (one, two),
                _ = two.asked() => (two, one),
            };
            drop(gone);
            stays.serve().await;
        });
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(support::text_of("claude", is_stream, &answer.body), TEXT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_in_the_middle_of_a_stream_leaves_an_error_and_no_end() {
    let gateway = support::start(CONFIG, &[]);
    for format in FORMATS {
        let mut page = Page::connect(&gateway).await;
        let asking = support::ask_model(&gateway, format, MODEL, true);
        let (answer, ()) = tokio::join!(asking, async move {
            let asked = page.asked().await;
            page.begin(&asked).await;
            let event = r#"{"candidates":[{"content":{"parts":[{"text":"half"}]}}]}"#;
            page.chunk(&asked, &format!("data: {event}\r\n\r\n")).await;
            // A pong proves that everything before it was read.
            page.say(&json!({"id": "p", "type": "ping"})).await;
            assert_eq!(page.frame().await, json!({"id": "p", "type": "pong"}));
        });
        assert!(!support::is_complete(format, &answer.body), "{format}: {}", answer.body);
        assert!(
            answer.body.contains("half") && answer.body.contains("disconnected"),
            "{format}: {}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_page_the_client_hears_that_it_has_gone() {
    let gateway = support::start(CONFIG, &[]);
    for format in FORMATS {
        let mut page = Page::connect(&gateway).await;
        let asking = support::ask_model(&gateway, format, MODEL, false);
        let (answer, ()) = tokio::join!(asking, async move { drop(page.asked().await) });
        let expected = if format == "claude" { 529 } else { 503 };
        assert_eq!(answer.status, expected, "{format}: {}", answer.body);
        assert!(answer.error(format).2.contains("disconnected"), "{format}: {}", answer.body);
    }
    gateway.said("a page of AI Studio has gone", 4);
    let answer = support::ask_model(&gateway, "chat", MODEL, false).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_out_of_quota_rests_and_the_other_one_serves() {
    let gateway = support::start(CONFIG, &[]);
    let refusal = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600s"},
    ]}});
    let mut pages = [Page::connect(&gateway).await, Page::connect(&gateway).await];
    let (answer, rested) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, true), async {
        let [one, two] = &mut pages;
        let (at, asked) = tokio::select! {
            asked = one.asked() => (0, asked),
            asked = two.asked() => (1, asked),
        };
        // The status comes with the head, the words as the stream.
        let payload = json!({"status": 429, "headers": {"content-type": "application/json"}});
        pages[at].say(&json!({"id": asked["id"], "type": "stream_start", "payload": payload})).await;
        let words = refusal.to_string();
        pages[at].chunk(&asked, &words[..30]).await;
        pages[at].chunk(&asked, &words[30..]).await;
        pages[at].end(&asked).await;
        pages[1 - at].serve().await;
        at
    });
    assert_eq!(support::text_of("chat", true, &answer.body), TEXT);
    for _ in 0..2 {
        let (answer, _) =
            tokio::join!(support::ask_model(&gateway, "chat", MODEL, false), pages[1 - rested].serve());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let last = &mut pages[1 - rested];
    let (answer, ()) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, false), async {
        let asked = last.asked().await;
        let payload = json!({"error": "quota is over", "status": 429});
        last.say(&json!({"id": asked["id"], "type": "error", "payload": payload})).await;
    });
    assert_eq!(answer.status, 429, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_page_are_told_without_its_key() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    for (frame, status, told) in [
        (
            json!({"type": "error", "payload": {"error": "cannot fetch https://g.example/?key=AIzaSyA1234567890abcdefghijklmnopqrstuvw"}}),
            502,
            "cannot fetch",
        ),
        (json!({"type": "error"}), 502, "does not say which"),
        (json!({"type": "error", "payload": {"error": "bad question", "status": 400}}), 400, "bad question"),
        (json!({"type": "http_response"}), 502, ""),
        (json!({"type": "http_response", "payload": {"status": "200"}}), 502, "payload.status is no number"),
        (json!({"type": "http_response", "payload": {"body": {"a": 1}}}), 502, "payload.body is no text"),
        (json!({"type": "stream_chunk", "payload": {"data": 5}}), 502, "payload.data is no text"),
    ] {
        let (answer, ()) = tokio::join!(support::ask_model(&gateway, "claude", MODEL, false), async {
            let asked = page.asked().await;
            let mut frame = frame.clone();
            frame["id"] = asked["id"].clone();
            page.say(&frame).await;
        });
        assert_eq!(answer.status, status, "{frame}: {}", answer.body);
        assert!(answer.body.contains(told) && !answer.body.contains("AIza"), "{frame}: {}", answer.body);
        assert!(!gateway.log().contains("AIzaSy"), "{}", gateway.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_ends_the_socket_with_a_reason_and_what_is_unknown_does_not() {
    let gateway = support::start(CONFIG, &[]);
    for (message, code, reason) in [
        (Message::binary(b"{}".to_vec()), 1003, "text"),
        (Message::text("no JSON"), 1007, "id and type"),
        (Message::text(r#"{"type":"ping"}"#), 1007, "id and type"),
    ] {
        let mut page = Page::connect(&gateway).await;
        let (answer, closed) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, false), async {
            page.asked().await;
            page.send(message.clone()).await;
            page.closed().await
        });
        assert_eq!((closed.0, closed.1.contains(reason)), (code, true), "{closed:?}");
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    let mut page = Page::connect(&gateway).await;
    for frame in [
        json!({"id": "nobody", "type": "stream_chunk", "payload": {"data": "x"}}),
        json!({"id": "nobody", "type": "http_response", "payload": {"status": "x"}}),
        json!({"id": "x", "type": "from_later", "more": [1]}),
    ] {
        page.say(&frame).await;
    }
    let (answer, _) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, true), page.serve());
    assert_eq!(support::text_of("chat", true, &answer.body), TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_over_the_limit_is_read_no_further() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let (answer, ()) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, false), async {
        page.asked().await;
        page.overfill((64 << 20) + 1).await;
    });
    assert_eq!(answer.status, 503, "{}", answer.body);
    gateway.line("has gone: TooLong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_forgotten_and_the_page_serves_on() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let (path, body) = support::request("chat", MODEL, true);
    let mut leaving = Box::pin(support::send(support::posting(&gateway, &path, &body)));
    let asked: Value = tokio::select! {
        _ = &mut leaving => unreachable!("nothing was answered"),
        asked = page.asked() => asked,
    };
    drop(leaving);
    page.begin(&asked).await;
    for _ in 0..64 {
        page.chunk(&asked, &"data: {}\r\n\r\n".repeat(4096)).await;
    }
    page.end(&asked).await;
    let (answer, _) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, true), page.serve());
    assert_eq!(support::text_of("chat", true, &answer.body), TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_the_largest_size_and_a_long_stream_arrive_whole() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let picture = "A".repeat(60 << 20);
    let body = json!({"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": picture}}]}, "finishReason": "STOP"}]});
    let (answer, ()) = tokio::join!(support::ask_model(&gateway, "gemini", MODEL, false), async {
        let asked = page.asked().await;
        page.answer(&asked, 200, &body.to_string()).await;
    });
    assert!(answer.body.len() > 60 << 20, "{}", answer.body.len());
    let (answer, ()) = tokio::join!(support::ask_model(&gateway, "chat", MODEL, true), async {
        let asked = page.asked().await;
        page.begin(&asked).await;
        let event = json!({"candidates": [{"content": {"parts": [{"text": "x".repeat(64 << 10)}]}}]});
        for _ in 0..160 {
            page.chunk(&asked, &format!("data: {event}\r\n\r\n")).await;
        }
        page.chunk(&asked, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n").await;
        page.end(&asked).await;
    });
    assert!(support::is_complete("chat", &answer.body));
    assert_eq!(support::text_of("chat", true, &answer.body).len(), 160 * (64 << 10));
}
