//! What this format shows of things it has no block for, or only a block that the client must have asked for.
//!
//! Bodies and streams say the same, so both take it from here.

use crate::codec::ClientContext;
use crate::format::Format;
use crate::json::{self, Kind, Object, Raw, Reader};
use crate::model::{Content, Hosted, HostedKind, HostedPhase};

/// The halves of a provider-executed call in this format, as whole blocks.
#[derive(Debug, Default)]
pub(in crate::claude) struct Pair {
    /// Id, name and input of the `server_tool_use` block.
    pub(in crate::claude) call: Option<(String, &'static str, String)>,
    /// The result block.
    pub(in crate::claude) result: Option<Raw>,
}

/// A block of this format that came from this format's own upstream.
pub(in crate::claude) fn own_block(content: &Content) -> Option<&Raw> {
    let native = match content {
        Content::Native(native) => native,
        Content::Hosted(hosted) => &hosted.native,
        Content::SearchResult(raw) => return Some(raw),
        _ => return None,
    };
    (native.format == Format::Claude).then_some(&native.value)
}

/// A foreign call in blocks of this format, if the client declared the tool. `ordinal` counts the calls, for those
/// without an id.
pub(in crate::claude) fn hosted_pair(hosted: &Hosted, ordinal: u32, context: &ClientContext) -> Option<Pair> {
    let (name, is_declared) = match hosted.kind {
        HostedKind::WebSearch => ("web_search", context.declares_web_search),
        HostedKind::CodeExecution => ("code_execution", context.declares_code_execution),
        _ => return None,
    };
    if !is_declared {
        return None;
    }
    let ordinal = ordinal.to_string();
    let key = if hosted.id.is_empty() { ordinal.as_str() } else { &hosted.id };
    let id = crate::id::base62("srvtoolu_", 24, &[&context.request_id, key]);
    let mut pair = Pair::default();
    if hosted.phase != HostedPhase::Result {
        pair.call = Some((id.clone(), name, input(hosted)));
    }
    if hosted.phase != HostedPhase::Call {
        pair.result = Some(match hosted.kind {
            HostedKind::WebSearch => search_result(&id, hosted.output.as_ref()),
            _ => code_result(&id, hosted.output.as_ref()),
        });
    }
    Some(pair)
}

fn input(hosted: &Hosted) -> String {
    let member = |name: &str| hosted.input.as_ref().and_then(|input| json::member(input.as_str(), name));
    let mut out = Vec::new();
    json::object(&mut out, |object| {
        if hosted.kind == HostedKind::CodeExecution {
            object.raw("code", member("code").unwrap_or("\"\""));
            return;
        }
        let first = member("queries").and_then(first_text);
        match (member("query").filter(|query| *query != "null"), first) {
            (Some(query), _) => object.raw("query", query),
            (None, first) => object.str("query", first.as_deref().unwrap_or_default()),
        }
    });
    String::from_utf8(out).unwrap_or_default()
}

fn first_text(array: &str) -> Option<String> {
    let mut first = None;
    Reader::new(array)
        .array(|_, value| {
            if first.is_none() && value.kind() == Kind::String {
                first = Some(value.string()?);
            }
            Ok(())
        })
        .ok()?;
    first
}

/// A `web_search_tool_result` of pages given as `[{"url","title"}]`.
fn search_result(id: &str, pages: Option<&Raw>) -> Raw {
    Raw::object(|object| {
        object.str("type", "web_search_tool_result");
        object.str("tool_use_id", id);
        object.array("content", |array| {
            let Some(pages) = pages.filter(|pages| pages.kind() == Kind::Array) else { return };
            let _checked = pages.reader().array(|_, page| {
                let (mut url, mut title) = (None, None);
                page.object(|key, value| {
                    match (key, value.kind()) {
                        ("url", Kind::String) => url = Some(value.str()?),
                        ("title", Kind::String) => title = Some(value.str()?),
                        _ => {}
                    }
                    Ok(())
                })?;
                if let Some(url) = url {
                    array.object(|object| write_page(object, &url, title.as_deref().unwrap_or_default()));
                }
                Ok(())
            });
        });
    })
}

fn write_page(object: &mut Object<'_>, url: &str, title: &str) {
    object.str("type", "web_search_result");
    object.str("url", url);
    object.str("title", title);
    object.str("encrypted_content", "");
    object.null("page_age");
}

fn code_result(id: &str, output: Option<&Raw>) -> Raw {
    let member = |name: &str| output.and_then(|output| json::member(output.as_str(), name));
    Raw::object(|object| {
        object.str("type", "code_execution_tool_result");
        object.str("tool_use_id", id);
        object.object("content", |object| {
            object.str("type", "code_execution_result");
            object.raw("stdout", member("stdout").unwrap_or("\"\""));
            object.raw("stderr", member("stderr").unwrap_or("\"\""));
            object.raw("return_code", member("return_code").unwrap_or("0"));
            object.array("content", |_| ());
        });
    })
}

/// The search that Google's grounding tells of, if the client declared the tool and nothing else told of it.
pub(in crate::claude) fn grounding_pair(grounding: &Raw, context: &ClientContext) -> Option<Pair> {
    let mut query = None;
    let mut pages: Vec<(String, String)> = Vec::new();
    let outcome = grounding.reader().object(|key, value| {
        match (key, value.kind()) {
            ("webSearchQueries", Kind::Array) => query = first_text(value.raw()?),
            ("groundingChunks", Kind::Array) => value.array(|_, chunk| {
                chunk.object(|key, web| {
                    if key != "web" || web.kind() != Kind::Object {
                        return Ok(());
                    }
                    let (mut uri, mut title) = (None, String::new());
                    web.object(|key, value| {
                        match (key, value.kind()) {
                            ("uri", Kind::String) => uri = Some(value.string()?),
                            ("title", Kind::String) => title = value.string()?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                    if let Some(uri) = uri
                        && !pages.iter().any(|(known, _)| *known == uri)
                    {
                        pages.push((uri, title));
                    }
                    Ok(())
                })
            })?,
            _ => {}
        }
        Ok(())
    });
    if outcome.is_err() || (query.is_none() && pages.is_empty()) || !context.declares_web_search {
        return None;
    }
    let id = crate::id::base62("srvtoolu_", 24, &[&context.request_id, "grounding"]);
    let pages = Raw::array(|array| {
        for (url, title) in &pages {
            array.object(|object| {
                object.str("url", url);
                object.str("title", title);
            });
        }
    });
    let mut input = Vec::new();
    json::object(&mut input, |object| object.str("query", query.as_deref().unwrap_or_default()));
    Some(Pair {
        result: Some(search_result(&id, Some(&pages))),
        call: Some((id, "web_search", String::from_utf8(input).unwrap_or_default())),
    })
}

/// Code and its output as text, for clients that know no such tool; nothing for other tools, whose findings are in the
/// answer's text.
pub(in crate::claude) fn hosted_text(hosted: &Hosted) -> Option<String> {
    if !matches!(hosted.kind, HostedKind::CodeExecution | HostedKind::Shell) {
        return None;
    }
    let part = |raw: &Option<Raw>, name: &str| {
        raw.as_ref().and_then(|raw| raw.get(name)?.to_text()).filter(|text| !text.is_empty())
    };
    let mut text = String::new();
    if let Some(code) = part(&hosted.input, "code") {
        let language = part(&hosted.input, "language").unwrap_or_default().to_ascii_lowercase();
        fence(&mut text, &language, &code);
    }
    for name in ["stdout", "stderr"] {
        if let Some(output) = part(&hosted.output, name) {
            fence(&mut text, "", &output);
        }
    }
    (!text.is_empty()).then_some(text)
}

fn fence(text: &mut String, language: &str, body: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("```");
    text.push_str(language);
    text.push('\n');
    text.push_str(body.trim_end_matches('\n'));
    text.push_str("\n```");
}
