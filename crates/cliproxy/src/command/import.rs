//! `import`: use the logins of other programs on this machine, and undo that.
#![expect(clippy::print_stdout, reason = "the result of the command")]

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use cliproxy_core::config::{Settings, Source, env};
use cliproxy_core::lender::{self, Action, Mode, Planned, Undone};
use cliproxy_core::oauth::Changes;
use cliproxy_core::provider::LOGINS;
use cliproxy_core::store::{FileStore, Store as _};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        if arguments.undo {
            return undo(&store, &folder).await;
        }
        let mode = match arguments.mode {
            Way::Borrow => Mode::Borrow,
            Way::Own => Mode::Own,
        };
        let found = lender::find(&environment, &loaded.settings.auth_dir);
        if found.is_empty() {
            println!("No logins of Codex, Claude Code, Gemini CLI, Qwen Code or another gateway were found.");
            return Ok(ExitCode::SUCCESS);
        }
        let planned = lender::plan(&store, found, mode).await?;
        let makes = planned.iter().filter(|plan| matches!(plan.action, Action::Make(_))).count();
        for plan in planned {
            import(&store, &folder, plan, mode, arguments.apply, project).await?;
        }
        if makes > 0 && mode == Mode::Own {
            println!("Taken over: the other program loses its login once the tokens are renewed here, because refresh tokens work once. It is never logged out on purpose; `import --undo` gives renewed tokens back.");
        }
        if makes > 0 && !arguments.apply {
            println!("Nothing was changed. Add --apply to do this.");
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn import(
    store: &FileStore,
    folder: &Path,
    plan: Planned,
    mode: Mode,
    is_applied: bool,
    project: Option<&str>,
) -> anyhow::Result<()> {
    let Planned { found, action } = plan;
    let place = format!("{} ({})", found.place.program, found.place.path.display());
    let id = match action {
        Action::Leave(why) => {
            println!("{place}: left alone, {why}.");
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
    println!("{place}: {verb} {label} as {}", path.display());
    let login = LOGINS.iter().find(|login| login.provider == provider);
    if let Some(notice) = login.and_then(|login| login.notice) {
        println!("  Note: {notice}");
    }
    if provider == "gemini-cli" && project.is_none() {
        println!("  Left alone: name the Google project with --project_id PROJECT.");
        return Ok(());
    }
    if is_applied {
        let found = match project.filter(|_| provider == "gemini-cli") {
            Some(project) => found.with_members(Changes::default().set("project_id", project)),
            None => found,
        };
        lender::apply(store, folder, &id, &found, mode).await?;
        println!("  Done.");
    }
    Ok(())
}

async fn undo(store: &FileStore, folder: &Path) -> anyhow::Result<ExitCode> {
    let undone = lender::undo(store, folder).await?;
    if undone.is_empty() {
        println!("There is no import to undo.");
    }
    for one in undone {
        match one {
            Undone::Removed(id) => println!("{id} is removed; its program has its login as ever."),
            Undone::GivenBack(id) => {
                println!("{id} is removed; its renewed tokens are back with its program.");
            }
            Undone::SetAside(path) => {
                println!("Its program has another login now, so the file is kept as {path}.");
            }
            Undone::Left(id, why) => println!("{id} is left as it is: {why}."),
        }
    }
    Ok(ExitCode::SUCCESS)
}
