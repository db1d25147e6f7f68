//! Log files: the application log in place of standard output, and records of single requests.
//!
//! Everything is in one directory, made when something is first written there. With all switches off a request costs one
//! atomic read. Names, sections and line shapes are those of `CLIProxyAPI`, because its control panels read them.

mod access;
mod content;
mod lines;
mod main_file;
mod record;
mod store;

pub(crate) use access::follow;
pub use lines::{Asked, Lines, read};
pub(crate) use record::{Recorded, error_file};
pub(crate) use store::{Listed, is_error, listed};
pub use store::{Logs, Places};

/// The short form of a request id, as in log lines and file names: its first eight hex digits.
pub fn short_id(request_id: &str) -> &str {
    let id = request_id.split_once('_').map_or(request_id, |(_, id)| id);
    let is_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.get(..8).filter(is_hex).unwrap_or("--------")
}

/// The time of a log line, in the machine's time zone.
pub fn stamp() -> String {
    now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time for log lines and file names.
fn now() -> jiff::Zoned {
    let seconds = i64::try_from(crate::clock::now()).unwrap_or_default();
    let stamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    stamp.to_zoned(jiff::tz::TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_to_what_panels_read() {
        assert_eq!(short_id("req_0123456789abcdef"), "01234567");
        assert_eq!(short_id("0123456789abcdef"), "01234567");
        for id in ["", "req_", "req_../../etc", "req_123"] {
            assert_eq!(short_id(id), "--------", "{id}");
        }
    }
}
