//! Other stacks beside the first, made by the same template, each for a bucket of its own.

use serde_json::{Value, json};

use crate::local_stack::stack::{Stack, stack, until};

/// A stack of this name, and its bucket.
struct Other {
    stack: &'static Stack,
    name: &'static str,
    bucket: String,
}

impl Other {
    /// A bucket with a queue that gets some of its events; nothing is deployed yet.
    fn new(name: &'static str) -> Self {
        let (stack, bucket) = (stack(), format!("thaw-{name}"));
        stack.aws("s3", "create_bucket", json!({ "Bucket": bucket }));
        let queue = stack.queue(stack.entry("restore_completed_queue_url"), "QueueArn");
        let filter = json!({ "Key": { "FilterRules": [{ "Name": "prefix", "Value": "a+b/" }] } });
        let queue =
            json!({ "Id": "mine & yours", "QueueArn": queue, "Events": ["s3:ObjectRemoved:*"], "Filter": filter });
        let others = json!({ "QueueConfigurations": [queue] });
        let put = json!({ "Bucket": bucket, "NotificationConfiguration": others, "SkipDestinationValidation": true });
        stack.aws("s3", "put_bucket_notification_configuration", put);
        Self { stack, name, bucket }
    }

    /// Where the bucket's events go.
    fn notifications(&self) -> Value {
        let bucket = json!({ "Bucket": self.bucket });
        let mut answer = self.stack.aws("s3", "get_bucket_notification_configuration", bucket);
        answer.as_object_mut().unwrap().remove("ResponseMetadata");
        answer
    }

    /// CloudFormation's view of the stack.
    fn described(&self) -> Value {
        self.stack.aws("cloudformation", "describe_stacks", json!({ "StackName": self.name }))["Stacks"][0].clone()
    }

    fn output(&self, name: &str) -> String {
        let outputs = self.described()["Outputs"].clone();
        let found = outputs.as_array().unwrap().iter().find(|one| one["OutputKey"] == name);
        found.unwrap()["OutputValue"].as_str().unwrap().to_owned()
    }

    /// Waits until CloudFormation is done with the stack, and answers its status.
    fn settled(&self) -> String {
        until("CloudFormation is done", || {
            let status = self.described()["StackStatus"].as_str().unwrap().to_owned();
            (!status.ends_with("_IN_PROGRESS")).then_some(status)
        })
    }

    /// Creates or updates the stack.
    fn deploy(&self, operation: &str, changes: Value) -> String {
        let mut parameters = json!({
            "ArchiveBuckets": self.bucket, "DistributionIds": "", "ManageBucketEvents": "true",
        });
        let parameters = parameters.as_object_mut().unwrap();
        parameters.extend(changes.as_object().unwrap().clone());
        // Whatever else the first stack was given.
        let first = self.stack.aws("cloudformation", "describe_stacks", json!({ "StackName": "thaw" }));
        let first = first["Stacks"][0]["Parameters"].as_array().unwrap().clone();
        let others = first.into_iter().filter(|one| !parameters.contains_key(one["ParameterKey"].as_str().unwrap()));
        let own = parameters.iter().map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }));
        let deploy = json!({
            "StackName": self.name,
            "TemplateURL": self.stack.book()["releases"].as_array().unwrap().last().unwrap()["template_url"],
            "Parameters": own.chain(others).collect::<Vec<_>>(),
            "Capabilities": ["CAPABILITY_IAM"],
        });
        self.stack.aws("cloudformation", operation, deploy);
        self.settled()
    }

    /// Begins to delete the stack.
    fn delete(&self) {
        self.stack.aws("cloudformation", "delete_stack", json!({ "StackName": self.name }));
    }

    /// Waits until CloudFormation knows the stack no more.
    fn is_gone(&self) {
        until("the stack is gone", || {
            let all = self.stack.aws("cloudformation", "list_stacks", json!({}));
            let mut all = all["StackSummaries"].as_array().unwrap().iter();
            let status = all.find(|one| one["StackName"] == self.name).map(|one| one["StackStatus"].clone());
            (status.is_none() || status == Some(json!("DELETE_COMPLETE"))).then_some(())
        });
    }
}

#[test]
fn a_stack_that_is_gone_leaves_its_bucket_as_it_was() {
    let other = Other::new("second");
    let before = other.notifications();
    let mut on = before.clone();
    on["EventBridgeConfiguration"] = json!({});

    assert_eq!(other.deploy("create_stack", json!({})), "CREATE_COMPLETE");
    assert_eq!(other.notifications(), on, "what was there is still there");
    let warnings = other.output("PreflightWarnings");
    assert!(warnings.starts_with("DistributionIds: it is empty, and no distribution of the account has"), "{warnings}");

    assert_eq!(other.deploy("update_stack", json!({ "ManageBucketEvents": "false" })), "UPDATE_COMPLETE");
    assert_eq!(other.notifications(), before);
    assert_eq!(other.deploy("update_stack", json!({})), "UPDATE_COMPLETE");
    assert_eq!(other.notifications(), on);

    // Wrong parameters change nothing, and the stack is what it was.
    let release = other.output("Release");
    let wrong = json!({ "ArchiveBuckets": "thaw-nowhere", "PathRules": "[{}]" });
    assert_eq!(other.deploy("update_stack", wrong), "UPDATE_ROLLBACK_COMPLETE");
    let events = other.stack.aws("cloudformation", "describe_stack_events", json!({ "StackName": other.name }));
    let mut events = events["StackEvents"].as_array().unwrap().iter();
    let failed = events.find(|one| one["ResourceStatus"] == "UPDATE_FAILED").unwrap();
    assert_eq!(failed["LogicalResourceId"], "PreflightPassed");
    let why = failed["ResourceStatusReason"].as_str().unwrap();
    assert!(why.contains("there is no bucket thaw-nowhere") && why.contains("PathRules: rule 1"), "{why}");
    assert_eq!((other.notifications(), other.output("Release")), (on, release));

    other.delete();
    other.is_gone();
    assert_eq!(other.notifications(), before);
}

/// CloudFormation cannot be kept from it, so its restores end in words, and S3's setting is put back.
#[test]
fn a_stack_that_is_deleted_while_it_restores_says_so_in_its_ledger() {
    let other = Other::new("third");
    let (stack, before) = (other.stack, other.notifications());
    assert_eq!(other.deploy("create_stack", json!({})), "CREATE_COMPLETE");
    // A restore of two days, for which the simulator needs the work bucket that CloudFormation made elsewhere.
    if stack.is_sim() {
        stack.aws("s3", "create_bucket", json!({ "Bucket": other.output("WorkBucket") }));
    }
    stack.put_into(&other.bucket, "DEEP_ARCHIVE", ["slow.jpg"]);
    let input = json!({ "bucket": other.bucket, "keys": ["slow.jpg"], "tier": "Bulk", "max_cost_usd": 1 }).to_string();
    let (machine, ledger) = (other.output("StateMachineArn"), other.output("LedgerTable"));
    let start = json!({ "stateMachineArn": machine, "name": "slow", "input": input });
    let execution = stack.aws("stepfunctions", "start_execution", start)["executionArn"].clone();
    let record = || {
        let key = json!({ "pk": { "S": "R#slow" }, "sk": { "S": "restore" } });
        stack.aws("dynamodb", "get_item", json!({ "TableName": ledger, "Key": key }))["Item"].clone()
    };
    until("the restore waits for S3", || {
        let history = stack.aws("stepfunctions", "get_execution_history", json!({ "executionArn": execution }));
        history["events"].as_array().unwrap().iter().any(|event| event["type"] == "WaitStateEntered").then_some(())
    });

    other.delete();
    other.is_gone();
    let (status, says) = (record()["status"]["S"].clone(), record()["says"]["S"].clone());
    let says = says.as_str().unwrap_or_default();
    assert_eq!(status, "failed", "{says}");
    assert!(says.starts_with("The stack was deleted while this restore ran."), "{says}");
    assert_eq!(other.notifications(), before);
}
