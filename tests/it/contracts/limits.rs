//! AWS's limits on what the template makes of its parameters: how many archive buckets fit, and how long a stack's name may be.

use serde_json::{Value, json};

use super::template::{TEXT, Template, list, object, text};

/// Archive buckets that fit, whatever their names: what infra/README.md promises.
const BUCKETS: usize = 25;

/// A bucket's name has 63 characters at most (S3 User Guide, "Bucket naming rules").
const LONGEST_NAME: usize = 63;

/// Characters of a managed policy, white space aside, and of all inline policies of a role (IAM User Guide, "IAM and AWS STS
/// quotas").
const MANAGED: usize = 6_144;
const INLINE: usize = 10_240;

/// Characters of an event pattern, unless the quota is raised (EventBridge User Guide, "Quotas").
const PATTERN: usize = 2_048;

/// Bytes of a function's environment (Lambda Developer Guide, "Lambda quotas").
const ENVIRONMENT: usize = 4_096;

/// Characters of a function's name (API Reference of Lambda, `CreateFunction`).
const FUNCTION_NAME: usize = 64;

/// As long as an ARN of the stack may be that only AWS knows.
const ARN: usize = 170;

fn buckets(count: usize) -> Template {
    let names: Vec<_> = (0..count).map(|number| format!("{number:0>LONGEST_NAME$}")).collect();
    let ids: Vec<_> = (0..5).map(|number| format!("E{number:0>13}")).collect();
    Template::with(&[
        ("ArchiveBuckets", json!(names)),
        ("DistributionIds", json!(ids)),
        ("StagingDistributions", json!("named")),
    ])
}

/// How long a value is as JSON, with every name that stands for what only AWS knows as long as it may be.
fn length(value: &Value) -> usize {
    let text = value.to_string();
    let unknown = text.matches("{").count() - text.matches("{\"").count() - text.matches("{}").count();
    text.len() + unknown * ARN
}

/// What AWS would refuse of a stack, by name.
fn too_long(template: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: String, length: usize, most: usize| {
        if length > most {
            wrong.push(format!("{what}: {length} of {most}"));
        }
    };
    for (id, policy) in template.resources("AWS::IAM::ManagedPolicy") {
        check(id, length(&policy["PolicyDocument"]), MANAGED);
    }
    for (id, role) in template.resources("AWS::IAM::Role") {
        let own = list(&role["Policies"]);
        check(id, own.iter().map(|policy| length(&policy["PolicyDocument"])).sum(), INLINE);
    }
    for (id, rule) in template.resources("AWS::Events::Rule") {
        check(id, length(&rule["EventPattern"]), PATTERN);
    }
    for (id, function) in template.resources("AWS::Lambda::Function") {
        let variables = object(&function["Environment"]["Variables"]);
        let bytes = variables.iter().map(|(name, value)| name.len() + length(value)).sum();
        check(id, bytes, ENVIRONMENT);
    }
    wrong
}

#[test]
fn as_many_archive_buckets_fit_as_the_readme_says() {
    assert_eq!(too_long(&buckets(BUCKETS)), Vec::<String>::new());
    // This looks at something: twice as many do not.
    let wrong = too_long(&buckets(2 * BUCKETS));
    assert!(wrong.iter().any(|one| one.starts_with("RestoreCompletedRule")), "{wrong:?}");
    assert!(wrong.iter().any(|one| one.starts_with("ReadArchive")), "{wrong:?}");
    let readme = include_str!("../../../infra/README.md");
    assert!(readme.contains(&format!("up to {BUCKETS} archive buckets fit")), "infra/README.md says another number");
}

#[test]
fn a_stacks_name_may_be_as_long_as_the_readme_says() {
    let functions = Template::load().resources("AWS::Lambda::Function");
    let names = functions.values().map(|function| text(&function["FunctionName"]).len() - "thaw".len());
    let most = FUNCTION_NAME - names.max().expect("a function");
    let readme = include_str!("../../../infra/README.md");
    assert!(readme.contains(&format!("up to {most} characters fit")), "it is {most}");
    assert!(TEXT.contains("${AWS::StackName}-CheckInvalidations"));
}

/// Temporary credentials are the usual ones: without their token a signature is refused.
#[test]
fn every_call_that_is_shown_sends_the_token_of_temporary_credentials_and_names_no_region() {
    for document in [include_str!("../../../README.md"), include_str!("../../../infra/README.md")] {
        for call in document.split("curl ").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()) {
            assert!(call.contains("x-amz-security-token: $AWS_SESSION_TOKEN"), "{call}");
            assert!(call.contains("aws:amz:$AWS_REGION:execute-api"), "{call}");
        }
    }
}
