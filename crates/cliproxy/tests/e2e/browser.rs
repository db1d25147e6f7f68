//! What web pages may do: nothing without client keys, anything with one.

use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, ORIGIN};
use reqwest::{Method, Response, StatusCode};

use crate::support;

async fn call(
    gateway: &cliproxy_testkit::Gateway,
    method: Method,
    headers: &[(reqwest::header::HeaderName, &str)],
) -> Response {
    let mut request = reqwest::Client::new().request(method, format!("{}/v1/models", gateway.url()));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_no_web_page_gets_in() {
    let gateway = support::start("", &["--demo"]);
    for headers in [
        &[(ORIGIN, "https://evil.example")][..],
        // Sandboxed frames of any site.
        &[(ORIGIN, "null")],
        // A site whose name resolves to this machine; its pages send no origin.
        &[(HOST, "evil.example:8317")],
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = call(&gateway, method, headers).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
            assert!(answer.headers().contains_key("x-request-id"));
            assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
            let said = answer.text().await.unwrap();
            assert!(said.contains("add api-keys to config.yaml"), "{said}");
            assert!(headers[0].0 != HOST || said.contains("localhost and 127.0.0.1"), "{said}");
        }
        let preflight = call(&gateway, Method::OPTIONS, headers).await;
        assert!(!preflight.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{headers:?}");
    }
    for headers in [&[(ORIGIN, "http://localhost:5173")][..], &[(HOST, "localhost:8317")], &[]] {
        assert_eq!(call(&gateway, Method::GET, headers).await.status(), StatusCode::OK, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_every_page_and_every_name_is_served() {
    let gateway = support::start("api-keys: [client-key-0123456789]\n", &["--demo"]);
    let key = (reqwest::header::AUTHORIZATION, "Bearer client-key-0123456789");
    for other in [(ORIGIN, "https://page.example"), (ORIGIN, "null"), (HOST, "gateway.example")] {
        let answer = call(&gateway, Method::GET, &[key.clone(), other.clone()]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{other:?}");
    }
    let page = call(&gateway, Method::GET, &[(ORIGIN, "https://page.example")]).await;
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(page.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}
