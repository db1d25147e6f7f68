//! Logging in: performs what the engine describes, in words for people or in JSON for programs.

mod json;
mod terminal;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use cliproxy_core::config::{Settings, Source};
use cliproxy_core::env;
use cliproxy_core::login::session::{Hold, LoginError, Session};
use cliproxy_core::login::talk::{Event, Person, Talk};
use cliproxy_core::login::{Saved, save};
use cliproxy_core::oauth::login::Options;
use cliproxy_core::oauth::{Grant, Login, Refusal, RefusalKind};
use cliproxy_core::provider::import_service_account;
use cliproxy_core::store::FileStore;
use cliproxy_core::upstream::Clients;
use tokio::runtime::{Builder, Runtime};

use crate::logins::LoginArguments;

/// Larger files are no keys of service accounts.
const LARGEST_KEY: u64 = 1 << 20;

/// How a login ended.
enum Ending {
    Saved { grant: Grant, saved: Saved, path: PathBuf },
    Failed(LoginError),
}

/// Who hears about a login.
trait Audience {
    /// Tells what happens.
    fn tell(&mut self, event: Event);

    /// Tells how it ended.
    fn end(&mut self, ending: &Ending);
}

/// Logs in, or imports a service account, when the command line asks for it.
pub(super) fn run(arguments: &LoginArguments, source: &Source) -> Option<anyhow::Result<ExitCode>> {
    if let Some(file) = &arguments.vertex_import {
        return Some(import(file, arguments, source));
    }
    let login = arguments.wanted.0?;
    Some(log_in(login, arguments, source))
}

fn settings(source: &Source) -> anyhow::Result<Settings> {
    let loaded = Settings::load(source, &env::with_dotenv(Path::new(".")))
        .map_err(|problems| anyhow!("{problems}"))?;
    Ok(loaded.settings)
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

fn log_in(login: &'static Login, arguments: &LoginArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = settings(source)?;
    let session = Session {
        login,
        port: Some(arguments.oauth_callback_port).filter(|&port| port != 0),
        options: Options { project: arguments.project.clone() },
        listens: true,
        hold: Hold::default(),
        now,
    };
    let mut audience: Box<dyn Audience> = if arguments.json {
        Box::new(json::Lines::new(login.provider))
    } else {
        Box::new(terminal::Terminal::new(login, !arguments.no_browser))
    };
    let store = FileStore::new(&*settings.auth_dir);
    let ending = match runtime()?.block_on(perform(session, &settings, &store, &mut *audience)) {
        Ok((grant, saved)) => {
            let path = store.path(&saved.id)?;
            Ending::Saved { grant, saved, path }
        }
        Err(error) => Ending::Failed(error),
    };
    audience.end(&ending);
    Ok(exit_code(login, &ending, arguments.json))
}

async fn perform(
    session: Session,
    settings: &Settings,
    store: &FileStore,
    audience: &mut dyn Audience,
) -> Result<(Grant, Saved), LoginError> {
    let (mut talk, Person { mut events, lines }) = Talk::new();
    // Reading from a terminal cannot be given up, so it happens on a thread that nobody waits for.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let clients = Clients::default();
    let logging_in = async {
        let result = Box::pin(session.run(settings, &clients, store, &mut talk)).await;
        drop(talk);
        result
    };
    let telling = async {
        while let Some(event) = events.recv().await {
            audience.tell(event);
        }
    };
    tokio::join!(logging_in, telling).0
}

async fn saved(settings: &Settings, grant: Grant) -> anyhow::Result<Ending> {
    let store = FileStore::new(&*settings.auth_dir);
    let saved = save(&store, &grant).await.context("the account cannot be saved")?;
    let path = store.path(&saved.id)?;
    Ok(Ending::Saved { grant, saved, path })
}

fn import(file: &Path, arguments: &LoginArguments, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = settings(source)?;
    let text = read_key(file).with_context(|| format!("cannot read {}", file.display()))?;
    let ending = match import_service_account(&text, arguments.vertex_import_prefix.as_deref()) {
        Ok(grant) => runtime()?.block_on(saved(&settings, grant))?,
        Err(refusal) => Ending::Failed(LoginError::Refused(refusal)),
    };
    if arguments.json {
        json::Lines::new("vertex").end(&ending);
    } else {
        terminal::imported(&ending);
    }
    let is_failed = arguments.json && matches!(ending, Ending::Failed(_));
    Ok(if is_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read_key(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(LARGEST_KEY).read_to_end(&mut text)?;
    Ok(text)
}

/// Programs that wrap this one take 0 as "the program ran", whatever came of it, and 13 as a taken port. With `--json`
/// the code says what happened.
fn exit_code(login: &Login, ending: &Ending, is_json: bool) -> ExitCode {
    const PORT_BUSY: u8 = 13;
    match ending {
        Ending::Saved { .. } => ExitCode::SUCCESS,
        Ending::Failed(LoginError::PortBusy(_))
            if is_json || matches!(login.provider, "codex" | "claude") =>
        {
            ExitCode::from(PORT_BUSY)
        }
        Ending::Failed(LoginError::Storage(_)) => ExitCode::FAILURE,
        Ending::Failed(_) if !is_json => ExitCode::SUCCESS,
        Ending::Failed(LoginError::Refused(Refusal { kind: RefusalKind::Passing(_), .. })) => {
            ExitCode::from(4)
        }
        Ending::Failed(LoginError::Refused(Refusal { kind: RefusalKind::Forbidden, .. })) => {
            ExitCode::from(3)
        }
        Ending::Failed(_) => ExitCode::FAILURE,
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
