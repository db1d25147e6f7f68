//! Logins by the real binary against a scripted identity provider, as a person does them.

mod browser;
mod cookie;
mod cut;
mod device;
mod fault;
mod google;
mod import;
mod json;
mod service_account;

use std::path::Path;

use cliproxy_testkit::identity::IdentityProvider;
use cliproxy_testkit::{Home, Terminal};

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"))
}

/// An identity provider and a directory whose configuration sends every login there.
pub(crate) async fn arranged() -> (IdentityProvider, Home) {
    let provider = IdentityProvider::start().await;
    let home = Home::new(&provider.endpoints());
    (provider, home)
}

pub(crate) fn run(home: &Home, arguments: &[&str]) -> Terminal {
    home.run(binary(), arguments)
}

/// The only auth file of a directory.
pub(crate) fn only_file(home: &Home) -> (String, serde_json::Value) {
    let names = home.auth_files();
    assert_eq!(names.len(), 1, "{names:?}");
    let file = home.auth_file(&names[0]);
    (names[0].clone(), file)
}

/// Whether a time is about this long from now, in seconds.
pub(crate) fn is_about(time: &serde_json::Value, seconds: i64) -> bool {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test's own clock")]
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    (time.as_second() - now.as_second() - seconds).abs() < 60
}
