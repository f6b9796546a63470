"""What mends a refusal, by the words of stores."""

from __future__ import annotations

import pytest

from jobs.steps.store_refusals import remedy
from storage.errors import BucketRefuses, BucketUnavailable
from storage.rules import StoreRules


@pytest.mark.parametrize(
    ("status", "said", "rules", "then"),
    [
        (403, "SecondLevelDomainForbidden (Please use virtual hosted style.)", {}, "RUSHES_S3_ADDRESSING=virtual"),
        (400, "PathStyleDomainForbidden (The path-style access is off)", {}, "RUSHES_S3_ADDRESSING=virtual"),
        (400, "InvalidArgument (Unsupported header 'x-amz-checksum-sha256')", {}, "RUSHES_S3_CHECKSUM=md5"),
        (400, "InvalidDigest (The Content-MD5 is no good)", {"checksum": "md5"}, "RUSHES_S3_CHECKSUM=none"),
        (400, "InvalidRequest (Content-MD5 OR x-amz-checksum- is required)", {"checksum": "none"}, "=md5"),
        (501, "NotImplemented (A header you provided implies functionality)", {}, "RUSHES_S3_CONDITION="),
        (501, "NotImplemented", {"condition": "x-oss-forbid-overwrite"}, "RUSHES_S3_CONDITION=head"),
        (400, "InvalidEncryptionAlgorithmError", {}, "set RUSHES_S3_ENCRYPTION"),
        (403, "AccessDenied (no kms:GenerateDataKey)", {"encryption": "aws:kms"}, "RUSHES_S3_ENCRYPTION_KEY"),
        (403, "SignatureDoesNotMatch", {}, "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken (The provided token has expired.)", {}, "AWS_SESSION_TOKEN"),
        (None, "NoCredentialsError", {}, "AWS_ACCESS_KEY_ID"),
        (403, "RequestTimeTooSkewed", {}, "NTP"),
        (404, "NoSuchBucket", {}, "make the bucket"),
        (301, "PermanentRedirect", {}, "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed (expecting 'eu-west-1')", {}, "AWS_REGION"),
        (403, "QuotaExceeded", {}, "make room"),
        (507, "", {}, "make room"),
        (403, "AccessDenied", {}, "s3:PutObject"),
        (405, "MethodNotAllowed", {}, "RUSHES_S3_ENDPOINT_URL"),
    ],
)
def test_a_refusal_names_what_mends_it(status: int | None, said: str, rules: dict[str, str], then: str) -> None:
    assert then in remedy(BucketRefuses(f"PUT key: {status} {said}", status=status), StoreRules(**rules))


def test_a_store_that_is_not_there_is_told_by_where_it_should_be() -> None:
    error = BucketUnavailable("bucket films: EndpointConnectionError", code="EndpointConnectionError")
    assert "RUSHES_S3_ENDPOINT_URL" in remedy(error, StoreRules())
