//! Gemini: chunks, which are whole answers in form, in or outside of the Code Assist envelope.

use super::{Progress, Tap, is_blank};
use crate::Error;
use crate::json::{Kind, Reader};

impl Tap {
    pub(super) fn gemini_members(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if reader.kind() != Kind::Object {
            return reader.skip();
        }
        reader.object(|key, value| match key {
            "error" => {
                self.fail(value);
                Ok(())
            }
            // The Code Assist envelope.
            "response" if value.kind() == Kind::Object => self.gemini_members(value),
            "usageMetadata" => self.counts.read(value),
            "modelVersion" => self.name(value),
            "responseId" => self.identify(value),
            "promptFeedback" if value.kind() == Kind::Object => value.object(|key, value| {
                if key == "blockReason" && value.kind() == Kind::String {
                    self.complete_for("", "STOP");
                }
                Ok(())
            }),
            "candidates" if value.kind() == Kind::Array => value.array(|_, candidate| {
                self.reach(Progress::Announced);
                if candidate.kind() != Kind::Object {
                    return candidate.skip();
                }
                candidate.object(|key, value| match key {
                    "finishReason" if value.kind() == Kind::String => {
                        self.complete_for(&value.str()?, "STOP");
                        Ok(())
                    }
                    "content" if value.kind() == Kind::Object && self.progress < Progress::Started => value
                        .object(|key, value| match key {
                            "parts" => self.parts(value),
                            _ => Ok(()),
                        }),
                    // Grounding and citations are said about something.
                    "groundingMetadata" | "citationMetadata" | "urlContextMetadata" => {
                        self.reach(Progress::Started);
                        Ok(())
                    }
                    _ => Ok(()),
                })
            }),
            _ => Ok(()),
        })
    }

    /// The parts of a Gemini chunk. The last one may carry an empty text that says nothing.
    fn parts(&mut self, parts: &mut Reader<'_>) -> Result<(), Error> {
        if parts.kind() != Kind::Array {
            return parts.skip();
        }
        parts.array(|_, part| {
            if part.kind() != Kind::Object {
                return part.skip();
            }
            part.object(|key, value| {
                if key != "thought" && !is_blank(value.raw()?) {
                    self.reach(Progress::Started);
                }
                Ok(())
            })
        })
    }
}
