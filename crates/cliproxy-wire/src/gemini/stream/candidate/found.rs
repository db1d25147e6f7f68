//! A candidate of one chunk, as read.

use crate::Error;
use crate::gemini::logprob;
use crate::gemini::member::members;
use crate::json::{Raw, Reader};
use crate::model::CandidateMeta;

/// What a chunk says about a candidate. The index stands behind the content, so the content waits.
#[derive(Default)]
pub(crate) struct Found<'a> {
    pub(crate) index: Option<u32>,
    pub(crate) content: Option<Reader<'a>>,
    pub(crate) finish: Option<String>,
    pub(crate) finish_message: Option<String>,
    pub(crate) logprobs: Option<Raw>,
    pub(crate) meta: CandidateMeta,
    pub(crate) has_meta: bool,
}

impl<'a> Found<'a> {
    /// Reads the candidate of one chunk.
    ///
    /// # Errors
    /// Members of wrong kinds.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut found = Self::default();
        members(reader, |name, value| found.member(name, value))?;
        Ok(found)
    }

    pub(super) fn member(&mut self, name: &str, value: &mut Reader<'a>) -> Result<(), Error> {
        match name {
            "content" => {
                // Not read yet, but checked: the reader moves over it.
                self.content = Some(value.clone());
                return Ok(());
            }
            "index" => {
                self.index = value.opt(Reader::u64)?.and_then(|index| u32::try_from(index).ok());
                return Ok(());
            }
            "finishReason" => {
                self.finish = value.opt(Reader::string)?.filter(|reason| !reason.is_empty());
                return Ok(());
            }
            "finishMessage" => {
                self.finish_message = value.opt(Reader::string)?;
                return Ok(());
            }
            "logprobsResult" => {
                self.logprobs = value.opt(logprob::decode)?.filter(|list| !list.is_empty());
                return Ok(());
            }
            _ => {}
        }
        let Some(raw) = value.opt(Reader::to_raw)?.filter(|raw| !raw.is_empty()) else { return Ok(()) };
        self.has_meta = true;
        match name {
            "groundingMetadata" => self.meta.grounding = Some(raw),
            "urlContextMetadata" => self.meta.url_context = Some(raw),
            "citationMetadata" => self.meta.citations = Some(raw),
            "safetyRatings" => self.meta.safety = Some(raw),
            _ => self.meta.ext.set(name, raw),
        }
        Ok(())
    }
}
