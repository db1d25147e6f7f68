//! Accounts: whose tokens have ended for good, and which files are none.

use cliproxy_core::Engine;
use cliproxy_core::config::Settings;
use cliproxy_core::survey::survey;

use super::finding::Findings;
use crate::command::accounts::{State, lines};

const AREA: &str = "accounts";

fn see() -> String {
    "see cli-proxy-api accounts".to_owned()
}

pub(super) async fn look(engine: &Engine, settings: &Settings, findings: &mut Findings) {
    let lines = match lines(engine, settings, cliproxy_server::clock::now()).await {
        Ok(lines) => lines,
        // That the directory cannot be read has been said already.
        Err(_unreadable) => return,
    };
    let serving = lines.iter().filter(|line| matches!(line.state, State::Active | State::Resting)).count();
    for (number, line) in lines.iter().enumerate() {
        // E-mail addresses look alike once they are masked; the number tells which line of `accounts` it is.
        let name = format!("account {} ({} {})", number + 1, line.provider, line.label);
        let why = line.why.as_deref().unwrap_or_default();
        match line.state {
            State::Attention => findings.problem(
                AREA,
                format!("{name} needs attention: {why}"),
                line.remedy.clone().unwrap_or_else(see),
            ),
            State::Unusable => findings.problem(
                AREA,
                format!("{} cannot be used: {why}", line.id),
                line.remedy.clone().unwrap_or_else(see),
            ),
            State::Resting => findings.note(AREA, format!("{name} rests: {why}")),
            State::Active | State::Disabled => {}
        }
    }
    let cut_off = survey(&settings.auth_dir).await.map(|survey| survey.logins).unwrap_or_default();
    for (title, _begun) in cut_off {
        findings.note(
            AREA,
            format!(
                "a {title} login was cut off after its token had come; a start of the server finishes it"
            ),
        );
    }
    let keys = engine.snapshot().routes.credentials().iter().filter(|one| one.account.is_none()).count();
    let found = format!("accounts that serve: {serving} of {}; upstream keys: {keys}", lines.len());
    if serving + keys == 0 {
        findings.problem(
            AREA,
            format!("nothing can be served; {found}"),
            "log in (cli-proxy-api --help lists the logins), or add a key to config.yaml",
        );
    } else {
        findings.ok(AREA, found);
    }
}
