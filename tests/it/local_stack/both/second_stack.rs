//! Another stack beside the first: made by the same template for a bucket of its own, changed, and deleted again.

use serde_json::{Value, json};

use crate::local_stack::stack::{Stack, stack, until};

const NAME: &str = "second";
const BUCKET: &str = "thaw-second";

/// Where the bucket's events go.
fn notifications(stack: &Stack) -> Value {
    let mut answer = stack.aws("s3", "get_bucket_notification_configuration", json!({ "Bucket": BUCKET }));
    answer.as_object_mut().unwrap().remove("ResponseMetadata");
    answer
}

/// CloudFormation's view of the stack.
fn described(stack: &Stack) -> Value {
    stack.aws("cloudformation", "describe_stacks", json!({ "StackName": NAME }))["Stacks"][0].clone()
}

/// Waits until CloudFormation is done with the stack, and answers its status.
fn settled(stack: &Stack) -> String {
    until("CloudFormation is done", || {
        let status = described(stack)["StackStatus"].as_str().unwrap().to_owned();
        (!status.ends_with("_IN_PROGRESS")).then_some(status)
    })
}

/// Creates or updates the stack.
fn deploy(stack: &Stack, operation: &str, changes: Value) -> String {
    let mut parameters = json!({
        "ArchiveBuckets": BUCKET, "DistributionIds": "", "ManageBucketEvents": "true", "EventRules": "DISABLED",
    });
    parameters.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let mut all: Vec<_> = parameters
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }))
        .collect();
    // What the first stack was given, and where its template lies.
    let first = stack.aws("cloudformation", "describe_stacks", json!({ "StackName": "thaw" }))["Stacks"][0].clone();
    let of_first = first["Parameters"].as_array().unwrap().iter();
    all.extend(of_first.filter(|one| parameters.get(one["ParameterKey"].as_str().unwrap()).is_none()).cloned());
    let template = format!("{}/thaw-code/template.yaml", stack.entry("endpoint_url"));
    let capabilities = json!(["CAPABILITY_IAM"]);
    stack.aws(
        "cloudformation",
        operation,
        json!({ "StackName": NAME, "TemplateURL": template, "Parameters": all, "Capabilities": capabilities }),
    );
    settled(stack)
}

/// Why the stack's last operation failed at this resource.
fn reason(stack: &Stack, resource: &str, status: &str) -> String {
    let events = stack.aws("cloudformation", "describe_stack_events", json!({ "StackName": NAME }));
    let events = events["StackEvents"].as_array().unwrap().iter();
    let mut failed = events.filter(|event| event["LogicalResourceId"] == resource && event["ResourceStatus"] == status);
    failed.next().unwrap()["ResourceStatusReason"].as_str().unwrap().to_owned()
}

fn delete(stack: &Stack) {
    stack.aws("cloudformation", "delete_stack", json!({ "StackName": NAME }));
}

#[test]
fn a_stack_leaves_its_bucket_as_it_was_and_is_not_deleted_while_it_restores() {
    let stack = stack();
    stack.aws("s3", "create_bucket", json!({ "Bucket": BUCKET }));
    let queue = stack.queue(stack.entry("restore_completed_queue_url"), "QueueArn");
    let filter = json!({ "Key": { "FilterRules": [{ "Name": "prefix", "Value": "a+b/" }] } });
    let others = json!({
        "QueueConfigurations":
            [{ "Id": "mine & yours", "QueueArn": queue, "Events": ["s3:ObjectRemoved:*"], "Filter": filter }],
    });
    let put = json!({ "Bucket": BUCKET, "NotificationConfiguration": others, "SkipDestinationValidation": true });
    stack.aws("s3", "put_bucket_notification_configuration", put);
    let before = notifications(stack);
    let mut on = before.clone();
    on["EventBridgeConfiguration"] = json!({});

    assert_eq!(deploy(stack, "create_stack", json!({})), "CREATE_COMPLETE");
    assert_eq!(notifications(stack), on, "what was there is still there");
    let outputs = described(stack)["Outputs"].clone();
    let output = |name: &str| {
        let found = outputs.as_array().unwrap().iter().find(|one| one["OutputKey"] == name);
        found.unwrap()["OutputValue"].as_str().unwrap().to_owned()
    };
    let warnings = output("PreflightWarnings");
    assert!(warnings.starts_with("DistributionIds: it is empty, and no distribution of the account has"), "{warnings}");

    assert_eq!(deploy(stack, "update_stack", json!({ "ManageBucketEvents": "false" })), "UPDATE_COMPLETE");
    assert_eq!(notifications(stack), before);
    assert_eq!(deploy(stack, "update_stack", json!({})), "UPDATE_COMPLETE");
    assert_eq!(notifications(stack), on);

    // Wrong parameters change nothing, and the stack is what it was.
    let wrong = json!({ "ArchiveBuckets": "thaw-nowhere", "PathRules": "[{}]" });
    assert_eq!(deploy(stack, "update_stack", wrong), "UPDATE_ROLLBACK_COMPLETE");
    let why = reason(stack, "PreflightPassed", "UPDATE_FAILED");
    assert!(why.contains("there is no bucket thaw-nowhere") && why.contains("PathRules: rule 1"), "{why}");
    assert_eq!(notifications(stack), on);

    // A restore of two days, for which the simulator needs the work bucket that CloudFormation made elsewhere.
    if stack.is_sim() {
        stack.aws("s3", "create_bucket", json!({ "Bucket": output("WorkBucket") }));
    }
    stack.put_into(BUCKET, "DEEP_ARCHIVE", ["slow.jpg"]);
    let input = json!({ "bucket": BUCKET, "keys": ["slow.jpg"], "tier": "Bulk", "max_cost_usd": 1 }).to_string();
    let machine = output("StateMachineArn");
    let start = json!({ "stateMachineArn": machine, "name": "slow", "input": input });
    let execution = stack.aws("stepfunctions", "start_execution", start)["executionArn"].clone();
    delete(stack);
    assert_eq!(settled(stack), "DELETE_FAILED");
    let why = reason(stack, "Attached", "DELETE_FAILED");
    assert!(why.starts_with("1 restore is running.") && why.contains(&machine), "{why}");
    assert_eq!(notifications(stack), on, "nothing of the stack is gone");
    let running = stack.aws("stepfunctions", "describe_execution", json!({ "executionArn": execution }));
    assert_eq!(running["status"], "RUNNING", "{running}");

    stack.aws("stepfunctions", "stop_execution", json!({ "executionArn": execution }));
    delete(stack);
    until("the stack is gone", || {
        let all = stack.aws("cloudformation", "list_stacks", json!({}));
        let mut all = all["StackSummaries"].as_array().unwrap().iter();
        let second = all.find(|one| one["StackName"] == NAME).map(|one| one["StackStatus"].clone());
        (second.is_none() || second == Some(json!("DELETE_COMPLETE"))).then_some(())
    });
    assert_eq!(notifications(stack), before);
}
