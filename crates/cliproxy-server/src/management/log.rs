//! Log files, for which there is nothing to show as long as the log goes to standard output only: panels are told so in
//! the words that they know.

use http::Method;
use serde_json::json;

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let no_file = |_ask: Ask| async { Err(Refusal::bad("logging to file disabled")) };
    vec![
        endpoint(Method::GET, "/logs", "Lines of the log file", no_file),
        endpoint(Method::DELETE, "/logs", "Empties the log file", no_file),
        endpoint(Method::GET, "/request-error-logs", "Logs of requests that failed", |_ask: Ask| async {
            Ok(ok(&json!({"files": []})))
        }),
        endpoint(Method::GET, "/request-error-logs/{name}", "One log of a request that failed", by_name),
        endpoint(Method::GET, "/request-log-by-id/{id}", "The log of one request", by_id),
    ]
}

async fn by_name(ask: Ask) -> Outcome {
    let name = ask.parameter("name");
    if name.is_empty() || name.contains(['/', '\\']) || name.contains("..") {
        return Err(Refusal::bad("invalid log file name"));
    }
    Err(Refusal::missing("log file not found"))
}

async fn by_id(ask: Ask) -> Outcome {
    let id = ask.parameter("id").trim();
    if id.is_empty() {
        return Err(Refusal::bad("missing request ID"));
    }
    if id.contains(['/', '\\']) || id.contains("..") {
        return Err(Refusal::bad("invalid request ID"));
    }
    Err(Refusal::missing("log file not found for the given request ID"))
}
