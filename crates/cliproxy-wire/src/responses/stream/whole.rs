//! Items that are written when they are known whole: hosted tools at work, images, native items.

use crate::format::Format;
use crate::json::{Object, Raw};
use crate::model::{Hosted, HostedKind, HostedPhase, Image, Media};

use super::outlet::{Outlet, Place};

/// A hosted tool at work. The call of a foreign upstream and its result are two blocks but one item, so it stays open
/// until something else begins.
#[derive(Debug)]
pub(super) struct Work {
    hosted: Hosted,
    place: Option<Place>,
    /// Sources of a search are written.
    has_sources: bool,
}

impl Work {
    pub(super) fn open(outlet: &mut Outlet, out: &mut Vec<u8>, hosted: Hosted, has_sources: bool) -> Self {
        let mut work = Self { hosted, place: None, has_sources };
        let (prefix, stages): (_, &[&str]) = match work.form() {
            Some(Form::Search) => {
                ("ws_", &["response.web_search_call.in_progress", "response.web_search_call.searching"])
            }
            Some(Form::Code) => ("ci_", &["response.code_interpreter_call.in_progress"]),
            None => return work,
        };
        let place = outlet.place(prefix, Some(&work.hosted.id));
        outlet.added(out, &place, |item| work.write(item, &place, "in_progress"));
        for stage in stages {
            outlet.item_event(out, stage, &place, |_| {});
        }
        work.place = Some(place);
        work
    }

    fn form(&self) -> Option<Form> {
        if self.hosted.native.format == Format::Responses {
            return None;
        }
        match self.hosted.kind {
            HostedKind::WebSearch | HostedKind::WebFetch => Some(Form::Search),
            HostedKind::CodeExecution | HostedKind::Shell => Some(Form::Code),
            _ => None,
        }
    }

    /// True when `hosted` is the result of this call and has no item of its own.
    pub(super) fn is_answered_by(&self, hosted: &Hosted) -> bool {
        self.place.is_some() && hosted.phase == HostedPhase::Result && hosted.id == self.hosted.id
    }

    /// Takes over what a later block, or the upstream's repetition, says.
    pub(super) fn learn(&mut self, newer: Hosted) {
        let known = &mut self.hosted;
        known.input = newer.input.filter(|input| !input.is_empty()).or_else(|| known.input.take());
        known.output = newer.output.or_else(|| known.output.take());
        known.error = newer.error.or_else(|| known.error.take());
        known.status = newer.status.or_else(|| known.status.take());
        if newer.native.format == Format::Responses {
            known.native = newer.native;
        }
    }

    pub(super) fn close(self, outlet: &mut Outlet, out: &mut Vec<u8>) {
        let Some(place) = &self.place else {
            if self.hosted.native.format == Format::Responses {
                native(outlet, out, &self.hosted.native.value);
            }
            return;
        };
        let status = if self.hosted.error.is_some() { "failed" } else { "completed" };
        match self.form() {
            Some(Form::Code) => {
                let code = self.code();
                if !code.is_empty() {
                    outlet.item_event(out, "response.code_interpreter_call_code.delta", place, |event| {
                        event.str("delta", &code);
                    });
                }
                outlet.item_event(out, "response.code_interpreter_call_code.done", place, |event| {
                    event.str("code", &code);
                });
                outlet.item_event(out, "response.code_interpreter_call.interpreting", place, |_| {});
                outlet.item_event(out, "response.code_interpreter_call.completed", place, |_| {});
            }
            _ => outlet.item_event(out, "response.web_search_call.completed", place, |_| {}),
        }
        outlet.done(out, place, |item| self.write(item, place, status));
    }

    fn write(&self, item: &mut Object<'_>, place: &Place, status: &str) {
        item.str("id", &place.id);
        if self.form() == Some(Form::Code) {
            item.str("type", "code_interpreter_call");
            item.str("status", status);
            item.str("code", &self.code());
            item.str("container_id", "");
            match self.logs() {
                Some(logs) => item.array("outputs", |outputs| {
                    outputs.object(|output| {
                        output.str("type", "logs");
                        output.str("logs", &logs);
                    });
                }),
                None => item.null("outputs"),
            }
            return;
        }
        item.str("type", "web_search_call");
        item.str("status", status);
        item.object("action", |action| self.action(action));
    }

    fn member(&self, name: &str) -> Option<String> {
        self.hosted.input.as_ref().and_then(|input| input.get(name)).and_then(|value| value.to_text())
    }

    fn action(&self, action: &mut Object<'_>) {
        let url = self.member("url");
        let queries = self.hosted.input.as_ref().and_then(|input| input.get("queries"));
        if let (HostedKind::WebFetch, Some(url)) = (self.hosted.kind, &url) {
            action.str("type", "open_page");
            action.str("url", url);
            return;
        }
        action.str("type", "search");
        let first = || {
            let mut first = None;
            let _complete = queries.as_ref()?.reader().array(|_, query| {
                let text = query.to_raw()?.to_text();
                first = first.take().or(text);
                Ok(())
            });
            first
        };
        action.str("query", &self.member("query").or_else(first).unwrap_or_default());
        action.opt_raw("queries", queries.as_ref());
        if self.has_sources
            && let Some(found) = &self.hosted.output
        {
            action.array("sources", |sources| {
                let _complete = found.reader().array(|_, source| {
                    if let Some(url) = source.to_raw()?.get("url").and_then(|url| url.to_text()) {
                        sources.object(|object| {
                            object.str("type", "url");
                            object.str("url", &url);
                        });
                    }
                    Ok(())
                });
            });
        }
    }

    fn code(&self) -> String {
        self.member("code").or_else(|| self.member("command")).unwrap_or_default()
    }

    fn logs(&self) -> Option<String> {
        let output = self.hosted.output.as_ref()?;
        let mut logs = String::new();
        for name in ["stdout", "stderr"] {
            if let Some(text) = output.get(name).and_then(|text| text.to_text()) {
                logs.push_str(&text);
            }
        }
        Some(logs)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Search,
    Code,
}

/// Writes an image as the result of image generation. Only bytes can be written, an address cannot.
pub(super) fn image(outlet: &mut Outlet, out: &mut Vec<u8>, image: &Image) {
    let Media::Inline { mime, base64 } = &image.source else { return };
    let place = outlet.place("ig_", None);
    let write = |item: &mut Object<'_>, status: &str, result: Option<&str>| {
        item.str("id", &place.id);
        item.str("type", "image_generation_call");
        item.str("status", status);
        item.opt_str("output_format", mime.strip_prefix("image/"));
        item.str_or_null("result", result);
    };
    outlet.added(out, &place, |item| write(item, "in_progress", None));
    for stage in ["in_progress", "generating", "completed"] {
        let kind = match stage {
            "in_progress" => "response.image_generation_call.in_progress",
            "generating" => "response.image_generation_call.generating",
            _ => "response.image_generation_call.completed",
        };
        outlet.item_event(out, kind, &place, |_| {});
    }
    outlet.done(out, &place, |item| write(item, "completed", Some(base64)));
}

/// Writes an item of this format as it came.
pub(super) fn native(outlet: &mut Outlet, out: &mut Vec<u8>, value: &Raw) {
    let place = outlet.place("", value.get("id").and_then(|id| id.to_text()).as_deref());
    let copy = |item: &mut Object<'_>| {
        let mut has_id = false;
        let _complete = value.reader().object(|key, member| {
            has_id |= key == "id";
            item.raw(key, member.raw()?);
            Ok(())
        });
        if !has_id {
            item.str("id", &place.id);
        }
    };
    outlet.added(out, &place, copy);
    outlet.done(out, &place, copy);
}
