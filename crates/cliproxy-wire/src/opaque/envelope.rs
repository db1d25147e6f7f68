//! The envelope: opaque state of one provider in a slot of another provider's format.
//!
//! A client echoes what it was given in its own reasoning slot and never looks inside. So the gateway packs the state
//! with its owner, kind and anchor into one text that is legal in every such slot, and recognises it when it comes
//! back: `base64("GWS" version body)`, the body being compact JSON, from 4 KiB on deflated. A slot that stands for
//! several thoughts gets one envelope with the first of them as its body and the others in its member `n`. What may go
//! where is decided elsewhere; this file only packs and unpacks, and believes nothing that does not verify.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::Error;
use crate::json::{self, Object, Reader};
use crate::model::{Anchor, Opaque, OpaqueKind, Owner, Str};

/// How every rendered envelope begins: the base64 of its magic bytes. A history without this text holds no envelope.
pub const PREFIX: &str = "R1dT";

/// Largest envelope, packed or unpacked. Larger state travels only in the gateway's memory.
const MAX_SIZE: usize = 256 * 1024;

/// Bodies above this size are deflated.
const PLAIN_SIZE: usize = 4 * 1024;

/// Most bytes that one deflated byte may stand for. State is noise and thinking is prose, neither of which comes near it;
/// without a bound a request could hold a thousand times its size.
const MOST_INFLATED: usize = 16;

const MAGIC: &[u8] = b"GWS";
const PLAIN: u8 = 1;
const DEFLATED: u8 = 2;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// What was in an envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Unwrapped {
    /// The state, as its owner gave it.
    pub opaque: Opaque,
    /// The reasoning text that belongs to it, where the slot had no room for it.
    pub text: Option<Str>,
}

/// Packs state for a foreign slot; `text` is the reasoning text when the slot does not carry it.
///
/// `None` above the size limit: then only the gateway's memory can keep it.
pub fn wrap(opaque: &Opaque, text: Option<&str>) -> Option<String> {
    let mut body = Vec::with_capacity(opaque.data.len() + text.map_or(0, str::len) + 64);
    json::object(&mut body, |object| write(object, opaque, text));
    seal(&body)
}

/// Packs the state of several thoughts, in their order, for the one foreign slot that stands for them.
///
/// `None` for no thought, and above the size limit: half of a chain of thoughts is worth less than none, because nobody
/// would look for the rest.
pub fn wrap_all(thoughts: &[Unwrapped]) -> Option<String> {
    let (first, rest) = thoughts.split_first()?;
    let mut body = Vec::new();
    json::object(&mut body, |object| {
        write(object, &first.opaque, first.text.as_deref());
        if !rest.is_empty() {
            object.array("n", |array| {
                for next in rest {
                    array.object(|object| write(object, &next.opaque, next.text.as_deref()));
                }
            });
        }
    });
    seal(&body)
}

fn write(object: &mut Object<'_>, opaque: &Opaque, text: Option<&str>) {
    object.str("p", owner_word(opaque.owner));
    object.str("k", kind_word(opaque.kind));
    object.opt_str("s", opaque.scope.as_ref());
    object.opt_str("m", opaque.model.as_ref());
    object.str("a", &anchor_word(opaque.anchor));
    object.str("d", &opaque.data);
    object.opt_str("t", text);
}

fn seal(body: &[u8]) -> Option<String> {
    if body.len() > MAX_SIZE {
        return None;
    }
    let mut payload = Vec::with_capacity(body.len() + 4);
    payload.extend_from_slice(MAGIC);
    let packed = if body.len() > PLAIN_SIZE { deflate(body) } else { None };
    payload.push(if packed.is_some() { DEFLATED } else { PLAIN });
    payload.extend_from_slice(packed.as_deref().unwrap_or(body));
    let rendered = STANDARD.encode(payload);
    (rendered.len() <= MAX_SIZE).then_some(rendered)
}

/// Unpacks an envelope; of several thoughts the first. `None` for anything that is not one, however similar it looks.
pub fn unwrap(data: &str) -> Option<Unwrapped> {
    unpack(data, None)
}

/// Unpacks an envelope with all its thoughts, in their order. Nothing for anything that is not one.
pub fn unwrap_all(data: &str) -> Vec<Unwrapped> {
    let mut rest = Vec::new();
    let Some(first) = unpack(data, Some(&mut rest)) else { return Vec::new() };
    rest.insert(0, first);
    rest
}

fn unpack(data: &str, rest: Option<&mut Vec<Unwrapped>>) -> Option<Unwrapped> {
    if !data.starts_with(PREFIX) || data.len() > MAX_SIZE {
        return None;
    }
    let payload = decode(data)?;
    let (version, packed) = payload.strip_prefix(MAGIC)?.split_first()?;
    let inflated;
    let body = match *version {
        PLAIN => packed,
        DEFLATED => {
            inflated = inflate(packed)?;
            &inflated
        }
        _ => return None,
    };
    let mut reader = Reader::new(std::str::from_utf8(body).ok()?);
    let first = read(&mut reader, rest)?;
    reader.finish().ok()?;
    Some(first)
}

/// Bytes of base64 in either alphabet, padded or not.
pub(super) fn decode(data: &str) -> Option<Vec<u8>> {
    let engine = if data.bytes().any(|byte| byte == b'-' || byte == b'_') { &URL_SAFE } else { &STANDARD };
    engine.decode(data).ok()
}

/// The body deflated; `None` when it would be inflated by more than is believed.
fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    let mut deflate = DeflateEncoder::new(Vec::with_capacity(body.len() / 2), Compression::default());
    deflate.write_all(body).ok()?;
    let packed = deflate.finish().ok()?;
    (body.len() <= packed.len().saturating_mul(MOST_INFLATED)).then_some(packed)
}

fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let most = MAX_SIZE.min(packed.len().saturating_mul(MOST_INFLATED));
    let limit = u64::try_from(most).unwrap_or(u64::MAX) + 1;
    DeflateDecoder::new(packed).take(limit).read_to_end(&mut body).ok()?;
    (body.len() <= most).then_some(body)
}

/// Reads one thought, and those that go with it into `rest`.
fn read(reader: &mut Reader<'_>, mut rest: Option<&mut Vec<Unwrapped>>) -> Option<Unwrapped> {
    let mut owner = None;
    let mut kind = None;
    let mut scope = None;
    let mut model = None;
    let mut anchor = None;
    let mut data: Option<Str> = None;
    let mut text = None;
    reader
        .object(|key, value| {
            match key {
                "p" => owner = owner_of(&value.str()?),
                "k" => kind = kind_of(&value.str()?),
                "s" => scope = Some(value.str()?.into()),
                "m" => model = Some(value.str()?.into()),
                "a" => anchor = anchor_of(&value.str()?),
                "d" => data = Some(value.str()?.into()),
                "t" => text = Some(value.str()?.into()),
                "n" => {
                    if let Some(rest) = rest.as_deref_mut() {
                        value.array(|_, value| {
                            rest.push(read(value, None).ok_or_else(|| Error::malformed("no thought"))?);
                            Ok(())
                        })?;
                    }
                }
                _ => {}
            }
            Ok(())
        })
        .ok()?;
    let opaque = Opaque { owner: owner?, kind: kind?, scope, model, data: data?, anchor: anchor? };
    Some(Unwrapped { opaque, text })
}

const OWNERS: [(Owner, &str); 4] = [
    (Owner::Anthropic, "anthropic"),
    (Owner::Google, "google"),
    (Owner::OpenAi, "openai"),
    (Owner::Other, "other"),
];

fn owner_word(owner: Owner) -> &'static str {
    OWNERS.iter().find(|(known, _)| *known == owner).map_or("other", |(_, word)| word)
}

fn owner_of(word: &str) -> Option<Owner> {
    OWNERS.iter().find(|(_, known)| *known == word).map(|(owner, _)| *owner)
}

const KINDS: [(OpaqueKind, &str); 7] = [
    (OpaqueKind::ClaudeSignature, "sig"),
    (OpaqueKind::ClaudeRedacted, "redacted"),
    (OpaqueKind::OpenAiEncrypted, "enc"),
    (OpaqueKind::GeminiThought, "thought"),
    (OpaqueKind::RouterDetail, "detail"),
    (OpaqueKind::Compaction, "compaction"),
    (OpaqueKind::Other, "other"),
];

fn kind_word(kind: OpaqueKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("other", |(_, word)| word)
}

fn kind_of(word: &str) -> Option<OpaqueKind> {
    KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
}

fn anchor_word(anchor: Anchor) -> String {
    match anchor {
        Anchor::This => "this".to_owned(),
        Anchor::ToolCall(ordinal) => format!("call:{ordinal}"),
        Anchor::Text => "text".to_owned(),
        Anchor::TrailingEmptyText => "tail".to_owned(),
    }
}

fn anchor_of(word: &str) -> Option<Anchor> {
    match word {
        "this" => Some(Anchor::This),
        "text" => Some(Anchor::Text),
        "tail" => Some(Anchor::TrailingEmptyText),
        _ => word.strip_prefix("call:")?.parse().ok().map(Anchor::ToolCall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN_FIXTURE: &str =
        "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09In0=";
    const TEXT_FIXTURE: &str = "R1dTAXsicCI6ImFudGhyb3BpYyIsImsiOiJzaWciLCJhIjoidGhpcyIsImQiOiJFclVCc2lnbmF0dXJlMDAwMT09IiwidCI6Ik5lZWQgdGhlIHdlYXRoZXIuIn0=";

    fn signature(data: &str) -> Opaque {
        Opaque {
            owner: Owner::Anthropic,
            kind: OpaqueKind::ClaudeSignature,
            scope: None,
            model: None,
            data: data.into(),
            anchor: Anchor::This,
        }
    }

    fn noise(length: usize) -> String {
        let mut state = 7u64;
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b'A' + u8::try_from(state >> 60).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_golden_envelopes_are_written_byte_for_byte() {
        let opaque = signature("ErUBsignature0001==");
        assert_eq!(wrap(&opaque, None).as_deref(), Some(PLAIN_FIXTURE));
        assert_eq!(wrap(&opaque, Some("Need the weather.")).as_deref(), Some(TEXT_FIXTURE));
        assert_eq!(unwrap(PLAIN_FIXTURE), Some(Unwrapped { opaque: opaque.clone(), text: None }));
        let text = Some("Need the weather.".into());
        assert_eq!(unwrap(TEXT_FIXTURE), Some(Unwrapped { opaque, text }));
    }

    #[test]
    fn both_alphabets_with_and_without_padding_are_read() {
        let opaque = signature("?>~~?>~~ä🌤\u{7f}?");
        let standard = wrap(&opaque, None).unwrap();
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for form in [standard.as_str(), url_safe.as_str()] {
            assert_eq!(unwrap(form).unwrap().opaque, opaque);
            assert_eq!(unwrap(form.trim_end_matches('=')).unwrap().opaque, opaque);
        }
    }

    #[test]
    fn every_owner_kind_anchor_scope_and_model_survives() {
        for (owner, _) in OWNERS {
            for (kind, _) in KINDS {
                for anchor in [Anchor::This, Anchor::ToolCall(3), Anchor::Text, Anchor::TrailingEmptyText] {
                    let opaque = Opaque {
                        owner,
                        kind,
                        scope: Some("ab12".into()),
                        model: Some("family".into()),
                        data: "x".into(),
                        anchor,
                    };
                    assert_eq!(unwrap(&wrap(&opaque, None).unwrap()).unwrap().opaque, opaque);
                }
            }
        }
    }

    #[test]
    fn several_thoughts_share_an_envelope_in_their_order() {
        let thought = |data: &str, text: Option<&str>| Unwrapped {
            opaque: signature(data),
            text: text.map(Into::into),
        };
        let thoughts = [thought("a", Some("one")), thought("b", None), thought("c", Some("three"))];
        let together = wrap_all(&thoughts).unwrap();
        assert_eq!(unwrap_all(&together), thoughts);
        assert_eq!(unwrap(&together).as_ref(), thoughts.first());
        assert_eq!(wrap_all(&thoughts[..1]), wrap(&thoughts[0].opaque, Some("one")));
        assert_eq!(unwrap_all(TEXT_FIXTURE).len(), 1);
        assert_eq!(wrap_all(&[]), None);
        assert_eq!(wrap_all(&[thoughts[0].clone(), thought(&noise(MAX_SIZE), None)]), None);
        let odd = b"GWS\x01{\"p\":\"other\",\"k\":\"sig\",\"a\":\"this\",\"d\":\"x\",\"n\":[0]}";
        assert_eq!(unwrap_all(&STANDARD.encode(odd)), []);
    }

    #[test]
    fn large_state_is_deflated_and_comes_back() {
        let opaque = signature(&noise(40_000));
        let wrapped = wrap(&opaque, Some("why")).unwrap();
        assert!(wrapped.starts_with(PREFIX) && wrapped.len() < 40_000);
        assert_eq!(unwrap(&wrapped), Some(Unwrapped { opaque, text: Some("why".into()) }));
    }

    #[test]
    fn state_above_the_limit_is_not_wrapped_and_bombs_are_not_inflated() {
        assert_eq!(wrap(&signature(&noise(MAX_SIZE)), None), None);
        let mut deflate = DeflateEncoder::new(b"GWS\x02".to_vec(), Compression::best());
        let filler = "x".repeat(8 * 1024 * 1024);
        deflate
            .write_all(format!(r#"{{"p":"google","k":"sig","a":"this","d":"{filler}"}}"#).as_bytes())
            .unwrap();
        assert_eq!(unwrap(&STANDARD.encode(deflate.finish().unwrap())), None);
    }

    #[test]
    fn a_few_bytes_do_not_become_many() {
        let monotonous = "x".repeat(100_000);
        let wrapped = wrap(&signature("s"), Some(&monotonous)).unwrap();
        assert_eq!(unwrap(&wrapped).unwrap().text.as_deref(), Some(monotonous.as_str()));
        let body = format!(r#"{{"p":"google","k":"sig","a":"this","d":"{monotonous}"}}"#);
        let mut deflate = DeflateEncoder::new(b"GWS\x02".to_vec(), Compression::best());
        deflate.write_all(body.as_bytes()).unwrap();
        let packed = deflate.finish().unwrap();
        assert!(packed.len() * 100 < body.len());
        assert_eq!(unwrap(&STANDARD.encode(packed)), None);
    }

    #[test]
    fn what_does_not_verify_is_not_believed() {
        let render = |bytes: &[u8]| STANDARD.encode(bytes);
        for bad in [
            "R1dT".to_owned(),
            "R1dT!!".to_owned(),
            "ErUBsignature0001==".to_owned(),
            render(b"GWS\x03{}"),
            render(b"GWS\x01{\"p\":\"anthropic\",\"k\":\"sig\",\"a\":\"this\"}"),
            render(b"GWS\x01{\"p\":\"nobody\",\"k\":\"sig\",\"a\":\"this\",\"d\":\"x\"}"),
            render(b"GWS\x01{\"p\":\"google\",\"k\":\"sig\",\"a\":\"this\",\"d\":\"x\"} tail"),
            render(b"GWS\x01[]"),
            render(b"GWS\x02not deflate"),
        ] {
            assert_eq!(unwrap(&bad), None, "{bad}");
        }
    }
}
