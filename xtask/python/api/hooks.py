"""What schemathesis needs to know of a local stack: signatures, and objects that are there.

THAW_STACK names the stack.json of a stack that was started with `cargo xtask up`. THAW_KEYS has keys of its archive bucket,
with commas. With THAW_GO_FAR, calls are such that others can follow up on them: none confirms a plan that nobody made, and each
restore is planned before the next call.
"""

import json
import os
import time

import requests
import requests.auth
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

with open(os.environ["THAW_STACK"]) as file:
    STACK = json.load(file)
KEYS = os.environ["THAW_KEYS"].split(",")
GO_FAR = "THAW_GO_FAR" in os.environ
PREFIXES = sorted({key.split("/")[0] + "/" for key in KEYS})

# What a request that fits the document may be refused for: what it means, and not its form.
OF_FORM = {"urn:thaw:problem:not-json", "urn:thaw:problem:missing-field", "urn:thaw:problem:invalid-field"}
# The document cannot say which texts are cursors or patterns, where manifests may lie, or that one time is before another.
BEYOND_A_SCHEMA = {"cursor", "include", "exclude", "manifest", "modified_before", "max_size"}
# These change the request of another restore, and together they must fit.
FOLLOW_UPS = {"RetryRestore", "ExpediteRestore", "ExtendRestore"}


class Signature(requests.auth.AuthBase):
    """AWS Signature Version 4, as the HTTP API's IAM authorization wants it."""

    credentials = Credentials(STACK["access_key_id"], STACK["secret_access_key"])

    def __call__(self, request):
        unsigned = AWSRequest(request.method, request.url, data=request.body or b"")
        SigV4Auth(self.credentials, "execute-api", STACK["region"]).add_auth(unsigned)
        request.headers.update(dict(unsigned.headers.items()))
        return request


schemathesis.auth.set_from_requests(Signature())


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Names this stack's bucket and objects, beside any others. What the document allows stays the same but for the bucket."""
    schemas = raw_schema["components"]["schemas"]
    for name in ["RestoreRequest", "PathsRequest", "AdoptionRequest"]:
        schemas[name]["properties"]["bucket"]["enum"] = [STACK["archive_bucket"]]
    for name in ["RestoreRequest", "PathsRequest"]:
        keys = schemas[name]["properties"]["keys"]
        keys["items"] = {"anyOf": [{"type": "string", "enum": KEYS}, *keys["items"]["oneOf"]]}
    prefix = schemas["RestoreRequest"]["properties"]["prefix"]
    schemas["RestoreRequest"]["properties"]["prefix"] = {"anyOf": [{"type": "string", "enum": PREFIXES}, prefix]}
    if GO_FAR:
        for name in ["RestoreRequest", "RetryRequest", "ExpediteRequest", "ExtendRequest"]:
            del schemas[name]["properties"]["confirm"]
        schemas["RestoreRequest"]["oneOf"] = [{"required": ["keys"]}, {"required": ["prefix"]}]
        for name in ["manifest", "manifest_etag", "objects_of"]:
            del schemas["RestoreRequest"]["properties"][name]
    text = json.dumps(raw_schema["paths"]).replace('"bucket": "archive"', f'"bucket": "{STACK["archive_bucket"]}"')
    raw_schema["paths"] = json.loads(text)


# Seconds until calls go on although a restore is not planned.
PATIENCE = 10


@schemathesis.hook
def after_call(context, case, response):
    """Waits until the restore that a call has begun is planned."""
    if not GO_FAR or case.method != "POST" or response.status_code != 202:
        return
    restore = STACK["api_url"] + response.headers["location"][0]
    until = time.monotonic() + PATIENCE
    while requests.get(restore, auth=Signature(), timeout=60).json().get("stage") == "planning":
        if time.monotonic() > until:
            break
        time.sleep(0.1)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A request that fits the document may be refused for what it means."""
    if failure.title != "Schema-valid request rejected":
        return True
    problem = response.json()
    field = problem.get("field", "").split("[")[0]
    # JSON Schema tells "a" from {"key": "a"}, and thaw does not. It counts characters, and S3 and thaw bytes of UTF-8.
    if "stands twice in keys" in problem["detail"] or " bytes" in problem["detail"]:
        return False
    is_follow_up = case.operation.definition.raw["operationId"] in FOLLOW_UPS
    return problem["type"] in OF_FORM and field not in BEYOND_A_SCHEMA and not is_follow_up
