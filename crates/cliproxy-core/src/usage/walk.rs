//! Reads an export of usage piece by piece: each request is handed on as it is read, and nothing else is held.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::import::{Detail, NotImported};

/// Takes a request of a client for a model.
type Each<'e> = dyn FnMut(&str, &str, &Detail) -> Result<(), NotImported> + 'e;

/// Where in an export something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Whole,
    Usage,
    Clients,
    Client,
    Models,
    Model,
    Details,
}

/// A way through an export.
pub(super) struct Walk<'w, 'e> {
    state: &'w mut State<'e>,
    level: Level,
}

struct State<'e> {
    version: &'e mut u64,
    has_usage: bool,
    client: String,
    model: String,
    each: &'e mut Each<'e>,
    /// Why it was not gone on with.
    stopped: Option<NotImported>,
}

impl Walk<'_, '_> {
    /// Reads an export to its end.
    ///
    /// # Errors
    /// It is no export, cannot be read, or `each` wants no more.
    pub(super) fn through<'e>(
        reader: impl Read,
        version: &'e mut u64,
        each: &'e mut Each<'e>,
    ) -> Result<(), NotImported> {
        let (client, model) = (String::new(), String::new());
        let mut state = State { version, has_usage: false, client, model, each, stopped: None };
        let mut reading = serde_json::Deserializer::from_reader(reader);
        let walk = Walk { state: &mut state, level: Level::Whole };
        let read = walk.deserialize(&mut reading).and_then(|()| reading.end());
        match (read, state.stopped) {
            (_, Some(stopped)) => Err(stopped),
            (Ok(()), None) if state.has_usage => Ok(()),
            (Err(error), None) if error.is_io() => Err(NotImported::Unreadable(error.into())),
            // Its text may hold a key.
            _ => Err(NotImported::Malformed),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of an export of usage", self.level)
    }

    /// The existing program writes lists and maps that are empty so.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.level == Level::Whole { Err(E::custom("nothing")) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { state, level } = self;
        if level == Level::Details {
            return Err(A::Error::custom("a list is expected"));
        }
        while let Some(name) = map.next_key::<String>()? {
            let level = match (level, name.as_str()) {
                (Level::Whole, "version") => {
                    *state.version = map.next_value()?;
                    continue;
                }
                (Level::Whole, "usage") => {
                    state.has_usage = true;
                    Level::Usage
                }
                (Level::Usage, "apis") => Level::Clients,
                (Level::Clients, _) => {
                    state.client = name;
                    Level::Client
                }
                (Level::Client, "models") => Level::Models,
                (Level::Models, _) => {
                    state.model = name;
                    Level::Model
                }
                (Level::Model, "details") => Level::Details,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(Walk { state: &mut *state, level })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { state, level } = self;
        if level != Level::Details {
            return Err(A::Error::custom("a map is expected"));
        }
        while let Some(detail) = list.next_element::<Detail>()? {
            if let Err(why) = (state.each)(&state.client, &state.model, &detail) {
                state.stopped = Some(why);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
