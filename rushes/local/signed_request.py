"""One request without a body to an S3 server of our own, signed as AWS's version 4 wants it.

botocore would do it too, and then stay in the memory of `rushes up` with its description of S3: 35 MB.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce

ALGORITHM, REGION, SERVICE, END = "AWS4-HMAC-SHA256", "us-east-1", "s3", "aws4_request"
NOTHING = hashlib.sha256(b"").hexdigest()


def ask(port: int, method: str, path: str, keys: Sequence[str], *, timeout_s: float) -> int:
    """The answer's status. `path` holds nothing that needs quoting; `keys` are the access key and the secret one.

    Raises OSError and HTTPException where nobody answers, or nobody who speaks HTTP.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, headers=headers(f"127.0.0.1:{port}", method, path, keys, datetime.now(UTC)))
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def headers(host: str, method: str, path: str, keys: Sequence[str], now: datetime) -> dict[str, str]:
    """What a request's headers say beside its host, its signature among it. Pure."""
    access_key, secret_key = keys
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = (time[:8], REGION, SERVICE, END)
    said = {"host": host, "x-amz-content-sha256": NOTHING, "x-amz-date": time}
    names = ";".join(said)
    lines = [method, path, "", *(f"{name}:{value}" for name, value in said.items()), "", names, NOTHING]
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = reduce(lambda key, part: hmac.digest(key, part.encode(), "sha256"), scope, f"AWS4{secret_key}".encode())
    told = "\n".join([ALGORITHM, time, "/".join(scope), request]).encode()
    signature = hmac.digest(key, told, "sha256").hex()
    credential = f"Credential={access_key}/{'/'.join(scope)}"
    return {**said, "authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"}
