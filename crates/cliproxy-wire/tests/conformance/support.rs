//! What the statements' tests share: a request on its way out, a stream on its way back.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cliproxy_wire::catalog::{self, Caps};
use cliproxy_wire::codec::{ClientContext, Encoded, Strictness, Target, UpstreamContext};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::model::fold::{Fold, unfold};
use cliproxy_wire::model::{Event, Request, Response, Show, Summary};
use cliproxy_wire::opaque::Repair;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::Table;
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::sse::{Ending, StreamReader};
use cliproxy_wire::{Error, claude, normalize};
use proptest::prelude::ProptestConfig;
use serde_json::Value;

/// An upstream to encode for. The fields may be changed before [`Upstream::encode`].
pub(crate) struct Upstream {
    pub(crate) profile: Profile,
    pub(crate) caps: Caps,
    pub(crate) model: String,
    pub(crate) strictness: Strictness,
    pub(crate) repair: Option<Repair>,
}

impl Upstream {
    /// The upstream of `profile` with what the catalog knows of `model`.
    pub(crate) fn new(profile: Profile, model: &str) -> Self {
        Self {
            profile,
            caps: catalog::caps(model),
            model: model.to_owned(),
            strictness: Strictness::Default,
            repair: None,
        }
    }

    /// The request that a client of `from` causes.
    pub(crate) fn try_encode(&self, from: Format, body: &Value) -> Result<Encoded, Error> {
        let request = decode(from, body)?;
        self.encode_request(&request)
    }

    /// The same for a request of the model.
    pub(crate) fn encode_request(&self, request: &Request) -> Result<Encoded, Error> {
        self.aim(request, |target| format::encode_request(request.clone(), target))
    }

    /// The request made to fit, not yet written.
    pub(crate) fn prepare(&self, request: &Request) -> Result<normalize::Prepared, Error> {
        self.aim(request, |target| normalize::prepare(request.clone(), target))
    }

    /// The count request for a Claude upstream.
    pub(crate) fn count(&self, request: &Request) -> Encoded {
        self.aim(request, |target| {
            claude::encode_count_request(normalize::prepare(request.clone(), target).unwrap(), target)
                .unwrap()
        })
    }

    fn aim<T>(&self, request: &Request, encode: impl FnOnce(&Target<'_>) -> T) -> T {
        let table = Table::default();
        let schemas = Cleaned::default();
        let target = Target {
            profile: &self.profile,
            caps: &self.caps,
            model: &self.model,
            suffix: None,
            stream: request.stream,
            scope: None,
            strictness: self.strictness,
            table: &table,
            schemas: &schemas,
            memory: None,
            repair: self.repair,
        };
        encode(&target)
    }

    /// The body that a client of `from` causes.
    pub(crate) fn encode(&self, from: Format, body: &Value) -> Value {
        let encoded = self.try_encode(from, body).unwrap();
        serde_json::from_slice(&encoded.body).unwrap()
    }
}

/// A client's request.
pub(crate) fn decode(from: Format, body: &Value) -> Result<Request, Error> {
    format::decode_request(
        from,
        &serde_json::to_vec(body).unwrap(),
        RequestContext { model: "m", stream: false, ..RequestContext::default() },
    )
}

/// A client of `to` that is shown reasoning and knows its upstream's model names.
pub(crate) fn client(to: Format) -> ClientContext {
    let mut context = ClientContext::new(&Request::new(to, "m"), "req_fx", 1_785_500_000);
    context.show = Show::Summary(Summary::Auto);
    context.now = || 1_785_500_003;
    context.include_usage = true;
    context
}

/// The stream that a client gets of an upstream's.
pub(crate) fn translate(profile: &Profile, stream: &str, to: Format, context: &ClientContext) -> String {
    write(to, context, events(profile, stream))
}

/// The events of an upstream's stream, the same whether it arrives whole, byte by byte or split at random.
pub(crate) fn events(profile: &Profile, stream: &str) -> Vec<Event> {
    let whole = events_of_pieces(profile, stream, &[usize::MAX]);
    assert_eq!(events_of_pieces(profile, stream, &[1]), whole, "byte by byte");
    for seed in 1..4 {
        let lengths = random_lengths(seed);
        assert_eq!(events_of_pieces(profile, stream, &lengths), whole, "pieces of {lengths:?}");
    }
    whole
}

/// Lengths of pieces, most of them short, from a seed.
pub(crate) fn random_lengths(seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap()
    };
    (0..64).map(|_| if next() % 4 == 0 { 1 + next() % 400 } else { 1 + next() % 9 }).collect()
}

fn events_of_pieces(profile: &Profile, stream: &str, lengths: &[usize]) -> Vec<Event> {
    let context = UpstreamContext::new(profile, "req_fx");
    let mut decoder = format::stream_decoder(profile.format, context.clone());
    let mut frames = StreamReader::new(32 << 20);
    let mut out = Vec::new();
    let mut rest = stream.as_bytes();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        frames.push(piece, &mut |frame| decoder.frame(&frame, &mut out)).unwrap();
        rest = after;
    }
    match frames.finish(&mut |frame| decoder.frame(&frame, &mut out)) {
        Ok(Ending::Stream) => decoder.finish(None, &mut out),
        Ok(Ending::Body(body)) => match format::decode_response(profile.format, &body, &context) {
            Ok(response) => unfold(&response, &mut out),
            Err(fault) => out.push(Event::Error(Box::new(fault))),
        },
        Err(fault) => decoder.finish(Some(fault), &mut out),
    }
    out
}

/// The answer that events tell.
pub(crate) fn folded(events: &[Event]) -> Response {
    let mut fold = Fold::default();
    for event in events {
        fold.event(event.clone());
    }
    fold.finish().unwrap()
}

/// The stream that a client of `to` gets of these events.
pub(crate) fn write(to: Format, context: &ClientContext, events: Vec<Event>) -> String {
    let mut encoder = format::stream_encoder(to, context.clone());
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

/// A hand-made fixture of the repository.
pub(crate) fn fixture(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    fs::read_to_string(format!("{root}{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The data of the frames of a stream, in order.
pub(crate) fn frames(stream: &str) -> Vec<Value> {
    stream
        .split("\n\n")
        .filter_map(|frame| frame.lines().find_map(|line| line.strip_prefix("data: ")))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

/// Where two values differ, one line per place.
pub(crate) fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ("", left, right, &mut found);
    found
}

fn differ(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                let side =
                    |side: &serde_json::Map<String, Value>| side.get(name).cloned().unwrap_or_default();
                differ(&format!("{path}.{name}"), &side(left), &side(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                differ(&format!("{path}[{at}]"), left, right, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {left} | {right}")),
    }
}

/// How many cases a property is tried with: as many as usual, or what `PROPTEST_CASES` says.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config
}

/// How often a growth that looks too steep is measured again. What disturbs a measurement only ever adds to it, so the
/// least of many is the work itself.
const TRIES: usize = 12;

/// Whether what costs `cost(false)` costs more than `factor` times as much as `cost(true)`, the cheap one, in the least of
/// several tries; both as last measured.
pub(crate) fn outgrows(factor: u32, cost: impl Fn(bool) -> Duration) -> Option<(Duration, Duration)> {
    // Below that, the clock and what is done once for every size are most of it.
    const LEAST: Duration = Duration::from_micros(200);
    let (mut few, mut many) = (cost(true), cost(false));
    for _ in 0..TRIES {
        if many <= few.max(LEAST) * factor {
            return None;
        }
        many = many.min(cost(false));
        few = few.min(cost(true));
    }
    Some((few, many))
}

/// How much `job` computes: this thread's time on a processor where the system tells it, to which waiting for others adds
/// nothing; else the time that passes.
pub(crate) fn work(job: impl FnOnce()) -> Duration {
    let begun = computed();
    job();
    computed().saturating_sub(begun)
}

fn computed() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Else the system tells what was true at its last tick.
    std::thread::yield_now();
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|line| line.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    told.unwrap_or_else(|| BEGUN.elapsed())
}
