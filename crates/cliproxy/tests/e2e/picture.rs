//! Pictures and documents by address: read from where a client may send the gateway, and from nowhere else.

use cliproxy_testkit::{Authority, Gateway, Proxy, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, Answer};

/// The start of a PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n rest";
/// The same in base64.
const PNG_TEXT: &str = "iVBORw0KGgogcmVzdA==";

const PDF: &[u8] = b"%PDF-1.4 \xff";
const PDF_TEXT: &str = "JVBERi0xLjQg/w==";

/// A host of pictures and documents, good and bad ones.
async fn gallery() -> Upstream {
    Upstream::start(|received: &Received| {
        let moved = |target: &str| Script::json(302, "").header("location", target);
        match received.path.as_str() {
            "/png" => Script::json(200, PNG),
            "/moved" => moved("/png"),
            "/paper.pdf" => Script::json(200, PDF).header("content-type", "text/plain"),
            "/notes" => Script::json(200, "a note").header("content-type", "text/markdown; charset=utf-8"),
            "/odd" => Script::json(200, b"\0\x01\xff".to_vec()).header("content-type", "application/pdf"),
            "/circle" => moved("/circle"),
            "/html" => Script::json(200, "<html>a secret page</html>").header("content-type", "image/png"),
            "/packed" => Script::json(200, PNG).header("content-encoding", "gzip"),
            "/large" => (0..3).fold(Script::json(200, PNG), |script, _| script.send(vec![0; 1 << 20])),
            "/silent" => Script::json(200, PNG).stalled(),
            "/gone" => Script::json(404, PNG),
            path => moved(path.strip_prefix("/to/").unwrap_or_default()),
        }
    })
    .await
}

fn asking(urls: &[String]) -> Value {
    let images = urls.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}}));
    let content: Vec<Value> = std::iter::once(json!({"type": "text", "text": "hi"})).chain(images).collect();
    json!({"model": "up", "messages": [{"role": "user", "content": content}]})
}

async fn ask(gateway: &Gateway, urls: &[String]) -> Answer {
    support::ask(gateway, "/v1/chat/completions", &asking(urls)).await
}

fn config(upstream: &Upstream, gallery: &Upstream, members: &str) -> String {
    let host = gallery.url().replace("http://", "");
    format!("{}image-urls: {{private-hosts: ['{host}'], {members}}}\n", support::config("gemini", upstream))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_read_once_and_goes_inline_also_after_a_redirect() {
    let (upstream, gallery) = (Upstream::start(support::answering("gemini")).await, gallery().await);
    let gateway = support::start(&config(&upstream, &gallery, "fetch: always"), &[]);
    let at = |path: &str| format!("{}{path}", gallery.url());
    let answer = ask(&gateway, &[at("/png"), at("/moved"), at("/png")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let received = upstream.received().pop().unwrap().json();
    let parts = received["contents"][0]["parts"].as_array().unwrap();
    for part in &parts[1..] {
        assert_eq!(part["inlineData"], json!({"mimeType": "image/png", "data": PNG_TEXT}), "{part}");
    }
    let asked: Vec<String> = gallery.received().iter().map(|received| received.path.clone()).collect();
    assert_eq!(asked, ["/png", "/moved", "/png"], "each address once, and one redirect");
    for received in gallery.received() {
        let headers = format!("{:?}", received.headers);
        assert!(!headers.contains("upstream-key") && !headers.contains("authorization"), "{headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_reads_addresses_gets_them_unless_told_otherwise() {
    let (upstream, gallery) = (Upstream::start(support::answering("gemini")).await, gallery().await);
    for members in ["fetch: needed", "fetch: never", ""] {
        let gateway = support::start(&config(&upstream, &gallery, members), &[]);
        assert_eq!(ask(&gateway, &[format!("{}/png", gallery.url())]).await.status, 200);
        let received = upstream.received().pop().unwrap().json();
        assert_eq!(
            received["contents"][0]["parts"][1]["fileData"]["fileUri"],
            format!("{}/png", gallery.url())
        );
    }
    assert!(gallery.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_open_web_is_never_asked_directly_or_by_a_redirect() {
    let (upstream, gallery) = (Upstream::start(support::answering("gemini")).await, gallery().await);
    let inside = Upstream::start(|_| Script::json(200, PNG)).await;
    let gateway = support::start(&config(&upstream, &gallery, "fetch: always"), &[]);
    let port = inside.url().rsplit(':').next().unwrap().to_owned();
    for address in [
        inside.url(),
        inside.named_url(),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ] {
        for url in [address.clone(), format!("{}/to/{address}", gallery.url())] {
            let answer = ask(&gateway, std::slice::from_ref(&url)).await;
            let (_, code, message) = answer.error("chat");
            assert_eq!((answer.status, &code), (400, &json!("invalid_image_url")), "{url}: {}", answer.body);
            assert!(message.contains("is not on the open web"), "{url}: {message}");
        }
    }
    for url in [
        format!("http://user:hidden@{}/png", gallery.url().replace("http://", "")),
        format!("{}/to/ftp://x/", gallery.url()),
    ] {
        let answer = ask(&gateway, &[url]).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(
            answer.body.contains("is not an http or https address") && !answer.body.contains("hidden"),
            "{}",
            answer.body
        );
    }
    assert!(inside.received().is_empty() && upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_or_never_ends_is_refused_and_nothing_of_it_is_shown() {
    let (upstream, gallery) = (Upstream::start(support::answering("gemini")).await, gallery().await);
    let gateway =
        support::start(&config(&upstream, &gallery, "fetch: always, max-mb: 1, max-seconds: 1"), &[]);
    for (path, told) in [
        ("/html", "is no jpeg, png, gif or webp image"),
        ("/packed", "is no jpeg, png, gif or webp image"),
        ("/large", "is larger than image-urls.max-mb"),
        ("/silent", "did not come in time"),
        ("/gone", "answers with status 404"),
        ("/circle", "is redirected too often"),
    ] {
        let answer = ask(&gateway, &[format!("{}{path}", gallery.url())]).await;
        let (_, code, message) = answer.error("chat");
        assert_eq!((answer.status, &code), (400, &json!("invalid_image_url")), "{path}: {}", answer.body);
        assert!(message.contains(told), "{path}: {message}");
        assert!(!message.contains("secret page") && !message.contains(path), "{message}");
    }
    let many: Vec<String> = (0..17).map(|index| format!("{}/png?{index}", gallery.url())).collect();
    assert!(ask(&gateway, &many).await.body.contains("more than 16 images"));
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_the_number_that_was_judged_and_for_nothing_private() {
    let authority = Authority::new();
    let gallery = gallery().await;
    let inside = Upstream::start(|_| Script::json(200, PNG)).await;
    for proxy in [Proxy::http(None).await, Proxy::https(&authority, None).await, Proxy::socks5(None).await] {
        let upstream = Upstream::start(support::answering("gemini")).await;
        let port = gallery.url().rsplit(':').next().unwrap().to_owned();
        let config = format!(
            "proxy-url: '{}'\n{}image-urls: {{private-hosts: ['localhost:{port}'], fetch: always}}\n",
            proxy.url(None),
            support::config("gemini", &upstream)
        );
        let gateway = support::launch().config(&config).variable("SSL_CERT_FILE", authority.file()).start();
        let before = proxy.asked().len();
        let answer = ask(&gateway, &[format!("{}/moved", gallery.named_url())]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let received = upstream.received().pop().unwrap().json();
        assert_eq!(received["contents"][0]["parts"][1]["inlineData"]["data"], PNG_TEXT);
        let asked = &proxy.asked()[before..];
        assert!(asked.len() >= 2, "{asked:?}");
        let at = format!("127.0.0.1:{port}");
        assert!(asked[..2].iter().all(|asked| asked.trim_start_matches("CONNECT ") == at), "{asked:?}");

        let seen = gallery.received().len();
        for url in [inside.url(), inside.named_url(), format!("{}/to/{}", gallery.named_url(), inside.url())]
        {
            let answer = ask(&gateway, std::slice::from_ref(&url)).await;
            assert_eq!(answer.error("chat").1, "invalid_image_url", "{url}: {}", answer.body);
            assert!(answer.body.contains("is not on the open web"), "{url}: {}", answer.body);
        }
        assert_eq!(gallery.received().len(), seen + 1, "only the redirect was asked for");
    }
    assert!(inside.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_resolves_names_itself_is_not_asked_for_pictures() {
    let (upstream, gallery) = (Upstream::start(support::answering("gemini")).await, gallery().await);
    let config =
        format!("proxy-url: socks5h://127.0.0.1:9\n{}", config(&upstream, &gallery, "fetch: always"));
    let gateway = support::start(&config, &[]);
    let answer = ask(&gateway, &[format!("{}/png", gallery.url())]).await;
    assert!(answer.body.contains("socks5h"), "{}", answer.body);
    assert!(gallery.received().is_empty());
}

/// A request of `format` with a document at an address.
fn reading(format: &str, url: &str) -> (&'static str, Value) {
    match format {
        "responses" => {
            let content = json!([{"type": "input_file", "file_url": url}]);
            ("/v1/responses", json!({"model": "up", "input": [{"role": "user", "content": content}]}))
        }
        "claude" => {
            let content = json!([{"type": "document", "source": {"type": "url", "url": url}}]);
            let messages = json!([{"role": "user", "content": content}]);
            ("/v1/messages", json!({"model": "up", "max_tokens": 9, "messages": messages}))
        }
        _ => {
            let parts = json!([{"fileData": {"mimeType": "application/pdf", "fileUri": url}}]);
            ("/v1beta/models/up:generateContent", json!({"contents": [{"role": "user", "parts": parts}]}))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_read_where_the_upstream_has_no_place_for_its_address() {
    let (upstream, gallery) = (Upstream::start(support::answering("chat")).await, gallery().await);
    let host = gallery.url().replace("http://", "");
    let config = format!("{}image-urls: {{private-hosts: ['{host}']}}\n", support::config("chat", &upstream));
    let gateway = support::start(&config, &[]);
    for format in ["responses", "claude", "gemini"] {
        let (path, body) = reading(format, &format!("{}/paper.pdf", gallery.url()));
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        let sent = upstream.received().pop().unwrap().json();
        let file =
            json!({"filename": "paper.pdf", "file_data": format!("data:application/pdf;base64,{PDF_TEXT}")});
        let part = json!({"type": "file", "file": file});
        assert_eq!(sent["messages"][0]["content"][0], part, "{format}: {sent}");

        let (path, body) = reading(format, &format!("{}/notes", gallery.url()));
        assert_eq!(support::ask(&gateway, path, &body).await.status, 200, "{format}");
        let sent = upstream.received().pop().unwrap().json();
        assert!(sent["messages"].to_string().contains("a note"), "{format}: {sent}");

        let asked = upstream.received().len();
        for (place, told) in
            [("/odd", "is neither a PDF nor a text"), ("/png", "is neither a PDF nor a text")]
        {
            let (path, body) = reading(format, &format!("{}{place}", gallery.url()));
            let answer = support::ask(&gateway, path, &body).await;
            assert_eq!(answer.status, 400, "{format}: {}", answer.body);
            assert!(answer.error(format).2.contains(told), "{format}: {}", answer.body);
        }
        let (path, body) = reading(format, &format!("{}/to/http://127.0.0.1:9/", gallery.url()));
        let answer = support::ask(&gateway, path, &body).await;
        assert!(answer.error(format).2.contains("is not on the open web"), "{format}: {}", answer.body);
        assert_eq!(upstream.received().len(), asked, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_by_address_where_the_upstream_reads_it() {
    let gallery = gallery().await;
    let url = format!("{}/paper.pdf", gallery.url());
    for target in ["claude", "responses", "gemini"] {
        let upstream = Upstream::start(support::answering(target)).await;
        let gateway = support::start(&support::config(target, &upstream), &[]);
        for format in ["responses", "claude", "gemini"] {
            let (path, body) = reading(format, &url);
            let answer = support::ask(&gateway, path, &body).await;
            assert_eq!(answer.status, 200, "{format} {target}: {}", answer.body);
            assert!(
                upstream.received().pop().unwrap().json().to_string().contains(&url),
                "{format} {target}"
            );
        }
    }
    assert!(gallery.received().is_empty());
}
