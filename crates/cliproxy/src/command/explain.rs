//! `explain`: which credential a request for a model would use now, and why not each other one.
//!
//! Decided by the function that decides in the running server, on the same configuration, auth files and remembered
//! rests. What only the running process knows (requests in flight, conversations and their accounts) is not seen from
//! here; its debug log says the same for every real request.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use cliproxy_core::config::Source;
use cliproxy_core::credential::{CredentialId, Window};
use cliproxy_core::engine::Explanation;
use cliproxy_server::clock;

use super::show::{self, print, print_json};

/// What `explain` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArguments {
    /// The model, as a client names it
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The conversation, as the client names it in a header
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn run(arguments: &ExplainArguments, source: &Source, has_demo: bool) -> anyhow::Result<ExitCode> {
    let model = &arguments.model;
    let settings = super::settings(source)?;
    let engine = super::runtime()?.block_on(super::looking(settings, has_demo))?;
    let Some(explanation) = engine.explain(model, arguments.session.as_deref()) else {
        return Err(anyhow!(
            "no key and no enabled account offers the model `{model}`; see what is offered with GET /v1/models, and the accounts with `cli-proxy-api accounts`"
        ));
    };
    let is_served = explanation.chosen.is_some();
    let now = clock::now();
    if arguments.json {
        print_json(&serde_json::json!(engine.explained(&explanation, now)));
    } else {
        print(&table(&explanation, &|id: &CredentialId| engine.quotas(id, now), now));
    }
    Ok(if is_served { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is left of a credential's quotas.
type Quotas<'a> = dyn Fn(&CredentialId) -> Vec<Window> + 'a;

fn table(explanation: &Explanation, quotas: &Quotas<'_>, now: u64) -> String {
    let mut lines = vec![format!("model {}", explanation.model)];
    match &explanation.chosen {
        Some((id, upstream)) => {
            lines.push(format!("  uses   {id}  as {upstream}"));
            lines.extend(quotas(id).iter().map(|window| format!("         {}", show::quota(window, now))));
        }
        None => lines.push("  nobody can serve it now".to_owned()),
    }
    for (id, upstream, skip) in &explanation.skipped {
        lines.push(format!("  skips  {id}  as {upstream}: {}", skip.text()));
        lines.extend(quotas(id).iter().map(|window| format!("         {}", show::quota(window, now))));
    }
    lines.join("\n") + "\n"
}
