//! A function that is taken over gets no further than its work: what lies next door is denied to its role.
//!
//! Runs where MiniStack plays S3 and CloudFront too, with policies enforced; the simulator takes anybody.

use serde_json::{Value, json};
use thaw_steps::Step;

use crate::local_stack::stack::{Stack, stack};

/// What a role's work needs, as proof that it is not denied for another reason; and what it must not be able to do.
const ROLES: [(Step, &[&str], &[&str]); 23] = [
    (
        Step::Plan,
        &["s3:GetObject archive", "s3:PutObject chunk", "cloudfront:GetDistribution"],
        &["s3:RestoreObject archive", "s3:PutObject archive", "cloudfront:CreateInvalidation"],
    ),
    (
        Step::StartRestores,
        &["s3:RestoreObject archive", "s3:GetObject archive", "s3:GetObject chunk"],
        &["s3:RestoreObject elsewhere", "s3:PutObject archive", "s3:PutObject chunk", "cloudfront:CreateInvalidation"],
    ),
    (
        Step::CreateJobs,
        &["s3:GetObject chunk", "s3:PutObject list", "dynamodb:GetItem ledger"],
        &["s3:RestoreObject archive", "s3:PutObject chunk", "s3:GetObject archive", "dynamodb:Query ledger"],
    ),
    (
        Step::CheckJobs,
        &["s3:GetObject chunk", "dynamodb:Query ledger"],
        &["s3:RestoreObject archive", "s3:PutObject list", "s3:GetObject archive", "dynamodb:DeleteItem ledger"],
    ),
    (
        Step::CheckRestores,
        &["s3:GetObject archive", "s3:ListBucket archive"],
        &["s3:RestoreObject archive", "s3:GetObject elsewhere", "cloudfront:CreateInvalidation", "s3:PutObject chunk"],
    ),
    (
        Step::Invalidate,
        &["cloudfront:CreateInvalidation"],
        &[
            "s3:RestoreObject archive",
            "cloudfront:UpdateDistribution",
            "cloudfront:GetInvalidation",
            "events:PutEvents",
        ],
    ),
    (
        Step::CheckInvalidations,
        &["cloudfront:GetInvalidation"],
        &["cloudfront:CreateInvalidation", "cloudfront:GetDistribution", "s3:GetObject archive"],
    ),
    (Step::Report, &["events:PutEvents"], &["s3:GetObject archive", "sns:Publish", "states:StopExecution"]),
    (
        Step::ReportFailure,
        &["dynamodb:Query ledger"],
        &["dynamodb:DeleteItem ledger", "s3:GetObject archive", "states:StartExecution"],
    ),
    (
        Step::CreateRestore,
        &["s3:PutObject request", "dynamodb:GetItem ledger"],
        &["s3:PutObject chunk", "s3:GetObject archive", "dynamodb:Query ledger", "states:StopExecution"],
    ),
    (
        Step::CreatePlan,
        &["s3:GetObject archive"],
        &["s3:RestoreObject archive", "dynamodb:PutItem ledger", "states:StartExecution"],
    ),
    (
        Step::GetPaths,
        &["s3:GetObject archive", "cloudfront:GetDistribution"],
        &[
            "s3:RestoreObject archive",
            "cloudfront:CreateInvalidation",
            "dynamodb:GetItem ledger",
            "states:StartExecution",
        ],
    ),
    (
        Step::GetDistributions,
        &["cloudfront:GetDistribution"],
        &[
            "cloudfront:CreateInvalidation",
            "cloudfront:UpdateDistribution",
            "s3:GetObject archive",
            "dynamodb:GetItem ledger",
        ],
    ),
    (
        Step::GetRestores,
        &["dynamodb:Query index", "dynamodb:GetItem ledger"],
        &["dynamodb:PutItem ledger", "dynamodb:Scan ledger", "s3:GetObject archive", "states:StopExecution"],
    ),
    (
        Step::CancelRestore,
        &["dynamodb:Query ledger"],
        &["dynamodb:DeleteItem ledger", "s3:RestoreObject archive", "states:StartExecution"],
    ),
    (
        Step::OnRestoreCompleted,
        &["sqs:GetQueueAttributes completed", "cloudfront:CreateInvalidation"],
        &[
            "s3:RestoreObject archive",
            "sqs:SendMessage completed",
            "sqs:ReceiveMessage initiated",
            "cloudfront:GetInvalidation",
            "states:StartExecution",
        ],
    ),
    (
        Step::ConfirmInvalidations,
        &["cloudfront:GetInvalidation", "dynamodb:GetItem ledger"],
        &[
            "cloudfront:CreateInvalidation",
            "dynamodb:Query ledger",
            "s3:GetObject archive",
            "sqs:ReceiveMessage completed",
            "states:StartExecution",
        ],
    ),
    (
        Step::OnRestoreInitiated,
        &["sqs:GetQueueAttributes initiated", "s3:PutObject request"],
        &[
            "s3:RestoreObject archive",
            "s3:PutObject chunk",
            "sqs:ReceiveMessage completed",
            "states:StopExecution",
            "cloudfront:CreateInvalidation",
        ],
    ),
    (
        Step::OnInboxFile,
        &["s3:GetObject order", "s3:PutObject answer", "s3:PutObject request"],
        &[
            "s3:PutObject order",
            "s3:GetObject archive",
            "s3:GetObject chunk",
            "s3:RestoreObject archive",
            "sqs:ReceiveMessage completed",
            "states:StopExecution",
        ],
    ),
    (
        Step::AnnounceExpiries,
        &["dynamodb:GetItem ledger", "s3:GetObject chunk", "events:PutEvents"],
        &["s3:GetObject archive", "s3:RestoreObject archive", "states:StartExecution", "sns:Publish"],
    ),
    (
        Step::CheckExecutions,
        &["dynamodb:GetItem ledger", "dynamodb:Query index", "events:PutEvents"],
        &["s3:GetObject archive", "s3:RestoreObject archive", "states:StartExecution", "states:StopExecution"],
    ),
    (
        Step::Preflight,
        &["s3:GetBucketNotification archive", "cloudfront:GetDistribution", "lambda:GetAccountSettings"],
        &[
            "s3:PutBucketNotification archive",
            "s3:GetObject archive",
            "s3:RestoreObject archive",
            "cloudfront:CreateInvalidation",
            "dynamodb:GetItem ledger",
        ],
    ),
    (
        Step::Attachment,
        &[
            "s3:PutBucketNotification archive",
            "dynamodb:Query ledger",
            "events:PutEvents",
            "states:ListExecutions",
            "s3:GetObject chunk",
        ],
        &[
            "s3:PutBucketNotification elsewhere",
            "s3:GetObject archive",
            "s3:PutObject archive",
            "dynamodb:DeleteItem ledger",
            "states:StartExecution",
            "cloudfront:CreateInvalidation",
        ],
    ),
];

/// How services say no. The answer to a HEAD has no body that could name a code.
const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "AuthorizationError", "403"];

#[test]
fn every_role_may_do_its_work_and_not_what_lies_next_door() {
    let stack = stack();
    assert!(!stack.is_sim() && stack.is_guarded(), "this test needs a stack of `cargo xtask up --s3 ministack --auth`");
    let prepared = Prepared::on(stack);
    let mut wrong = Vec::new();
    for (step, work, next_door) in ROLES {
        let function = json!({ "FunctionName": format!("thaw-{}", step.name()) });
        let role = stack.aws("lambda", "get_function_configuration", function)["Role"].clone();
        let role = role.as_str().expect("a function has a role");
        let attempt = |what: &str| {
            let (service, operation, parameters) = prepared.call(what);
            stack.aws_as(role, service, operation, parameters)
        };
        for what in work {
            if let Err(code) = attempt(what) {
                wrong.push(format!("{} cannot do its work, {what}: {code}", step.name()));
            }
        }
        for what in next_door {
            match attempt(what) {
                Err(code) if DENIED.contains(&code.as_str()) => {}
                other => wrong.push(format!("{} is not denied {what}: {other:?}", step.name())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the calls are about.
struct Prepared {
    stack: &'static Stack,
    invalidation: String,
}

const FROZEN: &str = "roles/frozen.jpg";
const FOLDER: &str = "restores/roles";

impl Prepared {
    fn on(stack: &'static Stack) -> Self {
        stack.put("GLACIER", [FROZEN]);
        for name in ["restores/roles/request.json", "restores/roles/chunks/0000.json", "inbox/roles.json"] {
            let file = json!({ "Bucket": stack.entry("work_bucket"), "Key": name, "Body": "{}" });
            stack.aws("s3", "put_object", file);
        }
        let made = stack.aws("cloudfront", "create_invalidation", invalidation(stack, "prepared"));
        let invalidation = made["Invalidation"]["Id"].as_str().expect("an invalidation has an id").to_owned();
        Self { stack, invalidation }
    }

    /// An action on something, as boto3 calls it: service, operation, parameters.
    fn call(&self, what: &str) -> (&'static str, &'static str, Value) {
        let stack = self.stack;
        let distribution = stack.entry("distribution_id");
        let in_archive = |more: Value| with(json!({ "Bucket": stack.bucket(), "Key": FROZEN }), more);
        let in_work = |name: &str, more: Value| {
            with(json!({ "Bucket": stack.entry("work_bucket"), "Key": format!("{FOLDER}/{name}") }), more)
        };
        let in_inbox = |name: &str, more: Value| {
            with(json!({ "Bucket": stack.entry("work_bucket"), "Key": format!("inbox/{name}") }), more)
        };
        // Not one of the archive buckets that the stack was told.
        let elsewhere = json!({ "Bucket": "thaw-code", "Key": "thaw.zip" });
        let on_ledger = |more: Value| with(json!({ "TableName": stack.entry("ledger_table") }), more);
        let item = json!({ "pk": { "S": "roles" }, "sk": { "S": "roles" } });
        let query = |attribute: &str| {
            let value = json!({ ":value": { "S": "roles" } });
            json!({ "KeyConditionExpression": format!("{attribute} = :value"), "ExpressionAttributeValues": value })
        };
        let queue = |name: &str| json!({ "QueueUrl": stack.entry(&format!("restore_{name}_queue_url")) });
        let days = json!({ "RestoreRequest": { "Days": 1 } });
        match what {
            "s3:GetObject archive" => ("s3", "head_object", in_archive(json!({}))),
            "s3:ListBucket archive" => ("s3", "list_objects_v2", json!({ "Bucket": stack.bucket() })),
            "s3:PutObject archive" => ("s3", "put_object", in_archive(json!({ "Body": "" }))),
            "s3:RestoreObject archive" => ("s3", "restore_object", in_archive(days)),
            "s3:GetObject elsewhere" => ("s3", "head_object", elsewhere),
            "s3:RestoreObject elsewhere" => ("s3", "restore_object", with(elsewhere, days)),
            "s3:GetObject chunk" => ("s3", "head_object", in_work("chunks/0000.json", json!({}))),
            "s3:PutObject chunk" => ("s3", "put_object", in_work("chunks/0000.json", json!({ "Body": "{}" }))),
            "s3:PutObject list" => ("s3", "put_object", in_work("jobs/0/00000-copies.csv", json!({ "Body": "" }))),
            "s3:PutObject request" => ("s3", "put_object", in_work("request.json", json!({ "Body": "{}" }))),
            "s3:GetObject order" => ("s3", "head_object", in_inbox("roles.json", json!({}))),
            "s3:PutObject order" => ("s3", "put_object", in_inbox("roles.json", json!({ "Body": "{}" }))),
            "s3:PutObject answer" => ("s3", "put_object", in_inbox("roles.json.answer.json", json!({ "Body": "{}" }))),
            "s3:GetBucketNotification archive" => {
                ("s3", "get_bucket_notification_configuration", json!({ "Bucket": stack.bucket() }))
            }
            "s3:PutBucketNotification archive" => notifications(stack.bucket()),
            "s3:PutBucketNotification elsewhere" => notifications("thaw-code"),
            "lambda:GetAccountSettings" => ("lambda", "get_account_settings", json!({})),
            "states:ListExecutions" => {
                ("stepfunctions", "list_executions", json!({ "stateMachineArn": stack.entry("state_machine_arn") }))
            }
            "dynamodb:GetItem ledger" => ("dynamodb", "get_item", on_ledger(json!({ "Key": item }))),
            "dynamodb:PutItem ledger" => ("dynamodb", "put_item", on_ledger(json!({ "Item": item }))),
            "dynamodb:DeleteItem ledger" => ("dynamodb", "delete_item", on_ledger(json!({ "Key": item }))),
            "dynamodb:Scan ledger" => ("dynamodb", "scan", on_ledger(json!({}))),
            "dynamodb:Query ledger" => ("dynamodb", "query", on_ledger(query("pk"))),
            "dynamodb:Query index" => {
                ("dynamodb", "query", on_ledger(with(query("listing"), json!({ "IndexName": "restores" }))))
            }
            "cloudfront:CreateInvalidation" => ("cloudfront", "create_invalidation", invalidation(stack, "tried")),
            "cloudfront:GetInvalidation" => {
                ("cloudfront", "get_invalidation", json!({ "DistributionId": distribution, "Id": self.invalidation }))
            }
            "cloudfront:GetDistribution" => ("cloudfront", "get_distribution", json!({ "Id": distribution })),
            "cloudfront:UpdateDistribution" => {
                let id = json!({ "Id": distribution });
                let now = stack.aws("cloudfront", "get_distribution_config", id.clone());
                let change = json!({ "DistributionConfig": now["DistributionConfig"], "IfMatch": now["ETag"] });
                ("cloudfront", "update_distribution", with(id, change))
            }
            "events:PutEvents" => {
                let entry = json!({ "Source": "thaw", "DetailType": "Nothing", "Detail": "{}" });
                ("events", "put_events", json!({ "Entries": [entry] }))
            }
            "sns:Publish" => ("sns", "publish", json!({ "TopicArn": stack.entry("topic_arn"), "Message": "a lie" })),
            "states:StartExecution" => {
                ("stepfunctions", "start_execution", json!({ "stateMachineArn": stack.entry("state_machine_arn") }))
            }
            "states:StopExecution" => {
                let execution = stack.entry("state_machine_arn").replace(":stateMachine:", ":execution:") + ":roles";
                ("stepfunctions", "stop_execution", json!({ "executionArn": execution }))
            }
            "sqs:GetQueueAttributes completed" => ("sqs", "get_queue_attributes", queue("completed")),
            "sqs:GetQueueAttributes initiated" => ("sqs", "get_queue_attributes", queue("initiated")),
            "sqs:ReceiveMessage completed" => ("sqs", "receive_message", queue("completed")),
            "sqs:ReceiveMessage initiated" => ("sqs", "receive_message", queue("initiated")),
            "sqs:SendMessage completed" => {
                ("sqs", "send_message", with(queue("completed"), json!({ "MessageBody": "a lie" })))
            }
            unknown => panic!("teach this test how to call {unknown}"),
        }
    }
}

/// The events of a bucket, as the stack has turned them on.
fn notifications(bucket: &str) -> (&'static str, &'static str, Value) {
    let on = json!({ "EventBridgeConfiguration": {} });
    ("s3", "put_bucket_notification_configuration", json!({ "Bucket": bucket, "NotificationConfiguration": on }))
}

fn invalidation(stack: &Stack, reference: &str) -> Value {
    let paths = json!({ "Quantity": 1, "Items": [format!("/{FROZEN}")] });
    let batch = json!({ "Paths": paths, "CallerReference": reference });
    json!({ "DistributionId": stack.entry("distribution_id"), "InvalidationBatch": batch })
}

/// These members, and those.
fn with(mut these: Value, those: Value) -> Value {
    if let (Value::Object(these), Value::Object(those)) = (&mut these, those) {
        these.extend(those);
    }
    these
}
