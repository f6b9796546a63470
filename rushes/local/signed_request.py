"""One request without a body to an S3 server of our own.

Signed by botocore, of which no client is made: it would stay in the memory of `rushes up` with its description of S3.
"""

from __future__ import annotations

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"


def ask(url: str, method: str, access_key: str, secret_key: str, *, timeout_s: float) -> int:
    """The answer's status. Raises urllib3's HTTPError where nobody answers, or nobody who speaks HTTP."""
    request = AWSRequest(method, url)
    S3SigV4Auth(Credentials(access_key, secret_key), "s3", REGION).add_auth(request)
    answer = urllib3.request(method, url, headers=dict(request.headers), timeout=timeout_s, retries=False)
    return answer.status
