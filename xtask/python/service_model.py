"""One request or answer against AWS's own service model, the one that botocore ships, and stricter than any client is.

Clients leave out what they do not know, and send whatever fits a type. Here an element, a member, a parameter or a header that
the model does not have is wrong, and so is a value outside of its enumeration, pattern, length or range.
"""

import base64
import binascii
import json
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qsl, unquote

import botocore.parsers

# What signs a request, says who sends it, or how its bytes travel: the models do not speak of it.
OF_EVERY_REQUEST = re.compile(
    r"x-amz-(date|security-token|user-agent|content-sha256|decoded-content-length|trailer|target"
    r"|checksum-mode|sdk-checksum-algorithm|checksum-crc32|checksum-crc64nvme|checksum-sha256)$"
    r"|x-amzn-(trace-id|query-mode)$"
)
OF_EVERY_ANSWER = re.compile(r"x-amz-(request-id|id-2|bucket-region|cf-id)$|x-amzn-(requestid|trace-id|errortype|query-error)$")
# A presigned URL carries its signature in the query string; some clients name the operation there.
OF_EVERY_QUERY = re.compile(r"x-id$|X-Amz-")

ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
IMF_FIXDATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
WHOLE = re.compile(r"-?\d+$")


class Request:
    """A request as it was recorded."""

    def __init__(self, exchange):
        self.method = exchange["method"]
        path, _, query = exchange["target"].partition("?")
        self.path = path
        self.query = parse_qsl(query, keep_blank_values=True)
        self.headers = {name.lower(): value for name, value in exchange["headers"]}
        self.body = in_bytes(exchange["body"])


class Answer:
    """An answer as it was recorded."""

    def __init__(self, exchange):
        self.status = exchange["status"]
        self.headers = {name.lower(): value for name, value in exchange["answer_headers"]}
        self.body = in_bytes(exchange["answer"])


def in_bytes(recorded):
    return bytes.fromhex(recorded["hex"]) if isinstance(recorded, dict) else recorded.encode()


# ------------ which operation a request is


def operation_of(model, request):
    """The operation, and the values in its path; none if the service has none like it."""
    if model.metadata["protocol"] == "json":
        name = request.headers.get("x-amz-target", "").rpartition(".")[2]
        return (model.operation_model(name), {}) if name in model.operation_names else None
    names = {name for name, _ in request.query}
    best = None
    for operation in map(model.operation_model, model.operation_names):
        path, _, literal = operation.http["requestUri"].partition("?")
        # S3 has two operations for some requests, of which no client uses the older one.
        if operation.http["method"] != request.method or operation.deprecated:
            continue
        in_path = match_path(path, request.path)
        wanted = parse_qsl(literal, keep_blank_values=True)
        # `?restore` may come as `restore=`; what has a value must have that one.
        if in_path is None or any(pair not in request.query and (pair[1] or pair[0] not in names) for pair in wanted):
            continue
        needs = required_beside_the_body(operation)
        if any(name not in (request.headers if place == "header" else names) for place, name in needs):
            continue
        if best is None or len(wanted) + len(needs) > best[0]:
            best = len(wanted) + len(needs), operation, in_path
    return best and best[1:]


def match_path(template, path):
    pattern = ""
    for part in re.split(r"(\{[^}]*\})", template):
        if not part.startswith("{"):
            pattern += re.escape(part)
        elif part.endswith("+}"):
            pattern += f"(?P<{part[1:-2]}>.+)"
        else:
            pattern += f"(?P<{part[1:-1]}>[^/]+)"
    # A bucket's own path may end in a slash.
    found = re.fullmatch(pattern + ("" if "+}" in template else "/?"), path)
    return found and {name: unquote(value) for name, value in found.groupdict().items()}


def required_beside_the_body(operation):
    shape = operation.input_shape
    members = [shape.members[name] for name in shape.required_members] if shape else []
    places = [(member.serialization.get("location"), member.serialization.get("name", "")) for member in members]
    return [(place, name.lower() if place == "header" else name) for place, name in places if place in ("header", "querystring")]


# ------------ a request, an answer


def check_request(model, operation, in_path, request):
    """What is wrong with a request; an empty list for one that AWS would understand as it was meant."""
    wrong = []
    shape = operation.input_shape
    if model.metadata["protocol"] == "json":
        value = json.loads(request.body or b"{}")
    else:
        value = from_http(shape, request.headers, in_path, request.query, wrong)
        literal = [name for name, _ in parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True)]
        known = {member.serialization.get("name") for member in shape.members.values()} | set(literal)
        wrong += [f"?{name} is no parameter of it" for name, _ in request.query if name not in known and not OF_EVERY_QUERY.match(name)]
        from_body(shape, request.body, value, wrong, is_request=True)
    if shape is not None:
        conforms(shape, value, "", wrong)
    return wrong


def check_answer(model, operation, answer):
    """What is wrong with an answer."""
    wrong = []
    if answer.status >= 300:
        check_error(model, operation, answer, wrong)
        return wrong
    wanted = operation.http.get("responseCode")
    # S3's model names no status, or names 200 where its guide has others as well.
    if wanted and answer.status != wanted and model.service_name != "s3":
        wrong.append(f"the status is {answer.status}, not {wanted}")
    shape = operation.output_shape
    if shape is None:
        return wrong
    value = from_http(shape, answer.headers, {}, [], wrong, OF_EVERY_ANSWER)
    if operation.http["method"] != "HEAD":
        from_body(shape, answer.body, value, wrong, is_request=False)
    elif answer.body:
        wrong.append("an answer to HEAD has a body")
    conforms(shape, value, "", wrong)
    parsed_by_a_client(model, shape, answer, wrong)
    return wrong


def parsed_by_a_client(model, shape, answer, wrong):
    """Reads an answer as boto3 does, which must not fail."""
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    headers = botocore.awsrequest.HeadersDict(answer.headers)
    try:
        return parser.parse({"status_code": answer.status, "headers": headers, "body": answer.body}, shape)
    except Exception as error:  # noqa: BLE001: whatever it is, a client would meet it
        wrong.append(f"botocore cannot read it: {error}")
        return {}


# Errors that a service answers to any operation, or that its guide has and its model has not.
# S3: API reference, "Error responses". S3 Control and CloudFront: "Common errors".
ERRORS_OF_ALL = {
    "s3": {
        "AccessDenied": 403, "BadDigest": 400, "BucketNotEmpty": 409, "BucketAlreadyExists": 409, "BucketAlreadyOwnedByYou": 409, "EntityTooSmall": 400,
        "ExpiredToken": 400, "GlacierExpeditedRetrievalNotAvailable": 503, "InternalError": 500, "InvalidAccessKeyId": 403,
        "InvalidArgument": 400, "InvalidBucketName": 400, "InvalidObjectState": 403, "InvalidPart": 400, "InvalidRange": 416,
        "InvalidRequest": 400, "InvalidTag": 400, "KeyTooLongError": 400, "MalformedXML": 400, "MethodNotAllowed": 405,
        "NoSuchBucket": 404, "NoSuchBucketPolicy": 404, "NoSuchKey": 404, "NoSuchLifecycleConfiguration": 404, "NoSuchUpload": 404,
        "NoSuchVersion": 404, "NotImplemented": 501, "OperationAborted": 409, "PermanentRedirect": 301, "PreconditionFailed": 412, "RequestTimeout": 400,
        "RestoreAlreadyInProgress": 409, "ServiceUnavailable": 503, "SignatureDoesNotMatch": 403, "SlowDown": 503,
        "ThrottlingException": 400, "XAmzContentSHA256Mismatch": 400, "AuthorizationHeaderMalformed": 400,
    },
    "s3control": {"AccessDenied": 403, "SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500},
    "cloudfront": {
        "AccessDenied": 403, "Throttling": 400, "ThrottlingException": 400, "InternalFailure": 500, "ServiceUnavailable": 503,
        "InternalError": 500, "MalformedXML": 400, "ExpiredToken": 403, "RequestExpired": 400,
    },
}


def check_error(model, operation, answer, wrong):
    if operation.http["method"] == "HEAD":
        if answer.body:
            wrong.append("an error to HEAD has a body")
        return
    error = parsed_by_a_client(model, operation.output_shape, answer, wrong).get("Error", {})
    code = error.get("Code")
    # Where there is no code, botocore's parser takes the status for one.
    if not code or code == str(answer.status):
        wrong.append(f"an error of status {answer.status} without a code")
        return
    named = {shape.error_code: shape.metadata.get("error", {}).get("httpStatusCode") for shape in operation.error_shapes}
    known = ERRORS_OF_ALL.get(model.service_name, {}) | named
    if code not in known:
        wrong.append(f"{code} is no error of it: neither the model nor the guide has it")
    elif known[code] not in (None, answer.status):
        wrong.append(f"{code} comes with status {answer.status}, not {known[code]}")


# ------------ from bytes to values


def from_http(shape, headers, in_path, query, wrong, of_everything=OF_EVERY_REQUEST):
    """The members that are not in the body. An `x-amz-` header that the model does not have is wrong."""
    value = {}
    known, prefixes = set(), []
    for name, member in (shape.members if shape else {}).items():
        place, called = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri" and called in in_path:
            value[name] = in_path[called]
        elif place == "header":
            known.add(called.lower())
            if called.lower() in headers:
                value[name] = from_text(member, headers[called.lower()], name, wrong, "rfc822")
        elif place == "headers":
            prefixes.append(called.lower())
            value[name] = {key: text for key, text in headers.items() if key.startswith(called.lower())}
        elif place == "querystring":
            found = [text for key, text in query if key == called]
            if found and member.type_name == "list":
                value[name] = [from_text(member.member, text, name, wrong, "iso8601") for text in found]
            elif found:
                value[name] = from_text(member, found[0], name, wrong, "iso8601")
                wrong += [f"{name} is there {len(found)} times"] * (len(found) > 1)
    for header in headers:
        ours = header in known or any(header.startswith(prefix) for prefix in prefixes)
        if header.startswith("x-amz") and not ours and not of_everything.match(header):
            wrong.append(f"{header} is no header of it")
    return value


def from_body(shape, body, value, wrong, is_request):
    members = {name: member for name, member in (shape.members if shape else {}).items() if "location" not in member.serialization}
    payload = shape.serialization.get("payload") if shape else None
    if payload:
        member = shape.members[payload]
        if member.type_name != "structure":
            # The bytes of an object, or the text of a policy.
            value[payload] = body.decode() if member.type_name == "string" else body
            return
        if body:
            root = read_xml(body, wrong)
            called = {member.serialization.get("name"), member.name, payload}
            if root is not None and local(root) not in called:
                wrong.append(f"the body is a {local(root)}, not a {payload}")
            in_namespace(member, root, wrong, is_request)
            value[payload] = from_xml(member, root, payload, wrong)
    elif members and body:
        root = read_xml(body, wrong)
        if is_request and root is not None and local(root) != shape.serialization.get("name", shape.name):
            wrong.append(f"the body is a {local(root)}")
        in_namespace(shape, root, wrong, is_request)
        value.update(from_xml(shape, root, "", wrong, members))
    elif body.strip():
        wrong.append(f"it has a body: {body[:80]!r}")


def in_namespace(shape, root, wrong, is_request):
    wanted = shape.serialization.get("xmlNamespace", {}).get("uri")
    found = root.tag[1:].partition("}")[0] if root is not None and root.tag.startswith("{") else None
    if is_request and wanted and found != wanted:
        wrong.append(f"the body is in the namespace {found}, not {wanted}")


def read_xml(body, wrong):
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        wrong.append(f"the body is no XML: {error}")
        return None


def local(element):
    return element.tag.rpartition("}")[2]


def from_xml(shape, element, path, wrong, members=None):
    if element is None:
        return {}
    if shape.type_name == "structure":
        return structure_from_xml(shape.members if members is None else members, element, path, wrong)
    if shape.type_name == "list":
        called = shape.member.serialization.get("name", "member")
        wrong += [f"{path} has a {local(child)}, not a {called}" for child in element if local(child) != called]
        return [from_xml(shape.member, child, f"{path}[{at}]", wrong) for at, child in enumerate(element)]
    if len(element):
        wrong.append(f"{path} is a {shape.type_name} and has elements in it")
    return from_text(shape, element.text or "", path, wrong, "iso8601")


def structure_from_xml(members, element, path, wrong):
    called, value = {}, {}
    for name, member in members.items():
        flattened = member.type_name == "list" and member.serialization.get("flattened")
        inner = member.member.serialization.get("name") if flattened else None
        called[member.serialization.get("name") or inner or name] = name, member, flattened
    if (element.text or "").strip():
        wrong.append(f"{path} has text in it: {element.text.strip()[:40]!r}")
    for child in element:
        if local(child) not in called:
            wrong.append(f"{path}.{local(child)} is not in the model")
            continue
        name, member, flattened = called[local(child)]
        if flattened:
            value.setdefault(name, []).append(from_xml(member.member, child, f"{path}.{name}", wrong))
        elif name in value:
            wrong.append(f"{path}.{name} is there twice")
        else:
            value[name] = from_xml(member, child, f"{path}.{name}", wrong)
    return value


def from_text(shape, text, path, wrong, timestamps):
    kind = shape.type_name
    if kind in ("integer", "long"):
        if WHOLE.match(text):
            return int(text)
        wrong.append(f"{path} is {text!r}, which is no whole number")
    elif kind == "boolean":
        if text not in ("true", "false"):
            wrong.append(f"{path} is {text!r}, neither true nor false")
        return text == "true"
    elif kind == "timestamp":
        form = shape.serialization.get("timestampFormat", timestamps)
        if not (ISO_8601 if form == "iso8601" else IMF_FIXDATE).match(text):
            wrong.append(f"{path} is {text!r}, which is no time in the form of {form}")
    elif kind in ("float", "double"):
        return float(text)
    elif kind == "list":
        # Of a header, by commas.
        return [from_text(shape.member, item.strip(), path, wrong, timestamps) for item in text.split(",")]
    return text


# ------------ values against their shapes

# What the models leave out although the service answers it: a shape, and what it may be besides.
ALSO = {
    # The model has STANDARD alone. Versions in other classes are listed with them: `versions-have-classes` in
    # docs/untested-on-aws.md.
    "ObjectVersionStorageClass": ["GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING"],
}


def conforms(shape, value, path, wrong):
    CHECKS.get(shape.type_name, lambda *_: None)(shape, value, path or shape.name, wrong)


def structure(shape, value, path, wrong):
    if not isinstance(value, dict):
        wrong.append(f"{path} is {value!r:.60}, not a structure")
        return
    wrong += [f"{path}.{name} is required" for name in shape.required_members if value.get(name) is None]
    wrong += [f"{path}.{name} is not in the model" for name in value if name not in shape.members]
    for name, member in shape.members.items():
        if value.get(name) is not None:
            conforms(member, value[name], f"{path}.{name}", wrong)


def a_list(shape, value, path, wrong):
    if not isinstance(value, list):
        wrong.append(f"{path} is {value!r:.60}, not a list")
        return
    within(shape, len(value), f"the length of {path}", wrong)
    for at, item in enumerate(value):
        conforms(shape.member, item, f"{path}[{at}]", wrong)


def a_map(shape, value, path, wrong):
    within(shape, len(value), f"the size of {path}", wrong)
    for key, item in value.items():
        conforms(shape.key, key, f"a key of {path}", wrong)
        conforms(shape.value, item, f"{path}.{key}", wrong)


def string(shape, value, path, wrong):
    if not isinstance(value, str):
        wrong.append(f"{path} is {value!r:.60}, not a string")
        return
    within(shape, len(value), f"the length of {path}", wrong)
    if shape.enum and value not in shape.enum and value not in ALSO.get(shape.name, []):
        wrong.append(f"{path} is {value!r}, not one of {', '.join(shape.enum)}")
    pattern = shape.metadata.get("pattern")
    try:
        fits = pattern is None or re.search(pattern, value)
    except re.error:
        # A pattern in Java's words that Python does not know: nothing is said of it.
        fits = True
    if not fits:
        wrong.append(f"{path} is {value!r:.60}, which does not match {pattern}")


def integer(shape, value, path, wrong):
    if isinstance(value, bool) or not isinstance(value, int):
        wrong.append(f"{path} is {value!r:.60}, not a whole number")
    else:
        within(shape, value, path, wrong)


def boolean(_shape, value, path, wrong):
    if not isinstance(value, bool):
        wrong.append(f"{path} is {value!r:.60}, neither true nor false")


def blob(shape, value, path, wrong):
    try:
        content = value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError):
        wrong.append(f"{path} is no base64")
    else:
        within(shape, len(content), f"the length of {path}", wrong)


def within(shape, size, what, wrong):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        wrong.append(f"{what} is {size}, not between {least} and {most}")


CHECKS = {
    "structure": structure, "list": a_list, "map": a_map, "string": string, "integer": integer, "long": integer,
    "boolean": boolean, "blob": blob,
}
