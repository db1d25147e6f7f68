//! A call item in the making: function, free-form, or one of the typed tools.

use crate::format::Format;
use crate::json::Object;
use crate::model::{CallKind, Native, Str};
use crate::normalize::id;

use super::super::typed::{self, Typed};
use super::outlet::{Outlet, Place};

/// An open call.
#[derive(Debug)]
pub(super) struct Call {
    place: Place,
    pairing_id: Str,
    name: Str,
    namespace: Option<Str>,
    caller: Option<Native>,
    form: Form,
    arguments: String,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Function,
    Custom,
    Typed(Typed),
}

/// What a call begins with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) item_id: Option<Str>,
    pub(super) call_id: Str,
    pub(super) name: Str,
    pub(super) namespace: Option<Str>,
    pub(super) kind: CallKind,
    pub(super) native: Option<Native>,
    pub(super) caller: Option<Native>,
}

impl Call {
    pub(super) fn open(outlet: &mut Outlet, out: &mut Vec<u8>, start: Start) -> Self {
        let Start { item_id, call_id, name, namespace, kind, native, caller } = start;
        let is_own = |native: &Native| native.format == Format::Responses;
        let native = native.filter(is_own);
        let caller = caller.filter(is_own);
        let typed =
            native.and_then(|native| native.value.get("type")?.to_text()).and_then(|kind| typed::of(&kind));
        let (form, prefix) = match (typed, kind) {
            (Some(typed), _) => (Form::Typed(typed), typed.prefix),
            (None, CallKind::Custom) => (Form::Custom, "ctc_"),
            (None, CallKind::Function) => (Form::Function, "fc_"),
        };
        let place = outlet.place(prefix, item_id.as_deref());
        let pairing_id = id::fit(&call_id, Format::Responses.tool_id()).as_ref().into();
        let call = Self { place, pairing_id, name, namespace, caller, form, arguments: String::new() };
        if !matches!(call.form, Form::Typed(_)) {
            outlet.added(out, &call.place, |item| call.write(item, "in_progress"));
        }
        call
    }

    /// More of the arguments.
    pub(super) fn arguments(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, text: &str) {
        if text.is_empty() {
            return;
        }
        self.arguments.push_str(text);
        let kind = match self.form {
            Form::Function => "response.function_call_arguments.delta",
            Form::Custom => "response.custom_tool_call_input.delta",
            Form::Typed(_) => return,
        };
        outlet.item_event(out, kind, &self.place, |event| event.str("delta", text));
    }

    /// What the upstream repeated of the arguments.
    pub(super) fn full(&mut self, outlet: &mut Outlet, out: &mut Vec<u8>, full: &str) {
        if let Some(rest) = full.strip_prefix(self.arguments.as_str()) {
            let rest = rest.to_owned();
            self.arguments(outlet, out, &rest);
        }
    }

    pub(super) fn close(mut self, outlet: &mut Outlet, out: &mut Vec<u8>, status: &str) {
        match self.form {
            Form::Function => {
                if self.arguments.trim().is_empty() {
                    self.arguments.clear();
                    self.arguments(outlet, out, "{}");
                }
                outlet.item_event(out, "response.function_call_arguments.done", &self.place, |event| {
                    event.str("name", &self.name);
                    event.str("arguments", &self.arguments);
                });
            }
            Form::Custom => {
                outlet.item_event(out, "response.custom_tool_call_input.done", &self.place, |event| {
                    event.str("input", &self.arguments);
                });
            }
            // What is to be done comes in one piece, and no item of these types is valid without it.
            Form::Typed(_) => outlet.added(out, &self.place, |item| self.write(item, "in_progress")),
        }
        outlet.done(out, &self.place, |item| self.write(item, status));
    }

    fn write(&self, item: &mut Object<'_>, status: &str) {
        let (kind, member) = match self.form {
            Form::Function => ("function_call", "arguments"),
            Form::Custom => ("custom_tool_call", "input"),
            Form::Typed(typed) => {
                typed.write(item, &self.place.id, status, &self.pairing_id, &self.arguments);
                return;
            }
        };
        item.str("id", &self.place.id);
        item.str("type", kind);
        if matches!(self.form, Form::Function) {
            item.str("status", status);
        }
        item.str("call_id", &self.pairing_id);
        item.str("name", &self.name);
        item.str(member, &self.arguments);
        item.opt_str("namespace", self.namespace.as_ref());
        item.opt_raw("caller", self.caller.as_ref().map(|caller| &caller.value));
    }
}
