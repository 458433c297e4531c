"""Holds what thaw-recorder wrote down against AWS's service models: each request, and each answer of thaw-sim.

    python check_exchanges.py target/local/exchanges.jsonl

Prints how many requests and answers of which operations were held against the models, and every kind of difference with how
often it was met. Fails if there is one, if nothing of thaw's was checked, or if a made-up wrong exchange passes.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from functools import cache

import botocore.session

import service_model
from service_model import Answer, Request

# What a signature calls the services, and what botocore does.
BY_SIGNATURE = {
    "s3": "s3", "cloudfront": "cloudfront", "dynamodb": "dynamodb", "states": "stepfunctions", "sqs": "sqs", "events": "events",
    "lambda": "lambda", "sts": "sts",
}
SIGNED_FOR = re.compile(r"Credential=[^/]*/\d{8}/[^/]+/([a-z0-9-]+)/aws4_request")
# Who says so is one of thaw's functions: nothing else here uses AWS's SDK for Rust.
THAW = "aws-sdk-rust/"

session = botocore.session.get_session()


@cache
def model(service):
    return session.get_service_model(service)


def service_of(request):
    signed = SIGNED_FOR.search(request.headers.get("authorization", "")) or SIGNED_FOR.search(
        "Credential=" + dict(request.query).get("X-Amz-Credential", "")
    )
    service = BY_SIGNATURE.get(signed[1]) if signed else None
    # S3 Control has S3's name in its signatures.
    return "s3control" if service == "s3" and request.path.startswith("/v20180820/") else service


def check(exchange):
    """The service, the operation, what is wrong with the request, what is wrong with the answer (none: not checked)."""
    request = Request(exchange)
    service = service_of(request)
    if service is None:
        return None
    found = service_model.operation_of(model(service), request)
    if found is None:
        return service, "?", [f"{request.method} {exchange['target']:.200} is no operation of {service}"], None
    operation, in_path = found
    wrong = service_model.check_request(model(service), operation, in_path, request)
    if exchange["proxy"] != "sim" or "status" not in exchange:
        # Of MiniStack's answers others take care; one that never came is nobody's.
        return service, operation.name, wrong, None
    return service, operation.name, wrong, service_model.check_answer(model(service), operation, Answer(exchange))


# ------------ made-up exchanges: what is right passes, what is wrong is found

INVALIDATION = "http://cloudfront.amazonaws.com/doc/2020-05-31/"


def made_up(service, method, target, body="", answer="", status=200, headers=(), answer_headers=()):
    signed = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    return {
        "proxy": "sim", "method": method, "target": target, "headers": [["authorization", signed], *headers], "body": body,
        "status": status, "answer_headers": list(answer_headers), "answer": answer,
    }


def restore_request(body='<Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>', root="RestoreRequest", **more):
    body = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{body}</{root}>'
    return made_up("s3", "POST", "/archive/a/b.jpg?restore", body, **({"status": 202} | more))


def create_invalidation(reference="<CallerReference>r</CallerReference>", paths="<Quantity>1</Quantity><Items><Path>/a</Path></Items>",
                        id_="<Id>I1</Id>", time="2026-01-01T00:00:00.000Z", status=201, namespace=INVALIDATION):
    batch = f"<Paths>{paths}</Paths>{reference}"
    body = f'<InvalidationBatch xmlns="{namespace}">{batch}</InvalidationBatch>'
    answer = (
        f'<Invalidation xmlns="{INVALIDATION}">{id_}<Status>InProgress</Status><CreateTime>{time}</CreateTime>'
        f"<InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/a</Path></Items></Paths>"
        f"<CallerReference>r</CallerReference></InvalidationBatch></Invalidation>"
    )
    return made_up("cloudfront", "POST", "/2020-05-31/distribution/E1/invalidation", body, answer, status)


def listing(content):
    answer = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</ListBucketResult>'
    return made_up("s3", "GET", "/archive/?list-type=2&prefix=a", answer=answer)


def dynamodb(operation, body):
    return made_up("dynamodb", "POST", "/", json.dumps(body), headers=[["x-amz-target", f"DynamoDB_20120810.{operation}"]]) | {
        "proxy": "ministack"
    }


def head(*answer_headers, target="/archive/a", **more):
    return made_up("s3", "HEAD", target, answer_headers=answer_headers, **more)


JOB = (
    '<CreateJobRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Operation><S3InitiateRestoreObject>'
    "<ExpirationInDays>1</ExpirationInDays><GlacierJobTier>{tier}</GlacierJobTier></S3InitiateRestoreObject></Operation>"
    "<Report><Enabled>false</Enabled></Report><ClientRequestToken>t</ClientRequestToken><Priority>1</Priority>"
    "<RoleArn>{role}</RoleArn></CreateJobRequest>"
)


def create_job(tier="BULK", role="arn:aws:iam::123456789012:role/jobs", account=(("x-amz-account-id", "123456789012"),)):
    answer = "<CreateJobResult><JobId>00000000-0000-4000-8000-000000000001</JobId></CreateJobResult>"
    return made_up("s3", "POST", "/v20180820/jobs", JOB.format(tier=tier, role=role), answer, headers=account)


def describe_job(answer):
    answer = f"<DescribeJobResult><Job>{answer}</Job></DescribeJobResult>"
    return made_up("s3", "GET", "/v20180820/jobs/00000000-1", answer=answer, headers=[["x-amz-account-id", "123456789012"]])


def lifecycle(rule="<Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>", **more):
    answer = f'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>{rule}</Rule></LifecycleConfiguration>'
    return made_up("s3", "GET", "/archive?lifecycle", **({"answer": answer} | more))


RIGHT = [
    lifecycle(), lifecycle(status=404, answer="<Error><Code>NoSuchLifecycleConfiguration</Code><Message>m</Message></Error>"),
    made_up("s3", "GET", "/archive?policy", answer='{"Statement": []}'),
    restore_request(), describe_job("<JobId>00000000-1</JobId><Status>Active</Status>"), create_invalidation(), create_job(), dynamodb("GetItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}}),
    head(["x-amz-restore", 'ongoing-request="true"'], ["last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"]),
    head(status=404), listing("<Name>archive</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"),
    restore_request(status=409, answer="<Error><Code>RestoreAlreadyInProgress</Code><Message>m</Message></Error>"),
]

WRONG = [
    ("Status is required", lifecycle("<Filter/>")),
    ("not one of Standard, Bulk, Expedited", restore_request("<GlacierJobParameters><Tier>Fast</Tier></GlacierJobParameters>")),
    ("Tier is required", restore_request("<GlacierJobParameters></GlacierJobParameters>")),
    ("no whole number", restore_request("<Days>one</Days>")),
    ("Hours is not in the model", restore_request("<Hours>1</Hours>")),
    ("the body is a Restore", restore_request(root="Restore")),
    ("it has a body", restore_request(answer="<Job/>")),
    ("NoSuchJob is no error of it", restore_request(status=404, answer="<Error><Code>NoSuchJob</Code></Error>")),
    ("comes with status 503, not 409", restore_request(status=503, answer="<Error><Code>RestoreAlreadyInProgress</Code></Error>")),
    ("without a code", restore_request(status=500)),
    ("CallerReference is required", create_invalidation(reference="")),
    ("Quantity is required", create_invalidation(paths="<Items><Path>/a</Path></Items>")),
    ("has a Url, not a Path", create_invalidation(paths="<Quantity>1</Quantity><Items><Url>/a</Url></Items>")),
    ("is in the namespace", create_invalidation(namespace="http://example.com/")),
    ("Id is required", create_invalidation(id_="")),
    ("no time in the form of iso8601", create_invalidation(time="Thu, 01 Jan 2026 00:00:00 GMT")),
    ("the status is 200, not 201", create_invalidation(status=200)),
    ("not one of BULK, STANDARD", create_job(tier="EXPEDITED")),
    ("RoleArn is '", create_job(role="arn:aws:iam::1:role/jobs")),
    ("no operation of s3control", create_job(account=())),
    ("Status is 'Done'", describe_job("<Status>Done</Status>")),
    ("no time in the form of rfc822", head(["last-modified", "2026-01-01T00:00:00Z"])),
    ("x-amz-tier is no header of it", head(["x-amz-tier", "Bulk"])),
    ("ArchiveStatus is 'COLD'", head(["x-amz-archive-status", "COLD"])),
    ("?version is no parameter of it", head(target="/archive/a?version=1")),
    ("StorageClass is 'FROZEN'", listing("<Contents><Key>a</Key><StorageClass>FROZEN</StorageClass></Contents>")),
    ("LastModified is", listing("<Contents><Key>a</Key><LastModified>yesterday</LastModified></Contents>")),
    ("neither true nor false", listing("<IsTruncated>no</IsTruncated>")),
    ("TableName is required", dynamodb("GetItem", {"Key": {"pk": {"S": "a"}}})),
    ("Keys is not in the model", dynamodb("GetItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}, "Keys": {}})),
    ("no operation of dynamodb", dynamodb("GetThing", {})),
    ("S is 1, not a string", dynamodb("GetItem", {"TableName": "t", "Key": {"pk": {"S": 1}}})),
]


def self_test():
    """What this checker would miss, or would take for wrong."""
    failures = []
    for exchange in RIGHT:
        _, _, *found = check(exchange)
        failures += [f"taken for wrong: {exchange['method']} {exchange['target']}: {one}" for one in found if one]
    for expected, exchange in WRONG:
        _, _, request, answer = check(exchange)
        if not any(expected in one for one in [*request, *(answer or [])]):
            failures.append(f"not found: {expected}: {request} {answer}")
    return failures


# ------------ the file


def main(file):
    failures = self_test()
    requests, answers, ours = Counter(), Counter(), Counter()
    differences, unknown = defaultdict(list), Counter()
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            exchange = json.loads(line)
            if exchange["target"].startswith(("/_sim/", "/_ministack/")):
                continue
            checked = check(exchange)
            if checked is None:
                unknown[f"{exchange['method']} {exchange['target'].partition('?')[0]:.100}"] += 1
                continue
            service, operation, request, answer = checked
            name = f"{service} {operation}"
            requests[name] += 1
            answers[name] += answer is not None
            sender = "thaw" if any(THAW in value for header, value in exchange["headers"] if header == "user-agent") else "a test"
            ours[name] += sender == "thaw"
            for one in request:
                differences[f"{name}, asked by {sender}: {generalized(one)}"].append(exchange)
            for one in answer or []:
                differences[f"{name}, answered by the simulator: {generalized(one)}"].append(exchange)

    print(f"{'operation':<36} {'requests':>9} {'of thaw':>9} {'answers':>9}")
    for name in sorted(requests):
        print(f"{name:<36} {requests[name]:>9} {ours[name]:>9} {answers[name]:>9}")
    of_thaw = sum(1 for name in ours if ours[name])
    print(
        f"held against the service models of botocore {botocore.__version__}: {sum(requests.values())} requests of {len(requests)} "
        f"operations, {sum(ours.values())} of them thaw's own of {of_thaw} operations; {sum(answers.values())} answers of the "
        f"simulator; {len(WRONG)} made-up wrong exchanges"
    )
    for request, count in unknown.items():
        failures.append(f"{request}: signed for no service, {count} times")
    for difference, exchanges in sorted(differences.items()):
        failures.append(f"{difference}\n    {len(exchanges)} times, first: {shown(exchanges[0])}")
    if not sum(ours.values()):
        failures.append("no request of thaw was checked")
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures else 0


def generalized(difference):
    """Without the places in lists, so that the same difference is told once."""
    return re.sub(r"\[\d+\]", "[]", difference)


def shown(exchange):
    words = [exchange["method"], exchange["target"], str(exchange["body"]), "->", str(exchange.get("status")), str(exchange.get("answer"))]
    return " ".join(word[:400] for word in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
