"""What the tests on the local stack talk with: boto3, and botocore's own signature on plain HTTP. None of thaw's code.

One JSON request per line on stdin, one JSON answer per line on stdout:

  {"url": ..., "call": ["s3", "put_object", {"Bucket": ...}]}      a boto3 call; answers {"ok": ...} or {"error": ...}
     "role": "arn:..."    as this role
  {"url": ..., "method": "POST", "headers": {}, "body": "..."}     an HTTP request; answers {"status", "headers", "body"}
     "hex": "ff..."    a body that is no text
     "sign": false     without a signature
     "times": 50       so often at once; answers a list
  [...]                                                            many HTTP requests at once; answers a list
"""

import http.client
import json
import sys
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

session = boto3.Session("test", "test", region_name="us-east-1")
clients = {}


def client(service, url, role):
    if (service, url, role) not in clients:
        config = Config(inject_host_prefix=False, retries={"mode": "standard"})
        clients[service, url, role] = session_as(role, url).client(service, endpoint_url=url, config=config)
    return clients[service, url, role]


def session_as(role, url):
    if role is None:
        return session
    assumed = client("sts", url, None).assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
    keys = assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"]
    return boto3.Session(*keys, region_name=session.region_name)


def call(request):
    service, operation, parameters = request["call"]
    try:
        answer = getattr(client(service, request["url"], request.get("role")), operation)(**parameters)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": str(error)}
    answer.pop("ResponseMetadata", None)
    if operation == "get_object":
        answer["Body"] = answer["Body"].read().decode()
    if operation == "invoke":
        answer["Payload"] = answer["Payload"].read().decode()
    return {"ok": answer}


def send(request):
    url, method = request["url"], request["method"]
    body = bytes.fromhex(request["hex"]) if "hex" in request else request.get("body", "").encode()
    unsigned = AWSRequest(method, url, data=body, headers=request.get("headers", {}))
    if request.get("sign", True):
        SigV4Auth(session.get_credentials(), "execute-api", session.region_name).add_auth(unsigned)
    parts = urllib.parse.urlsplit(url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, target, body=body or None, headers=dict(unsigned.headers.items()))
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return {"status": answer.status, "headers": headers, "body": answer.read().decode(errors="replace")}
    finally:
        connection.close()


def send_all(requests):
    # As many threads as a crowd has heads, up to what one process opens without thinking.
    with ThreadPoolExecutor(min(len(requests), 64)) as pool:
        return list(pool.map(send, requests))


def answer(request):
    if isinstance(request, list):
        return send_all(request)
    if "call" in request:
        return call(request)
    if "times" in request:
        return send_all([request] * request["times"])
    return send(request)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=str), flush=True)
