//! What the emulator does not enforce: who may take a role, use a queue, a topic or a bucket, and what the workflow itself
//! may do. Every test here is shown a template in which somebody opened a door, and must see it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::template::{TEXT, Template, list, object, text};
use super::workflow::Machine;

/// What is wrong with a template, in words; nothing if all is closed.
type Look = fn(&Template) -> Vec<String>;

/// Nothing is wrong with ours, and this look sees it when that text is replaced by this.
#[track_caller]
fn closed(look: Look, openings: &[(&str, &str)]) {
    assert_eq!(look(&Template::load()), Vec::<String>::new());
    for (closed, open) in openings {
        assert_eq!(TEXT.matches(closed).count(), 1, "not once in the template: {closed}");
        let opened = Template::of(&TEXT.replace(closed, open), &[]);
        assert!(!look(&opened).is_empty(), "this opening is not seen: {open}");
    }
}

#[test]
fn the_workflow_may_call_the_functions_it_names_and_write_its_log() {
    closed(
        workflow,
        &[
            ("- !Sub ${ReportFailure.Arn}:*", "- !GetAtt ReportFailureLogs.Arn"),
            ("- !Sub ${ReportFailure.Arn}:*", "- !Sub ${CreateRestore.Arn}:*"),
            ("- !Sub ${ReportFailure.Arn}:*", "- \"*\""),
            (", logs:DescribeLogGroups]", ", logs:DescribeLogGroups, xray:PutTraceSegments]"),
            (", logs:DescribeLogGroups]", ", logs:DescribeLogGroups, logs:GetLogEvents]"),
        ],
    );
}

fn workflow(template: &Template) -> Vec<String> {
    // Step Functions, developer guide, "Logging using CloudWatch Logs".
    const LOGGING: [&str; 8] = [
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    ];
    let machine = template.resource("StateMachine");
    let substitutions = object(&machine["DefinitionSubstitutions"]);
    let named: BTreeSet<_> = Machine::load()
        .states_of_type("Task")
        .iter()
        .map(|(_, state)| text(&state["Arguments"]["FunctionName"]))
        .map(|name| text(&substitutions[name.trim_start_matches("${").trim_end_matches('}')]))
        .collect();
    let mut wrong = Vec::new();
    // Its versions, and the function itself for executions that began before there were versions.
    let arns = |version: String| {
        let function = version.trim_matches(['{', '}']).trim_end_matches("Version").to_owned();
        [format!("{{{function}.Arn}}"), format!("{{{function}.Arn}}:*")]
    };
    let mut expected: BTreeSet<(String, String)> =
        named.into_iter().flat_map(arns).map(|arn| ("lambda:InvokeFunction".to_owned(), arn)).collect();
    if machine.get("LoggingConfiguration").is_some() {
        expected.extend(LOGGING.map(|action| (action.to_owned(), "*".to_owned())));
    }
    let role = text(&machine["RoleArn"]);
    let role = role.trim_matches(['{', '}']).trim_end_matches(".Arn");
    let found: BTreeSet<_> = template
        .permissions(role)
        .into_iter()
        .flat_map(|(action, on)| on.split(' ').map(|on| (action.clone(), on.to_owned())).collect::<Vec<_>>())
        .collect();
    wrong.extend(found.difference(&expected).map(|more| format!("the workflow may also {more:?}")));
    wrong.extend(expected.difference(&found).map(|less| format!("the workflow may not {less:?}")));
    wrong
}

#[test]
fn every_role_is_taken_by_its_service_for_its_work_alone() {
    closed(
        trust,
        &[
            ("arn:aws:states:${AWS::Region}:${AWS::AccountId}:stateMachine:*\"", "arn:aws:states:*\""),
            ("            StringEquals: {\"aws:SourceAccount\": !Ref AWS::AccountId}\n", ""),
            (
                "Principal: {Service: states.amazonaws.com}",
                "Principal: {Service: [states.amazonaws.com, ec2.amazonaws.com]}",
            ),
            ("Principal: {Service: states.amazonaws.com}", "Principal: {AWS: \"*\"}"),
            ("Principal: {Service: batchoperations.s3.amazonaws.com}", "Principal: {Service: s3.amazonaws.com}"),
        ],
    );
}

fn trust(template: &Template) -> Vec<String> {
    let functions = template.resources("AWS::Lambda::Function");
    let mut wrong = Vec::new();
    for (id, role) in template.resources("AWS::IAM::Role") {
        let mut expected = json!({ "Effect": "Allow", "Action": "sts:AssumeRole" });
        if functions.values().any(|function| function["Role"] == format!("{{{id}.Arn}}")) {
            expected["Principal"] = json!({ "Service": "lambda.amazonaws.com" });
        } else if id == "JobRole" {
            expected["Principal"] = json!({ "Service": "batchoperations.s3.amazonaws.com" });
        } else {
            expected["Principal"] = json!({ "Service": "states.amazonaws.com" });
            let machines = "arn:aws:states:us-east-1:111122223333:stateMachine:*";
            expected["Condition"] = json!({
                "ArnLike": { "aws:SourceArn": machines }, "StringEquals": { "aws:SourceAccount": "111122223333" },
            });
        }
        let found = list(&role["AssumeRolePolicyDocument"]["Statement"]);
        if found != [expected.clone()] {
            wrong.push(format!("{id} is taken by {found:?} instead of {expected}"));
        }
    }
    wrong
}

#[test]
fn a_shared_policy_is_held_by_our_functions_alone() {
    closed(
        shared,
        &[
            (
                "  ReadInvalidations:\n    Type: AWS::IAM::ManagedPolicy\n    DependsOn: PreflightPassed\n    Properties:\n",
                "  ReadInvalidations:\n    Type: AWS::IAM::ManagedPolicy\n    DependsOn: PreflightPassed\n    Properties:\n      Users: [somebody]\n",
            ),
            (
                "[!Ref UseLedger, !Ref ReadWork, !Ref ReadInvalidations]",
                "[arn:aws:iam::aws:policy/AdministratorAccess]",
            ),
            ("      Roles: [!Ref AttachmentRole]\n", "      Roles: [!Ref AttachmentRole, !Ref PlanRole]\n"),
        ],
    );
}

fn shared(template: &Template) -> Vec<String> {
    let mut ours = template.resources("AWS::IAM::ManagedPolicy");
    // A parameter decides whether it is made.
    ours.insert("ManageEvents".to_owned(), template.resource("ManageEvents"));
    let mut wrong = Vec::new();
    for (id, policy) in &ours {
        let mut members: BTreeSet<_> = object(policy).keys().map(String::as_str).collect();
        // It names its role, so that it can go at the end of an update.
        if id == "ManageEvents" && policy["Roles"] == json!(["{AttachmentRole}"]) {
            members.remove("Roles");
        }
        if !members.is_subset(&BTreeSet::from(["Description", "PolicyDocument"])) {
            wrong.push(format!("{id} says who has it: {members:?}"));
        }
    }
    for (id, role) in template.resources("AWS::IAM::Role") {
        for policy in list(&role["ManagedPolicyArns"]).iter().map(text) {
            if !ours.contains_key(policy.trim_matches(['{', '}'])) {
                wrong.push(format!("{id} has {policy}, which is none of ours"));
            }
        }
    }
    wrong
}

#[test]
fn a_queue_takes_messages_from_its_rule_and_nobody_without_tls() {
    closed(
        queues,
        &[
            (
                "{ArnEquals: {\"aws:SourceArn\": !GetAtt RestoreCompletedRule.Arn}}",
                "{ArnLike: {\"aws:SourceArn\": \"arn:aws:events:*\"}}",
            ),
            (
                "{ArnEquals: {\"aws:SourceArn\": !GetAtt RestoreInitiatedRule.Arn}}",
                "{ArnEquals: {\"aws:SourceArn\": !GetAtt RestoreCompletedRule.Arn}}",
            ),
            (
                "{ArnEquals: {\"aws:SourceArn\": !GetAtt InboxFileRule.Arn}}",
                "{ArnEquals: {\"aws:SourceArn\": !GetAtt RestoreCompletedRule.Arn}}",
            ),
            ("      Queues: [!Ref RestoreInitiatedDeadLetters]\n", "      Queues: [!Ref RestoreInitiatedQueue]\n"),
            ("!GetAtt NoticesRule.Arn, !GetAtt RestoreCompletedRule.Arn,", "!GetAtt RestoreCompletedRule.Arn,"),
            (
                "        - {Effect: Deny, Principal: \"*\", Action: sqs:*, Resource: !GetAtt RestoreCompletedDeadLetters.Arn,",
                "        - {Effect: Allow, Principal: \"*\", Action: sqs:*, Resource: !GetAtt RestoreCompletedDeadLetters.Arn,",
            ),
        ],
    );
}

fn queues(template: &Template) -> Vec<String> {
    let mut policies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for policy in template.resources("AWS::SQS::QueuePolicy").values() {
        for queue in list(&policy["Queues"]) {
            policies.entry(text(&queue)).or_default().extend(list(&policy["PolicyDocument"]["Statement"]));
        }
    }
    let rules = template.resources("AWS::Events::Rule");
    let mut wrong = Vec::new();
    for queue in template.resources("AWS::SQS::Queue").keys() {
        let arn = format!("{{{queue}.Arn}}");
        let allowed = |rules: Value| {
            json!({
                "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
                "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
            })
        };
        let mut expected: Vec<_> = senders(&rules, &arn, "/Arn").into_iter().map(|rule| allowed(json!(rule))).collect();
        let losers = senders(&rules, &arn, "/DeadLetterConfig/Arn");
        if !losers.is_empty() {
            expected.push(allowed(json!(losers)));
        }
        expected.push(without_tls("sqs:*", &json!(arn)));
        let found = policies.remove(&format!("{{{queue}}}")).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{queue}: {found:?} instead of {expected:?}"));
        }
    }
    wrong
}

/// The rules with a target of which this part is this queue.
fn senders(rules: &BTreeMap<String, Value>, queue: &str, part: &str) -> Vec<String> {
    let aims = |rule: &Value| list(&rule["Targets"]).iter().any(|one| one.pointer(part) == Some(&json!(queue)));
    rules.iter().filter(|(_, rule)| aims(rule)).map(|(id, _)| format!("{{{id}.Arn}}")).collect()
}

fn without_tls(action: &str, on: &Value) -> Value {
    json!({
        "Effect": "Deny", "Principal": "*", "Action": action, "Resource": on,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })
}

#[test]
fn the_topic_takes_notices_from_eventbridge_and_our_alarms_only() {
    closed(
        topic,
        &[
            // EventBridge does not fill the key in: its notices would be refused.
            (
                "Principal: {Service: events.amazonaws.com}, Action: sns:Publish, Resource: !Ref Notices}",
                "Principal: {Service: events.amazonaws.com}, Action: sns:Publish, Resource: !Ref Notices, Condition: {ArnEquals: {\"aws:SourceArn\": !GetAtt NoticesRule.Arn}}}",
            ),
            ("                [!GetAtt RestoreCompletedAlarm.Arn, ", "                ["),
            ("[!GetAtt RestoreCompletedAlarm.Arn, ", "[!GetAtt RestoreCompletedRule.Arn, "),
            ("Principal: {Service: cloudwatch.amazonaws.com}", "Principal: \"*\""),
            (
                "- {Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: sns:Publish,",
                "- {Effect: Allow, Principal: \"*\", Action: sns:Publish,",
            ),
        ],
    );
}

fn topic(template: &Template) -> Vec<String> {
    let topic = "{Notices}";
    let alarms = template.resources("AWS::CloudWatch::Alarm");
    let alarms = alarms.iter().filter(|(_, alarm)| list(&alarm["AlarmActions"]).iter().any(|action| action == topic));
    let alarms: Vec<_> = alarms.map(|(id, _)| format!("{{{id}.Arn}}")).collect();
    let policy = template.resource("NoticesPolicy");
    let mut wrong = Vec::new();
    if policy["Topics"] != json!([topic]) {
        wrong.push(format!("the policy is that of {}", policy["Topics"]));
    }
    let mut statements = list(&policy["PolicyDocument"]["Statement"]);
    for statement in &mut statements {
        // Their order says nothing.
        if let Some(arns) = statement.pointer_mut("/Condition/ArnEquals/aws:SourceArn").and_then(Value::as_array_mut) {
            arns.sort_by_key(text);
        }
    }
    // EventBridge User Guide, "Amazon SNS permissions": a statement for EventBridge can have no condition.
    let expected = [
        json!({
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic,
        }),
        json!({
            "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish",
            "Resource": topic, "Condition": {"ArnEquals": {"aws:SourceArn": alarms}},
        }),
    ];
    if statements != expected {
        wrong.push(format!("{statements:?} instead of {expected:?}"));
    }
    wrong
}

#[test]
fn the_work_bucket_is_private_and_nobody_reads_it_without_tls() {
    closed(
        work_bucket,
        &[
            ("RestrictPublicBuckets: true", "RestrictPublicBuckets: false"),
            ("ObjectOwnership: BucketOwnerEnforced", "ObjectOwnership: ObjectWriter"),
            ("Action: s3:*, Resource: [", "Action: s3:*, Resource: [arn:aws:s3:::other, "),
        ],
    );
}

fn work_bucket(template: &Template) -> Vec<String> {
    let bucket = template.resource("WorkBucket");
    let policy = template.resource("WorkBucketPolicy");
    let flags = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    let mut wrong = Vec::new();
    wrong.extend(
        flags
            .iter()
            .filter(|flag| bucket["PublicAccessBlockConfiguration"][**flag] != true)
            .map(|flag| format!("{flag} is off")),
    );
    if bucket["OwnershipControls"]["Rules"] != json!([{"ObjectOwnership": "BucketOwnerEnforced"}]) {
        wrong.push(format!("ownership: {}", bucket["OwnershipControls"]));
    }
    let expected = [without_tls("s3:*", &json!(["arn:aws:s3:::{WorkBucket}", "arn:aws:s3:::{WorkBucket}/*"]))];
    let found = list(&policy["PolicyDocument"]["Statement"]);
    if policy["Bucket"] != "{WorkBucket}" || found != expected {
        wrong.push(format!("policy of {}: {found:?} instead of {expected:?}", policy["Bucket"]));
    }
    wrong
}
