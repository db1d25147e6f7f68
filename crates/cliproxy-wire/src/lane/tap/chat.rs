//! Chat: chunks, and whole answers.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{ERROR, Progress, Tap, is_blank, is_set};
use crate::Error;
use crate::json::{Kind, Reader};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));

impl Tap {
    pub(super) fn chat(&mut self, data: &str) -> Result<(), Error> {
        if data.trim() == "[DONE]" {
            self.is_over = true;
            self.complete();
            return Ok(());
        }
        let says_something = self.progress < Progress::Started
            || [&FINISH, &USAGE, &ERROR].into_iter().any(|key| is_set(data, key));
        if says_something { self.chat_members(&mut Reader::new(data)) } else { Ok(()) }
    }

    pub(super) fn chat_members(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut is_announced = false;
        reader.object(|key, value| match key {
            "error" => {
                self.fail(value);
                Ok(())
            }
            "usage" => self.counts.read(value),
            "model" => self.name(value),
            "id" => self.identify(value),
            "x_groq" if value.kind() == Kind::Object => value.object(|key, value| {
                match key {
                    "error" => self.fail(value),
                    "usage" if value.kind() == Kind::Object => self.counts.read(value)?,
                    _ => {}
                }
                Ok(())
            }),
            "choices" if value.kind() == Kind::Array => value.array(|position, choice| {
                is_announced = true;
                self.choice(position, choice)
            }),
            _ => Ok(()),
        })?;
        if is_announced {
            self.reach(Progress::Announced);
        }
        Ok(())
    }

    fn choice(&mut self, position: usize, choice: &mut Reader<'_>) -> Result<(), Error> {
        if choice.kind() != Kind::Object {
            return choice.skip();
        }
        let (mut index, mut has_ended) = (position as u64, false);
        choice.object(|key, value| match key {
            "index" if value.kind() == Kind::Number => {
                index = value.clone().u64().unwrap_or(index);
                value.skip()
            }
            "finish_reason" if value.kind() == Kind::String => {
                // Aggregators mark a choice that an `error` beside it explains.
                let reason = value.str()?;
                if reason != "error" {
                    has_ended = true;
                    self.explain(&reason, "stop");
                }
                Ok(())
            }
            "usage" if value.kind() == Kind::Object => self.counts.read(value),
            "delta" | "message" if value.kind() == Kind::Object => value.object(|key, value| {
                if key != "role" && !is_blank(value.raw()?) {
                    self.reach(Progress::Started);
                }
                Ok(())
            }),
            _ => Ok(()),
        })?;
        if has_ended {
            self.end(index);
        }
        Ok(())
    }

    /// One of the choices is over. Nobody gives more of them at once than there are bits; the last one stands for the
    /// others.
    fn end(&mut self, index: u64) {
        self.ended |= 1 << index.min(127);
        if self.ended.count_ones() >= self.n_choices {
            self.complete();
        }
    }
}
