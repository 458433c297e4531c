//! Deploys the template into the emulator: create, wait, and tell readably what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use roxmltree::{Document, Node};

use crate::aws::Aws;
use crate::process::wait_until;

const VERSION: &str = "2010-05-15";

/// Creating the whole stack takes about a second; a busy machine may take its time.
const CREATED_WITHIN: Duration = Duration::from_secs(120);

/// Creates a stack from a template in S3, which may be longer than one in the request; waits, answers its outputs.
pub fn deploy(
    aws: &Aws,
    name: &str,
    template_url: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut form = vec![("StackName".to_owned(), name.to_owned()), ("TemplateURL".to_owned(), template_url.to_owned())];
    for (number, capability) in ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"].iter().enumerate() {
        form.push((format!("Capabilities.member.{}", number + 1), (*capability).to_owned()));
    }
    for (number, (key, value)) in parameters.iter().enumerate() {
        form.push((format!("Parameters.member.{}.ParameterKey", number + 1), key.clone()));
        form.push((format!("Parameters.member.{}.ParameterValue", number + 1), value.clone()));
    }
    aws.query("cloudformation", VERSION, "CreateStack", &form)?;

    let mut described = Description::default();
    let mut failed = None;
    let done = wait_until(CREATED_WITHIN, || match describe(aws, name) {
        Ok(description) => {
            described = description;
            described.status.ends_with("_COMPLETE") || described.status.ends_with("_FAILED")
        }
        Err(error) => {
            failed = Some(error);
            true
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if described.status == "CREATE_COMPLETE" {
        return Ok(described.outputs);
    }
    let ended = if done { "ended as" } else { "is still" };
    bail!("stack {name} {ended} {}{}{}", described.status, described.reason, failures(aws, name)?);
}

#[derive(Default)]
struct Description {
    status: String,
    reason: String,
    outputs: BTreeMap<String, String>,
}

fn describe(aws: &Aws, name: &str) -> Result<Description> {
    let xml = aws.query("cloudformation", VERSION, "DescribeStacks", &[("StackName".into(), name.into())])?;
    let document = Document::parse(&xml)?;
    let status = text(document.root(), "StackStatus").context("DescribeStacks tells no status")?;
    let reason = text(document.root(), "StackStatusReason").map(|reason| format!(": {reason}")).unwrap_or_default();
    let outputs = document
        .descendants()
        .filter(|node| text(*node, "OutputKey").is_some() && node.tag_name().name() == "member")
        .filter_map(|output| Some((text(output, "OutputKey")?, text(output, "OutputValue")?)))
        .collect();
    Ok(Description { status, reason, outputs })
}

/// What went wrong, one line per resource, the first failure first.
fn failures(aws: &Aws, name: &str) -> Result<String> {
    let xml = aws.query("cloudformation", VERSION, "DescribeStackEvents", &[("StackName".into(), name.into())])?;
    let document = Document::parse(&xml)?;
    let mut lines: Vec<String> = document
        .descendants()
        .filter(|node| node.has_tag_name("member") || node.tag_name().name() == "member")
        .filter_map(|event| {
            let status = text(event, "ResourceStatus").filter(|status| status.ends_with("_FAILED"))?;
            let resource = text(event, "LogicalResourceId")?;
            let kind = text(event, "ResourceType").unwrap_or_default();
            let reason = text(event, "ResourceStatusReason").unwrap_or_default();
            Some(format!("\n  {resource} ({kind}) {status}: {reason}"))
        })
        .collect();
    lines.reverse();
    Ok(lines.concat())
}

fn text(node: Node, name: &str) -> Option<String> {
    let element = node.descendants().find(|child| child.tag_name().name() == name)?;
    Some(element.text().unwrap_or_default().to_owned())
}

/// A stack as the emulator remembers it, also when it is deleted.
pub struct StackInEmulator {
    pub name: String,
    pub id: String,
    /// All that the template declares.
    pub parameters: BTreeMap<String, String>,
    /// By logical id, also those that are deleted.
    pub resources: BTreeMap<String, Resource>,
}

/// A resource of a stack.
pub struct Resource {
    pub physical_id: String,
    pub kind: String,
}

/// All stacks, those that are deleted too.
pub fn all_stacks(aws: &Aws) -> Result<Vec<StackInEmulator>> {
    let mut stacks = Vec::new();
    for [name, id] in all(aws, "ListStacks", &[], ["StackName", "StackId"])? {
        let of_stack = [("StackName".to_owned(), id.clone())];
        let parameters = all(aws, "DescribeStacks", &of_stack, ["ParameterKey", "ParameterValue"])?;
        // A deleted stack has no resources any more, but its events name them; the newest come first.
        let names = ["LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus"];
        let mut resources = BTreeMap::new();
        for [id, physical_id, kind, status] in all(aws, "DescribeStackEvents", &of_stack, names)? {
            if status.ends_with("_COMPLETE") && !physical_id.is_empty() {
                resources.entry(id).or_insert(Resource { physical_id, kind });
            }
        }
        let parameters = parameters.into_iter().map(|[name, value]| (name, value)).collect();
        stacks.push(StackInEmulator { name, id, parameters, resources });
    }
    Ok(stacks)
}

/// These elements of each `member` in all pages of an answer.
fn all<const N: usize>(
    aws: &Aws,
    action: &str,
    parameters: &[(String, String)],
    names: [&str; N],
) -> Result<Vec<[String; N]>> {
    let (mut found, mut parameters) = (Vec::new(), parameters.to_vec());
    loop {
        let xml = aws.query("cloudformation", VERSION, action, &parameters)?;
        let page = Document::parse(&xml)?;
        found.extend(members(&page, names));
        let Some(next) = text(page.root(), "NextToken").filter(|next| !next.is_empty()) else { return Ok(found) };
        parameters.retain(|(name, _)| name != "NextToken");
        parameters.push(("NextToken".to_owned(), next));
    }
}

/// These elements of each `member` that has all of them itself.
fn members<const N: usize>(document: &Document<'_>, names: [&str; N]) -> Vec<[String; N]> {
    let child = |member: Node<'_, '_>, name: &str| {
        let element = member.children().find(|child| child.tag_name().name() == name)?;
        Some(element.text().unwrap_or_default().to_owned())
    };
    let found = document.descendants().filter(|node| node.tag_name().name() == "member");
    found
        .filter_map(|member| {
            let values: Option<Vec<_>> = names.iter().map(|name| child(member, name)).collect();
            values?.try_into().ok()
        })
        .collect()
}
