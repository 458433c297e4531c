"""Simulates IAM for a local stack: what each role did, what it must not do, and what it may do although it never did.

    python simulate_policies.py target/local/stacks.json target/local/exchanges.jsonl [--all-tests]

Each request that thaw-recorder wrote down is signed with the key of one function, and so of one role. The role's policies, as
CloudFormation would make them of the template, must allow the actions for which AWS would ask; so must they for the calls that
AWS's services make in the name of a role, and the policies of queues, topic and functions for what services deliver. None may
allow a call of FORBIDDEN. After all tests, a permission that allowed no call must stand in UNUSED with its reason, and nothing else
may stand there. The decisions are MiniStack's.
"""

import argparse
import hashlib
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

import service_model
from check_exchanges import THAW, model, service_of
from policy_tables import FORBIDDEN, FORBIDDEN_IF_NAMED, MEANWHILE, SOMETIMES, UNUSED
from service_model import Request

SIGNED_BY = re.compile(r"Credential=([^/]+)/")
# MiniStack takes a condition with an operator that it does not know for one that is not met.
OPERATORS = {"StringEquals", "ForAllValues:StringEquals", "ArnEquals", "ArnLike", "Bool"}
# Who reads manifests, which S3 decrypts, or has S3 restore.
KEY_USERS = {"PlanRole", "CreatePlanRole", "StartRestoresRole", "JobRole"}
# A deployment publishes versions of its functions; no test publishes more.
VERSIONS = 100


@dataclass(frozen=True)
class Action:
    """One action on one resource, for which IAM is asked."""

    name: str
    resource: str
    # Condition keys in small letters, with the values.
    context: tuple = ()


def action(name, resource, **context):
    keys = {key.replace("__", ":").lower(): value for key, value in context.items()}
    return Action(name, resource, tuple(sorted(keys.items())))


def asked_of_iam(action, stack):
    return EvalContext(
        principal_arn=f"arn:aws:sts::{stack['account']}:assumed-role/r/s", principal_type="AssumedRole",
        principal_account=stack["account"], action=action.name, resource_arn=action.resource, region=stack["region"],
        secure_transport=True, service_context=dict(action.context),
    )


def allows(policy, action, stack):
    return evaluate(asked_of_iam(action, stack), [parse_policy_document(policy)]).decision == "Allow"


# ------------ for what AWS asks IAM, by request


S3 = {
    "PutObject": "s3:PutObject", "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject", "RestoreObject": "s3:RestoreObject", "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions", "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration", "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
CLOUDFRONT = {
    "GetDistribution": ("distribution", "Id"), "CreateInvalidation": ("distribution", "DistributionId"),
    "GetInvalidation": ("distribution", "DistributionId"), "GetCachePolicy": ("cache-policy", "Id"),
    "GetContinuousDeploymentPolicy": ("continuous-deployment-policy", "Id"),
}
SQS = {
    "SendMessage": "SendMessage", "SendMessageBatch": "SendMessage", "ReceiveMessage": "ReceiveMessage", "DeleteMessage": "DeleteMessage",
    "DeleteMessageBatch": "DeleteMessage", "GetQueueAttributes": "GetQueueAttributes",
}
STATES = {
    "StartExecution": "stateMachineArn", "ListExecutions": "stateMachineArn", "StopExecution": "executionArn",
    "DescribeExecution": "executionArn",
}


def actions_of(service, operation, in_path, request, status, stack):
    """The actions of the service authorization reference that a request needs; a KeyError for a request that is not known here."""
    region, account = stack["region"], stack["account"]
    query = dict(request.query)
    if service == "s3":
        bucket = f"arn:aws:s3:::{in_path['Bucket']}"
        target = f"{bucket}/{in_path['Key']}" if "Key" in in_path else bucket
        if operation not in ("GetObject", "HeadObject"):
            return [action(S3[operation], target)]
        read = [action("s3:GetObjectVersion" if "versionId" in query else "s3:GetObject", target)]
        # Without it a missing object is a 403 (API reference, GetObject and HeadObject).
        return read + [action("s3:ListBucket", bucket)] * (status == 404)
    if service == "s3control":
        if operation == "CreateJob":
            role = text_of(request.body, "RoleArn")
            to = "batchoperations.s3.amazonaws.com"
            return [action("s3:CreateJob", "*"), action("iam:PassRole", role, iam__PassedToService=to)]
        names = {"DescribeJob": "s3:DescribeJob", "UpdateJobStatus": "s3:UpdateJobStatus"}
        return [action(names[operation], f"arn:aws:s3:{region}:{account}:job/{in_path['id']}")]
    if service == "cloudfront":
        if operation == "ListDistributions":
            return [action("cloudfront:ListDistributions", "*")]
        kind, parameter = CLOUDFRONT[operation]
        return [action(f"cloudfront:{operation}", f"arn:aws:cloudfront::{account}:{kind}/{in_path[parameter]}")]
    if service == "lambda":
        return [action({"GetAccountSettings": "lambda:GetAccountSettings"}[operation], "*")]
    value = json.loads(request.body)
    if service == "dynamodb":
        one = [value.get("TableName")]
        tables = {"GetItem": one, "PutItem": one, "Query": one, "BatchGetItem": value.get("RequestItems")}[operation]
        index = f"/index/{value['IndexName']}" if "IndexName" in value else ""
        return [action(f"dynamodb:{operation}", f"arn:aws:dynamodb:{region}:{account}:table/{table}{index}") for table in tables]
    if service == "stepfunctions":
        return [action(f"states:{operation}", value[STATES[operation]])]
    if service == "sqs":
        queue = value["QueueUrl"].rpartition("/")[2]
        return [action(f"sqs:{SQS[operation]}", f"arn:aws:sqs:{region}:{account}:{queue}")]
    entries = {"PutEvents": value.get("Entries")}[operation]
    bus = f"arn:aws:events:{region}:{account}:event-bus/"
    return [action("events:PutEvents", bus + entry.get("EventBusName", "default"), events__source=entry["Source"]) for entry in entries]


def text_of(body, name):
    return next(element.text for element in ElementTree.fromstring(body).iter() if element.tag.rpartition("}")[2] == name)


# ------------ what AWS's services do in the name of a role


def documented(stack):
    """The calls by role that no function's code makes, and where AWS says so."""
    region, account = stack["region"], stack["account"]
    resources, names = stack["resources"], stack["names"]
    calls = defaultdict(list)
    functions = resources["AWS::Lambda::Function"]
    for function in functions.values():
        # Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs".
        stream = f"arn:aws:logs:{region}:{account}:log-group:{function['LoggingConfig']['LogGroup']}:log-stream:2026/01/01/[1]0"
        calls[role_of(stack, function)] += [action("logs:CreateLogStream", stream), action("logs:PutLogEvents", stream)]
    for source in resources["AWS::Lambda::EventSourceMapping"].values():
        function = next(function for function in functions.values() if function["FunctionName"] == source["FunctionName"])
        # Lambda Developer Guide, "Using Lambda with Amazon SQS", "Execution role permissions".
        polls = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        calls[role_of(stack, function)] += [action(name, source["EventSourceArn"]) for name in polls]
    for machine in resources["AWS::StepFunctions::StateMachine"].values():
        # Step Functions Developer Guide, "IAM policies for invoking Lambda functions"; "Logging using CloudWatch Logs".
        versions = machine["DefinitionSubstitutions"].values()
        logging = (
            "CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries", "PutResourcePolicy",
            "DescribeResourcePolicies", "DescribeLogGroups",
        )
        calls["StateMachineRole"] += [action("lambda:InvokeFunction", version) for version in versions]
        calls["StateMachineRole"] += [action(f"logs:{name}", "*") for name in logging]
    # aws/src/cloudformation.rs; the emulator's CloudFormation is not behind the recorder.
    calls["AttachmentRole"].append(action("cloudformation:DescribeStacks", names["AWS::StackId"]))
    return calls


def check_keys(stack):
    """With the archive's keys S3 decrypts for KEY_USERS and for nobody else."""
    key = action("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/a", kms__ViaService=f"s3.{stack['region']}.amazonaws.com")
    for role, policy in stack["roles with every option"].items():
        if allows(policy, key, stack) != (role in KEY_USERS):
            yield f"{role} of {stack['name']} with keys: {key.name} is {'not ' * (role in KEY_USERS)}allowed"


def calls_of_a_job(body):
    """What a job of S3 Batch Operations does: S3 User Guide, "Granting permissions for Batch Operations"."""
    manifest, bucket, prefix = (text_of(body, name) for name in ("ObjectArn", "Bucket", "Prefix"))
    return [action("s3:GetObject", manifest), action("s3:PutObject", f"{bucket}/{prefix}/job-0/manifest.json")]


def deliveries(stack):
    """What services deliver: by whom, the policy that decides, and the action."""
    region, account = stack["region"], stack["account"]
    resources, names = stack["resources"], stack["names"]
    policies = defaultdict(lambda: {"Statement": []})
    for policy in [*resources["AWS::SQS::QueuePolicy"].values(), *resources["AWS::SNS::TopicPolicy"].values()]:
        for statement in policy["PolicyDocument"]["Statement"]:
            policies[statement["Resource"]]["Statement"].append(statement)
    arns = {function["FunctionName"]: names[f"{id_}.Arn"] for id_, function in resources["AWS::Lambda::Function"].items()}
    for permission in resources["AWS::Lambda::Permission"].values():
        # Lambda Developer Guide, "Granting Lambda function access to AWS services": this is the policy that it makes.
        arn = arns[permission["FunctionName"]]
        policies[arn]["Statement"].append({
            "Effect": "Allow", "Principal": {"Service": permission["Principal"]}, "Action": permission["Action"], "Resource": arn,
            "Condition": {"ArnLike": {"AWS:SourceArn": permission["SourceArn"]}},
        })
    events, found = "events.amazonaws.com", []

    def deliver(service, source, target):
        name = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}[target.split(":")[2]]
        found.append((service, source, policies[target], action(name, target, aws__SourceArn=source)))

    for id_, rule in resources["AWS::Events::Rule"].items():
        for target in rule["Targets"]:
            deliver(events, names[f"{id_}.Arn"], target["Arn"])
            deliver(events, names[f"{id_}.Arn"], target["DeadLetterConfig"]["Arn"])
    for id_, alarm in resources["AWS::CloudWatch::Alarm"].items():
        for topic in alarm["AlarmActions"]:
            deliver("cloudwatch.amazonaws.com", names[f"{id_}.Arn"], topic)
    for route in resources["AWS::ApiGatewayV2::Route"].values():
        method, path = route["RouteKey"].split(" ")
        integration = route["Target"].removeprefix("integrations/")
        uri = next(one["IntegrationUri"] for id_, one in resources["AWS::ApiGatewayV2::Integration"].items() if names[id_] == integration)
        deliver("apigateway.amazonaws.com", f"arn:aws:execute-api:{region}:{account}:{names['Api']}/$default/{method}{path}", uri)
    return found


def check_deliveries(stack):
    wrong, checked = [], 0
    for service, source, policy, wanted in deliveries(stack):
        elsewhere = re.sub(r"[^:/]+$", "elsewhere", source) if service != "apigateway.amazonaws.com" else source.replace("/v1/", "/v2/")
        strange = Action(wanted.name, wanted.resource, (("aws:sourcearn", elsewhere),))
        tries = [(service, wanted, True), ("ec2.amazonaws.com", wanted, False), (service, strange, False)]
        # Its statement can have no condition (template, NoticesPolicy).
        if wanted.name == "sns:Publish" and service == "events.amazonaws.com":
            tries.pop()
        for by, what, is_right in tries:
            decision = evaluate_resource_policy(policy, asked_of_iam(what, stack), service=by).decision
            checked += 1
            if (decision == "Allow") != is_right:
                wrong.append(f"{by} for {dict(what.context)['aws:sourcearn']}: {what.name} on {what.resource}: {decision}")
    return wrong, checked


# ------------ who did it


def role_of(stack, function):
    return next(name.removesuffix(".Arn") for name, value in stack["names"].items() if value == function["Role"])


def roles_by_key(stacks):
    """MiniStack makes the key of a function from its ARN, or its version's, and its role's (core/lambda_runtime.py)."""
    keys = {}
    for stack in stacks:
        for id_, function in stack["resources"]["AWS::Lambda::Function"].items():
            arn = stack["names"][f"{id_}.Arn"]
            for of_version in [arn, f"{arn}:$LATEST", *(f"{arn}:{number}" for number in range(1, VERSIONS))]:
                digest = hashlib.sha256(f"{of_version}:{function['Role']}".encode()).hexdigest()
                keys[f"ASIA{digest[:16].upper()}"] = (stack["name"], role_of(stack, function))
    return keys


def recorded(file, stacks):
    """The actions by stack and role, how many requests there were by role, and what cannot be told."""
    by_name = {stack["name"]: stack for stack in stacks}
    keys, actions, requests, wrong = roles_by_key(stacks), defaultdict(set), Counter(), []
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            exchange = json.loads(line)
            request = Request(exchange)
            signed = SIGNED_BY.search(request.headers.get("authorization", ""))
            key = signed[1] if signed else ""
            if key not in keys:
                if key.startswith("ASIA") or THAW in request.headers.get("user-agent", ""):
                    wrong.append(f"nobody's key {key}: {exchange['method']} {exchange['target']:.200}")
                continue
            name, role = keys[key]
            stack, service = by_name[name], service_of(request)
            operation, in_path = service_model.operation_of(model(service), request)
            requests[role] += 1
            if (name, in_path.get("Bucket")) not in MEANWHILE:
                actions[name, role].update(actions_of(service, operation.name, in_path, request, exchange.get("status"), stack))
            if operation.name == "CreateJob":
                objects = [action("s3:RestoreObject", f"arn:aws:s3:::{bucket}/a") for bucket in stack["buckets"]]
                actions[name, "JobRole"].update(calls_of_a_job(request.body) + objects)
    return actions, requests, wrong


# ------------ what a role may do


@dataclass
class Permission:
    """One action on one pattern of resources."""

    role: str
    action: str
    # The pattern with the names of the template, as UNUSED has it.
    on: str
    policy: dict = field(repr=False)


def permissions(stack, role):
    for statement in as_list(stack["roles"][role]["Statement"]):
        for name in as_list(statement["Action"]):
            for pattern in as_list(statement["Resource"]):
                policy = {"Statement": [statement | {"Action": name, "Resource": pattern}]}
                yield Permission(role, name, in_words_of_the_template(pattern, stack), policy)


def in_words_of_the_template(pattern, stack):
    for bucket in stack["buckets"]:
        pattern = re.sub(rf"^arn:aws:s3:::{re.escape(bucket)}(?=/|$)", "{ArchiveBucket}", pattern)
    known = {value: name for name, value in stack["names"].items() if name not in ("AWS::AccountId", "AWS::StackName")}
    for value in sorted(known, key=len, reverse=True):
        pattern = pattern.replace(value, f"{{{known[value]}}}")
    return re.sub(r"^arn:aws:[a-z0-9]+:[a-z0-9*-]*:[0-9*]*:", "", pattern)


def as_list(value):
    return value if isinstance(value, list) else [value]


def unknown_operators(stack):
    for role, policy in stack["roles"].items():
        for statement in as_list(policy["Statement"]):
            for operator in statement.get("Condition", {}):
                if operator not in OPERATORS:
                    yield f"{role} has a condition {operator}, which this simulation does not know"


def forbidden(stack):
    """What the tables forbid, with the names of this stack: for a stack with its own parameters, and with every option."""
    names = {name.replace("::", "_").replace(".", "_"): value for name, value in stack["names"].items()}
    names |= {"archive": stack["buckets"][0], "region": stack["region"], "account": stack["account"]}

    def filled(table):
        return [
            action(name, resource.format(**names), **{key: value.format(**names) for key, value in context.items()})
            for name, resource, context in table
        ]

    return {"roles": filled(FORBIDDEN), "roles with every option": filled(FORBIDDEN + FORBIDDEN_IF_NAMED)}


def keys_of(table):
    return {
        (role, name, on) for roles, names, patterns, _ in table for role in roles.split() for name in names.split() for on in patterns.split()
    }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("stacks")
    arguments.add_argument("exchanges")
    arguments.add_argument("--all-tests", action="store_true")
    arguments = arguments.parse_args()
    with open(arguments.stacks, encoding="utf-8") as text:
        stacks = json.load(text)
    actions, requests, failures = recorded(arguments.exchanges, stacks)
    used, total, deliveries_checked = set(), Counter(), 0
    granted = {}
    for stack in stacks:
        failures += [*unknown_operators(stack), *check_keys(stack)]
        wrong, checked = check_deliveries(stack)
        failures += wrong
        deliveries_checked += checked
        for role, calls in documented(stack).items():
            actions[stack["name"], role].update(calls)
        for role in stack["roles"]:
            for call in actions[stack["name"], role]:
                total[role] += 1
                if not allows(stack["roles"][role], call, stack):
                    failures.append(f"{role} of {stack['name']} is denied {call.name} on {call.resource} {dict(call.context)}")
            for permission in permissions(stack, role):
                key = (role, permission.action, permission.on)
                granted[key] = granted.get(key, 0) + 1
                if any(allows(permission.policy, call, stack) for call in actions[stack["name"], role]):
                    used.add(key)
    denied = 0
    for stack in stacks:
        for roles, calls in forbidden(stack).items():
            for role, policy in stack[roles].items():
                denied += len(calls)
                for call in calls:
                    if allows(policy, call, stack):
                        failures.append(f"{role} of {stack['name']} may {call.name} on {call.resource} {dict(call.context)}")
    explained, either = keys_of(UNUSED), keys_of(SOMETIMES)
    print(f"{'role':<26} {'requests':>9} {'actions':>9} {'permissions':>12} {'unused':>7}")
    for role in sorted({role for role, _, _ in granted}):
        of_role = [key for key in granted if key[0] == role]
        print(f"{role:<26} {requests[role]:>9} {total[role]:>9} {len(of_role):>12} {sum(key not in used for key in of_role):>7}")
    print(
        f"simulated: {sum(requests.values())} recorded requests, {sum(total.values())} different actions of {len(granted)} permissions; "
        f"{denied} forbidden calls, {deliveries_checked} deliveries by services"
    )
    services = {name.partition(":")[0] for _, name, _ in granted} - {name.partition(":")[0] for name, *_ in FORBIDDEN}
    failures += [f"no call of {service} is forbidden, and roles have permissions of it" for service in sorted(services)]
    if arguments.all_tests:
        for key in sorted(granted.keys() - used - explained - either):
            failures.append("unused, and nobody says why: " + " ".join(key))
        for key in sorted(explained & used):
            failures.append("said to be unused, and used: " + " ".join(key))
        for key in sorted((explained | either) - granted.keys()):
            failures.append("said to be unused, and not allowed: " + " ".join(key))
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures or not used else 0


if __name__ == "__main__":
    sys.exit(main())
