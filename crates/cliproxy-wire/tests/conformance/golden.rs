//! The golden exchange of each format through every pair.

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::profile::Profile;
use serde_json::Value;

use crate::support::{Upstream, client, decode, differences, events, fixture, folded, write};
use crate::{reader, said};

/// Each upstream with its golden body and stream.
fn upstreams() -> [(Profile, String, String); 4] {
    let golden = |profile: Profile, name: &str| {
        (profile, fixture(&format!("{name}.json")), fixture(&format!("{name}.sse")))
    };
    [
        golden(Profile::compatible(), "chat/weather"),
        golden(Profile::openai_responses(), "responses/weather"),
        golden(Profile::claude(), "claude/weather"),
        golden(Profile::gemini(), "gemini/answer"),
    ]
}

/// The golden next requests, with the format each is in.
fn requests() -> [(Format, Value); 4] {
    let golden = |format, name| (format, serde_json::from_str(&fixture(name)).unwrap());
    [
        golden(Format::Chat, "chat/weather-next.json"),
        golden(Format::Responses, "responses/next_request.json"),
        golden(Format::Claude, "claude/weather-next.json"),
        golden(Format::Gemini, "gemini/next_request.json"),
    ]
}

#[test]
fn j259_the_stream_folded_is_the_body_for_every_pair() {
    for (profile, body, stream) in upstreams() {
        let context = UpstreamContext::new(&profile, "req_fx");
        let response = format::decode_response(profile.format, body.as_bytes(), &context).unwrap();
        let all = events(&profile, &stream);
        for to in Format::ALL {
            let what = format!("{} for {}", profile.name, to.name());
            let written = format::encode_response(to, &response, &client(to));
            let expected: Value = serde_json::from_slice(&written).unwrap();
            let streamed = reader::read(to, &write(to, &client(to), all.clone()));
            let different = differences(&reader::plain(to, streamed), &reader::plain(to, expected));
            assert!(different.is_empty(), "{what}: {different:#?}");
        }
        said::compare(profile.name, profile.format, &response, &folded(&all));
    }
}

#[test]
fn j260_the_same_input_and_context_give_the_same_bytes() {
    for (profile, body, stream) in upstreams() {
        let context = UpstreamContext::new(&profile, "req_fx");
        let decode = || format::decode_response(profile.format, body.as_bytes(), &context).unwrap();
        for to in Format::ALL {
            assert_eq!(
                format::encode_response(to, &decode(), &client(to)),
                format::encode_response(to, &decode(), &client(to))
            );
            let write = || write(to, &client(to), events(&profile, &stream));
            assert_eq!(write(), write());
        }
    }
    for (from, body) in requests() {
        for (profile, model) in [
            (Profile::openai_chat(), "gpt-5.1"),
            (Profile::openai_responses(), "gpt-5.1"),
            (Profile::codex(), "gpt-5.1-codex"),
            (Profile::claude(), "claude-sonnet-4-5"),
            (Profile::gemini(), "gemini-3-flash-preview"),
            (Profile::code_assist(), "gemini-2.5-pro"),
        ] {
            let encode = || Upstream::new(profile.clone(), model).try_encode(from, &body).unwrap();
            let (one, two) = (encode(), encode());
            assert_eq!((one.body, one.betas, one.bridge), (two.body, two.betas, two.bridge));
        }
        assert_eq!(decode(from, &body).unwrap(), decode(from, &body).unwrap());
    }
}
