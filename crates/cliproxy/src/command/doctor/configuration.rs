//! The configuration: what is wrong in it, and who it lets in.

use std::path::Path;

use cliproxy_core::access::gate::ManagementKey;
use cliproxy_core::config::diagnostic::{Diagnostic, Problems};
use cliproxy_core::config::settings::{Settings, Store};
use cliproxy_core::config::{Loaded, Source};
use cliproxy_core::store::atomic;

use super::finding::{Findings, Severity};

const AREA: &str = "configuration";
const ACCESS: &str = "access";

/// A management key that is shorter than this is guessed.
const SHORTEST_KEY: usize = 12;

/// The file itself, usable or not.
pub(super) fn file(source: &Source, findings: &mut Findings) {
    let Some(path) = source.path.as_deref().filter(|path| path.is_file()) else { return };
    if atomic::is_open(path) {
        findings.warning(
            AREA,
            format!(
                "{} can be read or changed by other users of this machine, and keys are in it",
                shown(path)
            ),
            format!("chmod 600 {}", shown(path)),
        );
    }
}

/// A path that a reader elsewhere understands.
pub(super) fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A configuration that cannot be used.
pub(super) fn refused(problems: &Problems, findings: &mut Findings) {
    for (severity, list) in [(Severity::Problem, &problems.list), (Severity::Warning, &problems.warnings)] {
        for diagnostic in list {
            add(diagnostic, severity, problems.file.as_deref(), findings);
        }
    }
    findings.note(
        AREA,
        "everything else is looked at once the configuration is usable: run cli-proxy-api doctor again",
    );
}

/// One that can.
pub(super) fn accepted(source: &Source, loaded: &Loaded, findings: &mut Findings) {
    let file = source.path.as_deref();
    match file.filter(|_| loaded.content_hash.is_some()) {
        Some(file) => findings.ok(AREA, format!("{} is usable", shown(file))),
        None => findings.note(
            AREA,
            format!(
                "there is no {}, so the defaults apply; name another file with --config",
                file.map(shown).unwrap_or_default()
            ),
        ),
    }
    for diagnostic in &loaded.warnings {
        add(diagnostic, Severity::Warning, file, findings);
    }
    if loaded.settings.store != Store::File {
        let name = loaded.settings.store.name();
        findings.note(AREA, format!("the {name} store is configured; what it holds is not looked at"));
    }
}

fn add(diagnostic: &Diagnostic, severity: Severity, file: Option<&Path>, findings: &mut Findings) {
    let bare = Diagnostic { suggestion: None, ..diagnostic.clone() };
    let remedy = diagnostic.suggestion.clone();
    findings.add(AREA, severity, bare.render(file), remedy);
}

/// Who gets in.
pub(super) fn access(settings: &Settings, findings: &mut Findings) {
    let is_exposed = !settings.listen.host.is_loopback();
    match (is_exposed, settings.access.client_keys.len()) {
        (false, 0) => findings.ok(ACCESS, "this machine alone is served, without keys"),
        (false, count) => findings.ok(ACCESS, format!("this machine alone is served; client keys: {count}")),
        (true, 0) => findings.problem(
            ACCESS,
            "other machines are served without any key: whoever reaches the port uses your accounts",
            "set `api-keys` and take `allow-unauthenticated-remote` out, or set `host: 127.0.0.1`",
        ),
        (true, count) => findings.ok(ACCESS, format!("other machines are served; client keys: {count}")),
    }
    if is_exposed && settings.listen.tls.is_none() {
        findings.warning(
            ACCESS,
            "other machines are served without TLS: keys and conversations can be read on the way",
            "set `tls`, put a reverse proxy with TLS in front, or set `host: 127.0.0.1`",
        );
    }
    management(settings, is_exposed, findings);
}

fn management(settings: &Settings, is_exposed: bool, findings: &mut Findings) {
    let management = &settings.management;
    if !management.is_enabled() {
        if management.lock.allow_remote {
            findings.warning(
                ACCESS,
                "`remote-management.allow-remote` is on without a `secret-key`: the management interface stays off",
                "set `remote-management.secret-key`, or take `allow-remote` out",
            );
        } else {
            findings.ok(ACCESS, "the management interface is off: there is no management key");
        }
        return;
    }
    let reach =
        if management.lock.allow_remote && is_exposed { "other machines too" } else { "this machine alone" };
    findings.ok(ACCESS, format!("the management interface is on, for {reach}"));
    let plain = match &management.lock.key {
        Some(ManagementKey::Plain(key)) => Some(key),
        _ => None,
    };
    let is_short = [plain, management.lock.password.as_ref()]
        .into_iter()
        .flatten()
        .any(|key| key.length() < SHORTEST_KEY);
    if is_short {
        findings.warning(
            ACCESS,
            format!("the management key is shorter than {SHORTEST_KEY} characters, and it opens everything"),
            "choose a longer one, for example the output of `openssl rand -hex 24`",
        );
    }
    if plain.is_some() {
        findings.note(
            ACCESS,
            "the management key is in the file as plain text; a start of the server replaces it by its hash",
        );
    }
}
