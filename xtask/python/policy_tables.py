"""What simulate_policies.py expects of the template's policies."""

# What no role may do, at least one call of every service: the action, the resource with names of the stack in braces, and condition
# keys (`:` is written `__`).
FORBIDDEN = [
    # The archive is read and restored, never written, and nothing is deleted anywhere.
    ("s3:PutObject", "arn:aws:s3:::{archive}/a", {}),
    ("s3:DeleteObject", "arn:aws:s3:::{archive}/a", {}),
    ("s3:DeleteObjectVersion", "arn:aws:s3:::{archive}/a", {}),
    ("s3:PutLifecycleConfiguration", "arn:aws:s3:::{archive}", {}),
    ("s3:PutBucketPolicy", "arn:aws:s3:::{archive}", {}),
    ("s3:DeleteObject", "arn:aws:s3:::{WorkBucket}/restores/a/request.json", {}),
    # Whoever may write there may begin restores in somebody else's name.
    ("s3:PutObject", "arn:aws:s3:::{WorkBucket}/inbox/order.json", {}),
    # Buckets that are not the stack's; one of them has a name that begins like the archive's.
    ("s3:GetObject", "arn:aws:s3:::another-bucket/a", {}),
    ("s3:GetObject", "arn:aws:s3:::{archive}-2/a", {}),
    ("s3:ListBucket", "arn:aws:s3:::{archive}-2", {}),
    ("s3:RestoreObject", "arn:aws:s3:::another-bucket/a", {}),
    ("s3:PutObject", "arn:aws:s3:::another-bucket/restores/a/request.json", {}),
    ("s3:PutBucketNotification", "arn:aws:s3:::another-bucket", {}),
    ("s3:UpdateJobStatus", "arn:aws:s3:{region}:999999999999:job/1", {}),
    ("s3:UpdateJobPriority", "arn:aws:s3:{region}:{account}:job/1", {}),
    ("cloudfront:UpdateDistribution", "arn:aws:cloudfront::{account}:distribution/E1", {}),
    ("cloudfront:DeleteDistribution", "arn:aws:cloudfront::{account}:distribution/E1", {}),
    ("cloudfront:UpdateCachePolicy", "arn:aws:cloudfront::{account}:cache-policy/p", {}),
    # Items expire; nobody deletes or changes one in place.
    ("dynamodb:DeleteItem", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}", {}),
    ("dynamodb:UpdateItem", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}", {}),
    ("dynamodb:Scan", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}", {}),
    ("dynamodb:DeleteTable", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}", {}),
    ("dynamodb:GetItem", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}-2", {}),
    ("dynamodb:PutItem", "arn:aws:dynamodb:{region}:{account}:table/{Ledger}-2", {}),
    ("states:StartExecution", "{StateMachine}-2", {}),
    ("states:UpdateStateMachine", "{StateMachine}", {}),
    ("states:DeleteStateMachine", "{StateMachine}", {}),
    ("states:StopExecution", "arn:aws:states:{region}:{account}:execution:{StateMachine_Name}-2:a", {}),
    ("sqs:SendMessage", "arn:aws:sqs:{region}:{account}:another-queue", {}),
    ("sqs:ReceiveMessage", "{RestoreCompletedDeadLetters_Arn}", {}),
    ("sqs:PurgeQueue", "{RestoreCompletedQueue_Arn}", {}),
    # Somebody else's events are not forged: S3's would publish, Step Functions' would end restores.
    ("events:PutEvents", "arn:aws:events:{region}:{account}:event-bus/default", {"events__source": "aws.s3"}),
    ("events:PutEvents", "arn:aws:events:{region}:{account}:event-bus/default", {"events__source": "thaw.other"}),
    ("events:PutEvents", "arn:aws:events:{region}:{account}:event-bus/another", {"events__source": "thaw"}),
    ("events:PutRule", "{RestoreCompletedRule_Arn}", {}),
    ("lambda:InvokeFunction", "arn:aws:lambda:{region}:{account}:function:another", {}),
    ("lambda:InvokeFunction", "{Preflight_Arn}", {}),
    ("lambda:UpdateFunctionCode", "{Plan_Arn}", {}),
    ("iam:PassRole", "arn:aws:iam::{account}:role/another", {"iam__PassedToService": "batchoperations.s3.amazonaws.com"}),
    ("iam:PassRole", "{JobRole_Arn}", {"iam__PassedToService": "lambda.amazonaws.com"}),
    ("iam:PutRolePolicy", "{JobRole_Arn}", {}),
    ("iam:CreateAccessKey", "arn:aws:iam::{account}:user/admin", {}),
    ("sts:AssumeRole", "{JobRole_Arn}", {}),
    ("sns:Publish", "{Notices}", {}),
    ("kms:Decrypt", "arn:aws:kms:{region}:{account}:key/another", {"kms__ViaService": "s3.{region}.amazonaws.com"}),
    ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/a", {}),
    ("kms:Encrypt", "arn:aws:kms:us-east-1:111122223333:key/a", {"kms__ViaService": "s3.{region}.amazonaws.com"}),
    ("logs:DeleteLogGroup", "{PlanLogs_Arn}", {}),
    ("logs:GetLogEvents", "arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{AWS_StackName}-Plan:log-stream:a", {}),
    ("logs:PutLogEvents", "arn:aws:logs:{region}:{account}:log-group:/aws/lambda/another:log-stream:a", {}),
    ("cloudformation:UpdateStack", "{AWS_StackId}", {}),
    ("cloudformation:DeleteStack", "{AWS_StackId}", {}),
    ("cloudformation:DescribeStacks", "arn:aws:cloudformation:{region}:{account}:stack/another/1", {}),
]

# What no role may do where the distributions are named.
FORBIDDEN_IF_NAMED = [
    ("cloudfront:CreateInvalidation", "arn:aws:cloudfront::{account}:distribution/E3", {}),
    ("cloudfront:GetDistribution", "arn:aws:cloudfront::{account}:distribution/E3", {}),
    ("cloudfront:GetInvalidation", "arn:aws:cloudfront::{account}:distribution/E3", {}),
]

# Who has the policy ReadArchive, ReadWork.
ARCHIVE_READERS = "AdoptRole CheckRestoresRole CreatePlanRole GetPathsRole InvalidateRole OnRestoreCompletedRole PlanRole StartRestoresRole"
WORK_READERS = (
    "AnnounceExpiriesRole AttachmentRole CancelRestoreRole CheckExecutionsRole CheckInvalidationsRole CheckJobsRole CheckRestoresRole "
    "CreateJobsRole CreatePlanRole GetRestoresRole InvalidateRole PlanRole ReportFailureRole StartRestoresRole"
)

# What a role may do although no test on the local stack makes it: roles, actions, on what, and why.
UNUSED = [
    (WORK_READERS, "s3:ListBucket", "{WorkBucket}", "makes a missing file a 404 and not a 403, and no file is missing"),
    (
        ARCHIVE_READERS, "s3:GetObjectVersion", "{ArchiveBucket}/*",
        "no archive of the local stack has versions; in process: tests/it/steps/archives.rs",
    ),
    (
        ARCHIVE_READERS, "s3:ListBucketVersions", "{ArchiveBucket}",
        "the same; Adopt and StartRestores list no versions, and have it with ReadArchive",
    ),
    (
        "StartRestoresRole", "s3:ListBucket", "{ArchiveBucket}",
        "makes a missing object a 404; here that is an object that somebody deletes between Plan and StartRestores",
    ),
    (
        "AdoptRole CreateRestoreRole OnInboxFileRole OnRestoreInitiatedRole", "s3:PutObject", "{WorkBucket}/restores/*/request.json",
        "a request that is longer than the input of an execution; in process: tests/it/steps",
    ),
    (
        "ConfirmInvalidationsRole", "sqs:SendMessage", "{ConfirmInvalidationsDeadLetters.Arn}",
        "a message that nobody can read; in process: tests/it/steps/poison.rs",
    ),
    ("OnInboxFileRole", "sqs:SendMessage", "{InboxFileDeadLetters.Arn}", "the same"),
    (
        "AnnounceExpiriesRole CheckExecutionsRole", "sqs:SendMessage", "{UndeliveredEvents.Arn}",
        "Lambda sends there what failed three times, and nothing does",
    ),
    (
        "OnRestoreInitiatedRole", "events:PutEvents", "event-bus/default",
        "restores of others over their daily limit; in process: tests/it/steps/joining.rs",
    ),
    ("CreatePlanRole", "s3:GetObject", "{WorkBucket}/inbox/*", "the plan of a manifest in the inbox; Plan makes one, with the same code"),
    (
        "PlanRole CreatePlanRole", "dynamodb:Query", "table/{Ledger}",
        "what became readable of the restore whose objects are requested again; in process: tests/it/steps",
    ),
    (
        "ReportRole", "states:StartExecution", "{StateMachine}",
        "copies that somebody else's request has left short; in process: tests/it/steps/joining.rs",
    ),
    (
        "ReportFailureRole", "dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query dynamodb:PutItem", "table/{Ledger}",
        "no execution fails before its report; in process: tests/it/steps/faults.rs, tests/worlds; its role: cargo xtask attack",
    ),
    ("ReportFailureRole", "s3:GetObject", "{WorkBucket}/restores/*", "the same"),
    ("ReportFailureRole", "s3:UpdateJobStatus", "job/*", "the same"),
    ("ReportFailureRole", "events:PutEvents", "event-bus/default", "the same"),
    ("AttachmentRole", "s3:UpdateJobStatus", "job/*", "no job runs when a stack is deleted; in process: deployment/attachment/tests.rs"),
    (
        "StateMachineRole", "lambda:InvokeFunction",
        "{Plan.Arn} {StartRestores.Arn} {CreateJobs.Arn} {CheckJobs.Arn} {CheckRestores.Arn} {Invalidate.Arn} {CheckInvalidations.Arn} "
        "{Report.Arn} {ReportFailure.Arn}",
        "executions that began before the functions had versions",
    ),
]

# What only some runs make, because it depends on who is first.
SOMETIMES = [
    ("ConfirmInvalidationsRole", "sqs:SendMessage", "{ConfirmInvalidationsQueue.Arn}", "CloudFront was not done when it was first asked"),
    (
        "CheckInvalidationsRole CheckJobsRole ReportRole StartRestoresRole", "dynamodb:Query", "table/{Ledger}",
        "an object of the chunk is still being restored: then what became readable is read, too",
    ),
    ("CheckRestoresRole", "events:PutEvents", "event-bus/default", "S3 is late, by the clock of a busy machine"),
]

# Buckets that a stack's policies named for a while.
MEANWHILE = {
    ("second", "thaw-nowhere"): "of an update that is taken back; tests/it/local_stack/both/second_stack.rs",
}
