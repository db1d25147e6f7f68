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
    let explanation = runtime.block_on(explain(loaded.settings, has_demo, model, session))?;
    let Some(explanation) = explanation else {
        return Err(anyhow!("the model `{model}` is not known; see what is offered with GET /v1/models"));
    };
    let is_served = explanation.chosen.is_some();
    if is_json {
        print(&json(&explanation));
    } else {
        print(&table(&explanation));
    }
    Ok(if is_served { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn explain(
    settings: Settings,
    has_demo: bool,
    model: &str,
    session: Option<&str>,
) -> anyhow::Result<Option<Explanation>> {
    let store = Arc::new(FileStore::new(settings.auth_dir.clone()));
    let mut builder = Engine::builder(settings).with_store(store);
    if has_demo {
        builder = builder.with_demo();
    }
    let engine = builder.build();
    engine.load_accounts().await.context("cannot read the auth directory")?;
    engine.restore_rests(clock::now()).await;
    Ok(engine.explain(model, session))
}

fn table(explanation: &Explanation) -> String {
    let mut lines = vec![format!("model {}", explanation.model)];
    lines.push(match &explanation.chosen {
        Some((id, upstream)) => format!("  uses   {id}  as {upstream}"),
        None => "  nobody can serve it now".to_owned(),
    });
    let skipped = explanation.skipped.iter();
    lines
        .extend(skipped.map(|(id, upstream, skip)| format!("  skips  {id}  as {upstream}: {}", skip.text())));
    lines.join("\n") + "\n"
}

fn json(explanation: &Explanation) -> String {
    let named = |(id, upstream): &(cliproxy_core::credential::CredentialId, Arc<str>)| serde_json::json!({"credential": id.as_str(), "upstream_model": &**upstream});
    let skipped = explanation.skipped.iter().map(|(id, upstream, skip)| {
        serde_json::json!({"credential": id.as_str(), "upstream_model": &**upstream, "reason": skip.text()})
    });
    let value = serde_json::json!({
        "model": &*explanation.model,
        "chosen": explanation.chosen.as_ref().map(named),
        "skipped": skipped.collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(text: &str) {
    print!("{text}");
}
