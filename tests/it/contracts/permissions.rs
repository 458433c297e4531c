//! What each role may do, word for word. Who widens a role changes this table too, and says why in the template.

use std::collections::BTreeSet;

use serde_json::json;
use thaw_steps::Step;

use super::template::{Permission, Template, permissions};

const OBJECTS: &str = "arn:aws:s3:::one/* arn:aws:s3:::two/*";
const BUCKETS: &str = "arn:aws:s3:::one arn:aws:s3:::two";
const NAMED: &str = "arn:aws:cloudfront::*:distribution/E1 arn:aws:cloudfront::*:distribution/E2";
const POLICIES: &str = "arn:aws:cloudfront::111122223333:continuous-deployment-policy/*";
const CACHE_POLICIES: &str = "arn:aws:cloudfront::*:cache-policy/*";
const LEDGER: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/{Ledger}";
const WORK: &str = "arn:aws:s3:::{WorkBucket}/restores/*";
const INBOX: &str = "arn:aws:s3:::{WorkBucket}/inbox/*";
const ANSWERS: &str = "arn:aws:s3:::{WorkBucket}/inbox/*.answer.json";
const REQUEST: &str = "arn:aws:s3:::{WorkBucket}/restores/*/request.json";
const LISTS: &str = "arn:aws:s3:::{WorkBucket}/restores/*/jobs/*";
const JOBS: &str = "arn:aws:s3:us-east-1:111122223333:job/*";
const EXECUTIONS: &str = "arn:aws:states:us-east-1:111122223333:execution:{StateMachine.Name}:*";

/// Actions, separated by spaces, on resources.
type Allowed = (&'static str, &'static str);

const READ_ARCHIVE: &[Allowed] =
    &[("s3:GetObject s3:GetObjectVersion", OBJECTS), ("s3:ListBucket s3:ListBucketVersions", BUCKETS)];
const READ_DISTRIBUTIONS: &[Allowed] = &[
    ("cloudfront:GetDistribution", NAMED),
    ("cloudfront:GetContinuousDeploymentPolicy", POLICIES),
    ("cloudfront:GetCachePolicy", CACHE_POLICIES),
];
const CREATE_INVALIDATIONS: &[Allowed] = &[("cloudfront:CreateInvalidation", NAMED)];
const READ_WORK: &[Allowed] = &[("s3:GetObject", WORK), ("s3:ListBucket", "arn:aws:s3:::{WorkBucket}")];
const PUT_EVENTS: &[Allowed] = &[("events:PutEvents", "arn:aws:events:us-east-1:111122223333:event-bus/default")];
const KEEP_FAILURES: &[Allowed] = &[("sqs:SendMessage", "{UndeliveredEvents.Arn}")];
const USE_LEDGER: &[Allowed] = &[("dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem", LEDGER)];

const START_EXECUTIONS: &[Allowed] = &[
    ("dynamodb:GetItem dynamodb:PutItem", LEDGER),
    ("s3:PutObject", REQUEST),
    ("states:StartExecution", "{StateMachine}"),
];

/// Every function with all it may do, its own log aside.
const FUNCTIONS: [(Step, &[&[Allowed]]); 24] = [
    (
        Step::Plan,
        &[
            READ_ARCHIVE,
            READ_DISTRIBUTIONS,
            READ_WORK,
            PUT_EVENTS,
            &[
                ("s3:GetBucketVersioning", BUCKETS),
                ("s3:GetObject", INBOX),
                ("s3:PutObject", WORK),
                ("dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem", LEDGER),
            ],
        ],
    ),
    (Step::StartRestores, &[READ_ARCHIVE, USE_LEDGER, READ_WORK, &[("s3:RestoreObject", OBJECTS)]]),
    (
        Step::CreateJobs,
        &[
            READ_WORK,
            &[
                ("dynamodb:GetItem dynamodb:BatchGetItem dynamodb:PutItem", LEDGER),
                ("s3:PutObject", LISTS),
                ("s3:CreateJob", "*"),
                ("iam:PassRole", "{JobRole.Arn}"),
            ],
        ],
    ),
    (Step::CheckJobs, &[USE_LEDGER, READ_WORK, &[("s3:DescribeJob s3:UpdateJobStatus", JOBS)]]),
    (Step::CheckRestores, &[READ_ARCHIVE, USE_LEDGER, READ_WORK, PUT_EVENTS]),
    (Step::Invalidate, &[READ_ARCHIVE, READ_DISTRIBUTIONS, CREATE_INVALIDATIONS, USE_LEDGER, READ_WORK]),
    (Step::CheckInvalidations, &[USE_LEDGER, READ_WORK, &[("cloudfront:GetInvalidation", NAMED)]]),
    (
        Step::Report,
        &[
            USE_LEDGER,
            PUT_EVENTS,
            &[("states:StartExecution", "arn:aws:states:us-east-1:111122223333:stateMachine:thaw")],
        ],
    ),
    (Step::ReportFailure, &[USE_LEDGER, READ_WORK, PUT_EVENTS, &[("s3:UpdateJobStatus", JOBS)]]),
    (Step::CreateRestore, &[START_EXECUTIONS]),
    (
        Step::CreatePlan,
        &[
            READ_ARCHIVE,
            READ_DISTRIBUTIONS,
            READ_WORK,
            &[
                ("s3:GetBucketVersioning", BUCKETS),
                ("s3:GetObject", INBOX),
                ("dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query", LEDGER),
            ],
        ],
    ),
    (Step::GetPaths, &[READ_ARCHIVE, READ_DISTRIBUTIONS]),
    (
        Step::GetRestores,
        &[
            READ_WORK,
            &[
                ("dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query", LEDGER),
                ("dynamodb:Query", "arn:aws:dynamodb:us-east-1:111122223333:table/{Ledger}/index/restores"),
            ],
        ],
    ),
    (
        Step::CancelRestore,
        &[USE_LEDGER, READ_WORK, &[("states:StopExecution", EXECUTIONS), ("s3:UpdateJobStatus", JOBS)]],
    ),
    (Step::GetDistributions, &[READ_DISTRIBUTIONS]),
    (Step::Adopt, &[READ_ARCHIVE, START_EXECUTIONS, &[("dynamodb:Query dynamodb:BatchGetItem", LEDGER)]]),
    (
        Step::OnRestoreCompleted,
        &[
            READ_ARCHIVE,
            READ_DISTRIBUTIONS,
            CREATE_INVALIDATIONS,
            USE_LEDGER,
            &[
                ("sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", "{RestoreCompletedQueue.Arn}"),
                ("sqs:SendMessage", "{ConfirmInvalidationsQueue.Arn}"),
                ("sqs:SendMessage", "{RestoreCompletedDeadLetters.Arn}"),
            ],
        ],
    ),
    (
        Step::OnRestoreInitiated,
        &[
            START_EXECUTIONS,
            READ_DISTRIBUTIONS,
            PUT_EVENTS,
            &[
                ("sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", "{RestoreInitiatedQueue.Arn}"),
                ("sqs:SendMessage", "{RestoreInitiatedDeadLetters.Arn}"),
                ("dynamodb:Query dynamodb:BatchGetItem", LEDGER),
            ],
        ],
    ),
    (
        Step::ConfirmInvalidations,
        &[&[
            ("dynamodb:GetItem dynamodb:PutItem", LEDGER),
            ("cloudfront:GetInvalidation", NAMED),
            (
                "sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:SendMessage",
                "{ConfirmInvalidationsQueue.Arn}",
            ),
            ("sqs:SendMessage", "{ConfirmInvalidationsDeadLetters.Arn}"),
        ]],
    ),
    (
        Step::OnInboxFile,
        &[
            START_EXECUTIONS,
            &[
                ("sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes", "{InboxFileQueue.Arn}"),
                ("sqs:SendMessage", "{InboxFileDeadLetters.Arn}"),
                ("s3:GetObject", INBOX),
                ("s3:PutObject", ANSWERS),
            ],
        ],
    ),
    (Step::AnnounceExpiries, &[USE_LEDGER, READ_WORK, PUT_EVENTS, KEEP_FAILURES]),
    (
        Step::CheckExecutions,
        &[
            USE_LEDGER,
            READ_WORK,
            PUT_EVENTS,
            KEEP_FAILURES,
            &[
                ("dynamodb:Query", "arn:aws:dynamodb:us-east-1:111122223333:table/{Ledger}/index/restores"),
                ("states:DescribeExecution", EXECUTIONS),
                ("s3:UpdateJobStatus", JOBS),
            ],
        ],
    ),
    (
        Step::Preflight,
        &[&[
            ("s3:GetBucketVersioning s3:GetEncryptionConfiguration s3:GetBucketNotification", BUCKETS),
            ("cloudfront:GetDistribution", NAMED),
            ("lambda:GetAccountSettings", "*"),
        ]],
    ),
    (
        Step::Attachment,
        &[
            USE_LEDGER,
            READ_WORK,
            PUT_EVENTS,
            &[
                ("cloudformation:DescribeStacks", "{AWS::StackId}"),
                ("states:ListExecutions", "{StateMachine}"),
                ("states:StopExecution", EXECUTIONS),
                ("s3:UpdateJobStatus", JOBS),
            ],
        ],
    ),
];

/// What may be done to everything, because AWS knows no narrower resource for it. The reasons are in the template.
const ON_EVERYTHING: [(&str, &str); 12] = [
    ("CreateJobsRole", "s3:CreateJob"),
    ("PreflightRole", "cloudfront:ListDistributions"),
    ("PreflightRole", "lambda:GetAccountSettings"),
    ("ReadDistributions", "cloudfront:ListDistributions"),
    ("StateMachineRole", "logs:CreateLogDelivery"),
    ("StateMachineRole", "logs:DeleteLogDelivery"),
    ("StateMachineRole", "logs:DescribeLogGroups"),
    ("StateMachineRole", "logs:DescribeResourcePolicies"),
    ("StateMachineRole", "logs:GetLogDelivery"),
    ("StateMachineRole", "logs:ListLogDeliveries"),
    ("StateMachineRole", "logs:PutResourcePolicy"),
    ("StateMachineRole", "logs:UpdateLogDelivery"),
];

/// The stack with all of its distributions named.
fn with_distributions() -> Template {
    Template::with(&[("DistributionIds", json!(["E1", "E2"])), ("StagingDistributions", json!("named"))])
}

fn expand(allowed: &[&[Allowed]]) -> BTreeSet<Permission> {
    let allowed = allowed.iter().flat_map(|group| group.iter());
    allowed
        .flat_map(|(actions, on)| actions.split(' ').map(move |action| (action.to_owned(), (*on).to_owned())))
        .collect()
}

#[test]
fn every_function_may_do_exactly_this() {
    let template = with_distributions();
    for (step, allowed) in FUNCTIONS {
        let log = format!("{{{}Logs.Arn}}", step.name());
        let mut expected = expand(allowed);
        expected.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action.to_owned(), log.clone())));
        let found = template.permissions(&format!("{}Role", step.name()));
        let more: Vec<_> = found.difference(&expected).collect();
        let less: Vec<_> = expected.difference(&found).collect();
        assert!(more.is_empty() && less.is_empty(), "{} may also {more:?} and may not {less:?}", step.name());
    }
}

#[test]
fn one_function_may_change_one_setting_of_the_archive_if_the_stack_is_told_to() {
    let managed = Template::with(&[("ManageBucketEvents", json!("true"))]);
    let expected = expand(&[&[("s3:GetBucketNotification s3:PutBucketNotification", BUCKETS)]]);
    let mut more = managed.permissions("AttachmentRole");
    more = more.difference(&Template::load().permissions("AttachmentRole")).cloned().collect();
    assert_eq!(more, expected);
    for role in managed.resources("AWS::IAM::Role").keys().filter(|role| *role != "AttachmentRole") {
        let changes = managed.permissions(role).into_iter().find(|(action, _)| action == "s3:PutBucketNotification");
        assert_eq!(changes, None, "{role}");
    }
    // A new description is a new policy. So an update still has the old one for a bucket that it leaves out.
    let description = super::template::text(&managed.resource("ManageEvents")["Description"]);
    assert!(description.contains("{PreflightPassed.Release}"), "{description}");
}

#[test]
fn a_job_may_do_exactly_this() {
    let template = with_distributions();
    let expected = expand(&[&[
        ("s3:RestoreObject", OBJECTS),
        ("s3:GetObject", "arn:aws:s3:::{WorkBucket}/restores/*/jobs/*.csv"),
        ("s3:PutObject", "arn:aws:s3:::{WorkBucket}/restores/*/jobs/*/job-*"),
    ]]);
    assert_eq!(template.permissions("JobRole"), expected);
    // Its role is handed to S3 Batch Operations and to nobody else.
    let role = template.resource("CreateJobsRole");
    let statements = super::template::list(&role["Policies"][0]["PolicyDocument"]["Statement"]);
    let pass = statements.iter().find(|statement| statement["Action"] == "iam:PassRole").unwrap();
    let to = json!({"StringEquals": {"iam:PassedToService": "batchoperations.s3.amazonaws.com"}});
    assert_eq!(pass["Condition"], to);
}

#[test]
fn the_keys_of_the_archive_are_for_those_who_read_or_restore_and_only_by_way_of_s3() {
    let keys = "arn:aws:kms:us-east-1:111122223333:key/a arn:aws:kms:us-east-1:111122223333:key/b";
    let keys_of = |template: &Template, role: &str| {
        let found = template.permissions(role).into_iter().filter(|(action, _)| action.starts_with("kms:"));
        found.collect::<Vec<_>>()
    };
    let template = Template::with(&[("ArchiveKmsKeys", keys.split(' ').collect())]);
    let expected = [("kms:Decrypt".to_owned(), keys.to_owned())];
    let users = ["PlanRole", "CreatePlanRole", "StartRestoresRole", "JobRole"];
    for role in template.resources("AWS::IAM::Role").keys() {
        let expected = if users.contains(&role.as_str()) { &expected[..] } else { &[] };
        assert_eq!(keys_of(&template, role), expected, "{role}");
        assert!(keys_of(&Template::load(), role).is_empty(), "{role} without keys");
    }
    let statement = &template.resource("UseArchiveKeys")["PolicyDocument"]["Statement"][0];
    assert_eq!(statement["Condition"], json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}));
}

#[test]
fn where_distributions_are_found_any_may_be_invalidated() {
    let named = || ("DistributionIds", json!(["E1", "E2"]));
    let found = || ("StagingDistributions", json!("found"));
    let only_named = || ("StagingDistributions", json!("named"));
    // Found is the default; where nothing is named, there is nothing else.
    for parameters in [vec![], vec![only_named()], vec![named()], vec![named(), found()]] {
        may_find_and_invalidate_any(&Template::with(&parameters));
    }
}

fn may_find_and_invalidate_any(template: &Template) {
    let any = "arn:aws:cloudfront::*:distribution/*";
    for role in ["CheckInvalidationsRole", "ConfirmInvalidationsRole"] {
        let read = ("cloudfront:GetInvalidation".to_owned(), any.to_owned());
        assert!(template.permissions(role).contains(&read), "{role}");
    }
    let found = template.permissions("InvalidateRole");
    let found: BTreeSet<_> = found.iter().filter(|(action, _)| action.starts_with("cloudfront:")).collect();
    let expected = [
        ("cloudfront:CreateInvalidation", any),
        ("cloudfront:GetCachePolicy", CACHE_POLICIES),
        ("cloudfront:GetContinuousDeploymentPolicy", POLICIES),
        ("cloudfront:GetDistribution", any),
        ("cloudfront:ListDistributions", "*"),
    ];
    assert_eq!(found, expected.map(|(action, on)| (action.to_owned(), on.to_owned())).iter().collect());
}

#[test]
fn nothing_may_be_done_to_everything_but_what_aws_cannot_narrow() {
    let template = Template::load();
    let roles = template.resources("AWS::IAM::Role").into_iter().flat_map(|(id, role)| {
        let policies = super::template::list(&role["Policies"]);
        policies.into_iter().map(move |policy| (id.clone(), policy["PolicyDocument"].clone()))
    });
    let shared = template.resources("AWS::IAM::ManagedPolicy");
    let shared = shared.into_iter().map(|(id, policy)| (id, policy["PolicyDocument"].clone()));
    let mut broad = BTreeSet::new();
    for (id, document) in roles.chain(shared) {
        for (action, on) in permissions(&document) {
            assert!(!action.contains('*'), "{id} may {action}");
            if on.split(' ').any(|resource| resource == "*") {
                broad.insert((id.clone(), action));
            }
        }
    }
    assert_eq!(broad, ON_EVERYTHING.map(|(id, action)| (id.to_owned(), action.to_owned())).into());
}
