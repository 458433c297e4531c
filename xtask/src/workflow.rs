//! The workflow before others who know the Amazon States Language: npm's asl-validator, and cfn-lint, which knows it where a
//! template has the definition in it.
//!
//! Neither of them notices everything, so both are asked about broken workflows too: one that both let pass is a failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::node;
use crate::python::python_env;
use crate::workspace::{root, target_dir};

/// Where the Node programs about the workflow are installed.
pub fn node_programs() -> PathBuf {
    target_dir().join("workflow")
}

/// Installs the Node programs about the workflow, among them the reference implementation of its expressions.
pub fn install_node_programs() -> Result<()> {
    node::install(&root().join("xtask/node"), &["evaluate.mjs", "validate.mjs"], &node_programs())
}

/// A way to break the workflow: its name, what is changed, and into what; `None` takes it away.
type Break = (&'static str, &'static str, Option<Value>);

fn breaks() -> [Break; 10] {
    [
        ("a way leads nowhere", "/States/Plan/Next", Some(json!("Nowhere"))),
        ("an error leads nowhere", "/States/Plan/Catch/0/Next", Some(json!("Nowhere"))),
        ("a state cannot be reached", "/States/AllWell?/Choices/0/Next", Some(json!("SomeFailed"))),
        ("a state has no type", "/States/Done/Type", None),
        ("a field is misspelt", "/States/ForEachChunk/MaxConcurency", Some(json!(4))),
        ("a field is JSONPath's", "/States/Plan/Parameters", Some(json!({}))),
        ("an expression is cut off", "/States/WaitForJobs/Seconds", Some(json!("{% $states.input. %}"))),
        ("a wait is negative", "/States/WaitForJobs/Seconds", Some(json!(-1))),
        ("an inner state has no resource", "/States/ForEachChunk/ItemProcessor/States/StartRestores/Resource", None),
        ("a catcher leads nowhere at all", "/States/Report/Catch/0/Next", None),
    ]
}

/// Checks the workflow, and that what would be wrong with it would be found.
pub fn check() -> Result<()> {
    install_node_programs()?;
    let text = fs::read_to_string(root().join("statemachine/thaw.asl.json")).context("cannot read the workflow")?;
    let machine: Value = serde_json::from_str(&text).context("the workflow is no JSON")?;
    let dir = node_programs().join("machines");
    fs::create_dir_all(&dir)?;

    let mut machines = vec![("as it is", machine.clone())];
    for (name, place, into) in breaks() {
        machines.push((name, broken(&machine, place, into).with_context(|| format!("cannot try `{name}`"))?));
    }
    let mut files = Vec::new();
    for (at, (_, machine)) in machines.iter().enumerate() {
        let (asl, template) = (dir.join(format!("{at}.asl.json")), dir.join(format!("{at}.template.json")));
        fs::write(&asl, machine.to_string())?;
        fs::write(&template, with_definition(machine).to_string())?;
        files.push((asl, template));
    }
    let by_validator = validated(files.iter().map(|(asl, _)| asl.as_path()))?;
    let by_lint = linted(files.iter().map(|(_, template)| template.as_path()))?;

    ensure!(!by_validator.contains("0.asl.json"), "asl-validator refuses the workflow, see above");
    ensure!(!by_lint.contains("0.template.json"), "cfn-lint refuses the workflow, see above");
    let missed = |at: &usize| {
        !by_validator.contains(&format!("{at}.asl.json")) && !by_lint.contains(&format!("{at}.template.json"))
    };
    let missed: Vec<_> = (1..machines.len()).filter(missed).map(|at| machines[at].0).collect();
    ensure!(missed.is_empty(), "neither asl-validator nor cfn-lint notices when {}", missed.join(", or when "));
    println!("asl-validator and cfn-lint take the workflow; of {} broken ones they let none pass", machines.len() - 1);
    Ok(())
}

/// The workflow with one place changed.
fn broken(machine: &Value, place: &str, into: Option<Value>) -> Result<Value> {
    let mut machine = machine.clone();
    let (holder, field) = place.rsplit_once('/').context("a place is a JSON pointer")?;
    let holder = machine.pointer_mut(holder).and_then(Value::as_object_mut);
    let holder = holder.with_context(|| format!("the workflow has no {place}"))?;
    match into {
        Some(value) => drop(holder.insert(field.to_owned(), value)),
        None => drop(holder.remove(field).with_context(|| format!("the workflow has no {place}"))?),
    }
    Ok(machine)
}

/// A template with nothing in it but this definition. What it substitutes is anything.
fn with_definition(machine: &Value) -> Value {
    let text = machine.to_string();
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let function = json!("arn:aws:lambda:us-east-1:123456789012:function:any");
    let substitutions: Map<_, _> = names.map(|name| (name.to_owned(), function.clone())).collect();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": { "Workflow": { "Type": "AWS::StepFunctions::StateMachine", "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/any",
            "Definition": machine,
            "DefinitionSubstitutions": substitutions,
        } } },
    })
}

/// The names of the files that asl-validator refuses; of the first it is shown why.
fn validated<'a>(files: impl Iterator<Item = &'a Path>) -> Result<BTreeSet<String>> {
    let dir = node_programs();
    let output = Command::new(node::node()?).arg(dir.join("validate.mjs")).args(files).output()?;
    if !output.status.success() {
        bail!("asl-validator failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let refused = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(refused.map(|(file, why)| told(file, why)).collect())
}

/// The same of cfn-lint.
fn linted<'a>(files: impl Iterator<Item = &'a Path>) -> Result<BTreeSet<String>> {
    let python = python_env("infra-python", &root().join("infra/requirements.lock"))?;
    let output = Command::new(python.program("cfn-lint")).args(["--format", "json"]).args(files).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Vec<Value> = serde_json::from_str(&text)
        .with_context(|| format!("cfn-lint failed: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let field = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    Ok(found.iter().map(|one| told(&field(one, "Filename"), &field(one, "Message"))).collect())
}

fn told(file: &str, why: &str) -> String {
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with("0.") {
        println!("the workflow: {why}");
    }
    name
}
