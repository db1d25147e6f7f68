//! Errors in this format: in success bodies and inside streams.

use crate::fault::{Fault, Kind};
use crate::json::{self, Kind as JsonKind, Reader};

/// The failure that an error object means; `error` is the text of the member of that name.
pub(super) fn read(error: &str, request_id: Option<&str>) -> Fault {
    let mut kind = String::new();
    let mut message = String::new();
    let mut reader = Reader::new(error);
    if reader.kind() == JsonKind::String {
        message = reader.string().unwrap_or_default();
    } else {
        let _tolerated = reader.object(|key, value| {
            match (key, value.kind()) {
                ("type", JsonKind::String) => kind = value.string()?,
                ("message", JsonKind::String) => message = value.string()?,
                _ => {}
            }
            Ok(())
        });
    }
    if message.is_empty() {
        message = if kind.is_empty() { "upstream reported an error".to_owned() } else { kind.clone() };
    }
    let mut fault = Fault::new(kind_of(&kind, &message), message);
    fault.code = (!kind.is_empty()).then_some(kind);
    fault.upstream_request_id = request_id.map(str::to_owned);
    fault.is_upstream = true;
    fault
}

fn kind_of(word: &str, message: &str) -> Kind {
    match word {
        "invalid_request_error" if message.contains("prompt is too long") => Kind::ContextLength,
        "invalid_request_error" => Kind::InvalidRequest,
        "authentication_error" => Kind::Authentication,
        "billing_error" => Kind::Billing,
        "permission_error" => Kind::Permission,
        "not_found_error" => Kind::NotFound,
        "conflict_error" => Kind::Conflict,
        "request_too_large" => Kind::TooLarge,
        "rate_limit_error" => Kind::RateLimit,
        "timeout_error" => Kind::Timeout,
        "overloaded_error" => Kind::Overloaded,
        "api_error" => Kind::Api,
        _ => Kind::BadUpstream,
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest | Kind::ContextLength | Kind::ContentPolicy | Kind::Unprocessable => {
            "invalid_request_error"
        }
        Kind::Authentication => "authentication_error",
        Kind::Billing => "billing_error",
        Kind::Permission => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::Conflict => "conflict_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimit | Kind::Quota => "rate_limit_error",
        Kind::Overloaded | Kind::Unavailable => "overloaded_error",
        Kind::Timeout => "timeout_error",
        Kind::ClientClosed | Kind::Api | Kind::BadUpstream => "api_error",
    }
}

/// Appends the error object that clients of this format read.
pub(super) fn write(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    json::object(out, |object| {
        object.str("type", "error");
        object.object("error", |object| {
            object.str("type", word(fault.kind));
            // Clients look for these words to know that they should compact.
            let is_overflow = fault.kind == Kind::ContextLength;
            if is_overflow && !fault.message.starts_with("prompt is too long") {
                object.str("message", &format!("prompt is too long: {}", fault.message));
            } else {
                object.str("message", &fault.message);
            }
        });
        if !request_id.is_empty() {
            object.str("request_id", request_id);
        }
    });
}
