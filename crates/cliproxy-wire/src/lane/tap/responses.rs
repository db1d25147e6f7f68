//! Responses: events, and responses.

use super::{ERROR, Progress, Tap, is_set};
use crate::Error;
use crate::json::{Kind, Reader};

impl Tap {
    pub(super) fn responses(&mut self, kind: &str, data: &str) -> Result<(), Error> {
        let mut reader = Reader::new(data);
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.reach(Progress::Announced);
                if self.id.is_some() { Ok(()) } else { self.lifecycle(&mut reader) }
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                self.complete();
                self.lifecycle(&mut reader)
            }
            "response.failed" => {
                self.is_complete = true;
                self.lifecycle(&mut reader)?;
                if self.fault.is_none() {
                    self.fail(&mut Reader::new("\"the upstream's response failed\""));
                }
                Ok(())
            }
            "error" => {
                self.fail(&mut reader);
                Ok(())
            }
            _ if kind.starts_with("response.") => {
                self.reach(Progress::Started);
                Ok(())
            }
            // A frame without type is an error object of something between us and the upstream.
            "" if is_set(data, &ERROR) => reader.object(|key, value| {
                if key == "error" {
                    self.fail(value);
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn lifecycle(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.object(|key, value| match key {
            "response" if value.kind() == Kind::Object => self.response(value),
            _ => Ok(()),
        })
    }

    pub(super) fn response(&mut self, response: &mut Reader<'_>) -> Result<(), Error> {
        response.object(|key, value| match key {
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "output" => self.list(value),
            "status" if value.kind() == Kind::String => {
                if matches!(&*value.str()?, "incomplete" | "cancelled" | "queued") {
                    self.reach(Progress::Started);
                }
                Ok(())
            }
            // What is worked on behind the scenes has no content yet.
            "background" if value.kind() == Kind::Bool => {
                if value.bool()? {
                    self.reach(Progress::Started);
                }
                Ok(())
            }
            "error" => {
                self.fail(value);
                Ok(())
            }
            _ => Ok(()),
        })
    }
}
