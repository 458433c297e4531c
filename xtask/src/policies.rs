//! What each role may do, in the documents that IAM gets: for the auditors, and for the simulation of a local stack's calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cloudformation::{self, StackInEmulator};
use crate::python::python_env;
use crate::recorder;
use crate::stack::{S3, Stack};
use crate::template::{TEXT, Template, list, text};
use crate::workspace::{root, run, target_dir};

/// The account of the emulator.
const ACCOUNT: &str = "000000000000";

/// The parameters with which the roles may do most, and do it to named distributions only.
fn all_options() -> [(&'static str, Value); 4] {
    [
        ("DistributionIds", json!(["E1", "E2"])),
        ("StagingDistributions", json!("named")),
        ("ManageBucketEvents", json!("true")),
        ("ArchiveKmsKeys", json!(["arn:aws:kms:us-east-1:111122223333:key/a"])),
    ]
}

/// Holds the policies of each role against cloudsplaining's risks: of a stack that finds its distributions, and of one to which
/// they are named, with all that a parameter can add.
pub fn audit() -> Result<()> {
    let python = python_env("audit-python", &root().join("xtask/python/audit/requirements.lock"))?;
    let stacks = json!({
        "that finds its distributions": of_roles(&Template::load()),
        "with every option": of_roles(&Template::with(&all_options())),
    });
    let policies = write_json(&target_dir(), "policies.json", &stacks)?;
    let script = root().join("xtask/python/audit/audit_policies.py");
    run(Command::new(python.program("python")).arg(script).arg(policies))
}

/// A role's policies as one document.
fn of_roles(template: &Template) -> BTreeMap<String, Value> {
    let document = |role: &String| {
        let statements =
            template.policies(role).iter().flat_map(|policy| list(&policy["Statement"])).collect::<Vec<_>>();
        json!({ "Version": "2012-10-17", "Statement": statements })
    };
    template.resources("AWS::IAM::Role").keys().map(|role| (role.clone(), document(role))).collect()
}

/// Holds each call that the functions of a local stack made, and that AWS's services make for it, against the policies of its role.
///
/// Only a run of all tests makes every call; after it, a permission that nobody used must have its reason.
pub fn simulate(stack: &Stack, dir: &Path) -> Result<()> {
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let stacks = write_stacks(stack, dir)?;
    let script = root().join("xtask/python/simulate_policies.py");
    let mut simulation = Command::new(python.program("python"));
    simulation.arg(script).arg(stacks).arg(dir.join(recorder::EXCHANGES));
    if stack.s3 == S3::Sim {
        simulation.arg("--all-tests");
    }
    run(&mut simulation)
}

/// Writes what the simulation needs to know of the stacks that are or were in the emulator: their policies with the names that
/// CloudFormation gave, and who has which role.
pub fn write_stacks(stack: &Stack, dir: &Path) -> Result<PathBuf> {
    let found = cloudformation::all_stacks(&stack.aws())?;
    // Somebody may have made a stack of another template.
    let ours = found.iter().filter(|found| found.parameters.contains_key("ArchiveBuckets"));
    let stacks: Vec<_> = ours.map(|found| of_stack(found, &stack.region)).collect();
    write_json(dir, "stacks.json", &json!(stacks))
}

fn of_stack(found: &StackInEmulator, region: &str) -> Value {
    // What a template refers to by Ref or GetAtt.
    let names = names(found, region);
    let declared = Template::load();
    let mut given: BTreeMap<&str, Value> = names.iter().map(|(name, value)| (name.as_str(), json!(value))).collect();
    for (name, value) in &found.parameters {
        let kind = declared.parameters().get(name).map(|parameter| text(&parameter["Type"])).unwrap_or_default();
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        given.insert(name, if is_list { value.split(',').collect() } else { json!(value) });
    }
    let render = |more: &[(&'static str, Value)]| {
        let mut given = given.clone();
        given.extend(more.iter().cloned());
        Template::of(TEXT, &given.into_iter().collect::<Vec<_>>())
    };
    let template = render(&[]);
    let kinds = [
        "AWS::Lambda::Function",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::StepFunctions::StateMachine",
        "AWS::Events::Rule",
        "AWS::SQS::QueuePolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Integration",
        "AWS::CloudWatch::Alarm",
    ];
    let resources: BTreeMap<_, _> = kinds.into_iter().map(|kind| (kind, template.resources(kind))).collect();
    json!({
        "name": found.name,
        "region": region,
        "account": ACCOUNT,
        "buckets": given["ArchiveBuckets"],
        "names": names,
        "roles": of_roles(&template),
        "roles with every option": of_roles(&render(&all_options())),
        "resources": resources,
    })
}

/// What Ref and GetAtt answer for the resources of a stack. Not for roles and policies: by their names in braces the template's
/// reader knows who has what.
fn names(found: &StackInEmulator, region: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::from([
        ("AWS::AccountId".to_owned(), ACCOUNT.to_owned()),
        ("AWS::StackName".to_owned(), found.name.clone()),
        ("AWS::StackId".to_owned(), found.id.clone()),
    ]);
    for (id, resource) in &found.resources {
        let physical = &resource.physical_id;
        let last = physical.rsplit('/').next().unwrap_or_default();
        let arn = |service: &str, rest: String| format!("arn:aws:{service}:{region}:{ACCOUNT}:{rest}");
        let (own, its_arn) = match resource.kind.as_str() {
            "AWS::IAM::Role" => (None, Some(format!("arn:aws:iam::{ACCOUNT}:role/{physical}"))),
            "AWS::SQS::Queue" => (Some(physical), Some(arn("sqs", last.to_owned()))),
            "AWS::Logs::LogGroup" => (Some(physical), Some(arn("logs", format!("log-group:{physical}:*")))),
            "AWS::Lambda::Function" => (Some(physical), Some(arn("lambda", format!("function:{physical}")))),
            "AWS::Events::Rule" => (Some(physical), Some(arn("events", format!("rule/{last}")))),
            "AWS::CloudWatch::Alarm" => (Some(physical), Some(arn("cloudwatch", format!("alarm:{physical}")))),
            "AWS::Lambda::Version"
            | "AWS::DynamoDB::Table"
            | "AWS::S3::Bucket"
            | "AWS::SNS::Topic"
            | "AWS::StepFunctions::StateMachine"
            | "AWS::ApiGatewayV2::Api"
            | "AWS::ApiGatewayV2::Integration" => (Some(physical), None),
            _ => (None, None),
        };
        names.extend(own.map(|own| (id.clone(), own.clone())));
        names.extend(its_arn.map(|arn| (format!("{id}.Arn"), arn)));
        if resource.kind == "AWS::StepFunctions::StateMachine" {
            names.insert(format!("{id}.Name"), physical.rsplit(':').next().unwrap_or_default().to_owned());
        }
    }
    names
}

fn write_json(dir: &Path, name: &str, value: &Value) -> Result<PathBuf> {
    let file = dir.join(name);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(&file, serde_json::to_vec_pretty(value)?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
