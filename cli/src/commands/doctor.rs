//! `thaw doctor`: shows what was found.

use serde_json::Value;
use thaw_core::quantity;

use crate::args::DoctorArgs;
use crate::context::Context;
use crate::doctor::finding::{Finding, Verdict};
use crate::doctor::{checks, read};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, printable, table};

/// Fails if something is a problem. Warnings and what is not known are no failure.
pub fn run(args: &DoctorArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let (facts, now) = read::facts(args, context)?;
    let findings = checks::findings(&facts, now);
    let items: Result<Vec<Value>, _> = findings.iter().map(serde_json::to_value).collect();
    let items = items.map_err(|error| Error::Failed(error.to_string()))?;
    let columns = ["verdict", "kind", "name", "check", "found", "why", "mend"];
    output::list(context.form, &items, &columns, || Ok(text(&findings)))?;
    let has_problem = findings.iter().any(|finding| finding.verdict == Verdict::Problem);
    Ok(if has_problem { Exit::Failed } else { Exit::Done })
}

/// A table of all, and below it what matters of those that are not well, the worst first.
fn text(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let place = format!("{} {}", finding.kind.as_str(), finding.name);
        vec![finding.verdict.as_str().to_owned(), place, finding.check.to_owned(), finding.found.clone()]
    });
    let mut text = table(&["VERDICT", "WHERE", "CHECK", "FOUND"], rows);
    let mut worst_first: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
    worst_first.sort_by_key(|finding| finding.verdict);
    for finding in worst_first {
        let Finding { verdict, kind, name, check, found, why, mend } = finding;
        let (name, found) = (printable(name), printable(found));
        text.push_str(&format!("\n{}: {} {name}, {check}: {found}\n", verdict.as_str(), kind.as_str()));
        if let Some(line) = why {
            text.push_str(&format!("  {}\n", printable(line)));
        }
        if let Some(line) = mend {
            text.push_str(&format!("  $ {}\n", printable(line)));
        }
    }
    let count = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count() as u64;
    text.push_str(&format!(
        "\n{}, {}, {}; {} not known.\n",
        quantity(count(Verdict::Problem), "problem", "problems"),
        quantity(count(Verdict::Warning), "warning", "warnings"),
        quantity(count(Verdict::Note), "note", "notes"),
        count(Verdict::NotKnown),
    ));
    text
}
