//! Orders as they are read, and images as they are given.

use bytes::Bytes;

use super::*;
use crate::codec::UpstreamContext;
use crate::fault::Kind;
use crate::form::Part;
use crate::gemini;
use crate::model::{Content, Media, Request, Response};
use crate::profile::Profile;

fn response(body: &[u8]) -> Response {
    gemini::decode_response(body, &UpstreamContext::new(&Profile::gemini(), "r")).unwrap()
}

fn part(name: &str, file: Option<&str>, content: &'static [u8]) -> Part {
    Part {
        name: name.to_owned(),
        file: file.map(str::to_owned),
        media: file.map(|_| "image/webp".to_owned()),
        content: Bytes::from_static(content),
        at: 0..0,
    }
}

fn images(request: &Request) -> Vec<&Media> {
    let blocks = request.turns.iter().flat_map(|turn| &turn.blocks);
    let mut images = Vec::new();
    for block in blocks {
        if let Content::Image(image) = &block.content {
            images.push(&image.source);
        }
    }
    images
}

#[test]
fn an_order_is_a_conversation_that_wants_images() {
    let body = br#"{"model":"m","prompt":"a heron","n":2,"size":"1536x1024","response_format":"url","quality":"high","user":null}"#;
    let (request, wish) = decode_generation(body).unwrap();
    assert_eq!((request.model.as_str(), request.candidates), ("m", Some(2)));
    assert_eq!(request.output.image.as_ref().unwrap().as_str(), r#"{"aspect_ratio":"3:2"}"#);
    assert_eq!(request.turns[0].blocks[0].as_text().unwrap().text.as_ref(), "a heron");
    assert_eq!(wish, Wish { is_url: true, ..Wish::default() });
    assert_eq!(request.ext.get("quality").unwrap().as_str(), "\"high\"");
    for (size, expected) in
        [("1024x1024", "1:1"), ("1792x1024", "16:9"), ("1024x1792", "9:16"), ("1024x1536", "2:3")]
    {
        let body = format!(r#"{{"prompt":"p","size":"{size}"}}"#);
        let (request, _) = decode_generation(body.as_bytes()).unwrap();
        let ratio = request.output.image.unwrap().get("aspect_ratio").unwrap().to_text();
        assert_eq!(ratio.as_deref(), Some(expected), "{size}");
    }
}

#[test]
fn images_to_change_come_in_json_and_in_forms() {
    let body = br#"{"model":"m","prompt":"p","images":[{"image_url":"data:image/PNG;base64,AA=="},"https://x.example/a.png",{"image_url":{"url":"data:image/gif;base64,BB=="}}]}"#;
    let (request, wish) = decode_edit(body).unwrap();
    assert!(wish.is_edit);
    let [Media::Inline { mime, .. }, Media::Url(url), Media::Inline { base64, .. }] = images(&request)[..]
    else {
        panic!("{request:?}")
    };
    assert_eq!((&**mime, &**url, &**base64), ("image/png", "https://x.example/a.png", "BB=="));
    let parts = [
        part("model", None, b"m"),
        part("prompt", None, "é".as_bytes()),
        part("n", None, b"2"),
        part("stream", None, b"true"),
        part("image[]", Some("a.webp"), b"\x00"),
        part("image", Some("b.webp"), b"\x01"),
    ];
    let (request, wish) = decode_form(&parts).unwrap();
    assert_eq!((request.candidates, wish.is_stream, images(&request).len()), (Some(2), true, 2));
    assert!(
        matches!(images(&request)[0], Media::Inline { mime, base64 } if &**mime == "image/webp" && &**base64 == "AA==")
    );
}

#[test]
fn what_is_no_order_is_refused_with_its_place() {
    for (body, path) in [
        ("{}", "prompt"),
        (r#"{"prompt":" "}"#, "prompt"),
        (r#"{"prompt":"p","size":"big"}"#, "size"),
        (r#"{"prompt":"p","size":"0x1"}"#, "size"),
        (r#"{"prompt":"p","n":"x"}"#, "n"),
        (r#"{"prompt":"p","response_format":"png"}"#, "response_format"),
    ] {
        let error = decode_generation(body.as_bytes()).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(path), "{body}: {error}");
    }
    for (body, path) in [
        (r#"{"prompt":"p"}"#, "image"),
        (r#"{"prompt":"p","image":"nothing"}"#, "image"),
        (r#"{"prompt":"p","image":[{"file_id":"f"}]}"#, "image[0].file_id"),
        (r#"{"prompt":"p","image":"data:image/png;base64,AA==","mask":"x"}"#, "mask"),
    ] {
        let error = decode_edit(body.as_bytes()).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(path), "{body}: {error}");
    }
    for parts in [
        vec![part("prompt", None, b"\xFF")],
        vec![part("prompt", None, b"p"), part("image", None, b"text")],
        vec![part("prompt", None, b"p"), part("n", None, b"many")],
        vec![part("prompt", None, b"p"), part("mask", Some("m"), b"")],
    ] {
        assert!(decode_form(&parts).unwrap_err().path().is_some(), "{parts:?}");
    }
}

#[test]
fn what_has_another_type_is_named_as_what_it_is() {
    for (member, said) in [
        (r#""prompt":5"#, "prompt: expected a string, found a number"),
        (r#""n":"2""#, "n: expected a number, found a string"),
        (r#""image":5"#, "image: expected a string or an object, found a number"),
        (r#""image":[["x"]]"#, "image[0]: expected a string or an object, found an array"),
        (r#""image":{"image_url":5}"#, "image.image_url: expected a string, found a number"),
        (r#""image":{"url":[]}"#, "image.url: expected a string, found an array"),
        (r#""image":{"image_url":{"url":true}}"#, "image.image_url.url: expected a string, found a boolean"),
    ] {
        let error = decode_edit(format!(r#"{{"prompt":"p",{member}}}"#).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn images_of_an_answer_come_as_the_interface_has_them() {
    let drawn = response(
        br#"{"candidates":[{"content":{"role":"model","parts":[{"text":"here"},{"inlineData":{"mimeType":"image/webp","data":"QUE="}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}"#,
    );
    let encode = |wish| String::from_utf8(encode_response(&drawn, 9, wish).unwrap()).unwrap();
    assert_eq!(
        encode(Wish::default()),
        r#"{"created":9,"data":[{"b64_json":"QUE="}],"output_format":"webp","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7,"input_tokens_details":{"text_tokens":3,"image_tokens":0}}}"#
    );
    assert!(
        encode(Wish { is_url: true, ..Wish::default() }).contains(r#"{"url":"data:image/webp;base64,QUE="}"#)
    );
    let events = encode(Wish { is_stream: true, is_edit: true, ..Wish::default() });
    assert!(
        events.starts_with("event: image_edit.completed\ndata: {\"type\":\"image_edit.completed\""),
        "{events}"
    );
}

#[test]
fn an_answer_without_an_image_is_none() {
    for (reason, kind) in [("IMAGE_SAFETY", Kind::ContentPolicy), ("STOP", Kind::BadUpstream)] {
        let body = format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"no"}}]}},"finishReason":"{reason}"}}]}}"#
        );
        let fault = encode_response(&response(body.as_bytes()), 9, Wish::default()).unwrap_err();
        assert_eq!(fault.kind, kind, "{reason}");
    }
}

#[test]
fn imagen_draws_what_the_last_turn_says() {
    let body = br#"{"prompt":"a heron","n":2,"size":"1536x1024"}"#;
    let (request, _) = decode_generation(body).unwrap();
    assert_eq!(
        String::from_utf8(imagen::encode_request(&request).unwrap()).unwrap(),
        r#"{"instances":[{"prompt":"a heron"}],"parameters":{"sampleCount":2,"aspectRatio":"4:3"}}"#
    );
    let (edit, _) = decode_edit(br#"{"prompt":"p","image":"data:image/png;base64,AA=="}"#).unwrap();
    assert!(imagen::encode_request(&edit).is_err());
    let body = br#"{"predictions":[{"bytesBase64Encoded":"QUE=","mimeType":"image/jpeg"},{"bytesBase64Encoded":"QkI="}]}"#;
    let drawn = response(&imagen::answer(body, "imagen-4", "r").unwrap());
    let text = String::from_utf8(encode_response(&drawn, 9, Wish::default()).unwrap()).unwrap();
    assert!(text.contains(r#""data":[{"b64_json":"QUE="},{"b64_json":"QkI="}]"#), "{text}");
    for body in ["{}", r#"{"predictions":[{"raiFilteredReason":"words"}]}"#] {
        let held = response(&imagen::answer(body.as_bytes(), "imagen-4", "r").unwrap());
        assert_eq!(
            encode_response(&held, 9, Wish::default()).unwrap_err().kind,
            Kind::ContentPolicy,
            "{body}"
        );
    }
    assert!(imagen::answer(b"<html>", "m", "r").is_err());
}
