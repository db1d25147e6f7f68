//! Claude: events, and messages.

use super::{ERROR, Progress, Tap, is_set};
use crate::Error;
use crate::json::{Kind, Reader};

impl Tap {
    pub(super) fn claude(&mut self, kind: &str, data: &str) -> Result<(), Error> {
        let mut reader = Reader::new(data);
        match kind {
            "content_block_delta" | "content_block_start" | "content_block_stop" => {
                self.reach(Progress::Started);
                Ok(())
            }
            "ping" => Ok(()),
            "message_start" => {
                self.reach(Progress::Announced);
                reader.object(|key, value| match key {
                    "message" if value.kind() == Kind::Object => self.message(value),
                    _ => Ok(()),
                })
            }
            "message_delta" => reader.object(|key, value| match key {
                "usage" => self.counts.read(value),
                "delta" if value.kind() == Kind::Object => value.object(|key, value| {
                    if key == "stop_reason" && value.kind() == Kind::String {
                        self.complete_for(&value.str()?, "end_turn");
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            "message_stop" => {
                self.complete();
                Ok(())
            }
            _ if kind == "error" || is_set(data, &ERROR) => reader.object(|key, value| {
                if key == "error" {
                    self.fail(value);
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn message(&mut self, message: &mut Reader<'_>) -> Result<(), Error> {
        message.object(|key, value| match key {
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "content" => self.list(value),
            "stop_reason" if value.kind() == Kind::String => {
                if value.str()? != "end_turn" {
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
