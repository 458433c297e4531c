"""Looks for secrets in the files that are named on standard input, by all of detect-secrets' detectors.

    git ls-files | python find_secrets.py

Fails if a file holds something like a secret that no line of KNOWN explains, if a line of KNOWN explains nothing, or if
made-up secrets are not found.
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

# What looks like a secret and is none, as a whole: a pattern of the value, and what it is.
KNOWN = [
    (r"AKIAIOSFODNN7EXAMPLE|wJalrXUtnFEMI[/+]K7MDENG[/+]bPxRfiCYEXAMPLEKEY", "AWS's own example of a key (IAM User Guide)"),
    (r"(/v1/restores/)?20\d\d-\d\d-\d\d_[a-z0-9_-]+_[0-9a-f]{12}(/objects)?", "the id of a restore"),
    (r"0123456789abcdef0123456789abcdef", "a key of a customer for a bucket of the simulator"),
    (r"7e483ba46f761830|8ad67a2ace3ec5b7", "the hash of a plan, in the OpenAPI file's examples"),
    (r"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of `abc`"),
    (r"f11166069f1990abeb9c97ace9cdfabc|d41d8cd98f00b204e9800998ecf8427e", "MD5 of the files of an inventory"),
    (r"b1946ac92492d2347c6235b4d2611184|00617F08299329D189", "the ETag and the sequencer of an event of S3"),
    (r"7009a8971cd538e11f6b6606438875e7c86c5b672f46db45460ddcd087d36c32", "the owner in AWS's own example of a listing"),
    (r"eyJidWNrZXQiOiJhcmNoaXZlIiwia2V5cyI6WyJhIl19", 'the request {"bucket":"archive","keys":["a"]} in base64'),
    (r"d1bcf467f1333c75e61b219cfd3441e7219f09d7", "the commit of the release before this one"),
    (r"tests`, `worlds`, .*", "the names of the checks after `secrets`, in xtask/README.md"),
    (r"e3fb237f29c5c286ddc419893919e4e88b389fbd6f9ceb88d33600cc2df51bfd", "a signature made with AWS's example key"),
]

# The tildes are left out: this file itself has no secrets.
MADE_UP = [line.replace("~", "") for line in (
    "aws_access_key_id = AKIA~Q3EGRV7XWZ2LMNOP",
    "aws_sec~ret_access_key = 'q8Zt1rVx~/0mNsLk3~+PwYbD7c~JfHgEaU2oTiXvR5S'",
    "-----BEGIN ~RSA PRIVATE KEY-----",
    "https:/~/somebody:hunter2hunter2@example.com/",
    "pass~word = 'correct-horse-battery'",
    "token = 'ghp_~16C7e42F292c6912~E7710c838347Ae178B4a'",
)]


def found_in(files, processors):
    secrets = SecretsCollection()
    with default_settings():
        secrets.scan_files(*files, num_processors=processors)
    return [(secret.filename, secret.line_number, secret.type, secret.secret_value) for _, secret in secrets]


def not_found():
    """The made-up secrets that detect-secrets does not see."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for number, line in enumerate(MADE_UP):
            file = Path(folder, f"settings-{number}.ini")
            file.write_text(line + "\n", encoding="utf-8")
            if not found_in([str(file)], 1):
                missed.append(f"made-up secret {number} is not found")
    return missed


def main():
    files = sys.stdin.read().splitlines()
    failures, explained = not_found(), Counter()
    # `None`: as many processes as there are processors.
    for file, line, kind, value in sorted(set(found_in(files, None))):
        reason = next((reason for pattern, reason in KNOWN if re.fullmatch(pattern, value)), None)
        # KNOWN itself is no reason for a line of KNOWN.
        explained[reason] += not __file__.endswith(file)
        if reason is None:
            # Not the value: it may be one.
            failures.append(f"{file}:{line}: {kind}, which nobody has explained")
    for _, reason in KNOWN:
        print(f"{explained[reason]:>4}  {reason}")
        if not explained[reason]:
            failures.append(f"explains nothing: {reason}")
    print(f"looked for secrets in {len(files)} files: {sum(explained.values())} suspicions; {len(MADE_UP)} made-up secrets")
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main())
