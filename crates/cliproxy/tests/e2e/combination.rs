//! Every client format with every upstream format, streamed and not.

use cliproxy_testkit::{Script, Upstream};

use crate::support::{self, FORMATS, TEXT};

#[tokio::test(flavor = "multi_thread")]
async fn every_client_format_works_with_every_upstream_format() {
    for upstream_format in FORMATS {
        let upstream = Upstream::start(support::answering(upstream_format)).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            for is_stream in [false, true] {
                let (path, body) = support::request(client, "up", is_stream);
                let answer = support::ask(&gateway, &path, &body).await;
                let (status, answer) = (answer.status, answer.body);
                let what = format!("{client} over {upstream_format}, stream {is_stream}: {answer}");
                assert_eq!(status, 200, "{what}");
                assert_eq!(support::text_of(client, is_stream, &answer), TEXT, "{what}");
                assert!(!is_stream || support::is_complete(client, &answer), "{what}");
            }
        }
        for received in upstream.received() {
            let sent = format!("{:?}", received.headers);
            assert!(sent.contains("Sensitive") || sent.contains("upstream-key-0001"), "{sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j235_a_body_in_answer_to_a_stream_request_is_unfolded() {
    for upstream_format in FORMATS {
        let upstream =
            Upstream::start(move |_| Script::json(200, support::body(upstream_format).to_string())).await;
        let gateway = support::start(&support::config(upstream_format, &upstream), &[]);
        for client in FORMATS {
            let (path, body) = support::request(client, "up", true);
            let answer = support::ask(&gateway, &path, &body).await;
            let (status, answer) = (answer.status, answer.body);
            assert_eq!(status, 200, "{client} over {upstream_format}: {answer}");
            assert_eq!(
                support::text_of(client, true, &answer),
                TEXT,
                "{client} over {upstream_format}: {answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j001_equal_formats_pass_request_and_stream_byte_for_byte() {
    for format in FORMATS {
        let upstream = Upstream::start(support::answering(format)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        let (path, body) = support::request(format, "up", true);
        // Odd spelling that any rewriting would change.
        let body = body.to_string().replacen(
            '{',
            "{ \"x_unknown\" : [1.0, 1e3, 12345678901234567890, \"\\u00e9\\/\"] , ",
            1,
        );
        let client = reqwest::Client::new();
        let answer = client.post(format!("{}{path}", gateway.url())).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), support::events(format), "{format}");
        assert_eq!(upstream.received()[0].body, body, "{format}");
    }
}
