//! Orders of images for services that take them in a form of their own, and what one of them gives.
//!
//! Sources: xAI takes JSON alone, names an image `{"type":"image_url","url"}`, has shapes instead of sizes, and neither
//! streams nor numbers its answers. The Codex backend takes JSON alone and is else as OpenAI.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::{Draft, Shape, Source, Wish, shape};
use crate::Error;
use crate::codec::Notes;
use crate::fault::{Fault, Kind};
use crate::form::Part;
use crate::json::patch::{Edit, Path, apply};
use crate::json::{self, Object, Raw, Reader};
use crate::model::Media;
use crate::sse;

/// Shapes that xAI knows.
const XAI_SHAPES: [Shape; 9] = [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9), (9, 20), (20, 9)];
/// The side in pixels from which on xAI is asked for its larger resolution.
const LARGE: u32 = 2_000;
/// Members of the images interface that are numbers; a form has them as texts.
const NUMBERS: [&str; 3] = ["n", "output_compression", "partial_images"];

/// An order for xAI.
#[derive(Clone, Debug, PartialEq)]
pub struct XaiOrder {
    /// The body.
    pub body: Vec<u8>,
    /// How the client wants its images.
    pub wish: Wish,
    /// What it wants besides and does not get.
    pub notes: Notes,
}

/// Writes an order for xAI.
///
/// # Errors
/// What is no order, with its JSON path or field; masks, which xAI has not.
pub fn for_xai(source: &Source<'_>, is_edit: bool, model: &str) -> Result<XaiOrder, Error> {
    let mut draft = Draft::read(source, is_edit)?;
    let (prompt, wish) = (draft.prompt()?.to_owned(), draft.wish());
    let size = draft.size.take();
    let wanted = shape(size.as_deref(), &XAI_SHAPES)?;
    let ratio = wanted.map(|(width, height)| Raw::string(&format!("{width}:{height}")));
    let ratio = draft.ext.take("aspect_ratio").or(ratio);
    let resolution =
        draft.ext.take("resolution").or_else(|| is_large(size.as_deref()).then(|| Raw::string("2k")));
    let mut body = Vec::new();
    json::object(&mut body, |root| {
        root.str("model", model);
        root.str("prompt", &prompt);
        if let Some(count) = draft.count {
            root.u64("n", count);
        }
        // Its own default is an address that ends after a while.
        root.str("response_format", if wish.is_url { "url" } else { "b64_json" });
        root.opt_raw("aspect_ratio", ratio.as_ref());
        root.opt_raw("resolution", resolution.as_ref());
        root.opt_raw("user", draft.ext.take("user").as_ref());
        match draft.images.as_slice() {
            [] => {}
            [image] => root.object("image", |object| reference(object, image)),
            images => root.array("images", |list| {
                for image in images {
                    list.object(|object| reference(object, image));
                }
            }),
        }
    });
    let mut notes = Notes::default();
    draft.ext.iter().for_each(|(name, _)| notes.add(name));
    Ok(XaiOrder { body, wish, notes })
}

fn reference(object: &mut Object<'_>, image: &Media) {
    object.str("type", "image_url");
    object.str("url", &address(image));
}

fn address(image: &Media) -> Cow<'_, str> {
    match image {
        Media::Inline { mime, base64 } => format!("data:{mime};base64,{base64}").into(),
        Media::Url(url) | Media::GoogleUri { uri: url, .. } => Cow::Borrowed(url),
        // No order holds anything else.
        Media::File { .. } | Media::Text { .. } => Cow::Borrowed(""),
    }
}

fn is_large(size: Option<&str>) -> bool {
    let sides = size.into_iter().flat_map(|size| size.split('x'));
    sides.filter_map(|side| side.parse::<u32>().ok()).any(|side| side >= LARGE)
}

/// What xAI gives, as the client wants it.
///
/// # Errors
/// What is no answer with images in it.
pub fn of_xai(body: &[u8], created: u64, wish: Wish) -> Result<Vec<u8>, Fault> {
    let broken = || {
        Fault::new(Kind::BadUpstream, "the upstream's answer holds no images").with_code("upstream_malformed")
    };
    let text = std::str::from_utf8(body).map_err(|_no_text| broken())?;
    let data = json::member(text, "data").ok_or_else(broken)?;
    let mut images = Vec::new();
    Reader::new(data)
        .array(|_, image| {
            images.push(image.raw()?);
            Ok(())
        })
        .map_err(|_no_list| broken())?;
    if images.is_empty() {
        return Err(broken());
    }
    if !wish.is_stream {
        let edit = Edit::set_default(Path::root().key("created"), Raw::new(created.to_string()));
        return apply(text, &[edit])
            .map(|text| text.into_owned().into_bytes())
            .map_err(|_no_object| broken());
    }
    let kind = if wish.is_edit { "image_edit.completed" } else { "image_generation.completed" };
    let usage = json::member(text, "usage");
    let mut out = Vec::new();
    for image in images {
        sse::event(&mut out, kind, |out| {
            json::object(out, |event| {
                event.str("type", kind);
                for name in ["b64_json", "url", "revised_prompt"] {
                    if let Some(value) = json::member(image, name) {
                        event.raw(name, value);
                    }
                }
                event.u64("created_at", created);
                if let Some(usage) = usage {
                    event.raw("usage", usage);
                }
            });
        });
    }
    Ok(out)
}

/// A form with images to change as the JSON that the same interface takes.
///
/// # Errors
/// Fields that are no UTF-8, or no numbers where numbers are.
pub fn form_to_json(parts: &[Part], model: &str) -> Result<Vec<u8>, Error> {
    let data = |part: &Part| {
        let mime = part.media.as_deref().filter(|kind| kind.starts_with("image/")).unwrap_or("image/png");
        format!("data:{mime};base64,{}", STANDARD.encode(&part.content))
    };
    let mut body = Vec::new();
    let mut failure = None;
    json::object(&mut body, |root| {
        root.str("model", model);
        for part in parts.iter().filter(|part| part.file.is_none() && part.name != "model") {
            match member(part) {
                Ok(value) => root.raw(&part.name, value.as_str()),
                Err(error) => failure = Some(error),
            }
        }
        let is_image =
            |part: &&Part| part.file.is_some() && matches!(part.name.as_str(), "image" | "image[]");
        root.array("images", |images| {
            for part in parts.iter().filter(is_image) {
                images.object(|image| image.str("image_url", &data(part)));
            }
        });
        if let Some(mask) = parts.iter().find(|part| part.file.is_some() && part.name == "mask") {
            root.object("mask", |image| image.str("image_url", &data(mask)));
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(body),
    }
}

/// The value of a field that is no file.
fn member(part: &Part) -> Result<Raw, Error> {
    let name = part.name.as_str();
    let text = part.text().ok_or_else(|| Error::malformed("the field is not UTF-8").under_key(name))?;
    if name != "stream" && !NUMBERS.contains(&name) {
        return Ok(Raw::string(text));
    }
    Raw::parse(text.trim())
        .map_err(|_odd| Error::malformed("expected a number, true or false").under_key(name))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn part(name: &str, file: Option<&str>, content: &'static [u8]) -> Part {
        let (name, media) = (name.to_owned(), file.map(|_| "image/webp".to_owned()));
        Part { name, file: file.map(str::to_owned), media, content: Bytes::from_static(content), at: 0..0 }
    }

    fn xai(body: &Value, is_edit: bool) -> Result<(Value, XaiOrder), Error> {
        let order = for_xai(&Source::Json(body.to_string().as_bytes()), is_edit, "m")?;
        Ok((serde_json::from_slice(&order.body).unwrap(), order))
    }

    #[test]
    fn xai_gets_shapes_and_references_and_nothing_that_it_does_not_know() {
        let body = json!({"model": "x", "prompt": "a heron", "n": 2, "size": "1536x1024", "quality": "high", "stream": true});
        let (sent, order) = xai(&body, false).unwrap();
        let expected = json!({"model": "m", "prompt": "a heron", "n": 2, "response_format": "b64_json", "aspect_ratio": "3:2"});
        assert_eq!(sent, expected);
        assert_eq!(order.notes.header().as_deref(), Some("quality"));
        assert!(order.wish.is_stream && !order.wish.is_edit);
        let body = json!({"prompt": "p", "size": "2048x2048", "aspect_ratio": "20:9", "response_format": "url", "user": "u"});
        let (sent, _) = xai(&body, false).unwrap();
        let expected = json!({"model": "m", "prompt": "p", "response_format": "url", "aspect_ratio": "20:9", "resolution": "2k", "user": "u"});
        assert_eq!(sent, expected);
        let url = "https://x.example/a.png";
        for image in
            [json!(url), json!({"image_url": url}), json!({"image_url": {"url": url}}), json!({"url": url})]
        {
            let (sent, order) = xai(&json!({"prompt": "p", "image": image}), true).unwrap();
            assert_eq!(sent["image"], json!({"type": "image_url", "url": url}), "{image}");
            assert!(order.wish.is_edit && sent.get("images").is_none());
        }
        let (sent, _) =
            xai(&json!({"prompt": "p", "images": [url, {"image_url": "data:image/png;base64,AA=="}]}), true)
                .unwrap();
        assert_eq!(sent["images"][1], json!({"type": "image_url", "url": "data:image/png;base64,AA=="}));
        let parts = [part("prompt", None, b"p"), part("image[]", Some("a.webp"), b"BB")];
        let order = for_xai(&Source::Form(&parts), true, "m").unwrap();
        let sent: Value = serde_json::from_slice(&order.body).unwrap();
        assert_eq!(sent["image"]["url"], "data:image/webp;base64,QkI=");
        for (body, is_edit, told) in [
            (json!({}), false, "prompt"),
            (json!({"prompt": "p"}), true, "image"),
            (json!({"prompt": "p", "image": url, "mask": {"image_url": url}}), true, "whole images"),
        ] {
            assert!(xai(&body, is_edit).unwrap_err().to_string().contains(told), "{body}");
        }
    }

    #[test]
    fn what_xai_gives_is_an_answer_or_its_events() {
        let body = br#"{"data":[{"b64_json":"AA==","revised_prompt":"r"},{"url":"https://x.example/1"}],"usage":{"input_tokens":1},"x":1.0}"#;
        let whole = String::from_utf8(of_xai(body, 7, Wish::default()).unwrap()).unwrap();
        assert!(whole.contains(r#""created":7"#) && whole.contains(r#""x":1.0"#), "{whole}");
        let wish = Wish { is_stream: true, is_edit: true, ..Wish::default() };
        let events = String::from_utf8(of_xai(body, 7, wish).unwrap()).unwrap();
        let data: Vec<Value> = events
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(data[0]["b64_json"], "AA==");
        assert_eq!(
            (&data[1]["url"], &data[1]["type"]),
            (&json!("https://x.example/1"), &json!("image_edit.completed"))
        );
        assert_eq!(data[1]["usage"]["input_tokens"], 1);
        for body in ["{}", "[]", "{\"data\":[]}", "{\"data\":5}", "<html>"] {
            assert!(of_xai(body.as_bytes(), 7, wish).is_err(), "{body}");
        }
    }

    #[test]
    fn a_form_is_json_of_the_same_interface() {
        let parts = [
            part("model", None, b"theirs"),
            part("prompt", None, "\u{e9}\"".as_bytes()),
            part("n", None, b"2"),
            part("stream", None, b"true"),
            part("size", None, b"auto"),
            part("image[]", Some("a"), b"AA"),
            part("image", Some("b"), b"BB"),
            part("mask", Some("m"), b"\x01"),
        ];
        let sent: Value = serde_json::from_slice(&form_to_json(&parts, "ours").unwrap()).unwrap();
        let image = |base64: &str| json!({"image_url": format!("data:image/webp;base64,{base64}")});
        let expected = json!({"model": "ours", "prompt": "\u{e9}\"", "n": 2, "stream": true, "size": "auto",
            "images": [image("QUE="), image("QkI=")], "mask": image("AQ==")});
        assert_eq!(sent, expected);
        assert!(form_to_json(&[part("n", None, b"two")], "m").unwrap_err().to_string().contains("number"));
    }
}
