//! The dashboard as files: who gets it, in which encoding, under which headers.

use std::io::Read as _;

use cliproxy_testkit::Gateway;
use http::header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH};

use crate::support::{Answer, client, get, launch, send, start};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn page(gateway: &Gateway, path: &str, accept: &str) -> Answer {
    send(client().get(format!("{}{path}", gateway.url())).header(ACCEPT, accept)).await
}

/// A file as bytes, in what encoding the gateway chooses.
async fn packed(gateway: &Gateway, path: &str, accepted: &str) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let request = client().get(format!("{}{path}", gateway.url())).header(ACCEPT_ENCODING, accepted);
    let answer = request.send().await.unwrap();
    (answer.headers().clone(), answer.bytes().await.unwrap().to_vec())
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(panel: &std::path::Path) {
    std::fs::write(panel, "<p>mine</p>").unwrap();
}

/// The scripts and styles that a page names.
fn parts(page: &str) -> Vec<String> {
    let marked = page.split('"').filter(|text| text.starts_with("./dashboard/"));
    marked.map(|text| text.trim_start_matches('.').to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_the_page_and_programs_the_list_of_routes() {
    let gateway = start("", &[]);
    for path in ["/", "/management.html"] {
        let answer = page(&gateway, path, BROWSER).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(answer.body.starts_with("<!doctype html>"), "{path}: {}", answer.body);
    }
    for accept in ["*/*", "application/json"] {
        let answer = page(&gateway, "/", accept).await;
        assert_eq!(answer.json()["message"], "CLI Proxy API Server", "{accept}");
        assert!(answer.header("vary").contains("accept"), "{accept}");
    }
    assert_eq!(get(&gateway, "/").await.json()["name"], "cliproxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_this_gateway_is_let_into_the_page() {
    let gateway = start("", &[]);
    let answer = page(&gateway, "/", BROWSER).await;
    let policy = answer.header("content-security-policy");
    for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|known| known == rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert!(!answer.body.contains("://") || answer.body.contains("CLIPROXY_DASHBOARD"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_the_encoding_that_is_taken_and_are_kept() {
    let gateway = start("", &[]);
    let parts = parts(&page(&gateway, "/", BROWSER).await.body);
    if parts.is_empty() {
        return cliproxy_testkit::skip("the dashboard is not built: Node.js is missing");
    }
    for part in parts {
        let (headers, plain) = packed(&gateway, &part, "identity").await;
        assert!(!headers.contains_key("content-encoding"), "{part}");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable", "{part}");
        let (headers, brotli) = packed(&gateway, &part, "gzip, deflate, br").await;
        assert_eq!(headers["content-encoding"], "br", "{part}");
        let mut unpacked = Vec::new();
        brotli::Decompressor::new(&*brotli, 4096).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain, "{part}");
        let (headers, gzip) = packed(&gateway, &part, "gzip, br;q=0").await;
        assert_eq!(headers["content-encoding"], "gzip", "{part}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*gzip).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain, "{part}");
        let again = client().get(format!("{}{part}", gateway.url())).header(IF_NONE_MATCH, &headers["etag"]);
        let again = send(again).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{part}");
    }
    assert_eq!(get(&gateway, "/dashboard/no-such-file.js").await.status, 404);
    assert_eq!(get(&gateway, "/dashboard/../config.yaml").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_panel_there_is_none() {
    let gateway = start("remote-management: {disable-control-panel: true}\n", &[]);
    assert_eq!(page(&gateway, "/management.html", BROWSER).await.status, 404);
    assert_eq!(page(&gateway, "/", BROWSER).await.json()["message"], "CLI Proxy API Server");
    let gateway_with = start("", &[]);
    for part in parts(&page(&gateway_with, "/", BROWSER).await.body) {
        assert_eq!(get(&gateway, &part).await.status, 404, "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_that_its_owner_supplies_is_served_instead() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("management.html");
    write(&file);
    for place in [folder.path(), &file] {
        let gateway = launch().config("").variable("MANAGEMENT_STATIC_PATH", place).start();
        let answer = page(&gateway, "/management.html", BROWSER).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "<p>mine</p>"));
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("content-security-policy"), "", "such a panel has its scripts in itself");
    }
    let gateway = launch().config("").variable("MANAGEMENT_STATIC_PATH", folder.path().join("none")).start();
    let answer = page(&gateway, "/", BROWSER).await;
    assert!(answer.body.starts_with("<!doctype html>"), "{}", answer.body);
    gateway.line("cannot be read, the built-in one is served").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_program_left_there_is_not_taken_for_a_choice() {
    let chosen = "remote-management: {panel-github-repository: 'https://github.com/example/panel'}\n";
    let usual = "remote-management: {panel-github-repository: 'https://github.com/router-for-me/Cli-Proxy-API-Management-Center'}\n";
    for (config, expected) in [(chosen, true), (usual, false), ("", false)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("static")).unwrap();
        write(&folder.path().join("static/management.html"));
        let gateway = launch().config(config).variable("WRITABLE_PATH", folder.path()).start();
        let answer = page(&gateway, "/management.html", BROWSER).await;
        assert_eq!(answer.body == "<p>mine</p>", expected, "{config}");
    }
}
