"""Holds the policies of each role against cloudsplaining's risks.

    python audit_policies.py target/policies.json

The file has the policies by role, for two kinds of stack. A finding is an action that cloudsplaining calls a risk, on whatever resource
and under whatever condition, or an action on every resource: `*`, where the database of AWS's service authorization reference
that cloudsplaining ships says that it could be narrower, and where AWS forces it. Fails if there is a finding that no line of
EXPLAINED explains, if a line explains nothing, or if the risks of a made-up policy are not found.
"""

import json
import sys

from cloudsplaining.command.scan_policy_file import scan_policy
from cloudsplaining.scan.policy_document import PolicyDocument

# cloudsplaining's risks on any resource. `ResourceExposure` is an action that changes permissions.
ANYWHERE = ["PrivilegeEscalation", "DataExfiltration", "ResourceExposure", "ServiceWildcard", "CredentialsExposure"]
# And on every resource. `InfrastructureModification` is an action that changes anything and could have a narrower resource.
EVERYWHERE = ["InfrastructureModification"]
NARROWABLE, FORCED = "on *, could be narrower", "on *, forced by AWS"

# Roles, a risk, actions, and why they are no risk, or one that AWS forces.
EXPLAINED = [
    (
        "AdoptRole CheckRestoresRole CreatePlanRole GetPathsRole InvalidateRole OnRestoreCompletedRole PlanRole StartRestoresRole",
        "DataExfiltration", "s3:GetObject",
        "HeadObject needs it; on the archive buckets, for Plan and CreatePlan also on the inbox and the files of restores",
    ),
    (
        "AnnounceExpiriesRole AttachmentRole CancelRestoreRole CheckExecutionsRole CheckInvalidationsRole CheckJobsRole CreateJobsRole "
        "GetRestoresRole JobRole OnInboxFileRole ReportFailureRole",
        "DataExfiltration", "s3:GetObject", "in thaw's own work bucket only: requests, chunks, lists, files of the inbox",
    ),
    (
        "CreateJobsRole", "ResourceExposure", "iam:PassRole",
        "of JobRole only, to S3 Batch Operations only; JobRole may restore, and not more than StartRestores",
    ),
    ("CreateJobsRole", FORCED, "s3:CreateJob", "a job has no ARN before it is created; it can do what its role can"),
    (
        "PlanRole CreatePlanRole GetPathsRole InvalidateRole GetDistributionsRole OnRestoreCompletedRole OnRestoreInitiatedRole PreflightRole",
        FORCED, "cloudfront:ListDistributions", "finds the distributions of a bucket; only where a parameter does not name them",
    ),
    ("PreflightRole", FORCED, "lambda:GetAccountSettings", "the quota of the account, which is no resource"),
    (
        "StateMachineRole", FORCED,
        "logs:CreateLogDelivery logs:GetLogDelivery logs:UpdateLogDelivery logs:DeleteLogDelivery logs:ListLogDeliveries "
        "logs:PutResourcePolicy logs:DescribeResourcePolicies logs:DescribeLogGroups",
        'Step Functions needs them to log (Developer Guide, "Logging using CloudWatch Logs")',
    ),
]

MADE_UP = {
    "PrivilegeEscalation": [("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/admin")],
    "DataExfiltration": [("s3:GetObject", "arn:aws:s3:::archive/*")],
    "ResourceExposure": [("s3:PutBucketPolicy", "arn:aws:s3:::archive")],
    "ServiceWildcard": [("dynamodb:*", "arn:aws:dynamodb:us-east-1:111122223333:table/t")],
    "CredentialsExposure": [("sts:AssumeRole", "arn:aws:iam::111122223333:role/r")],
    "InfrastructureModification": [("s3:PutObject", "*")],
    NARROWABLE: [("dynamodb:Query", "*")],
    FORCED: [("s3:CreateJob", "*")],
}


def findings(policy):
    """What is found in the policies of a role: pairs of a risk and an action."""
    found = set()
    for risks, flag in ((ANYWHERE, True), (EVERYWHERE, False)):
        results = scan_policy(policy, flag_conditional_statements=flag, flag_resource_arn_statements=flag)
        for risk in risks:
            for finding in results[risk]["findings"]:
                names = [finding] if isinstance(finding, str) else finding["actions"]
                found.update((risk, name) for name in names)
    for statement in PolicyDocument(policy).statements:
        if statement.effect_allow and statement.has_resource_wildcard:
            found.update((NARROWABLE, name) for name in statement.restrictable_actions)
            found.update((FORCED, name) for name in statement.unrestrictable_actions)
    return found


def main(file):
    with open(file, encoding="utf-8") as text:
        stacks = json.load(text)
    failures = []
    for risk, allowed in MADE_UP.items():
        statements = [{"Effect": "Allow", "Action": [name], "Resource": [resource]} for name, resource in allowed]
        if not any(kind == risk for kind, _ in findings({"Version": "2012-10-17", "Statement": statements})):
            failures.append(f"not found in a made-up policy: {risk}")
    found = {(role, *one) for roles in stacks.values() for role, policy in roles.items() for one in findings(policy)}
    explained = {(role, risk, name) for roles, risk, names, _ in EXPLAINED for role in roles.split() for name in names.split()}
    failures += [f"unexplained: {' '.join(one)}" for one in sorted(found - explained)]
    failures += [f"explained, and not found: {' '.join(one)}" for one in sorted(explained - found)]
    roles = {role for roles in stacks.values() for role in roles}
    print(f"cloudsplaining read the policies of {len(roles)} roles: {len(found)} findings, {len(found - explained)} of them unexplained")
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures or not roles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
