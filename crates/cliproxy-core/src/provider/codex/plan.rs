//! Which models the backend does not give to which ChatGPT plan.
//!
//! Source: the lists that the backend gave accounts of each plan, seen in August 2026. A plan that is not known gets
//! everything: the backend says by itself what it refuses, and the model then rests for that account alone.

/// Models that only the largest plans have.
const LARGE: &str = "gpt-5.3-codex-spark";
/// Models that the free plan lacks besides.
const PAID: [&str; 2] = ["gpt-5.4", "gpt-5.6-sol"];

/// The models that a plan lacks. `plan` is the word in the account's id token.
pub(super) fn withheld(plan: &str) -> Vec<&'static str> {
    match plan.trim().to_ascii_lowercase().as_str() {
        "free" | "free_workspace" => [&PAID[..], &[LARGE]].concat(),
        "team" | "business" | "go" => vec![LARGE],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use cliproxy_wire::catalog;

    use super::*;

    #[test]
    fn plans_lack_models_of_the_catalog() {
        assert_eq!(withheld("Free"), ["gpt-5.4", "gpt-5.6-sol", "gpt-5.3-codex-spark"]);
        assert_eq!(withheld("business"), ["gpt-5.3-codex-spark"]);
        for plan in ["pro", "plus", "", "a plan of tomorrow"] {
            assert!(withheld(plan).is_empty(), "{plan}");
        }
        for model in withheld("free") {
            assert!(catalog::models_of("codex").any(|known| known.id == model), "{model}");
        }
    }
}
