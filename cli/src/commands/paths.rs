//! `thaw paths`: under which paths viewers get objects, and whether these can be invalidated.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use thaw_core::quantity;

use crate::address::LocalStack;
use crate::answers::{DistributionPaths, ObjectPaths, Paths, ViewerPath};
use crate::api;
use crate::args::{Form, PathsArgs};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, printable, table, time};
use crate::selection;
use crate::shell::quoted;

/// The columns of the CSV: a line for each path.
const COLUMNS: [&str; 13] = [
    "key",
    "version_id",
    "state",
    "distribution",
    "domain",
    "path",
    "behaviour",
    "origin",
    "reason",
    "invalidated_as",
    "possible",
    "code",
    "why_not",
];

/// Asks about the objects, with one call.
pub fn run(args: &PathsArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let request = Value::from(selection::keys(&args.uris)?);
    let answer = context.connect()?.post("/v1/paths", &request, None)?;
    let paths: Paths = api::read(&answer)?;
    let edge = context.global.local.as_deref().map(LocalStack::read).transpose()?.map(|stack| stack.edge_url);
    let objects = answer["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
    match context.form {
        Form::Table | Form::Json => {
            output::one(context.form, &answer, || Ok(text(&paths, edge.as_deref(), &context.zone)))?;
        }
        Form::Ndjson => output::list(context.form, objects, &[], || Ok(String::new()))?,
        Form::Csv => {
            let lines: Vec<Value> = objects.iter().flat_map(lines).collect();
            output::list(context.form, &lines, &COLUMNS, || Ok(String::new()))?;
        }
    }
    let possible: Vec<String> = paths
        .objects
        .iter()
        .filter(|object| object.invalidation.possible)
        .map(|object| quoted(&format!("s3://{}/{}", paths.bucket, object.key)))
        .collect();
    if !possible.is_empty() {
        context.terminal.say(&format!("To invalidate: thaw invalidate {}", printable(&possible.join(" "))));
    }
    Ok(Exit::Done)
}

/// The paths as a person reads them: a block for each object, and in it one for each distribution.
fn text(paths: &Paths, edge: Option<&str>, zone: &TimeZone) -> String {
    let mut text = String::new();
    for object in &paths.objects {
        let version = object.version_id.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
        let _ = writeln!(text, "{}{version}", printable(&format!("s3://{}/{}", paths.bucket, object.key)));
        let _ = match object.copy_expires {
            Some(expires) => writeln!(text, "  A copy of it can be read until {}.", time(expires, zone)),
            None => writeln!(text, "  {}", printable(&object.says)),
        };
        let _ = writeln!(text, "  {}", printable(&outlook(object)));
        if object.distributions.is_empty() {
            text.push_str("  No distribution that thaw invalidates has the bucket as an origin.\n");
        }
        for distribution in &object.distributions {
            text.push('\n');
            text.push_str(&of_distribution(distribution, edge));
        }
        text.push('\n');
    }
    if paths.objects.len() > 1 {
        let _ = writeln!(
            text,
            "To invalidate what can be invalidated: {} for ${}.",
            quantity(paths.paths, "path", "paths"),
            paths.usd
        );
    }
    for warning in &paths.warnings {
        let _ = writeln!(text, "Warning: {}", printable(warning));
    }
    text
}

/// Whether an object can be invalidated now, and the price; or why not.
fn outlook(object: &ObjectPaths) -> String {
    let outlook = &object.invalidation;
    match &outlook.why_not {
        None => format!(
            "It can be invalidated: {} for ${}, or for nothing within the month's 1,000 free ones.",
            quantity(outlook.paths, "path", "paths"),
            outlook.usd
        ),
        Some(why) => {
            let code = outlook.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            format!("It is not invalidated{code}: {why}.")
        }
    }
}

fn of_distribution(distribution: &DistributionPaths, edge: Option<&str>) -> String {
    let mut text = String::new();
    let domain = if distribution.domain.is_empty() { "" } else { &format!(", {}", distribution.domain) };
    let staging = distribution.staging_of.as_ref();
    let staging = staging.map(|primary| format!(", staging: it gets viewers of {primary}")).unwrap_or_default();
    let _ = writeln!(text, "  {}{domain}{staging}", distribution.id);
    if !distribution.paths.is_empty() {
        let rows = distribution.paths.iter().map(|path| {
            vec![
                path.path.clone(),
                path.behaviour.clone(),
                path.origin.clone(),
                reason(path),
                path.invalidated_as.join(" "),
            ]
        });
        let table = table(&["PATH", "BEHAVIOUR", "ORIGIN", "BECAUSE OF", "INVALIDATED AS"], rows);
        table.lines().for_each(|line| {
            let _ = writeln!(text, "    {line}");
        });
    }
    let _ = writeln!(text, "    {}", printable(&distribution.says));
    for left in &distribution.left_alone {
        let says = format!("{} is left alone: {}.", left.path, left.why);
        let _ = writeln!(text, "    {}", printable(&says));
    }
    for curl in distribution.paths.iter().filter_map(|path| path.curl.as_ref()) {
        let _ = writeln!(text, "    {}", printable(&at_the_edge(curl, &distribution.domain, edge)));
    }
    text
}

/// What makes it a path of the object.
fn reason(path: &ViewerPath) -> String {
    match (path.reason.as_str(), &path.rule) {
        ("path_rule", Some(rule)) => format!("rule {rule}"),
        ("directory_index", Some(rule)) => rule.clone(),
        ("key", _) => "its key".to_owned(),
        ("rewritten", _) => "a function, of a path of a rule".to_owned(),
        (other, _) => other.replace('_', " "),
    }
}

/// The command that asks an edge. A local stack's edge tells distributions apart by the header Host.
fn at_the_edge(curl: &str, domain: &str, edge: Option<&str>) -> String {
    let Some(edge) = edge else { return curl.to_owned() };
    curl.replacen("curl -I", &format!("curl -I -H 'host: {domain}'"), 1).replacen(
        &format!("https://{domain}"),
        edge.trim_end_matches('/'),
        1,
    )
}

/// A line of the CSV for each path of an object; one without a path if it has none.
fn lines(object: &Value) -> Vec<Value> {
    let line = |distribution: &Value, path: &Value| {
        let invalidated_as = path["invalidated_as"].as_array().into_iter().flatten().filter_map(Value::as_str);
        json!({
            "key": object["key"], "version_id": object["version_id"], "state": object["state"],
            "distribution": distribution["id"], "domain": distribution["domain"],
            "path": path["path"], "behaviour": path["behaviour"], "origin": path["origin"], "reason": path["reason"],
            "invalidated_as": invalidated_as.collect::<Vec<_>>().join(" "),
            "possible": object["invalidation"]["possible"], "code": object["invalidation"]["code"],
            "why_not": object["invalidation"]["why_not"],
        })
    };
    let distributions = object["distributions"].as_array().into_iter().flatten();
    let shown = distributions.flat_map(|distribution| {
        distribution["paths"].as_array().into_iter().flatten().map(move |path| line(distribution, path))
    });
    let shown: Vec<Value> = shown.collect();
    if shown.is_empty() { vec![line(&Value::Null, &Value::Null)] } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_edge_is_asked_with_the_domain_as_its_host() {
        let curl = "curl -I 'https://d1.cloudfront.net/a%20b'";
        assert_eq!(at_the_edge(curl, "d1.cloudfront.net", None), curl);
        assert_eq!(
            at_the_edge(curl, "d1.cloudfront.net", Some("http://127.0.0.1:4001/")),
            "curl -I -H 'host: d1.cloudfront.net' 'http://127.0.0.1:4001/a%20b'"
        );
    }
}
