//! What was found, and how it is told.

use serde_json::{Value, json};

use super::mask::Mask;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, but not as meant, or not for long.
    Warning,
    /// Something does not work.
    Problem,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

#[derive(Debug)]
struct Finding {
    area: &'static str,
    severity: Severity,
    what: String,
    remedy: Option<String>,
}

/// Everything that was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, area: &'static str, what: impl Into<String>) {
        self.add(area, Severity::Ok, what.into(), None);
    }

    pub(super) fn note(&mut self, area: &'static str, what: impl Into<String>) {
        self.add(area, Severity::Note, what.into(), None);
    }

    pub(super) fn warning(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(area, Severity::Warning, what.into(), Some(remedy.into()));
    }

    pub(super) fn problem(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(area, Severity::Problem, what.into(), Some(remedy.into()));
    }

    pub(super) fn add(
        &mut self,
        area: &'static str,
        severity: Severity,
        what: String,
        remedy: Option<String>,
    ) {
        self.0.push(Finding { area, severity, what, remedy });
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }

    pub(super) fn has_problems(&self) -> bool {
        self.count(Severity::Problem) > 0
    }

    /// The report for people.
    pub(super) fn text(&self, mask: &Mask) -> String {
        let system = [std::env::consts::OS, std::env::consts::ARCH].join(" ");
        let mut lines = vec![format!("cli-proxy-api {} on {system}", env!("CARGO_PKG_VERSION"))];
        let mut area = "";
        for finding in &self.0 {
            if finding.area != area {
                area = finding.area;
                lines.extend([String::new(), area.to_owned()]);
            }
            // A finding of several lines keeps to its column.
            let indented = |words: &str| mask.masked(words).replace('\n', "\n           ");
            lines.push(format!("  {:<7}  {}", finding.severity.word(), indented(&finding.what)));
            let remedy = finding.remedy.as_deref().map(indented);
            lines.extend(remedy.map(|remedy| format!("           to do: {remedy}")));
        }
        let (problems, warnings) = (self.count(Severity::Problem), self.count(Severity::Warning));
        let verdict = match (problems, warnings) {
            (0, 0) => "nothing is wrong".to_owned(),
            _ => format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")),
        };
        lines.extend([String::new(), verdict, String::new()]);
        lines.join("\n")
    }

    /// The report for programs.
    pub(super) fn json(&self, mask: &Mask) -> Value {
        let finding = |finding: &Finding| {
            let remedy = finding.remedy.as_deref().map(|remedy| mask.masked(remedy));
            json!({
                "area": finding.area,
                "severity": finding.severity.word(),
                "message": mask.masked(&finding.what),
                "remedy": remedy,
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "problems": self.count(Severity::Problem),
            "warnings": self.count(Severity::Warning),
            "findings": self.0.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
