//! The codecs alone: 200 KB requests and single pieces of streams. `cargo bench -p cliproxy-bench`, for whoever works
//! on a codec; the targets are measured on the running gateway.
#![expect(clippy::expect_used, reason = "a benchmark whose set-up fails is to stop")]

use cliproxy_bench::sample::{Dialect, agentic};
use cliproxy_wire::catalog;
use cliproxy_wire::codec::{ClientContext, Strictness, Target, UpstreamContext};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::lane::{Changes, Relay, peek};
use cliproxy_wire::model::Request;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::Table;
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::sse::StreamReader;
use divan::Bencher;

// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn format_of(dialect: Dialect) -> Format {
    match dialect {
        Dialect::Chat => Format::Chat,
        Dialect::Responses => Format::Responses,
        Dialect::Claude => Format::Claude,
        Dialect::Gemini => Format::Gemini,
    }
}

fn profile_of(dialect: Dialect) -> Profile {
    match dialect {
        Dialect::Chat => Profile::openai_chat(),
        Dialect::Responses => Profile::openai_responses(),
        Dialect::Claude => Profile::claude(),
        Dialect::Gemini => Profile::gemini(),
    }
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|client| {
        let others = Dialect::ALL.into_iter().filter(move |upstream| *upstream != client);
        others.map(move |upstream| (client, upstream))
    })
}

fn decoded(client: Dialect) -> Request {
    let body = agentic(client, "model").body;
    let path = RequestContext { model: "model", stream: false, ..RequestContext::default() };
    format::decode_request(format_of(client), &body, path).expect("a request")
}

/// The floor for whoever builds a tree.
#[divan::bench(args = Dialect::ALL)]
fn tree(bencher: Bencher<'_, '_>, client: Dialect) {
    let body = agentic(client, "model").body;
    bencher.bench(|| {
        let tree: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        serde_json::to_vec(&tree)
    });
}

#[divan::bench(args = Dialect::ALL)]
fn peek_at_request(bencher: Bencher<'_, '_>, client: Dialect) {
    let body = agentic(client, "model").body;
    bencher.bench(|| peek(format_of(client), &body));
}

#[divan::bench(args = Dialect::ALL)]
fn decode_request(bencher: Bencher<'_, '_>, client: Dialect) {
    let body = agentic(client, "model").body;
    let path = RequestContext { model: "model", stream: false, ..RequestContext::default() };
    bencher.bench(|| format::decode_request(format_of(client), &body, path));
}

#[divan::bench(args = pairs())]
fn encode_request(bencher: Bencher<'_, '_>, (client, upstream): (Dialect, Dialect)) {
    let request = decoded(client);
    let profile = profile_of(upstream);
    let caps = catalog::caps("model");
    let (table, schemas) = (Table::default(), Cleaned::default());
    let target = Target {
        profile: &profile,
        caps: &caps,
        model: "model",
        suffix: None,
        stream: false,
        scope: None,
        strictness: Strictness::Default,
        table: &table,
        schemas: &schemas,
        memory: None,
        repair: None,
    };
    bencher.with_inputs(|| request.clone()).bench_values(|request| format::encode_request(request, &target));
}

#[divan::bench(args = Dialect::ALL)]
fn relay_piece(bencher: Bencher<'_, '_>, dialect: Dialect) {
    let mut relay = Relay::new(format_of(dialect), Changes::default(), 1 << 20);
    let mut out = Vec::new();
    relay.push(dialect.opening(), &mut out).expect("a stream");
    let piece = dialect.delta();
    bencher.bench_local(|| {
        out.clear();
        relay.push(piece.clone(), &mut out)
    });
}

#[divan::bench(args = pairs())]
fn translate_piece(bencher: Bencher<'_, '_>, (client, upstream): (Dialect, Dialect)) {
    let mut reader = StreamReader::new(1 << 20);
    let context = UpstreamContext::new(&profile_of(upstream), "req_1");
    let mut decoder = format::stream_decoder(format_of(upstream), context);
    let request = Request::new(format_of(client), "model");
    let context = ClientContext::new(&request, "req_1", 1_700_000_000);
    let mut encoder = format::stream_encoder(format_of(client), context);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    let mut push = |bytes: &[u8]| {
        reader.push(bytes, &mut |frame| decoder.frame(&frame, &mut events)).expect("a stream");
        for event in events.drain(..) {
            encoder.event(event, &mut out);
        }
        let length = out.len();
        out.clear();
        length
    };
    push(&upstream.opening());
    let piece = upstream.delta();
    bencher.bench_local(|| push(&piece));
}

/// Calls that are all under way at once, their arguments interleaved. Four times as many must cost about four times as
/// much.
#[divan::bench(args = [1000, 4000])]
fn parallel_calls_of_claude_for_chat(bencher: Bencher<'_, '_>, calls: u32) {
    let start = |call| {
        format!(
            r#"data: {{"type":"content_block_start","index":{call},"content_block":{{"type":"tool_use","id":"toolu_{call}","name":"f","input":{{}}}}}}"#
        )
    };
    let piece = |call| {
        format!(
            r#"data: {{"type":"content_block_delta","index":{call},"delta":{{"type":"input_json_delta","partial_json":"{{}}"}}}}"#
        )
    };
    bencher.bench_local(|| parallel(Dialect::Claude, Dialect::Chat, calls, start, piece));
}

#[divan::bench(args = [1000, 4000])]
fn parallel_calls_of_chat_for_claude(bencher: Bencher<'_, '_>, calls: u32) {
    let start = |call| {
        format!(
            r#"data: {{"id":"1","model":"m","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{call},"id":"call_{call}","function":{{"name":"f","arguments":""}}}}]}}}}]}}"#
        )
    };
    let piece = |call| {
        format!(
            r#"data: {{"id":"1","model":"m","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{call},"function":{{"arguments":"{{}}"}}}}]}}}}]}}"#
        )
    };
    bencher.bench_local(|| parallel(Dialect::Chat, Dialect::Claude, calls, start, piece));
}

/// Length of what the client gets.
fn parallel(
    upstream: Dialect,
    client: Dialect,
    calls: u32,
    start: impl Fn(u32) -> String,
    piece: impl Fn(u32) -> String,
) -> usize {
    let mut reader = StreamReader::new(1 << 20);
    let context = UpstreamContext::new(&profile_of(upstream), "req_1");
    let mut decoder = format::stream_decoder(format_of(upstream), context);
    let request = Request::new(format_of(client), "model");
    let context = ClientContext::new(&request, "req_1", 1_700_000_000);
    let mut encoder = format::stream_encoder(format_of(client), context);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for frame in (0..calls).map(start).chain((0..calls).map(piece)) {
        let frame = frame + "\n\n";
        reader.push(frame.as_bytes(), &mut |frame| decoder.frame(&frame, &mut events)).expect("a stream");
        for event in events.drain(..) {
            encoder.event(event, &mut out);
        }
    }
    out.len()
}
