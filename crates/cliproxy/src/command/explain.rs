//! `explain`: which credential a request for a model would use now, and why not each other one.
//!
//! Decided by the function that decides in the running server, on the same configuration, auth files and remembered
//! rests. What only the running process knows (requests in flight, conversations and their accounts) is not seen from
//! here; its debug log says the same for every real request.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use cliproxy_core::Engine;
use cliproxy_core::config::{Settings, Source, env};
use cliproxy_core::credential::{CredentialId, Window};
use cliproxy_core::engine::Explanation;
use cliproxy_core::store::FileStore;
use cliproxy_server::clock;

pub(super) fn run(
    source: &Source,
    has_demo: bool,
    model: &str,
    session: Option<&str>,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let loaded = Settings::load(source, &env::with_dotenv(Path::new(".")))
        .map_err(|problems| anyhow!("{problems}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let engine = runtime.block_on(engine(loaded.settings, has_demo))?;
    let Some(explanation) = engine.explain(model, session) else {
        return Err(anyhow!("the model `{model}` is not known; see what is offered with GET /v1/models"));
    };
    let is_served = explanation.chosen.is_some();
    let now = clock::now();
    if is_json {
        print(&format!("{:#}\n", serde_json::json!(engine.explained(&explanation, now))));
    } else {
        print(&table(&explanation, &|id: &CredentialId| engine.quotas(id, now), now));
    }
    Ok(if is_served { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn engine(settings: Settings, has_demo: bool) -> anyhow::Result<Engine> {
    let store = Arc::new(FileStore::new(settings.auth_dir.clone()));
    let mut builder = Engine::builder(settings).with_store(store);
    if has_demo {
        builder = builder.with_demo();
    }
    let engine = builder.build();
    engine.load_accounts().await.context("cannot read the auth directory")?;
    engine.restore_standing(clock::now()).await;
    Ok(engine)
}

/// What is left of a credential's quotas.
type Quotas<'a> = dyn Fn(&CredentialId) -> Vec<Window> + 'a;

fn table(explanation: &Explanation, quotas: &Quotas<'_>, now: u64) -> String {
    let mut lines = vec![format!("model {}", explanation.model)];
    match &explanation.chosen {
        Some((id, upstream)) => {
            lines.push(format!("  uses   {id}  as {upstream}"));
            lines.extend(quotas(id).iter().map(|window| quota(window, now)));
        }
        None => lines.push("  nobody can serve it now".to_owned()),
    }
    for (id, upstream, skip) in &explanation.skipped {
        lines.push(format!("  skips  {id}  as {upstream}: {}", skip.text()));
        lines.extend(quotas(id).iter().map(|window| quota(window, now)));
    }
    lines.join("\n") + "\n"
}

fn quota(window: &Window, now: u64) -> String {
    let model = window.model.as_deref().map(|model| format!(" of {model}")).unwrap_or_default();
    let reset = window.resets_at.filter(|at| *at > now).map(|at| {
        let minutes = (at - now).div_ceil(60);
        format!(", begins anew in {} h {} min", minutes / 60, minutes % 60)
    });
    format!(
        "         quota {}{model}: {:.0} % used{}",
        window.name,
        window.used * 100.0,
        reset.unwrap_or_default()
    )
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(text: &str) {
    print!("{text}");
}
