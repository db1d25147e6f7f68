//! A login for programs: one JSON object a line.

use cliproxy_core::login::session::LoginError;
use cliproxy_core::login::talk::Event;
use cliproxy_core::oauth::RefusalKind;
use serde_json::{Value, json};

use super::super::show::say;
use super::words::words;
use super::{Audience, Ending};

/// A program that reads lines.
pub(super) struct Lines {
    provider: &'static str,
}

impl Lines {
    pub(super) fn new(provider: &'static str) -> Self {
        Self { provider }
    }
}

impl Audience for Lines {
    fn tell(&mut self, event: Event) {
        say(&told(event).to_string());
    }

    fn end(&mut self, ending: &Ending) {
        say(&ended(self.provider, ending).to_string());
    }
}

fn told(event: Event) -> Value {
    match event {
        Event::Notice(text) => json!({ "event": "notice", "text": text }),
        Event::Visit { url, tunnel } => json!({
            "event": "visit",
            "url": url,
            "browser_port": tunnel.map(|tunnel| tunnel.browser),
            "listening_port": tunnel.map(|tunnel| tunnel.here),
        }),
        Event::Code { url, code } => json!({ "event": "code", "url": url, "user_code": code }),
        Event::PasteExpected => json!({ "event": "paste_expected" }),
        Event::Ignored(why) => json!({ "event": "ignored", "reason": why }),
        Event::Returned => json!({ "event": "returned" }),
        Event::Asked(question) => json!({
            "event": "question",
            "name": question.name,
            "prompt": question.prompt,
            "default": question.default,
        }),
        Event::Progress(text) => json!({ "event": "progress", "text": text }),
    }
}

fn ended(provider: &str, ending: &Ending) -> Value {
    match ending {
        Ending::Saved { grant, saved, path } => json!({
            "event": "saved",
            "provider": provider,
            "account": grant.label,
            "path": path,
            "is_known": saved.is_known,
            "is_disabled": saved.is_disabled,
        }),
        Ending::Failed(error) => {
            let (message, remedy) = words(error);
            json!({
                "event": "failed",
                "provider": provider,
                "kind": kind(error),
                "message": message,
                "remedy": remedy,
            })
        }
    }
}

fn kind(error: &LoginError) -> &'static str {
    match error {
        LoginError::PortBusy(_) => "port_busy",
        LoginError::Storage(_) => "storage",
        LoginError::Refused(refusal) => match refusal.kind {
            RefusalKind::Dead => "refused",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Passing(_) => "passing",
        },
    }
}
