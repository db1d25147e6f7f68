//! Who asks, and what the client's format has on top.

use crate::format::Format;
use crate::json::{Kind, Object};
use crate::model::Str;
use crate::normalize::{is_missed, place};
use sha2::{Digest as _, Sha256};

use super::{CODEX_REFUSES, Purpose, Writer, XAI_REFUSES};

impl Writer<'_> {
    pub(super) fn identity(&mut self, object: &mut Object<'_>) {
        let request = self.request;
        let identity = &request.identity;
        if self.is_codex {
            for (is_set, path) in [
                (identity.user.is_some(), "user"),
                (identity.safety_identifier.is_some(), "safety_identifier"),
                (identity.metadata.is_some(), "metadata"),
            ] {
                if is_set {
                    self.hint(if request.origin == Format::Claude { "metadata.user_id" } else { path });
                }
            }
        } else {
            let mut safety = identity.safety_identifier.clone();
            if request.origin == Format::Claude {
                safety = safety.or_else(|| identity.user.as_ref().map(fitted));
            } else {
                object.opt_str("user", identity.user.as_ref());
            }
            if self.is_xai {
                if safety.is_some() {
                    let is_claude = request.origin == Format::Claude;
                    self.hint(if is_claude { "metadata.user_id" } else { "safety_identifier" });
                }
            } else {
                object.opt_str("safety_identifier", safety.as_ref());
            }
            match request.origin {
                Format::Chat | Format::Responses => object.opt_raw("metadata", identity.metadata.as_ref()),
                _ if identity.metadata.is_some() => self.hint("metadata"),
                _ => {}
            }
        }
        if identity.labels.is_some() {
            self.hint("labels");
        }
    }

    /// Server state and members without a place in the model.
    pub(super) fn rest(&mut self, object: &mut Object<'_>, purpose: Purpose) {
        let request = self.request;
        let state = &request.state;
        if !self.is_own() {
            if state.background == Some(true) {
                self.semantic("background", "ask for the answer in the foreground");
            }
            return;
        }
        if self.is_codex {
            if state.previous_response_id.is_some() {
                self.semantic("previous_response_id", "send the whole conversation");
            }
            if state.conversation.is_some() {
                self.semantic("conversation", "send the whole conversation");
            }
            if state.background == Some(true) {
                self.semantic("background", "ask for the answer in the foreground");
            }
            if state.prompt.is_some() {
                self.semantic("prompt", "send the prompt's text");
            }
            if purpose == Purpose::Answer && state.truncation.is_some() {
                self.hint("truncation");
            }
            if purpose == Purpose::Answer && state.context_management.is_some() {
                self.hint("context_management");
            }
        } else {
            if self.is_xai && state.previous_response_id.is_some() {
                self.semantic("previous_response_id", "send the whole conversation");
            } else {
                object.opt_str("previous_response_id", state.previous_response_id.as_ref());
            }
            object.opt_raw("conversation", state.conversation.as_ref());
            object.opt_raw("prompt", state.prompt.as_ref());
            object.opt_str("truncation", state.truncation.as_ref());
            if purpose == Purpose::Count {
                return;
            }
            object.opt_bool("background", state.background);
            object.opt_raw("context_management", state.context_management.as_ref());
        }
        if purpose == Purpose::Count {
            return;
        }
        for (name, value) in request.ext.iter().filter(|(name, _)| *name != "text") {
            let is_refused = (self.is_codex && CODEX_REFUSES.contains(&name))
                || (self.is_xai && XAI_REFUSES.contains(&name))
                || name == "extra_body";
            if !is_refused {
                object.raw(name, value.as_str());
            } else if name == "stream_options" && value.kind() == Kind::Object {
                // An object, as it was read.
                let _checked = value.reader().object(|option, value| {
                    if is_missed(option, value.raw()?) {
                        self.hint(&place::told(name, option));
                    }
                    Ok(())
                });
            } else if name != "generate" {
                self.hint(&place::told("", name));
            }
        }
    }
}

/// A user id as the service takes it: long ones as their hash.
fn fitted(user: &Str) -> Str {
    if user.chars().count() <= 64 {
        return Str::clone(user);
    }
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(user.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    digits.into()
}
