//! Token probabilities: `logprobsResult` here, a list of tokens with their alternatives in the model.

use std::borrow::Cow;

use super::member::members;
use super::part::each;
use crate::Error;
use crate::json::{Array, Object, Raw, Reader};

struct Token<'a> {
    text: Cow<'a, str>,
    probability: f64,
}

/// The tokens of a `logprobsResult`, each with the alternatives at its place.
///
/// # Errors
/// Members of wrong kinds.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Raw, Error> {
    let mut chosen = Vec::new();
    let mut top: Vec<Vec<Token<'_>>> = Vec::new();
    members(reader, |name, value| {
        match name {
            "chosenCandidates" => chosen = tokens(value)?,
            "topCandidates" => each(value, |value| {
                members(value, |name, value| {
                    if name == "candidates" {
                        top.push(tokens(value)?);
                    }
                    Ok(())
                })
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Raw::array(|list| {
        for (at, token) in chosen.iter().enumerate() {
            list.object(|out| {
                write_token(out, token);
                out.array("top_logprobs", |others| {
                    for other in top.get(at).into_iter().flatten() {
                        others.object(|out| write_token(out, other));
                    }
                });
            });
        }
    }))
}

fn tokens<'a>(reader: &mut Reader<'a>) -> Result<Vec<Token<'a>>, Error> {
    let mut list = Vec::new();
    each(reader, |value| {
        let mut token = Token { text: Cow::Borrowed(""), probability: 0.0 };
        members(value, |name, value| {
            match name {
                "token" => token.text = value.opt(Reader::str)?.unwrap_or_default(),
                "logProbability" => token.probability = value.opt(Reader::f64)?.unwrap_or(0.0),
                _ => {}
            }
            Ok(())
        })?;
        list.push(token);
        Ok(())
    })?;
    Ok(list)
}

fn write_token(out: &mut Object<'_>, token: &Token<'_>) {
    out.str("token", &token.text);
    out.f64("logprob", token.probability);
    out.array("bytes", |bytes| {
        for byte in token.text.bytes() {
            bytes.u64(u64::from(byte));
        }
    });
}

/// Writes the `logprobsResult` of `lists`, the probabilities of the texts of one candidate in order.
pub(super) fn encode<'r>(object: &mut Object<'_>, lists: impl Iterator<Item = &'r Raw>) {
    let mut chosen = Vec::new();
    let mut top = Vec::new();
    for list in lists {
        // What is no list of tokens says nothing; the tokens before it still do.
        let _read = list.reader().array(|_, token| {
            let mut others = None;
            chosen.push(own_token(token, &mut others)?);
            let mut alternatives = Vec::new();
            if let Some(others) = others {
                Reader::new(others).array(|_, other| {
                    alternatives.push(own_token(other, &mut None)?);
                    Ok(())
                })?;
            }
            top.push(alternatives);
            Ok(())
        });
    }
    object.object("logprobsResult", |result| {
        result.array("topCandidates", |places| {
            for alternatives in &top {
                places.object(|place| place.array("candidates", |out| write_all(out, alternatives)));
            }
        });
        result.array("chosenCandidates", |out| write_all(out, &chosen));
    });
}

fn write_all(out: &mut Array<'_>, tokens: &[Token<'_>]) {
    for token in tokens {
        out.object(|out| {
            out.str("token", &token.text);
            out.f64("logProbability", token.probability);
        });
    }
}

fn own_token<'a>(reader: &mut Reader<'a>, others: &mut Option<&'a str>) -> Result<Token<'a>, Error> {
    let mut token = Token { text: Cow::Borrowed(""), probability: 0.0 };
    reader.object(|name, value| {
        match name {
            "token" => token.text = value.opt(Reader::str)?.unwrap_or_default(),
            "logprob" => token.probability = value.opt(Reader::f64)?.unwrap_or(0.0),
            "top_logprobs" => *others = value.opt(Reader::raw)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_alternatives_pair_by_place_and_come_back() {
        let google = r#"{"topCandidates":[{"candidates":[{"token":"é","logProbability":-0.5},{"token":"e","logProbability":-1.5}]}],"chosenCandidates":[{"token":"é","logProbability":-0.5}]}"#;
        let list = decode(&mut Reader::new(google)).unwrap();
        assert_eq!(
            list.as_str(),
            r#"[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"e","logprob":-1.5,"bytes":[101]}]}]"#
        );
        let back = Raw::object(|object| encode(object, [&list].into_iter()));
        assert_eq!(back.get("logprobsResult").unwrap().as_str(), google);
    }
}
