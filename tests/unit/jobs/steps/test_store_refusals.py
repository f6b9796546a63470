"""What mends a refusal, by the words of stores."""

from __future__ import annotations

import pytest

from jobs.steps.store_refusals import PERMIT, remedy
from storage.errors import BucketRefuses, BucketUnavailable
from storage.rules import StoreRules

WHO = "User: arn:aws:iam::1:user/full-region is not authorized to"


def refusal(status: int | None, said: str) -> BucketRefuses:
    """As botocore's error becomes one; `said`: the code, and the text in brackets."""
    code = said.partition(" (")[0]
    return BucketRefuses(f"PUT quota/kms.mp4: {status} {said}", status=status, code=code)


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
        (501, "NotImplemented (A header you provided)", {"encryption": "AES256"}, "unset RUSHES_S3_ENCRYPTION"),
        (400, "InvalidEncryptionAlgorithmError", {}, "set RUSHES_S3_ENCRYPTION"),
        (403, f"AccessDenied ({WHO} perform: kms:GenerateDataKey on this resource)", {}, "let the key do kms:Gen"),
        (403, f"AccessDenied ({WHO} perform: kms:Decrypt)", {"encryption": "aws:kms"}, "RUSHES_S3_ENCRYPTION_KEY"),
        (400, "KMS.DisabledException (arn:aws:kms:r:1:key/2 is disabled.)", {}, "see that the KMS key is enabled"),
        (403, "SignatureDoesNotMatch", {}, "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken (The provided token has expired.)", {}, "AWS_SESSION_TOKEN"),
        (None, "NoCredentialsError", {}, "AWS_ACCESS_KEY_ID"),
        (403, "RequestTimeTooSkewed", {}, "NTP"),
        (404, "NoSuchBucket", {}, "make the bucket"),
        (301, "PermanentRedirect", {}, "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed (expecting 'eu-west-1')", {}, "AWS_REGION"),
        (400, "AuthorizationQueryParametersError (the region 'us-east-1' is wrong)", {}, "AWS_REGION"),
        (403, "QuotaExceeded", {}, "make room"),
        (507, "", {}, "make room"),
        (403, "XMinioStorageFull", {}, "make room"),
        (403, "AccessDenied (Cannot upload files, storage cap exceeded)", {}, "make room"),
        (413, "", {}, "client_max_body_size"),
        (400, "EntityTooLarge (Your proposed upload exceeds the maximum)", {}, "RUSHES_MAX_VIDEO_BYTES"),
        (411, "MissingContentLength", {}, "what stands between"),
        (403, "UserDisable", {}, "its bill"),
        (403, "AllAccessDisabled (All access to this object has been disabled)", {}, "its bill"),
        (403, "AccessDenied", {}, "s3:PutObject"),
        (405, "MethodNotAllowed", {}, "RUSHES_S3_ENDPOINT_URL"),
    ],
)
def test_a_refusal_names_what_mends_it(status: int | None, said: str, rules: dict[str, str], then: str) -> None:
    assert then in remedy(refusal(status, said), StoreRules(**rules))


@pytest.mark.parametrize(
    "names",
    [
        f'{WHO} perform: s3:PutObject on resource: "arn:aws:s3:::full-movies/x" because no policy allows it',
        "arn:aws:sts::1:assumed-role/kms-quota is not authorized to perform: s3:PutObject",
        "'region-films' in https://kms.quota.example/ is not open to \"x-overwrite\" or `disk full`",
        "no access to overwrite-region-kms-quota",
    ],
)
def test_a_word_inside_a_name_is_no_remedy(names: str) -> None:
    assert remedy(refusal(403, f"AccessDenied ({names})"), StoreRules()) == PERMIT


def test_a_store_that_is_not_there_is_told_by_where_it_should_be() -> None:
    said = "bucket films: EndpointConnectionError (kms.quota.example)"
    error = BucketUnavailable(said, code="EndpointConnectionError")
    assert "RUSHES_S3_ENDPOINT_URL" in remedy(error, StoreRules())
