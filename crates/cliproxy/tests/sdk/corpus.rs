//! Everything that the codecs make of the recorded exchanges, against the types of the official SDKs: each request for
//! every upstream, each answer for every client, as a body and as a stream.
//!
//! The exchanges are read and sent through the codecs as the codecs' own tests do it. What comes out is written as lines
//! of JSON, which one run of the Python suite reads.

#[path = "../../../cliproxy-wire/tests/conformance/corpus/passage.rs"]
#[expect(dead_code, reason = "the codecs' tests need more of it")]
mod passage;
#[path = "../../../cliproxy-wire/tests/conformance/corpus/recorded.rs"]
mod recorded;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::Status;
use serde_json::{Value, json};

use crate::suite::Runner;
use recorded::Exchange;

/// Files of lines, one for each kind of value.
struct Written<'a> {
    folder: &'a Path,
    files: BTreeMap<String, BufWriter<File>>,
}

impl Written<'_> {
    /// `source` is what the other side wrote, where it is of the same format.
    fn line(&mut self, kind: &str, format: Format, what: &str, body: &[u8], source: Option<&Value>) {
        let name = format!("{kind}-{}", format.name());
        let file = self.files.entry(name).or_insert_with_key(|name| {
            BufWriter::new(File::create(self.folder.join(format!("{name}.jsonl"))).expect("a file"))
        });
        let body = std::str::from_utf8(body).expect("text");
        let what = json!(what);
        let source = source.map_or_else(|| "null".to_owned(), Value::to_string);
        writeln!(file, r#"{{"what":{what},"source":{source},"body":{}}}"#, body.replace('\n', " "))
            .expect("a line");
    }
}

/// The request of an exchange for every upstream that takes it.
fn requests(exchange: &Exchange, out: &mut Written<'_>) {
    let Some(Ok(request)) = passage::request(exchange) else { return };
    for (profile, model) in passage::upstreams() {
        let aim = passage::Aim::at(&profile, model);
        let Ok(encoded) = aim.with(&request, |target| format::encode_request(request.clone(), target)) else {
            continue;
        };
        let source = exchange.request().filter(|_| profile.format == exchange.format);
        let what = format!("{} for {} {model}", exchange.id, profile.name);
        out.line("request", profile.format, &what, &encoded.body, source);
    }
}

/// The answer of an exchange for a client of each format.
fn answers(exchange: &Exchange, out: &mut Written<'_>) {
    let Some((response, events)) = passage::answer(exchange) else { return };
    if matches!(response.status, Status::Failed(_) | Status::Cancelled) {
        return;
    }
    let said = exchange.stream().map_or_else(
        || exchange.body().cloned().into_iter().collect(),
        |stream| payloads(stream).filter_map(|data| serde_json::from_str(data).ok()).collect(),
    );
    let said = Value::Array(said);
    for to in Format::ALL {
        let what = format!("{} for {}", exchange.id, to.name());
        let source = Some(&said).filter(|_| to == exchange.format);
        let context = passage::client(to, &response);
        let body = format::encode_response(to, &response, &context);
        out.line("answer", to, &what, &body, source);
        let mut encoder = format::stream_encoder(to, context);
        let mut stream = Vec::new();
        for event in &events {
            encoder.event(event.clone(), &mut stream);
        }
        let stream = String::from_utf8(stream).expect("text");
        let events: Vec<&str> = payloads(&stream).collect();
        out.line("stream", to, &what, format!("[{}]", events.join(",")).as_bytes(), source);
    }
}

/// The data of the events of a stream.
fn payloads(stream: &str) -> impl Iterator<Item = &str> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(str::trim).filter(|data| *data != "[DONE]")
}

#[test]
fn everything_that_is_made_of_recorded_exchanges_is_of_the_official_types() {
    let Some(python) = cliproxy_testkit::sdk::python() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let mut written = Written { folder: folder.path(), files: BTreeMap::new() };
    for format in Format::ALL {
        for exchange in recorded::exchanges(format).iter().filter(|exchange| exchange.is_generation()) {
            requests(exchange, &mut written);
            // Two recordings hold two messages each.
            if !exchange.has("anomalous-stream") {
                answers(exchange, &mut written);
            }
        }
    }
    // Without recordings there is nothing to check, and a line has said so.
    if written.files.is_empty() {
        return;
    }
    drop(written);
    let mut runner = Runner::types(&python, "test_official_types.py");
    runner.variable("WRITTEN", &folder.path().to_string_lossy());
    runner.run_alone();
}
