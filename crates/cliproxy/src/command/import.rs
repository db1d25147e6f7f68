//! `import`: use the logins of other programs on this machine, and undo that.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use cliproxy_core::config::{Settings, Source};
use cliproxy_core::env;
use cliproxy_core::lender::{self, Action, Mode, Planned, Undone};
use cliproxy_core::provider::LOGINS;
use cliproxy_core::store::{Changes, FileStore, Store as _, StoreError, lock};
use serde_json::{Value, json};

use super::show::say;

/// How long another import may take before this one gives up.
const LONGEST_IMPORT: Duration = Duration::from_mins(1);

/// What `import` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArguments {
    /// Do it; without this it is only shown
    #[arg(long, conflicts_with = "undo")]
    apply: bool,

    /// How the logins are used
    #[arg(long, value_enum, default_value = "borrow")]
    mode: Way,

    /// Undo earlier imports
    #[arg(long)]
    undo: bool,

    /// The Google project of the Gemini CLI's login
    #[arg(long = "project_id", value_name = "PROJECT")]
    project: Option<String>,

    /// Print one JSON object a line, for programs
    #[arg(long)]
    json: bool,
}

/// Who reads what is printed.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Person,
    Program,
}

impl Reader {
    fn tell(self, text: &str, event: &Value) {
        match self {
            Self::Person => say(text),
            Self::Program => say(&event.to_string()),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// The program that a login belongs to keeps and renews it
    Borrow,
    /// Take a copy and renew it here
    Own,
}

pub(super) fn run(arguments: &ImportArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let project = arguments.project.as_deref();
    let environment = env::with_dotenv(Path::new("."));
    let loaded = Settings::load(source, &environment).map_err(|problems| anyhow!("{problems}"))?;
    let store = FileStore::new(loaded.settings.auth_dir.clone());
    let folder = store.workplace().context("the auth directory has no place for notes")?;
    let reader = if arguments.json { Reader::Program } else { Reader::Person };
    let runtime = super::runtime()?;
    // What is planned for the logins that were found holds only while nobody else imports them.
    let changes = arguments.undo || arguments.apply;
    let _alone = changes.then(|| lock::take(&folder, "importing", LONGEST_IMPORT)).transpose()?;
    if changes && let Some(aside) = lender::set_damaged_aside(&folder)? {
        let place = aside.display().to_string();
        let text = format!(
            "The list of earlier imports was damaged and is kept as {place}; what it named cannot be undone by this program."
        );
        reader.tell(&text, &json!({ "event": "damaged_list", "kept_as": place }));
    }
    runtime.block_on(async {
        if arguments.undo {
            return undo(&store, &folder, reader).await;
        }
        let mode = match arguments.mode {
            Way::Borrow => Mode::Borrow,
            Way::Own => Mode::Own,
        };
        let found = lender::find(&environment, &loaded.settings.auth_dir);
        if found.is_empty() {
            reader.tell(
                "No logins of Codex, Claude Code, Gemini CLI, Qwen Code or another gateway were found.",
                &json!({ "event": "nothing_found" }),
            );
            return Ok(ExitCode::SUCCESS);
        }
        let planned = lender::plan(&store, found, mode).await?;
        let makes = planned.iter().filter(|plan| matches!(plan.action, Action::Make(_))).count();
        for plan in planned {
            let how = How { mode, is_applied: arguments.apply, project, reader };
            import(&store, &folder, plan, how).await?;
        }
        // For people: what programs need of it stands in each event.
        if arguments.json {
            return Ok(ExitCode::SUCCESS);
        }
        if makes > 0 && mode == Mode::Own {
            let begin = if arguments.apply { "Taken over" } else { "To take over means" };
            say(&format!("{begin}: the other program loses its login once the tokens are renewed here, because refresh tokens work once. It is never logged out on purpose; `import --undo` gives renewed tokens back."));
        }
        if makes > 0 && !arguments.apply {
            say("Nothing was changed. Add --apply to do this.");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// How logins are imported.
#[derive(Clone, Copy, Debug)]
struct How<'a> {
    mode: Mode,
    is_applied: bool,
    project: Option<&'a str>,
    reader: Reader,
}

async fn import(store: &FileStore, folder: &Path, plan: Planned, how: How<'_>) -> anyhow::Result<()> {
    let How { mode, is_applied, project, reader } = how;
    let Planned { found, action } = plan;
    let program = found.place.program;
    let from = found.place.path.display().to_string();
    let place = format!("{program} ({from})");
    let left = |why: &str| json!({ "event": "left", "program": program, "from": from, "reason": why });
    let id = match action {
        Action::Leave(why) => {
            reader.tell(&format!("{place}: left alone, {why}."), &left(&why));
            return Ok(());
        }
        Action::Make(id) => id,
    };
    let (label, provider) = match &found.loan {
        Ok(loan) => (loan.label.clone(), loan.provider),
        Err(why) => return Err(anyhow!("{why}")),
    };
    let verb = if mode == Mode::Borrow { "borrow" } else { "take over" };
    let path = store.path(&id)?;
    let notice = LOGINS.iter().find(|login| login.provider == provider).and_then(|login| login.notice);
    let event = |word: &str| {
        json!({
            "event": word, "program": program, "from": from, "provider": provider, "account": label,
            "mode": if mode == Mode::Borrow { "borrow" } else { "own" },
            "path": path.display().to_string(), "notice": notice,
        })
    };
    let mut text = format!("{place}: {verb} {label} as {}", path.display());
    if let Some(notice) = notice {
        text.push_str("\n  Note: ");
        text.push_str(notice);
    }
    reader.tell(&text, &event("planned"));
    if provider == "gemini-cli" && project.is_none() {
        let why = "name the Google project with --project_id PROJECT";
        reader.tell(&format!("  Left alone: {why}."), &left(why));
        return Ok(());
    }
    if is_applied {
        let found = match project.filter(|_| provider == "gemini-cli") {
            Some(project) => found.with_members(Changes::default().set("project_id", project)),
            None => found,
        };
        match lender::apply(store, folder, &id, &found, mode).await {
            // Two imports at once: the other one has done what this one would.
            Err(StoreError::Conflict(_)) => {
                let why = "its file was made by somebody else meanwhile";
                reader.tell(&format!("  Left alone: {why}."), &left(why));
            }
            result => {
                result?;
                reader.tell("  Done.", &event("imported"));
            }
        }
    }
    Ok(())
}

async fn undo(store: &FileStore, folder: &Path, reader: Reader) -> anyhow::Result<ExitCode> {
    let undone = lender::undo(store, folder).await?;
    if undone.is_empty() {
        reader.tell("There is no import to undo.", &json!({ "event": "nothing_to_undo" }));
    }
    for one in undone {
        let (text, event) = match one {
            Undone::Removed(id) => (
                format!("{id} is removed; its program has its login as ever."),
                json!({ "event": "removed", "file": id }),
            ),
            Undone::GivenBack(id) => (
                format!("{id} is removed; its renewed tokens are back with its program."),
                json!({ "event": "given_back", "file": id }),
            ),
            Undone::SetAside(path) => (
                format!("Its program has another login now, so the file is kept as {path}."),
                json!({ "event": "set_aside", "kept_as": path }),
            ),
            Undone::Left(id, why) => (
                format!("{id} is left as it is: {why}."),
                json!({ "event": "left", "file": id, "reason": why }),
            ),
        };
        reader.tell(&text, &event);
    }
    Ok(ExitCode::SUCCESS)
}
