//! What one client key may do: until when, which models, by whose accounts, and how much in which time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::credential::Credential;
use crate::pattern::Pattern;

/// What one client key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The name by which logs and records know the key.
    pub client: Arc<str>,
    /// Whose it is, for people.
    pub label: Option<Arc<str>>,
    /// When it opens nothing any more, in Unix seconds.
    pub expires: Option<u64>,
    /// The models that it may use; empty for all.
    pub models: Vec<Pattern>,
    /// Who may serve it, by id or provider; empty for all.
    pub credentials: Vec<Pattern>,
    /// How much of what.
    pub limits: Vec<Limit>,
}

/// How much in one window of time; `None` without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The window.
    pub per: Per,
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Costs, in millionths of the currency of the prices.
    pub cost: Option<u64>,
}

/// A window of time, by the calendar of the machine's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Per {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The window with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.word().eq_ignore_ascii_case(word.trim()))
    }

    /// The window that a time is in, in Unix seconds.
    pub fn window(self, now: u64) -> Range<u64> {
        self.calendar(now, TimeZone::system()).unwrap_or(now..now + 60)
    }

    fn calendar(self, now: u64, zone: TimeZone) -> Option<Range<u64>> {
        let stamp = jiff::Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
        let zoned = stamp.to_zoned(zone);
        let from_midnight = |zoned: &Zoned| zoned.start_of_day().ok();
        let (start, end) = match self {
            Self::Minute => return Some(now - now % 60..now - now % 60 + 60),
            // The hour of a clock that may be half an hour off those of others.
            Self::Hour => {
                let into = u64::try_from(zoned.minute()).ok()? * 60 + u64::try_from(zoned.second()).ok()?;
                return Some(now - into..now - into + 3600);
            }
            Self::Day => (from_midnight(&zoned)?, from_midnight(&zoned.tomorrow().ok()?)?),
            Self::Week => {
                let into = zoned.weekday().since(Weekday::Monday);
                let monday = zoned.checked_sub(jiff::Span::new().days(i64::from(into))).ok()?;
                let next = monday.checked_add(jiff::Span::new().days(7)).ok()?;
                (from_midnight(&monday)?, from_midnight(&next)?)
            }
            Self::Month => {
                let first = zoned.first_of_month().ok()?;
                let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
                (from_midnight(&first)?, from_midnight(&next)?)
            }
        };
        let seconds = |zoned: &Zoned| u64::try_from(zoned.timestamp().as_second()).ok();
        Some(seconds(&start)?..seconds(&end)?)
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Allowance {
    /// Whether the key opens nothing any more. `now` is in Unix seconds.
    pub fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Whether the key may use a model.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// Whether a service that is no credential here may serve the key, by its name.
    pub fn allows_service(&self, name: &str) -> bool {
        self.credentials.is_empty() || self.credentials.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a credential may serve the key.
    pub fn allows_credential(&self, credential: &Credential) -> bool {
        let names = |pattern: &Pattern| {
            pattern.matches(credential.id.as_str()) || pattern.matches(&credential.provider)
        };
        self.credentials.is_empty() || self.credentials.iter().any(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_calendar_where_the_machine_is() {
        let zone = TimeZone::posix("IST-5:30").unwrap();
        let at = |text: &str| -> u64 {
            let zoned = text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone.clone()).unwrap();
            u64::try_from(zoned.timestamp().as_second()).unwrap()
        };
        let now = at("2026-11-28T23:41:07");
        for (per, start, end) in [
            (Per::Minute, "2026-11-28T23:41:00", "2026-11-28T23:42:00"),
            (Per::Hour, "2026-11-28T23:00:00", "2026-11-29T00:00:00"),
            (Per::Day, "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
            (Per::Week, "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
            (Per::Month, "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ] {
            assert_eq!(per.calendar(now, zone.clone()), Some(at(start)..at(end)), "{per}");
            assert_eq!(per.calendar(at(end), zone.clone()).unwrap().start, at(end), "{per}");
            assert_eq!(Per::parse(per.word()), Some(per));
        }
        assert_eq!(Per::parse("year"), None);
    }

    #[test]
    fn a_day_is_as_long_as_the_calendar_makes_it() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let noon = "2026-10-25T12:00:00".parse::<jiff::civil::DateTime>().unwrap();
        let noon = u64::try_from(noon.to_zoned(zone.clone()).unwrap().timestamp().as_second()).unwrap();
        let day = Per::Day.calendar(noon, zone).unwrap();
        assert_eq!(day.end - day.start, 25 * 3600);
    }
}
