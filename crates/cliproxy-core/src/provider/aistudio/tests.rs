//! What a page is asked.

use cliproxy_wire::Format;

use super::*;
use crate::provider::Operation;
use crate::provider::trial::{Trial, credential};

fn asked(trial: &Trial) -> Ask {
    let Outgoing::Page(ask) = trial.prepared(&AiStudio, &credential("aistudio-x")).unwrap() else {
        panic!("not for a page")
    };
    *ask
}

#[test]
fn a_page_hears_the_question_and_nothing_else_of_anybody() {
    let mut trial = Trial::new(Operation::Stream, Format::Gemini);
    trial.client_query = "key=client-key&alt=sse";
    let ask = asked(&trial);
    assert_eq!(ask.uri.to_string(), format!("{BASE}/v1beta/models/some-model:streamGenerateContent?alt=sse"));
    assert_eq!(ask.headers.len(), 1);
    assert_eq!(ask.headers[CONTENT_TYPE], "application/json");
    assert_eq!(ask.sent_at, "2023-11-14T22:13:20Z");
}

#[test]
fn every_operation_has_its_method_and_names_cannot_leave_their_path() {
    for (operation, is_sse, method) in [
        (Operation::Generate, true, "generateContent"),
        (Operation::Stream, false, "streamGenerateContent"),
        (Operation::CountTokens, true, "countTokens"),
    ] {
        let mut trial = Trial::new(operation, Format::Chat);
        (trial.is_sse, trial.model) = (is_sse, "models/a?b#c");
        assert_eq!(asked(&trial).uri.to_string(), format!("{BASE}/v1beta/models/a%3Fb%23c:{method}"));
    }
    let failure = Trial::new(Operation::Compact, Format::Responses).refusal(&AiStudio, &credential(""));
    assert_eq!(failure.fault().kind, Kind::NotFound);
}
