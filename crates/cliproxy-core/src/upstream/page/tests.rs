//! A page and those who ask it, without a socket.

use bytes::Bytes;
use http::HeaderMap;

use super::*;
use crate::upstream::read_all;

fn ask() -> Ask {
    Ask {
        method: http::Method::POST,
        uri: "https://g.example/v1beta/models/m:streamGenerateContent?alt=sse".parse().unwrap(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: Bytes::from_static(b"{}"),
        sent_at: String::new(),
    }
}

/// Asks, and gives the id that the frame had together with the answer.
async fn asked(
    pages: &Pages,
    id: &CredentialId,
    questions: &mut Questions,
    answers: &Answers,
    first: &str,
) -> (String, Result<Reply, Failure>) {
    let asking = pages.ask(id, ask(), None);
    let answering = async {
        let frame: serde_json::Value = serde_json::from_str(&questions.next().await.unwrap()).unwrap();
        let id = frame["id"].as_str().unwrap().to_owned();
        answers.take(&first.replace("ID", &id)).await.unwrap();
        id
    };
    let (reply, id) = tokio::join!(asking, answering);
    (id, reply)
}

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

const START: &str = r#"{"id":"ID","type":"stream_start","payload":{"status":200}}"#;

fn chunk(id: &str, length: usize) -> String {
    format!(r#"{{"id":"{id}","type":"stream_chunk","payload":{{"data":"{}"}}}}"#, "x".repeat(length))
}

#[tokio::test]
async fn answers_in_any_manner_are_answers() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(PATIENCE).unwrap();
    assert_eq!(id.as_str().len(), 25);
    let (_, reply) = asked(&pages, &id, &mut questions, &answers, r#"{"id":"ID","type":"stream_end"}"#).await;
    let reply = reply.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.headers[CONTENT_TYPE]),
        (200, &HeaderValue::from_static("text/event-stream"))
    );
    assert_eq!(read_all(reply.body, None, 9).await.unwrap(), "");
    let whole = r#"{"id":"ID","type":"http_response","payload":{"status":418,"headers":{"Content-Type":"x/y"},"body":"{}"}}"#;
    let reply = asked(&pages, &id, &mut questions, &answers, whole).await.1.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.headers[CONTENT_TYPE]),
        (418, &HeaderValue::from_static("x/y"))
    );
    assert_eq!(read_all(reply.body, None, 9).await.unwrap(), "{}");
    let error = r#"{"id":"ID","type":"error","payload":{"error":"busy","status":429}}"#;
    let reply = asked(&pages, &id, &mut questions, &answers, error).await.1.unwrap();
    assert_eq!(reply.status.as_u16(), 429);
    assert_eq!(read_all(reply.body, None, 99).await.unwrap(), "busy (status=429)");
}

#[tokio::test]
async fn what_is_wrong_in_a_frame_concerns_its_request_alone() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(PATIENCE).unwrap();
    let (_, healthy) = asked(&pages, &id, &mut questions, &answers, START).await;
    let wrong = r#"{"id":"ID","type":"http_response","payload":{"body":5}}"#;
    let failure = asked(&pages, &id, &mut questions, &answers, wrong).await.1.unwrap_err();
    assert!(failure.fault().message.contains("payload.body is no text"), "{failure}");
    let (other, broken) = asked(&pages, &id, &mut questions, &answers, START).await;
    answers
        .take(&format!(r#"{{"id":"{other}","type":"error","payload":{{"error":"lost"}}}}"#))
        .await
        .unwrap();
    let why = read_all(broken.unwrap().body, None, 9).await.unwrap_err();
    assert!(format!("{why:?}").contains("broke its answer off: lost"), "{why:?}");
    pages.disconnect(&id);
    let why = read_all(healthy.unwrap().body, None, 9).await.unwrap_err();
    assert!(format!("{why:?}").contains("disconnected"), "{why:?}");
    assert!(pages.ids().is_empty());
}

#[tokio::test]
async fn a_page_that_goes_before_it_answers_sends_who_asked_elsewhere() {
    let pages = Pages::default();
    let (id, mut questions, _answers) = pages.connect(PATIENCE).unwrap();
    let (reply, ()) = tokio::join!(pages.ask(&id, ask(), None), async {
        questions.next().await.unwrap();
        pages.disconnect(&id);
    });
    assert_eq!(reply.unwrap_err().retry(), Retry::Next(Rest::None));
    assert_eq!(pages.ask(&id, ask(), None).await.unwrap_err().retry(), Retry::Next(Rest::None));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(PATIENCE).unwrap();
    {
        let mut leaving = std::pin::pin!(pages.ask(&id, ask(), None));
        assert!(futures_util::poll!(leaving.as_mut()).is_pending());
    }
    let (stays, reply) = asked(&pages, &id, &mut questions, &answers, START).await;
    drop(reply);
    // The id is forgotten with the answer.
    answers.take(&chunk(&stays, 8)).await.unwrap();
    assert!(futures_util::poll!(std::pin::pin!(questions.next())).is_pending());
}

#[tokio::test]
async fn a_client_that_reads_slowly_stalls_the_socket_and_loses_nothing() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(PATIENCE).unwrap();
    let (request, reply) = asked(&pages, &id, &mut questions, &answers, START).await;
    let mut body = reply.unwrap().body;
    let large = chunk(&request, 1 << 20);
    answers.take(&large).await.unwrap();
    let mut stalled = std::pin::pin!(answers.take(&large));
    assert!(futures_util::poll!(stalled.as_mut()).is_pending(), "there is no room");
    assert_eq!(body.next(None).await.unwrap().unwrap().len(), 1 << 20);
    stalled.await.unwrap();
    answers.take(&format!(r#"{{"id":"{request}","type":"stream_end"}}"#)).await.unwrap();
    assert_eq!(read_all(body, None, 2 << 20).await.unwrap().len(), 1 << 20);
}

#[tokio::test(start_paused = true)]
async fn who_holds_up_others_for_long_is_given_up_and_who_is_alone_is_not() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(PATIENCE).unwrap();
    let (slow, reply) = asked(&pages, &id, &mut questions, &answers, START).await;
    let body = reply.unwrap().body;
    answers.take(&chunk(&slow, 1 << 20)).await.unwrap();
    let large = chunk(&slow, 8);
    let mut stalled = std::pin::pin!(answers.take(&large));
    let hour = Duration::from_hours(1);
    assert!(tokio::time::timeout(hour, stalled.as_mut()).await.is_err(), "nobody else waits");
    let mut other = std::pin::pin!(pages.ask(&id, ask(), None));
    assert!(futures_util::poll!(other.as_mut()).is_pending());
    tokio::time::timeout(hour, stalled).await.unwrap().unwrap();
    let why = read_all(body, None, 2 << 20).await.unwrap_err();
    assert!(format!("{why:?}").contains("held up the others"), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_given_up_others_wait() {
    let pages = Pages::default();
    let (id, mut questions, answers) = pages.connect(None).unwrap();
    let (slow, reply) = asked(&pages, &id, &mut questions, &answers, START).await;
    let mut body = reply.unwrap().body;
    answers.take(&chunk(&slow, 1 << 20)).await.unwrap();
    let small = chunk(&slow, 8);
    let mut stalled = std::pin::pin!(answers.take(&small));
    let mut other = std::pin::pin!(pages.ask(&id, ask(), None));
    assert!(futures_util::poll!(other.as_mut()).is_pending());
    assert!(tokio::time::timeout(Duration::from_hours(1), stalled.as_mut()).await.is_err());
    assert_eq!(body.next(None).await.unwrap().unwrap().len(), 1 << 20);
    stalled.await.unwrap();
}

#[tokio::test]
async fn there_are_so_many_pages_and_no_more() {
    let pages = Pages::default();
    let held: Vec<_> = (0..MOST).map(|_| pages.connect(PATIENCE).unwrap()).collect();
    assert!(pages.connect(PATIENCE).is_none());
    pages.disconnect(&held[0].0);
    assert!(pages.connect(PATIENCE).is_some());
}
