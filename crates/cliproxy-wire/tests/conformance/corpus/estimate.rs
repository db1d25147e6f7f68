//! The local token estimate against what services counted.

use cliproxy_wire::estimate::{self, Family};
use cliproxy_wire::format::{self, Format, RequestContext};
use cliproxy_wire::model::{Content, Request, Tool};

use super::recorded::{Exchange, exchanges};

/// What the service counted.
fn counted(exchange: &Exchange) -> Option<u64> {
    let body = exchange.body().filter(|_| exchange.is_success())?;
    let usage = |name: &str| body["usage"][name].as_u64();
    let counted = match exchange.format {
        _ if exchange.value["operation"] == "count_tokens" => {
            body["input_tokens"].as_u64().or_else(|| body["totalTokens"].as_u64())
        }
        Format::Chat => usage("prompt_tokens"),
        Format::Responses => usage("input_tokens"),
        Format::Claude => usage("input_tokens").map(|input| {
            let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"];
            input + cached.iter().filter_map(|name| usage(name)).sum::<u64>()
        }),
        Format::Gemini => body["usageMetadata"]["promptTokenCount"].as_u64(),
    };
    // Of a few tokens the frame around the text is most, and that differs by model.
    counted.filter(|counted| *counted >= 150)
}

fn request(exchange: &Exchange) -> Option<Request> {
    let body = exchange.request()?.to_string();
    let path = RequestContext { model: exchange.model(), stream: false, ..RequestContext::default() };
    match exchange.value["operation"].as_str()? {
        "count_tokens" => format::decode_count_request(exchange.format, body.as_bytes(), path).ok(),
        "generate" => format::decode_request(exchange.format, body.as_bytes(), path).ok(),
        _ => None,
    }
}

/// Whether the request is all that the model read: what the service stored, compacted, ran or kept encrypted is more or
/// less than that, and recorders replaced pictures and files.
pub(super) fn is_told(exchange: &Exchange, request: &Request) -> bool {
    const MORE: [&str; 6] =
        ["cached-content", "mcp", "compaction", "thinking-history", "signature-history", "audio-out"];
    if MORE.iter().any(|feature| exchange.has(feature)) {
        return false;
    }
    let mut blocks: Vec<&Content> =
        request.turns.iter().flat_map(|turn| &turn.blocks).map(|block| &block.content).collect();
    for at in 0..blocks.len() {
        if let Content::ToolResult(result) = blocks[at] {
            blocks.extend(result.content.iter().map(|block| &block.content));
        }
    }
    let is_text = |content: &Content| {
        matches!(content, Content::Text(_) | Content::ToolCall(_) | Content::ToolResult(_))
    };
    blocks.into_iter().all(is_text)
        && request.state.previous_response_id.is_none()
        && request.tools.iter().all(|tool| matches!(tool, Tool::Function { native: None, .. }))
}

/// The relation of estimate to truth, for every request whose truth is known.
fn relations(of: &[Family]) -> Vec<(f64, String)> {
    let mut all = Vec::new();
    for exchange in Format::ALL.into_iter().flat_map(exchanges) {
        let family = Family::of(exchange.model());
        let Some(counted) = counted(&exchange).filter(|_| of.contains(&family)) else { continue };
        let Some(request) = request(&exchange).filter(|request| is_told(&exchange, request)) else {
            continue;
        };
        let estimate = estimate::request(&request, family);
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let relation = estimate as f64 / counted as f64;
        all.push((relation, format!("{} {}: {estimate} of {counted}", exchange.id, exchange.model())));
    }
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    all
}

#[test]
fn j256_the_estimate_is_within_a_quarter_of_what_services_count() {
    // Look-alikes put instructions of their own, of any length, around what was asked: there the middle counts.
    for (families, least, share) in [
        (&[Family::Gpt, Family::Gpt5][..], 40, 80),
        (&[Family::Gemini, Family::Gemini3], 15, 75),
        (&[Family::Claude, Family::Claude45, Family::NewClaude], 100, 85),
        (&[Family::Other], 60, 0),
    ] {
        let relations = relations(families);
        let good = relations.iter().filter(|(relation, _)| (0.75..=1.25).contains(relation)).count();
        let is_enough = relations.is_empty() || relations.len() >= least;
        assert!(is_enough && good * 100 >= relations.len() * share, "{good} are good: {relations:#?}");
        let median = relations.get(relations.len() / 2).map_or(1.0, |(relation, _)| *relation);
        assert!((0.75..=1.25).contains(&median), "{families:?}: {median}");
    }
}
