//! Whose opaque data is it, when no envelope says so?
//!
//! Histories recorded before the gateway, or by another provider's own client, hold bare data. Its first bytes tell
//! enough to keep it away from upstreams that would refuse it.

use crate::model::Owner;

use super::envelope;

/// What Gemini accepts in place of a signature that is not known.
pub const SENTINEL: &str = "skip_thought_signature_validator";

/// Texts that Gemini accepts in place of a signature, and their base64.
const SENTINELS: [&str; 4] = [
    SENTINEL,
    "context_engineering_is_the_way_to_go",
    "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I",
    "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
];

/// True for the stand-ins that Gemini accepts instead of a signature.
pub fn is_sentinel(data: &str) -> bool {
    SENTINELS.contains(&data.trim_end_matches('='))
}

/// Whose the bare `data` is, found in a slot that is native to `slot_owner`.
///
/// [`Owner::Other`] means that nobody known made it. Data that looks like nothing known belongs to the slot's owner:
/// the upstream will judge.
pub fn classify(data: &str, slot_owner: Owner) -> Owner {
    if let Some(unwrapped) = envelope::unwrap(data) {
        return unwrapped.opaque.owner;
    }
    if is_sentinel(data) {
        return Owner::Google;
    }
    // The token form that encrypted reasoning has had since it exists.
    if data.starts_with("gAAAA") {
        return Owner::OpenAi;
    }
    let Some(bytes) = envelope::decode(data) else { return slot_owner };
    if memchr::memmem::find(&bytes, b"claude-").is_some() {
        return Owner::Anthropic;
    }
    match (bytes.first(), slot_owner) {
        // Both providers' signatures begin so; only the slot can tell them apart.
        (Some(0x01 | 0x0A | 0x12), Owner::Anthropic | Owner::Google) => slot_owner,
        (Some(0x01 | 0x0A | 0x12), Owner::OpenAi | Owner::Other) => Owner::Other,
        _ => slot_owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_data_is_told_apart_by_form_and_slot() {
        for (data, slot, owner) in [
            ("gAAAAABoabc_-", Owner::Anthropic, Owner::OpenAi),
            ("RXJjbGF1ZGUtb3B1cw==", Owner::Google, Owner::Anthropic),
            ("EqQBabcd", Owner::Anthropic, Owner::Anthropic),
            ("EqQBabcd", Owner::Google, Owner::Google),
            ("EqQBabcd", Owner::OpenAi, Owner::Other),
            ("CiQBabcd", Owner::Other, Owner::Other),
            ("skip_thought_signature_validator", Owner::Anthropic, Owner::Google),
            ("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=", Owner::OpenAi, Owner::Google),
            ("Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv", Owner::Anthropic, Owner::Google),
            ("not base64 at all!", Owner::Anthropic, Owner::Anthropic),
            ("zzzz", Owner::OpenAi, Owner::OpenAi),
            ("", Owner::Google, Owner::Google),
        ] {
            assert_eq!(classify(data, slot), owner, "{data} in a slot of {slot:?}");
        }
    }

    #[test]
    fn an_envelope_says_itself_whose_it_is() {
        let data =
            "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";
        assert_eq!(classify(data, Owner::Google), Owner::Anthropic);
    }
}
