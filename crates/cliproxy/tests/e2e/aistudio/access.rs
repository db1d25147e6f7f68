//! Who may connect as a page, and who may stay.

use super::MODEL;
use super::page::Page;
use crate::support;

const KEYED: &str = "api-keys: [client-key-0001, client-key-0002]\nrequest-retry: 0\n";
const SITE: (&str, &str) = ("origin", "https://app.scf.usercontent.example");

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_a_client_key_wherever_it_can_and_may_be_of_any_site() {
    let gateway = support::start(KEYED, &[]);
    for (query, headers) in [
        ("?key=client-key-0001", vec![SITE]),
        ("?auth_token=client-key-0001", vec![SITE]),
        ("", vec![("authorization", "Bearer client-key-0001")]),
        ("", vec![("x-goog-api-key", "client-key-0001")]),
        ("", vec![("x-api-key", "client-key-0001"), SITE]),
    ] {
        assert!(Page::try_connect(&gateway, query, &headers).await.is_ok(), "{query} {headers:?}");
    }
    for query in ["", "?auth_token=client-key-000", "?auth_token=", "?token=client-key-0001"] {
        assert_eq!(Page::try_connect(&gateway, query, &[]).await.err(), Some(401), "{query}");
    }
    assert!(!gateway.log().contains("client-key-0001"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_time_is_over_lets_no_page_in() {
    let limits = "api-key-limits: [{api-key: client-key-0001, expires: 2020-02-29}]\n";
    let gateway = support::start(&format!("{KEYED}{limits}"), &[]);
    for (key, expected) in [("client-key-0001", Some(403)), ("client-key-0002", None)] {
        let connected = Page::try_connect(&gateway, &format!("?key={key}"), &[]).await;
        assert_eq!(connected.err(), expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_client_keys_no_foreign_page_becomes_an_upstream() {
    for config in ["{}\n", "ws-auth: false\n"] {
        let gateway = support::start(config, &[]);
        assert_eq!(Page::try_connect(&gateway, "", &[SITE]).await.err(), Some(403), "{config}");
        assert_eq!(Page::try_connect(&gateway, "", &[("origin", "null")]).await.err(), Some(403), "{config}");
        let local = Page::try_connect(&gateway, "", &[("origin", "http://localhost:8000")]).await;
        assert!(local.is_ok(), "{config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_websocket_is_told_what_there_is() {
    let gateway = support::start(KEYED, &[]);
    let path = format!("{}/v1/ws", gateway.url());
    let answer = support::send(support::client().get(&path)).await;
    assert_eq!(
        (answer.status, answer.error("chat").1),
        (401, "missing_authorization".into()),
        "{}",
        answer.body
    );
    let answer = support::send(support::client().get(&path).header("x-api-key", "client-key-0001")).await;
    assert_eq!((answer.status, answer.header("upgrade")), (426, "websocket"), "{}", answer.body);
    let answer = support::send(support::client().post(&path)).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_connect_any_more_is_let_go_and_the_others_stay() {
    let gateway = support::start(&format!("ws-auth: false\n{KEYED}"), &[]);
    let mut bare = Page::try_connect(&gateway, "", &[SITE]).await.unwrap();
    let mut second = Page::try_connect(&gateway, "?key=client-key-0002", &[SITE]).await.unwrap();
    let mut first = Page::try_connect(&gateway, "?key=client-key-0001", &[]).await.unwrap();
    gateway.reload(KEYED, "clients and configuration updated").await;
    assert_eq!(bare.closed().await.0, 1008);
    assert_eq!(Page::try_connect(&gateway, "", &[]).await.err(), Some(401));
    gateway
        .reload("api-keys: [client-key-0001]\nrequest-retry: 0\n", "clients and configuration updated")
        .await;
    let (code, reason) = second.closed().await;
    assert_eq!((code, reason.contains("auth_token")), (1008, true), "{reason}");
    let (path, body) = support::request("chat", MODEL, false);
    let asking = support::posting(&gateway, &path, &body).header("x-api-key", "client-key-0001");
    let (answer, _) = tokio::join!(support::send(asking), first.serve());
    assert_eq!(answer.status, 200, "{}", answer.body);
    gateway
        .reload("ws-auth: false\napi-keys: [client-key-0001]\n", "clients and configuration updated")
        .await;
    assert!(Page::try_connect(&gateway, "", &[SITE]).await.is_ok());
}
