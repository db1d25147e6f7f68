//! Vectors, as they come and as they are wanted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;
use crate::fault::{Fault, Kind as FaultKind};
use crate::json::{self, Kind, Object, Raw, Reader};

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// A vector for each text, in order: a list of numbers, or a text that packs them.
    pub vectors: Vec<Raw>,
    /// Tokens that were read, where the upstream counts them.
    pub input_tokens: Option<u64>,
}

/// Reads an OpenAI-compatible service's answer.
///
/// # Errors
/// A body that is no such answer.
pub fn read_openai(body: &[u8]) -> Result<Embedded, Fault> {
    let mut embedded = Embedded::default();
    let mut indexed = Vec::new();
    let read = object(body, |name, value| match (name, value.kind()) {
        ("data", Kind::Array) => value.array(|at, value| {
            let (mut index, mut vector) = (at as u64, None);
            value.object(|name, value| {
                match name {
                    "index" => index = value.opt(Reader::u64)?.unwrap_or(index),
                    "embedding" => vector = Some(value.to_raw()?),
                    _ => {}
                }
                Ok(())
            })?;
            indexed.extend(vector.map(|vector| (index, vector)));
            Ok(())
        }),
        ("usage", Kind::Object) => count(value, "prompt_tokens", &mut embedded.input_tokens),
        _ => Ok(()),
    });
    indexed.sort_by_key(|(index, _)| *index);
    embedded.vectors = indexed.into_iter().map(|(_, vector)| vector).collect();
    embedded.checked(body, read)
}

/// Reads Gemini's answer, to one request or to several.
///
/// # Errors
/// A body that is no such answer.
pub fn read_gemini(body: &[u8]) -> Result<Embedded, Fault> {
    let mut embedded = Embedded::default();
    let vectors = &mut embedded.vectors;
    let tokens = &mut embedded.input_tokens;
    let read = object(body, |name, value| match (name, value.kind()) {
        ("embedding", Kind::Object) => values(value, vectors),
        ("embeddings", Kind::Array) => value.array(|_, value| values(value, vectors)),
        ("usageMetadata", Kind::Object) => count(value, "promptTokenCount", tokens),
        _ => Ok(()),
    });
    embedded.checked(body, read)
}

/// Reads what Vertex AI predicts.
///
/// # Errors
/// A body that is no such answer.
pub fn read_vertex(body: &[u8]) -> Result<Embedded, Fault> {
    let mut embedded = Embedded::default();
    let vectors = &mut embedded.vectors;
    let mut total: Option<u64> = None;
    let read = object(body, |name, value| {
        if (name, value.kind()) != ("predictions", Kind::Array) {
            return Ok(());
        }
        value.array(|_, value| {
            value.object(|name, value| {
                if (name, value.kind()) != ("embeddings", Kind::Object) {
                    return Ok(());
                }
                value.object(|name, value| match (name, value.kind()) {
                    ("values", Kind::Array) => {
                        vectors.push(value.to_raw()?);
                        Ok(())
                    }
                    ("statistics", Kind::Object) => {
                        let mut tokens = None;
                        count(value, "token_count", &mut tokens)?;
                        if let Some(tokens) = tokens {
                            total = Some(total.unwrap_or(0).saturating_add(tokens));
                        }
                        Ok(())
                    }
                    _ => Ok(()),
                })
            })
        })
    });
    embedded.input_tokens = total;
    embedded.checked(body, read)
}

fn object(body: &[u8], each: impl FnMut(&str, &mut Reader<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let mut reader = Reader::from_bytes(body)?;
    reader.object(each)?;
    reader.finish()
}

fn values(value: &mut Reader<'_>, vectors: &mut Vec<Raw>) -> Result<(), Error> {
    value.object(|name, value| {
        if name == "values" {
            vectors.push(value.to_raw()?);
        }
        Ok(())
    })
}

fn count(value: &mut Reader<'_>, wanted: &str, found: &mut Option<u64>) -> Result<(), Error> {
    value.object(|name, value| {
        if (name, value.kind()) == (wanted, Kind::Number) {
            // Vertex AI counts with a decimal point.
            *found = value.number()?.split('.').next().and_then(|number| number.parse().ok());
        }
        Ok(())
    })
}

impl Embedded {
    /// The answers to texts that were asked for one by one, as one answer.
    pub fn joined(answers: Vec<Self>) -> Self {
        let input_tokens = answers.iter().map(|answer| answer.input_tokens).sum();
        let vectors = answers.into_iter().flat_map(|answer| answer.vectors).collect();
        Self { vectors, input_tokens }
    }

    fn checked(self, body: &[u8], read: Result<(), Error>) -> Result<Self, Fault> {
        read.map_err(|error| Fault::unreadable(body, error))?;
        if self.vectors.is_empty() {
            return Err(Fault::empty());
        }
        Ok(self)
    }

    /// The answer for an OpenAI client.
    ///
    /// # Errors
    /// A vector that is no list of numbers.
    pub fn to_openai(&self, model: &str, is_packed: bool, tokens: u64) -> Result<Vec<u8>, Fault> {
        let vectors = self.formed(is_packed)?;
        let mut body = Vec::new();
        json::object(&mut body, |root| {
            root.str("object", "list");
            root.array("data", |data| {
                for (index, vector) in vectors.iter().enumerate() {
                    data.object(|entry| {
                        entry.str("object", "embedding");
                        entry.u64("index", index as u64);
                        entry.raw("embedding", vector.as_str());
                    });
                }
            });
            root.str("model", model);
            root.object("usage", |usage| {
                usage.u64("prompt_tokens", tokens);
                usage.u64("total_tokens", tokens);
            });
        });
        Ok(body)
    }

    /// The answer for a Gemini client, to one request or to several.
    ///
    /// # Errors
    /// A vector that is no list of numbers.
    pub fn to_gemini(&self, is_batch: bool) -> Result<Vec<u8>, Fault> {
        let vectors = self.formed(false)?;
        let write = |object: &mut Object<'_>, vector: &Raw| object.raw("values", vector.as_str());
        let mut body = Vec::new();
        json::object(&mut body, |root| {
            if is_batch {
                root.array("embeddings", |list| {
                    for vector in &vectors {
                        list.object(|entry| write(entry, vector));
                    }
                });
            } else if let Some(vector) = vectors.first() {
                root.object("embedding", |entry| write(entry, vector));
            }
        });
        Ok(body)
    }

    /// The vectors, packed or not.
    fn formed(&self, is_packed: bool) -> Result<Vec<Raw>, Fault> {
        let formed = self.vectors.iter().map(|vector| match (vector.kind(), is_packed) {
            (Kind::Array, false) | (Kind::String, true) => Some(vector.clone()),
            (Kind::Array, true) => packed(vector),
            (Kind::String, false) => unpacked(vector),
            _ => None,
        });
        let formed: Option<Vec<Raw>> = formed.collect();
        formed.ok_or_else(|| {
            Fault::new(FaultKind::BadUpstream, "the upstream's vectors are no numbers")
                .with_code("upstream_malformed")
        })
    }
}

/// Numbers as base64 of floats, little end first. Source: `encoding_format` of OpenAI's reference.
fn packed(vector: &Raw) -> Option<Raw> {
    let mut bytes = Vec::new();
    let read = vector.reader().array(|_, value| {
        #[expect(clippy::cast_possible_truncation, reason = "the form has that many bits")]
        bytes.extend_from_slice(&(value.f64()? as f32).to_le_bytes());
        Ok(())
    });
    read.ok().map(|()| Raw::string(&STANDARD.encode(bytes)))
}

fn unpacked(vector: &Raw) -> Option<Raw> {
    let bytes = STANDARD.decode(vector.to_text()?).ok()?;
    let (floats, []) = bytes.as_chunks::<4>() else { return None };
    Some(Raw::array(|list| {
        for float in floats {
            list.raw(&f32::from_le_bytes(*float).to_string());
        }
    }))
}
