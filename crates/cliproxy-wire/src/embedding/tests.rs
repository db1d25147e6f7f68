//! Requests and answers of each language, against the others.

use super::*;
use crate::ErrorKind;

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[test]
fn texts_are_asked_for_in_each_language() {
    let openai =
        br#"{"model":"m","input":["a","\u00e9"],"dimensions":3,"encoding_format":"base64","user":"u"}"#;
    let request = Request::of_openai(openai).unwrap();
    assert_eq!(
        text(request.to_gemini("m")),
        r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"outputDimensionality":3},{"model":"models/m","content":{"parts":[{"text":"é"}]},"outputDimensionality":3}]}"#
    );
    assert_eq!(
        text(request.to_vertex("text-embedding-005").remove(0)),
        r#"{"instances":[{"content":"a"},{"content":"é"}],"parameters":{"outputDimensionality":3}}"#
    );
    let gemini = br#"{"requests":[
        {"model":"models/x","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY"},
        {"model":"models/x","content":{"parts":{"text":"c"}},"taskType":"RETRIEVAL_QUERY"}]}"#;
    let request = Request::of_gemini_batch(gemini).unwrap();
    assert_eq!(text(request.to_openai("m")), r#"{"model":"m","input":["ab","c"],"encoding_format":"float"}"#);
    assert_eq!(
        text(request.to_vertex("text-embedding-005").remove(0)),
        r#"{"instances":[{"content":"ab","task_type":"RETRIEVAL_QUERY"},{"content":"c","task_type":"RETRIEVAL_QUERY"}]}"#
    );
    let one = Request::of_gemini(br#"{"content":{"parts":[{"text":"a"}]},"title":"T"}"#).unwrap();
    assert_eq!(
        text(one.to_vertex("gemini-embedding-001").remove(0)),
        r#"{"instances":[{"content":"a","title":"T"}]}"#
    );
}

#[test]
fn what_is_no_request_is_refused_with_its_place() {
    let openai = |body: &str| Request::of_openai(body.as_bytes()).unwrap_err();
    for (body, path, kind) in [
        ("{}", "input", ErrorKind::Malformed),
        (r#"{"input":[]}"#, "input", ErrorKind::Invalid),
        (r#"{"input":[1,2]}"#, "input[0]", ErrorKind::Unsupported),
        (r#"{"input":["a",[1]]}"#, "input[1]", ErrorKind::Unsupported),
        (r#"{"input":{}}"#, "input", ErrorKind::Malformed),
        (r#"{"input":"a","encoding_format":"int8"}"#, "encoding_format", ErrorKind::Invalid),
    ] {
        let error = openai(body);
        assert_eq!((error.path().as_deref(), error.kind()), (Some(path), kind), "{body}: {error}");
    }
    for (body, path) in [
        (
            r#"{"requests":[{"content":{"parts":[{"inlineData":{}}]}}]}"#,
            "requests[0].content.parts[0].inlineData",
        ),
        (r#"{"requests":[{}]}"#, "requests[0].content"),
        ("{}", "requests"),
        (
            r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"outputDimensionality":2}]}"#,
            "requests[1]",
        ),
    ] {
        let error = Request::of_gemini_batch(body.as_bytes()).unwrap_err();
        assert_eq!(error.path().as_deref(), Some(path), "{body}: {error}");
    }
}

#[test]
fn what_has_another_type_is_named_as_what_it_is() {
    for (value, said) in [
        ("5", "input: expected a string or an array, found a number"),
        ("null", "input: expected a string or an array, found null"),
        ("[{}]", "input[0]: expected a string, found an object"),
    ] {
        let error = Request::of_openai(format!(r#"{{"input":{value}}}"#).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
    let error = Request::of_gemini_batch(br#"{"requests":[{}]}"#).unwrap_err();
    assert_eq!(error.to_string(), "requests[0].content: required, as an object");
}

#[test]
fn vectors_keep_their_numbers_and_are_packed_where_wanted() {
    let gemini = read_gemini(br#"{"embeddings":[{"values":[0.5, -1.0]},{"values":[2]}]}"#).unwrap();
    assert_eq!(
        text(gemini.to_openai("m", false, 7).unwrap()),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5, -1.0]},{"object":"embedding","index":1,"embedding":[2]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}"#
    );
    let packed = text(gemini.to_openai("m", true, 7).unwrap());
    assert!(packed.contains(r#""embedding":"AAAAPwAAgL8=""#), "{packed}");
    let openai = read_openai(
        br#"{"data":[{"index":1,"embedding":"AAAAPwAAgL8="},{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":3}}"#,
    );
    let openai = openai.unwrap();
    assert_eq!(openai.input_tokens, Some(3));
    assert_eq!(
        text(openai.to_gemini(true).unwrap()),
        r#"{"embeddings":[{"values":[1]},{"values":[0.5,-1]}]}"#
    );
    assert_eq!(text(openai.to_gemini(false).unwrap()), r#"{"embedding":{"values":[1]}}"#);
    let vertex = read_vertex(
        br#"{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":2.0}}},{"embeddings":{"values":[2],"statistics":{"token_count":3}}}]}"#,
    );
    assert_eq!(vertex.unwrap().input_tokens, Some(5));
}

#[test]
fn what_is_no_answer_is_the_upstreams_fault() {
    for body in ["", "{}", "[]", r#"{"data":[]}"#, r#"{"data":1}"#] {
        assert!(read_openai(body.as_bytes()).is_err(), "{body}");
        assert!(read_gemini(body.as_bytes()).is_err(), "{body}");
        assert!(read_vertex(body.as_bytes()).is_err(), "{body}");
    }
    let odd = read_openai(br#"{"data":[{"embedding":{}}]}"#).unwrap();
    assert!(odd.to_openai("m", false, 0).is_err());
}
