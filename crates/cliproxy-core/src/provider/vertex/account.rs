//! Where a service account's requests go: its project, and the region that its file names.

use cliproxy_wire::profile::Profile;

use crate::credential::{Credential, Record};
use crate::oauth::Identity;
use crate::provider::Adopted;
use crate::provider::vertex::login::LOCATION;

/// What the file offers; `None` for one without a project, or with a location that is none.
pub(super) fn adopt(record: &Record, identity: &Identity) -> Option<Adopted> {
    let (project, location) = (project(record)?, location(record)?);
    let mut adopted = Adopted::new(Profile::vertex(), record, identity, "vertex");
    if adopted.base_url.is_empty() {
        adopted.base_url = endpoint(location).into();
    }
    adopted.projects.push(project.into());
    Some(adopted)
}

/// The part of the path that names project and location; empty for keys, which belong to a project already.
pub(super) fn place(credential: &Credential) -> String {
    let Some(account) = &credential.account else { return String::new() };
    let record = account.record();
    let (project, location) = (project(&record).unwrap_or_default(), location(&record).unwrap_or(LOCATION));
    format!("/projects/{}/locations/{location}", super::path_segment(project))
}

fn project(record: &Record) -> Option<&str> {
    let inside = || record.get(&["service_account", "project_id"])?.as_str();
    record.text("project_id").or_else(|| record.text("project")).or_else(inside)
}

/// The region: a label of a host's name, and nothing that could lead to another host.
fn location(record: &Record) -> Option<&str> {
    let location = record.text("location").unwrap_or(LOCATION);
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    location.bytes().all(is_label).then_some(location)
}

/// Source: regions have hosts of their own, `global` the plain one, the two multi-regions one of another form.
fn endpoint(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}
