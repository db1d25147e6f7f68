//! Ways through proxies: every kind of them, which one is taken, what a broken one means, and that none is given away.

use cliproxy_testkit::{Authority, Gateway, Proxy, Upstream};

use crate::support::{self, FORMATS, TEXT, UP};

/// What a proxy wants to hear. The address holds characters that have a meaning in it, written as addresses write them.
const ACCOUNT: &str = "alice:hun%ter2/@:x";
const WRITTEN: &str = "alice:hun%25ter2%2F%40%3Ax";
/// What must not be seen anywhere: both spellings, and the form in which http carries them.
const TRACES: [&str; 4] = ["alice", "hun%ter2", "hun%25ter2", "YWxpY2U6"];

/// An entry of the Claude list with a way of its own.
fn entry(key: &str, upstream: &Upstream, more: &str) -> String {
    support::entry("claude", key, &upstream.url(), &format!("{more}{UP}"))
}

/// Nothing that the gateway said, and none of `others`, shows who goes through the proxy.
fn is_silent(gateway: &Gateway, others: &[&str]) {
    let log = gateway.log();
    for text in others.iter().copied().chain([log.as_str()]) {
        assert!(!TRACES.iter().any(|trace| text.contains(trace)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_proxy_leads_to_plain_and_to_tls_upstreams() {
    let authority = Authority::new();
    for (account, written) in [(None, None), (Some(ACCOUNT), Some(WRITTEN))] {
        for kind in ["http", "https", "socks5", "socks5h"] {
            for is_tls in [false, true] {
                let proxy = match kind {
                    "http" => Proxy::http(account).await,
                    "https" => Proxy::https(&authority, account).await,
                    _ => Proxy::socks5(account).await,
                };
                let upstream = if is_tls {
                    Upstream::start_tls(&authority, &["h2", "http/1.1"], support::answering("claude")).await
                } else {
                    Upstream::start(support::answering("claude")).await
                };
                let address = proxy.url(written).replace("socks5:", &format!("{kind}:"));
                let config = format!(
                    "debug: true\nproxy-url: '{address}'\n{}",
                    support::config_at("claude", &upstream.named_url())
                );
                let gateway =
                    support::launch().config(&config).variable("SSL_CERT_FILE", authority.file()).start();
                let what = format!("{kind}, TLS {is_tls}, account {account:?}");
                for (client, is_stream) in [("claude", true), ("chat", false)] {
                    let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                    assert_eq!(answer.status, 200, "{what}: {}\n{}", answer.body, gateway.log());
                    assert_eq!(support::text_of(client, is_stream, &answer.body), TEXT, "{what}");
                }
                let port = upstream.named_url().rsplit(':').next().unwrap().to_owned();
                let expected = match (kind, is_tls) {
                    ("http" | "https", false) => format!("POST http://localhost:{port}/v1/messages"),
                    ("http" | "https", true) => format!("CONNECT localhost:{port}"),
                    ("socks5h", _) => format!("localhost:{port}"),
                    _ => format!("127.0.0.1:{port}"),
                };
                let asked = proxy.asked();
                assert!(
                    !asked.is_empty() && asked.iter().all(|asked| *asked == expected),
                    "{what}: {asked:?}"
                );
                for received in upstream.received() {
                    assert_eq!(received.header("proxy-authorization"), "", "{what}");
                    assert_eq!(received.path, "/v1/messages", "{what}");
                }
                is_silent(&gateway, &[]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_an_entry_wins_over_the_common_one_and_that_over_the_environment() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let (own, common, surrounding) =
        (Proxy::http(None).await, Proxy::http(None).await, Proxy::http(None).await);
    let through = || [&own, &common, &surrounding].map(|proxy| proxy.asked().len());
    let entries = [
        ("key-own-0001", "own", format!("proxy-url: '{}', ", own.url(None))),
        ("key-common-0001", "common", String::new()),
        ("key-direct-0001", "direct", "proxy-url: direct, ".to_owned()),
        ("key-none-0001", "none", "proxy-url: none, ".to_owned()),
    ]
    .map(|(key, prefix, way)| entry(key, &upstream, &format!("prefix: {prefix}, {way}")));
    let list = support::list("claude", &entries);
    let config = format!("proxy-url: '{}'\n{list}", common.url(None));
    let start =
        |config: &str| support::launch().config(config).variable("HTTP_PROXY", surrounding.url(None)).start();

    let gateway = start(&config);
    for model in ["own/up", "common/up", "direct/up", "none/up"] {
        assert_eq!(support::ask_model(&gateway, "claude", model, false).await.status, 200, "{model}");
    }
    assert_eq!((through(), upstream.received().len()), ([1, 1, 0], 4));

    let gateway = start(&list);
    for model in ["own/up", "common/up", "direct/up"] {
        assert_eq!(support::ask_model(&gateway, "claude", model, false).await.status, 200, "{model}");
    }
    assert_eq!((through(), upstream.received().len()), ([2, 1, 1], 7));

    let gateway = start(&format!("proxy-url: direct\n{list}"));
    for model in ["own/up", "common/up"] {
        assert_eq!(support::ask_model(&gateway, "claude", model, false).await.status, 200, "{model}");
    }
    assert_eq!((through(), upstream.received().len()), ([3, 1, 1], 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_compatible_providers_have_ways_of_their_own() {
    let upstream = Upstream::start(support::answering("chat")).await;
    let (first, second) = (Proxy::http(None).await, Proxy::socks5(None).await);
    let config = format!(
        "openai-compatibility:\n  - name: scripted\n    base-url: '{}/v1'\n    {UP}\n    api-key-entries:\n      \
         - {{api-key: key-one-0001, proxy-url: '{}'}}\n      - {{api-key: key-two-0001, proxy-url: '{}'}}\n",
        upstream.url(),
        first.url(None),
        second.url(None)
    );
    let gateway = support::start(&config, &[]);
    for _ in 0..2 {
        assert_eq!(support::ask_model(&gateway, "chat", "up", false).await.status, 200);
    }
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_may_name_an_account_and_exceptions_and_so_may_its_file() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let config = support::config("claude", &upstream);
    let proxy = Proxy::http(Some(ACCOUNT)).await;
    let address = proxy.url(Some(WRITTEN));
    let bare = address.trim_start_matches("http://");
    for (variables, expected) in [
        (vec![("HTTP_PROXY", address.as_str())], 1),
        (vec![("http_proxy", bare)], 1),
        (vec![("ALL_PROXY", &address)], 1),
        (vec![("HTTPS_PROXY", &address)], 0),
        (vec![("HTTP_PROXY", &address), ("NO_PROXY", "example.com,127.0.0.1")], 0),
        (vec![("HTTP_PROXY", &address), ("no_proxy", "*")], 0),
        (vec![("HTTP_PROXY", &address), ("NO_PROXY", "example.com")], 1),
    ] {
        let before = proxy.asked().len();
        let launch = support::launch().config(&config);
        let launch = variables.iter().fold(launch, |launch, (name, value)| launch.variable(name, value));
        let gateway = launch.start();
        let answer = support::ask_model(&gateway, "claude", "up", false).await;
        assert_eq!(answer.status, 200, "{variables:?}: {}", answer.body);
        assert_eq!(proxy.asked().len() - before, expected, "{variables:?}");
        is_silent(&gateway, &[]);
    }

    let before = proxy.asked().len();
    let gateway =
        support::launch().config(&config).beside(".env", &format!("HTTP_PROXY={address}\n")).start();
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 200);
    assert_eq!(proxy.asked().len() - before, 1);

    // One that cannot be understood leads nowhere; going direct would show what was to be hidden.
    let before = upstream.received().len();
    let gateway = support::launch()
        .config(&format!("request-retry: 0\n{config}"))
        .variable("HTTP_PROXY", "ftp://h")
        .start();
    assert_eq!(support::ask_model(&gateway, "claude", "up", false).await.status, 502);
    assert_eq!(upstream.received().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_proxy_rests_for_everybody_behind_it_and_is_held_against_no_key() {
    let authority = Authority::new();
    for kind in ["http", "https", "socks5"] {
        for is_tls in [false, true] {
            let upstream = if is_tls {
                Upstream::start_tls(&authority, &[], support::answering("claude")).await
            } else {
                Upstream::start(support::answering("claude")).await
            };
            let proxy = match kind {
                "http" => Proxy::http(Some(ACCOUNT)).await,
                "https" => Proxy::https(&authority, Some(ACCOUNT)).await,
                _ => Proxy::socks5(Some(ACCOUNT)).await,
            };
            let way = format!("proxy-url: '{}', ", proxy.url(Some(WRITTEN)));
            let config = |entries: &[String]| {
                let list = support::list("claude", entries);
                let config = format!("debug: true\nrequest-retry: 0\n{list}");
                support::launch().config(&config).variable("SSL_CERT_FILE", authority.file()).start()
            };
            let behind = ["first-0001", "second-0001"]
                .map(|key| entry(key, &upstream, &format!("priority: 1, {way}")));
            let what = format!("{kind}, TLS {is_tls}");
            proxy.set_broken(true);

            // Nobody else is there: the client hears what is broken, and after the mending both keys serve at once.
            let gateway = config(&behind);
            for format in FORMATS {
                let answer = support::ask_model(&gateway, format, "up", false).await;
                assert_eq!(answer.status, 502, "{what}: {}", answer.body);
                let (_, _, message) = answer.error(format);
                assert!(message.contains("the configured proxy"), "{what}: {message}");
                is_silent(&gateway, &[&answer.body]);
            }
            proxy.set_broken(false);
            for _ in 0..2 {
                let answer = support::ask_model(&gateway, "claude", "up", false).await;
                assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            }
            let mut served = support::keys_of(&upstream);
            served.sort_unstable();
            assert_eq!(served, ["first-0001", "second-0001"], "{what}");

            // With another way, that one is taken as soon as one of those behind the proxy has failed.
            proxy.set_broken(true);
            let direct = entry("direct-0001", &upstream, "proxy-url: direct, ");
            let [first, second] = behind;
            let gateway = config(&[first, second, direct]);
            let answer = support::ask_model(&gateway, "claude", "up", false).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            assert_eq!(support::keys_of(&upstream).last().map(String::as_str), Some("direct-0001"), "{what}");
            let line = gateway.line("with everybody behind the same proxy").await;
            assert!(!line.contains("for this model") && !line.contains("for every model"), "{line}");
            is_silent(&gateway, &[&answer.body]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_for_a_proxy_is_the_proxys_matter_and_not_the_keys() {
    let authority = Authority::new();
    for kind in ["http", "https", "socks5"] {
        for is_tls in [false, true] {
            let upstream = if is_tls {
                Upstream::start_tls(&authority, &[], support::answering("claude")).await
            } else {
                Upstream::start(support::answering("claude")).await
            };
            let proxy = match kind {
                "http" => Proxy::http(Some("bob:other")).await,
                "https" => Proxy::https(&authority, Some("bob:other")).await,
                _ => Proxy::socks5(Some("bob:other")).await,
            };
            let way = format!("priority: 1, proxy-url: '{}', ", proxy.url(Some(WRITTEN)));
            let alone = support::list("claude", &[entry("first-0001", &upstream, &way)]);
            let config = format!("debug: true\nrequest-retry: 0\n{alone}");
            let start = |config: &str| {
                support::launch().config(config).variable("SSL_CERT_FILE", authority.file()).start()
            };
            let gateway = start(&config);
            let what = format!("{kind}, TLS {is_tls}");
            for format in FORMATS {
                let answer = support::ask_model(&gateway, format, "up", format == "chat").await;
                assert_eq!(answer.status, 502, "{what}: {}", answer.body);
                assert!(answer.error(format).2.contains("the configured proxy"), "{what}: {}", answer.body);
                is_silent(&gateway, &[&answer.body]);
            }
            assert_eq!(proxy.asked(), vec!["refused"; FORMATS.len()], "{what}");
            assert_eq!(upstream.received().len(), 0, "{what}");

            let gateway =
                start(&format!("{config}{}", entry("direct-0001", &upstream, "proxy-url: direct, ")));
            let answer = support::ask_model(&gateway, "claude", "up", false).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            is_silent(&gateway, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_configuration_shows_a_proxy_without_its_account() {
    let upstream = Upstream::start(support::answering("claude")).await;
    let proxy = Proxy::http(None).await;
    let address = proxy.url(Some(WRITTEN));
    let list = support::list("claude", &[entry("key-0001", &upstream, &format!("proxy-url: '{address}', "))]);
    let good = support::check(&format!("proxy-url: '{address}'\n{list}"));
    let bad = support::check(&format!("proxy-url: '{}'\n{list}", address.replace("http:", "ftp:")));
    assert_eq!((good.code, bad.code), (Some(0), Some(1)), "{}{}", good.stderr, bad.stderr);
    assert!(good.stdout.contains(&proxy.port().to_string()), "{}", good.stdout);
    for text in [&good.stdout, &good.stderr, &bad.stdout, &bad.stderr] {
        assert!(!TRACES.iter().any(|trace| text.contains(trace)), "{text}");
    }
}
