//! Signs of life: what a waiting client reads in each format, before an answer and inside it, and that it stays legal.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cliproxy_testkit::{Gate, Gateway, Script, Upstream};
use futures_util::future::{join, join_all};
use serde_json::Value;

use crate::failover::half;
use crate::support::{self, FORMATS, TEXT, asks_stream};

const EVERY_SECOND: &str = "streaming: {keepalive-seconds: 1}\nnonstream-keepalive-interval: 1\n";
const NEVER: &str = "streaming: {keepalive-seconds: 0}\nnonstream-keepalive-interval: 0\n";

/// Before an answer has begun. Comments break Google's clients, and Claude's want the start of a message first.
fn early(format: &str) -> &'static str {
    match format {
        "chat" | "responses" => ": keep-alive\n\n",
        _ => "\n",
    }
}

/// Between two events.
fn between(format: &str) -> &'static str {
    match format {
        "claude" => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        other => early(other),
    }
}

/// A stream that a client reads piece by piece.
struct Reading {
    answer: reqwest::Response,
    text: Vec<u8>,
    /// When it was asked for.
    began: Instant,
}

impl Reading {
    async fn begin(gateway: &Gateway, format: &str, is_stream: bool) -> Self {
        let (path, body) = support::request(format, "up", is_stream);
        let began = Instant::now();
        let answer = support::within(support::posting(gateway, &path, &body).send()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{format}");
        Self { answer, text: Vec::new(), began }
    }

    /// What came so far, with one spelling of a ping: a stream that passes has that of the service, a translated one the
    /// encoder's.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).replace("{\"type\": \"ping\"}", "{\"type\":\"ping\"}")
    }

    /// Reads until `wanted` stands at the end.
    async fn until(&mut self, wanted: &str) {
        while !self.text().ends_with(wanted) {
            let chunk = support::within(self.answer.chunk()).await.unwrap();
            self.text.extend(chunk.unwrap_or_else(|| panic!("no {wanted:?} in {}", self.text())));
        }
    }

    /// Reads to the end.
    async fn rest(mut self) -> String {
        while let Some(chunk) = support::within(self.answer.chunk()).await.unwrap() {
            self.text.extend(chunk);
        }
        self.text()
    }
}

/// Reads up to three signs of life after `before`; they must not have come faster than one a second. However late they
/// are read, they cannot be early.
async fn paced(reading: &mut Reading, before: &str, beat: &str) {
    reading.until(&format!("{before}{}", beat.repeat(3))).await;
    assert!(reading.began.elapsed() > Duration::from_millis(1900), "{:?}", reading.began.elapsed());
}

/// Answers as asked when the gate is open; the head comes at once.
async fn waiting(format: &'static str, gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::start(move |received| {
        let is_stream = asks_stream(received);
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let body = if is_stream { support::events(format) } else { support::body(format).to_string() };
        Script::json(200, Bytes::new()).header("content-type", kind).wait(&gate).send(body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_stream_to_begin_reads_what_its_format_bears() {
    for upstream_format in FORMATS {
        let gate = Gate::default();
        let upstream = waiting(upstream_format, &gate).await;
        let gateway =
            support::start(&format!("{EVERY_SECOND}{}", support::config(upstream_format, &upstream)), &[]);
        let beats = FORMATS.map(async |client| {
            let mut reading = Reading::begin(&gateway, client, true).await;
            let kind = reading.answer.headers()["content-type"].to_str().unwrap().to_owned();
            assert!(kind.starts_with("text/event-stream"), "{kind}");
            paced(&mut reading, "", early(client)).await;
            reading
        });
        let readings = join_all(beats).await;
        gate.open();
        for (reading, client) in readings.into_iter().zip(FORMATS) {
            let text = reading.rest().await;
            let what = format!("{client} over {upstream_format}: {text}");
            let mut events = text.as_str();
            while let Some(rest) = events.strip_prefix(early(client)) {
                events = rest;
            }
            assert!(events.starts_with("event: ") || events.starts_with("data: "), "{what}");
            assert_eq!(support::text_of(client, true, events), TEXT, "{what}");
            assert!(support::is_complete(client, events), "{what}");
            if client == upstream_format {
                assert_eq!(events, support::events(client), "the stream itself passes unchanged");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_inside_a_stream_reads_what_its_format_bears() {
    for upstream_format in FORMATS {
        let (gate, first) = (Gate::default(), half(upstream_format));
        let rest = support::events(upstream_format).strip_prefix(&first).unwrap().to_owned();
        let waiting = gate.clone();
        let upstream = Upstream::start(move |_| {
            Script::events(vec![Bytes::from(first.clone())]).wait(&waiting).send(rest.clone())
        })
        .await;
        let gateway =
            support::start(&format!("{EVERY_SECOND}{}", support::config(upstream_format, &upstream)), &[]);
        let beats = FORMATS.map(async |client| {
            let mut reading = Reading::begin(&gateway, client, true).await;
            // A blank line alone could be the end of a frame.
            let before = if client == "gemini" { "}\n\n" } else { "" };
            paced(&mut reading, before, between(client)).await;
            assert!(reading.text().contains("Grüße "), "{client}: {}", reading.text());
            reading
        });
        let readings = join_all(beats).await;
        gate.open();
        for (reading, client) in readings.into_iter().zip(FORMATS) {
            let text = reading.rest().await;
            let what = format!("{client} over {upstream_format}: {text}");
            assert_eq!(support::text_of(client, true, &text), TEXT, "{what}");
            assert!(support::is_complete(client, &text), "{what}");
            if client == upstream_format && client != "gemini" {
                assert_eq!(text.replace(between(client), ""), support::events(client), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sign_of_life_breaks_into_a_frame() {
    for format in FORMATS {
        let (gate, all) = (Gate::default(), support::events(format));
        // The stream halts in the middle of a frame, in the middle of a character.
        let cut = all.find('🌤').unwrap() + 2;
        let (first, rest) = all.as_bytes().split_at(cut);
        let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
        let waiting = gate.clone();
        let upstream =
            Upstream::start(move |_| Script::events(vec![first.clone()]).wait(&waiting).send(rest.clone()))
                .await;
        let gateway = support::start(&format!("{EVERY_SECOND}{}", support::config(format, &upstream)), &[]);
        let same = Reading::begin(&gateway, format, true).await;
        // A translated stream is between two frames of its own and beats: that is the clock.
        let other = if format == "chat" { "claude" } else { "chat" };
        let mut clock = Reading::begin(&gateway, other, true).await;
        clock.until(&between(other).repeat(3)).await;
        gate.open();
        let lines = |text: &str| -> Vec<String> {
            let text = text.replace(between(format), "\n");
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        assert_eq!(lines(&same.rest().await), lines(&all), "{format}");
        assert_eq!(support::text_of(other, true, &clock.rest().await), TEXT, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_whole_answer_reads_white_space_before_it() {
    for upstream_format in FORMATS {
        let gate = Gate::default();
        let upstream = waiting(upstream_format, &gate).await;
        let gateway =
            support::start(&format!("{EVERY_SECOND}{}", support::config(upstream_format, &upstream)), &[]);
        let beats = FORMATS.map(async |client| {
            let mut reading = Reading::begin(&gateway, client, false).await;
            paced(&mut reading, "", "\n").await;
            reading
        });
        let readings = join_all(beats).await;
        gate.open();
        for (reading, client) in readings.into_iter().zip(FORMATS) {
            let text = reading.rest().await;
            assert!(text.trim_start_matches('\n').starts_with('{'), "{text}");
            assert_eq!(support::text_of(client, false, &text), TEXT, "{client} over {upstream_format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_signs_of_life_is_told_in_the_body() {
    for client in FORMATS {
        let gate = Gate::default();
        let opening = gate.clone();
        let upstream = Upstream::start(move |_| Script::json(200, Bytes::new()).wait(&opening).cut()).await;
        let config = format!("request-retry: 0\n{EVERY_SECOND}{}", support::config("chat", &upstream));
        let gateway = support::start(
            &config.replace("keepalive-seconds: 1", "keepalive-seconds: 1, bootstrap-retries: 0"),
            &[],
        );
        let stream = async {
            let mut reading = Reading::begin(&gateway, client, true).await;
            reading.until(early(client)).await;
            reading
        };
        let whole = async {
            let mut reading = Reading::begin(&gateway, client, false).await;
            reading.until("\n").await;
            reading
        };
        let (stream, whole) = join(stream, whole).await;
        gate.open();
        let text = stream.rest().await;
        assert!(text.contains("\"error\"") && !support::is_complete(client, &text), "{client}: {text}");
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let event: Value = serde_json::from_str(last).unwrap();
        if client == "responses" {
            assert!(event["type"] == "error" || event["type"] == "response.failed", "{text}");
        } else {
            assert!(event["error"]["message"].is_string(), "{text}");
        }
        let error: Value = serde_json::from_str(&whole.rest().await).unwrap();
        assert!(error["error"]["message"].is_string(), "{client}: {error}");
        assert_eq!(error["type"] == "error", client == "claude", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_said_and_a_late_refusal_keeps_its_status() {
    let (gate, opening) = (Gate::default(), Gate::default());
    let upstream = waiting("chat", &gate).await;
    let waited = opening.clone();
    let refusing = Upstream::start(move |_| Script::json(200, Bytes::new()).wait(&waited).cut()).await;
    let config = |settings: &str, upstream: &Upstream| {
        let streaming = settings.replace("keepalive-seconds", "bootstrap-retries: 0, keepalive-seconds");
        support::start(&format!("request-retry: 0\n{streaming}{}", support::config("chat", upstream)), &[])
    };
    let (silent, failing, clock) =
        (config(NEVER, &upstream), config(NEVER, &refusing), config(EVERY_SECOND, &upstream));
    let beating = async {
        let mut reading = Reading::begin(&clock, "chat", true).await;
        reading.until(&early("chat").repeat(3)).await;
        gate.open();
        opening.open();
        reading.rest().await
    };
    let (_, answers) = join(
        beating,
        join(
            support::ask_model(&silent, "chat", "up", true),
            join(
                support::ask_model(&failing, "claude", "up", true),
                support::ask_model(&failing, "claude", "up", false),
            ),
        ),
    )
    .await;
    let (stream, (late_stream, late_whole)) = answers;
    assert_eq!((stream.status, stream.body), (200, support::events("chat")));
    for late in [late_stream, late_whole] {
        assert_eq!(late.status, 502, "{}", late.body);
        assert!(!late.error("claude").2.is_empty());
    }
}
