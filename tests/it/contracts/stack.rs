//! The shape of the stack: what each function is given, what is public, what is left alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use thaw_steps::Step;

use super::template::{Template, object, text};
use super::workflow::Machine;

/// What each function is told, and no more: a name it does not need is a resource it could come to use.
const ENVIRONMENT: [(Step, &str); 24] = [
    (
        Step::Plan,
        "RELEASE ARCHIVE_BUCKETS BATCH_OPERATIONS_OVER DAILY_BUDGET_USD DIRECTORY_INDEX DISTRIBUTION_IDS LEDGER_TABLE PATH_RULES WORK_BUCKET",
    ),
    (Step::StartRestores, "RELEASE LEDGER_TABLE RESTORES_PER_SECOND WORK_BUCKET"),
    (Step::CreateJobs, "RELEASE ACCOUNT_ID JOB_ROLE_ARN LEDGER_TABLE WORK_BUCKET"),
    (Step::CheckJobs, "RELEASE ACCOUNT_ID LEDGER_TABLE WORK_BUCKET"),
    (Step::CheckRestores, "RELEASE LEDGER_TABLE WORK_BUCKET"),
    (Step::Invalidate, "RELEASE ARCHIVE_BUCKETS DIRECTORY_INDEX DISTRIBUTION_IDS LEDGER_TABLE PATH_RULES WORK_BUCKET"),
    (Step::CheckInvalidations, "RELEASE LEDGER_TABLE WORK_BUCKET"),
    (Step::Report, "RELEASE LEDGER_TABLE STATE_MACHINE_ARN"),
    (Step::ReportFailure, "RELEASE ACCOUNT_ID LEDGER_TABLE WORK_BUCKET"),
    (Step::CreateRestore, "ARCHIVE_BUCKETS LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET"),
    (
        Step::CreatePlan,
        "ARCHIVE_BUCKETS BATCH_OPERATIONS_OVER DIRECTORY_INDEX DISTRIBUTION_IDS LEDGER_TABLE PATH_RULES WORK_BUCKET",
    ),
    (Step::GetPaths, "ARCHIVE_BUCKETS DIRECTORY_INDEX DISTRIBUTION_IDS PATH_RULES"),
    (Step::GetRestores, "LEDGER_TABLE WORK_BUCKET"),
    (Step::CancelRestore, "ACCOUNT_ID LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET"),
    (Step::GetDistributions, "ARCHIVE_BUCKETS DIRECTORY_INDEX DISTRIBUTION_IDS PATH_RULES"),
    (Step::Adopt, "ARCHIVE_BUCKETS LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET"),
    (
        Step::OnRestoreCompleted,
        "ARCHIVE_BUCKETS CONFIRM_INVALIDATIONS_QUEUE DIRECTORY_INDEX DISTRIBUTION_IDS LEDGER_TABLE PATH_RULES RESTORE_COMPLETED_DEAD_LETTERS RESTORE_COMPLETED_QUEUE",
    ),
    (
        Step::OnRestoreInitiated,
        "ARCHIVE_BUCKETS DIRECTORY_INDEX DISTRIBUTION_IDS JOINED_MAX_COST_USD LEDGER_TABLE PATH_RULES RESTORE_INITIATED_DEAD_LETTERS STATE_MACHINE_ARN WORK_BUCKET",
    ),
    (Step::ConfirmInvalidations, "CONFIRM_INVALIDATIONS_DEAD_LETTERS CONFIRM_INVALIDATIONS_QUEUE LEDGER_TABLE"),
    (
        Step::OnInboxFile,
        "ARCHIVE_BUCKETS INBOX_FILE_DEAD_LETTERS INBOX_MAX_COST_USD LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET",
    ),
    (Step::AnnounceExpiries, "LEDGER_TABLE WORK_BUCKET"),
    (Step::CheckExecutions, "ACCOUNT_ID LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET"),
    // All else is in the properties of its custom resource.
    (Step::Preflight, "ACCOUNT_ID"),
    (Step::Attachment, "STACK_ID ACCOUNT_ID LEDGER_TABLE STATE_MACHINE_ARN WORK_BUCKET"),
];

/// The HTTP API: route, function.
const ROUTES: [(&str, Step); 12] = [
    ("DELETE /v1/restores/{id}", Step::CancelRestore),
    ("GET /v1/distributions", Step::GetDistributions),
    ("GET /v1/restores", Step::GetRestores),
    ("GET /v1/restores/{id}", Step::GetRestores),
    ("GET /v1/restores/{id}/objects", Step::GetRestores),
    ("POST /v1/adoptions", Step::Adopt),
    ("POST /v1/paths", Step::GetPaths),
    ("POST /v1/plans", Step::CreatePlan),
    ("POST /v1/restores", Step::CreateRestore),
    ("POST /v1/restores/{id}/retry", Step::CreateRestore),
    ("POST /v1/restores/{id}/expedite", Step::CreateRestore),
    ("POST /v1/restores/{id}/extend", Step::CreateRestore),
];

/// Kinds of resources the stack is made of. A distribution, a key, a function URL is not among them.
const TYPES: [&str; 21] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
];
/// The queues, apart only because of the line's length.
const QUEUE_TYPES: [&str; 3] = ["AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::StepFunctions::StateMachine"];
/// What functions of the stack check and change while it is deployed.
const CUSTOM_TYPES: [&str; 2] = ["Custom::Attachment", "Custom::Preflight"];

#[test]
fn every_function_knows_exactly_what_it_needs() {
    let functions = Template::load().resources("AWS::Lambda::Function");
    for (step, expected) in ENVIRONMENT {
        let variables: BTreeSet<_> =
            object(&functions[step.name()]["Environment"]["Variables"]).keys().cloned().collect();
        assert_eq!(variables, expected.split(' ').map(str::to_owned).collect(), "environment of {}", step.name());
    }
}

#[test]
fn the_same_variable_means_the_same_everywhere() {
    let mut meanings = BTreeMap::new();
    for (id, function) in Template::load().resources("AWS::Lambda::Function") {
        for (name, value) in object(&function["Environment"]["Variables"]) {
            // The state machine refers to Report, so Report cannot refer to it.
            if id == "Report" && name == "STATE_MACHINE_ARN" {
                assert_eq!(value, "arn:aws:states:us-east-1:111122223333:stateMachine:thaw");
                continue;
            }
            assert_eq!(meanings.entry(name.clone()).or_insert_with(|| value.clone()), value, "{name} of {id}");
        }
    }
    assert_eq!(meanings["ARCHIVE_BUCKETS"], "one,two");
    assert_eq!(meanings["STATE_MACHINE_ARN"], "{StateMachine}");
}

#[test]
fn every_function_has_a_role_and_a_log_of_its_own() {
    let template = Template::load();
    for (id, function) in template.resources("AWS::Lambda::Function") {
        assert_eq!(text(&function["Role"]), format!("{{{id}Role.Arn}}"));
        assert_eq!(text(&function["LoggingConfig"]["LogGroup"]), format!("{{{id}Logs}}"));
        let log = template.resource(&format!("{id}Logs"));
        assert_eq!(text(&log["LogGroupName"]), format!("/aws/lambda/{}", text(&function["FunctionName"])));
    }
}

#[test]
fn no_log_is_kept_for_ever() {
    for (id, log) in Template::load().resources("AWS::Logs::LogGroup") {
        assert_eq!(log["RetentionInDays"], 30, "{id}: the default of LogRetentionDays");
    }
}

#[test]
fn a_task_outlives_the_function_it_calls() {
    let functions = Template::load().resources("AWS::Lambda::Function");
    for (name, state) in Machine::load().states_of_type("Task") {
        let function = functions[&name]["Timeout"].as_u64().expect("a number");
        assert!(state["TimeoutSeconds"].as_u64() > Some(function), "{name}: the function has {function} s");
    }
}

#[test]
fn every_route_wants_a_signature_and_reaches_its_function() {
    let template = Template::load();
    let mut found = BTreeMap::new();
    for (id, route) in template.resources("AWS::ApiGatewayV2::Route") {
        assert_eq!(route["AuthorizationType"], "AWS_IAM", "{id} is open");
        let target = text(&route["Target"]);
        let integration =
            target.strip_prefix("integrations/{").and_then(|rest| rest.strip_suffix('}')).expect("its form");
        found.insert(text(&route["RouteKey"]), text(&template.resource(integration)["IntegrationUri"]));
    }
    let expected = ROUTES.map(|(route, step)| (route.to_owned(), format!("{{{}.Arn}}", step.name())));
    assert_eq!(found, expected.into());
}

#[test]
fn the_api_may_call_each_function_only_through_its_routes() {
    let mut open: BTreeSet<_> = ROUTES.map(|(_, step)| format!("{{{}}}", step.name())).into();
    for (id, permission) in Template::load().resources("AWS::Lambda::Permission") {
        let function = text(&permission["FunctionName"]);
        if ["{AnnounceExpiries}", "{CheckExecutions}"].contains(&function.as_str()) {
            continue;
        }
        assert!(open.remove(&function), "{id}: {function} has no route, or a permission already");
        assert_eq!(permission["Principal"], "apigateway.amazonaws.com", "{id}");
        let source = text(&permission["SourceArn"]);
        let allowed = source.strip_prefix("arn:aws:execute-api:us-east-1:111122223333:{Api}/*/").expect("its form");
        for (route, step) in ROUTES {
            let own = function == format!("{{{}}}", step.name());
            assert_eq!(matches(allowed, &route.replacen(" /", "/", 1)), own, "{id}: {allowed}, {route}");
        }
    }
    assert_eq!(open, BTreeSet::new(), "functions with a route that nobody may call");
}

/// Whatever ends an execution but its own report: Step Functions tells, and the clock asks, as events may be lost.
#[test]
fn the_end_of_an_execution_and_the_clock_alone_may_call_what_checks_executions() {
    let template = Template::load();
    let rules = template.resources("AWS::Events::Rule");
    let target = json!([target("CheckExecutions", "{CheckExecutions.Arn}")]);
    let callers: Vec<_> =
        rules.iter().filter(|(_, rule)| rule["Targets"] == target).map(|(id, _)| id.clone()).collect();
    assert_eq!(callers, ["CheckExecutionsRule", "ExecutionEndedRule"]);
    let permissions = template.resources("AWS::Lambda::Permission");
    let ours = permissions.values().filter(|one| one["FunctionName"] == "{CheckExecutions}");
    let allowed: BTreeSet<_> = ours
        .map(|one| {
            assert_eq!(
                (&one["Principal"], &one["Action"]),
                (&json!("events.amazonaws.com"), &json!("lambda:InvokeFunction"))
            );
            text(&one["SourceArn"])
        })
        .collect();
    assert_eq!(allowed, callers.iter().map(|id| format!("{{{id}.Arn}}")).collect());
    let ended = &rules["ExecutionEndedRule"]["EventPattern"];
    let detail = json!({"stateMachineArn": ["{StateMachine}"], "status": ["FAILED", "TIMED_OUT", "ABORTED"]});
    let pattern =
        json!({"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail});
    assert_eq!(ended, &pattern);
    // What EventBridge hands over is the event itself: the function reads the execution's name in it.
    assert!(rules["CheckExecutionsRule"]["ScheduleExpression"].is_string());
}

/// A target of a rule. What cannot be delivered to it is kept.
fn target(id: &str, arn: &str) -> Value {
    json!({"Id": id, "Arn": arn, "DeadLetterConfig": {"Arn": "{UndeliveredEvents.Arn}"}})
}

/// EventBridge drops an event that it cannot deliver if the target has no dead-letter queue, and Lambda drops what a function
/// that nobody waits for cannot do in three tries.
#[test]
fn an_alarm_looks_at_what_rules_cannot_deliver_and_at_every_function_that_a_rule_calls() {
    let template = Template::load();
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let watched = |namespace: &str, metric: &str, dimension: &str, of: &str, statistic: &str| {
        let dimensions = json!([{"Name": dimension, "Value": format!("{{{of}}}")}]);
        alarms.values().any(|alarm| {
            alarm["Namespace"] == namespace
                && alarm["MetricName"] == metric
                && alarm["Dimensions"] == dimensions
                && alarm["Statistic"] == statistic
                && (&alarm["Threshold"], &alarm["ComparisonOperator"]) == (&json!(0), &json!("GreaterThanThreshold"))
                && alarm["TreatMissingData"] == "notBreaching"
                && alarm["AlarmActions"] == json!(["{Notices}"])
        })
    };
    let kept = template.resources("AWS::Lambda::EventInvokeConfig");
    let visible = "ApproximateNumberOfMessagesVisible";
    assert!(watched("AWS/SQS", visible, "QueueName", "UndeliveredEvents.QueueName", "Maximum"));
    for (id, rule) in template.resources("AWS::Events::Rule") {
        for one in super::template::list(&rule["Targets"]) {
            assert_eq!(one, target(&text(&one["Id"]), &text(&one["Arn"])), "{id}");
            let function = text(&one["Arn"]).trim_matches(['{', '}']).trim_end_matches(".Arn").to_owned();
            if template.resources("AWS::Lambda::Function").contains_key(&function) {
                let failures = json!({
                    "FunctionName": format!("{{{function}}}"), "Qualifier": "$LATEST",
                    "DestinationConfig": {"OnFailure": {"Destination": "{UndeliveredEvents.Arn}"}},
                });
                assert!(kept.values().any(|config| *config == failures), "what {function} cannot do is dropped");
            }
        }
    }
}

/// Ten alarms are free in every account. Who sets a budget has one more.
#[test]
fn the_alarms_are_free() {
    let alarms = |template: Template| template.resources("AWS::CloudWatch::Alarm").len();
    assert_eq!(alarms(Template::load()), 10);
    assert_eq!(alarms(Template::with(&[("DailyBudgetUsd", json!("20"))])), 11);
}

#[test]
fn the_clock_alone_may_call_what_runs_by_the_clock() {
    let template = Template::load();
    let permissions = template.resources("AWS::Lambda::Permission");
    let ours: Vec<_> = permissions.values().filter(|one| one["FunctionName"] == "{AnnounceExpiries}").collect();
    let expected = json!({
        "Action": "lambda:InvokeFunction", "FunctionName": "{AnnounceExpiries}", "Principal": "events.amazonaws.com",
        "SourceArn": "{AnnounceExpiriesRule.Arn}",
    });
    assert_eq!(ours, [&expected]);
    let rule = template.resource("AnnounceExpiriesRule");
    assert_eq!(rule["Targets"], json!([target("AnnounceExpiries", "{AnnounceExpiries.Arn}")]));
    assert!(rule["EventPattern"].is_null() && rule["State"].is_null());
}

/// Whether a pattern of IAM, where `*` is anything, matches a text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|skip| tail.is_char_boundary(skip) && matches(rest, &tail[skip..]))
        }),
    }
}

#[test]
fn a_rule_sends_the_events_of_the_archive_to_its_queue() {
    let template = Template::load();
    for kind in ["RestoreCompleted", "RestoreInitiated"] {
        let queue = format!("{{{kind}Queue.Arn}}");
        let rule = template.resource(&format!("{kind}Rule"));
        assert_eq!(rule["Targets"], json!([target("Queue", &queue)]));
        assert_eq!(rule["EventPattern"]["detail"], json!({"bucket": {"name": ["one", "two"]}}));
    }
}

/// Without events of restores all is found by looking; nobody looks into the inbox.
#[test]
fn a_file_in_the_inbox_is_told_of_whatever_becomes_of_s3s_other_events() {
    let template = Template::with(&[("EventRules", json!("DISABLED"))]);
    let rule = template.resource("InboxFileRule");
    assert!(rule["State"].is_null(), "a rule is enabled unless it says otherwise");
    assert_eq!(rule["Targets"], json!([target("Queue", "{InboxFileQueue.Arn}")]));
    let files = json!({"bucket": {"name": ["{WorkBucket}"]}, "object": {"key": [{"prefix": thaw_core::INBOX}]}});
    let pattern = json!({"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": files});
    assert_eq!(rule["EventPattern"], pattern);
    let bucket = template.resource("WorkBucket");
    assert_eq!(bucket["NotificationConfiguration"], json!({"EventBridgeConfiguration": {"EventBridgeEnabled": true}}));
    let lifecycle = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    assert!(lifecycle.iter().any(|rule| rule["Prefix"] == thaw_core::INBOX && rule["ExpirationInDays"] == 180));
}

/// Polling a queue costs money also while nothing comes.
#[test]
fn a_queue_is_polled_only_where_its_messages_can_come() {
    let polled = |events: &str, joined: &str| -> Vec<String> {
        let template = Template::with(&[("EventRules", json!(events)), ("JoinedMaxCostUsd", json!(joined))]);
        let rules = template.resources("AWS::Events::Rule");
        let sources = template.resources("AWS::Lambda::EventSourceMapping").into_iter();
        let sources: Vec<_> = sources.filter(|(_, source)| source["Enabled"] != false).map(|(id, _)| id).collect();
        for kind in ["RestoreCompleted", "RestoreInitiated"] {
            let is_enabled = rules[&format!("{kind}Rule")]["State"] == "ENABLED";
            assert_eq!(sources.contains(&format!("{kind}Source")), is_enabled, "{kind} with {events}, {joined}");
        }
        sources
    };
    let (completed, initiated) = ("RestoreCompletedSource", "RestoreInitiatedSource");
    let (confirmed, inbox) = ("ConfirmInvalidationsSource", "InboxFileSource");
    assert_eq!(polled("ENABLED", "1"), [confirmed, inbox, completed, initiated]);
    assert_eq!(polled("ENABLED", ""), [confirmed, inbox, completed, initiated]);
    assert_eq!(polled("ENABLED", "0"), [confirmed, inbox, completed]);
    // Only what an event published is confirmed.
    assert_eq!(polled("DISABLED", "1"), [inbox]);
}

#[test]
fn a_manifest_in_the_inbox_has_a_limit_unless_the_stack_is_told_that_it_has_none() {
    let limit = |template: Template| {
        let function = template.resource("OnInboxFile");
        let settings =
            thaw_steps::Settings::read(|name| function["Environment"]["Variables"][name].as_str().map(str::to_owned));
        settings.unwrap().inbox_max_cost
    };
    assert_eq!(limit(Template::load()), thaw_core::Usd::from_f64(10.0));
    assert_eq!(limit(Template::with(&[("InboxMaxCostUsd", json!(""))])), None);
}

/// Lambda User Guide, "Using Lambda with Amazon SQS": visibility of six times the function's timeout plus the window, at
/// least five attempts; a batch above ten needs a window.
#[test]
fn a_batch_has_the_time_it_needs_before_it_is_seen_again() {
    let template = Template::load();
    for (id, source) in template.resources("AWS::Lambda::EventSourceMapping") {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{id}: not a number: {value}"));
        let queue = template.resource(text(&source["EventSourceArn"]).trim_matches('{').trim_end_matches(".Arn}"));
        let function = template.resource(text(&source["FunctionName"]).trim_matches(['{', '}']));
        let window = number(&source["MaximumBatchingWindowInSeconds"]);
        assert!(number(&queue["VisibilityTimeout"]) >= 6 * number(&function["Timeout"]) + window, "{id}");
        assert!(number(&queue["RedrivePolicy"]["maxReceiveCount"]) >= 5, "{id}");
        assert!(number(&source["BatchSize"]) <= 10 || window >= 1, "{id}");
        assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{id}");
    }
}

/// What a reader puts aside lies where the queue itself puts what failed too often, and an alarm looks there.
#[test]
fn a_reader_puts_aside_what_it_cannot_read_where_its_queue_does_and_an_alarm_looks_there() {
    let template = Template::load();
    let functions = template.resources("AWS::Lambda::Function");
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    for (id, source) in template.resources("AWS::Lambda::EventSourceMapping") {
        let queue = template.resource(text(&source["EventSourceArn"]).trim_matches('{').trim_end_matches(".Arn}"));
        let arn = text(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
        let dead_letters = arn.trim_matches('{').trim_end_matches(".Arn}");
        let function = &functions[text(&source["FunctionName"]).trim_matches(['{', '}'])];
        let variables = object(&function["Environment"]["Variables"]);
        let named: Vec<_> = variables.iter().filter(|(name, _)| name.ends_with("_DEAD_LETTERS")).collect();
        assert_eq!(named.len(), 1, "{id}");
        assert_eq!(named[0].1, &json!(format!("{{{dead_letters}}}")), "{id}");
        let watched = json!([{"Name": "QueueName", "Value": format!("{{{dead_letters}.QueueName}}")}]);
        let alarm = alarms.values().find(|alarm| alarm["Dimensions"] == watched);
        let alarm = alarm.unwrap_or_else(|| panic!("no alarm looks at {dead_letters}"));
        assert_eq!(alarm["MetricName"], "ApproximateNumberOfMessagesVisible", "{id}");
        assert_eq!((&alarm["Threshold"], &alarm["ComparisonOperator"]), (&json!(0), &json!("GreaterThanThreshold")));
        assert_eq!(alarm["AlarmActions"], json!(["{Notices}"]), "{id}");
    }
}

#[test]
fn your_buckets_and_distributions_are_left_alone() {
    let template = Template::load();
    let types = TYPES.into_iter().chain(QUEUE_TYPES).chain(CUSTOM_TYPES);
    assert_eq!(template.types(), types.map(str::to_owned).collect());
    let buckets = template.resources("AWS::S3::Bucket");
    assert_eq!(buckets.keys().collect::<Vec<_>>(), ["WorkBucket"]);
    assert!(buckets["WorkBucket"].get("BucketName").is_none(), "a name of ours could be a bucket of somebody else");
}
