//! Calls of the model, whole or in pieces.

use crate::codec::UpstreamContext;
use crate::gemini::part::Call;
use crate::gemini::stream::partial::Partial;
use crate::json::Raw;
use crate::model::{Anchor, BlockKind, CallKind, Delta, Event};
use crate::{Error, id};

use super::{Candidate, opaque};

impl Candidate {
    pub(super) fn call(
        &mut self,
        call: &Call<'_>,
        signature: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        // Only the first part of a call names the tool and has no pieces.
        let is_beginning = call.continues && call.partial.is_none() && call.args.is_none();
        let is_new = self.partial.as_ref().is_some_and(|partial| {
            call.name.as_deref().is_some_and(|name| {
                !partial.name.is_empty() && (name != partial.name || (is_beginning && partial.has_pieces()))
            }) || call.id.as_deref().is_some_and(|id| partial.id.as_deref().is_some_and(|known| known != id))
        });
        if is_new {
            self.finish_partial(context, out);
        }
        if self.partial.is_some() || call.continues || call.partial.is_some() {
            self.close(out);
            self.partial.get_or_insert_with(Partial::default).add(call, signature)?;
            if !call.continues {
                self.finish_partial(context, out);
            }
            return Ok(());
        }
        let Some(name) = call.name.as_deref() else {
            // Without arguments it only ends one that came in pieces.
            self.is_unnamed |= call.args.is_some();
            return Ok(());
        };
        self.close(out);
        self.whole_call(
            call.id.as_deref(),
            name,
            call.args.as_ref().map_or("{}", Raw::as_str),
            signature,
            context,
            out,
        );
        Ok(())
    }

    pub(super) fn finish_partial(&mut self, context: &UpstreamContext, out: &mut Vec<Event>) {
        let Some(partial) = self.partial.take() else { return };
        if partial.name.is_empty() {
            self.is_unnamed = true;
            return;
        }
        if partial.is_garbled {
            self.is_garbled = true;
            return;
        }
        let arguments = partial.arguments();
        self.whole_call(
            partial.id.as_deref(),
            &partial.name,
            &arguments,
            partial.signature.as_deref(),
            context,
            out,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one call")]
    fn whole_call(
        &mut self,
        id: Option<&str>,
        name: &str,
        arguments: &str,
        signature: Option<&str>,
        context: &UpstreamContext,
        out: &mut Vec<Event>,
    ) {
        let ordinal = self.calls;
        self.calls += 1;
        let call_id = match id {
            Some(id) => id.into(),
            None => id::call(&context.request_id, self.index, ordinal, name).into(),
        };
        let kind = BlockKind::ToolCall {
            call_id,
            is_id_synthetic: id.is_none(),
            item_id: None,
            name: name.into(),
            namespace: None,
            kind: CallKind::Function,
            native: None,
            caller: None,
            opaque: signature.map(|data| opaque(data, Anchor::ToolCall(ordinal), context)),
        };
        let block = self.begin(kind, out);
        self.delta(block, Delta::Arguments(arguments.to_owned()), out);
        out.push(Event::BlockStop { candidate: self.index, block, full: None });
    }
}
