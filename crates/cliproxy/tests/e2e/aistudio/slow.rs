//! Clients that do not read what a page says, and pages at the end of the gateway.

use cliproxy_testkit::Gateway;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::page::Page;
use super::{CONFIG, MODEL};
use crate::support::{self, TEXT};

/// How much a page says to a client that does not read; far more than sockets hold.
const SAID: usize = 128 << 20;
const PIECE: usize = 256 << 10;

/// The most memory that the gateway has had, in KiB.
fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_costs_no_memory_and_other_streams_go_on() {
    let config = format!("{CONFIG}upstream-timeouts: {{slow-client: 1}}\n");
    let gateway = support::start(&config, &[]);
    let mut held = Page::connect(&gateway).await;
    let (path, body) = support::request("chat", MODEL, true);
    let body = body.to_string();
    let mut deaf = TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    deaf.write_all(head.as_bytes()).await.unwrap();
    let asked = held.asked().await;
    held.begin(&asked).await;
    let before = peak(&gateway);

    // Two more requests, one for each page: the free page answers at once, the other one when it gets to it.
    let mut free = Page::connect(&gateway).await;
    // They wait as long as the deaf client is waited for.
    let ask = async || {
        let (path, body) = support::request("chat", MODEL, true);
        support::posting(&gateway, &path, &body).send().await.unwrap().text().await.unwrap()
    };
    let mut asking: FuturesUnordered<_> = [ask(), ask()].into_iter().collect();
    let event = serde_json::json!({"candidates": [{"content": {"parts": [{"text": "x".repeat(PIECE)}]}}]});
    let event = format!("data: {event}\r\n\r\n");
    let pressing = async {
        for _ in 0..SAID / PIECE {
            held.press(&asked, &event).await;
        }
        held.end(&asked).await;
        held.serve().await;
    };
    let mut pressing = Box::pin(pressing);
    let (served, _) = tokio::select! {
        served = async { tokio::join!(asking.next(), free.serve()) } => served,
        () = &mut pressing => panic!("the page was not held up"),
    };
    assert_eq!(support::text_of("chat", true, &served.unwrap()), TEXT);
    let (last, ()) = tokio::join!(asking.next(), pressing);
    assert_eq!(support::text_of("chat", true, &last.unwrap()), TEXT, "the page serves on");

    let grown = peak(&gateway) - before;
    assert!(grown < 48 << 10, "{grown} KiB more");
    let mut said = Vec::new();
    support::within(deaf.read_to_end(&mut said)).await.ok();
    assert!(said.len() < SAID / 2, "{} bytes", said.len());
    assert!(!support::is_complete("chat", &String::from_utf8_lossy(&said)));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_gateway_a_page_finishes_its_answers_and_is_told() {
    let gateway = support::start(CONFIG, &[]);
    let mut page = Page::connect(&gateway).await;
    let asking = support::ask_model(&gateway, "chat", MODEL, true);
    let (answer, ()) = tokio::join!(asking, async {
        let asked = page.asked().await;
        page.begin(&asked).await;
        let events = support::events("gemini");
        let half = events.find("\n\n").or_else(|| events.find("\r\n\r\n")).unwrap();
        page.chunk(&asked, &events[..half]).await;
        gateway.signal("TERM");
        gateway.line("ending: no new connections").await;
        page.chunk(&asked, &events[half..]).await;
        page.end(&asked).await;
    });
    assert_eq!(support::text_of("chat", true, &answer.body), TEXT);
    assert!(support::is_complete("chat", &answer.body), "{}", answer.body);
    assert_eq!(page.closed().await.0, 1001);
    assert!(gateway.ended().await.success(), "{}", gateway.log());
    assert!(!gateway.log().contains("cut off"), "{}", gateway.log());
}
