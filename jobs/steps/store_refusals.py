"""What mends a store's refusal: a setting, a permission, or something at the store. By what stores say. Pure."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import BucketUnavailable, NoStoreKeys
from storage.rules import FORBID_OVERWRITE, IF_NONE_MATCH, LOOK, MD5, PATH, SHA256, SIGNATURE, VIRTUAL, StoreRules

REPLACES = "replaced"  # the code of a second video for the same key that took the first one's place
REACH = (
    "RUSHES_S3_ENDPOINT_URL and RUSHES_S3_BUCKET say where it is, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY who asks"
)
REGION = "set AWS_REGION to the bucket's region, and RUSHES_S3_ENDPOINT_URL to that region's address"
KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let whoever gives the keys of the role or profile be reached;"
    " where a firewall reads TLS, SSL_CERT_FILE names its authority"
)
PERMIT = (
    "let the key do s3:PutObject, s3:GetObject and s3:ListBucket in this bucket; where its policy demands"
    " encryption headers, RUSHES_S3_ENCRYPTION (and RUSHES_S3_ENCRYPTION_KEY) sends them"
)
CONDITION = (
    f"use a store that honours If-None-Match on PutObject; at Aliyun OSS set RUSHES_S3_CONDITION={FORBID_OVERWRITE[0]},"
    f" at Tencent COS {FORBID_OVERWRITE[1]}; elsewhere RUSHES_S3_CONDITION={LOOK} looks before it puts, which does not"
    " hold against two puts at the same moment"
)


def remedy(error: BucketUnavailable, rules: StoreRules) -> str:
    """What to do, in one sentence without a full stop."""
    if isinstance(error, NoStoreKeys):
        return REGION if error.code == "NoRegionError" else KEYS
    _, _, answer = str(error).partition(": ")  # without the key, which may hold any word
    said = f"{error.status} {error.code} {answer}".lower()
    for words, then in _REMEDIES:
        if any(word in said for word in words):
            return then(rules)
    return PERMIT if error.status == 403 else REACH


def _addressing(rules: StoreRules) -> str:
    return f"set RUSHES_S3_ADDRESSING={PATH if rules.addressing == VIRTUAL else VIRTUAL}"


def _checksum(rules: StoreRules) -> str:
    other = {SHA256: MD5, MD5: SIGNATURE, SIGNATURE: MD5}[rules.checksum]
    return f"set RUSHES_S3_CHECKSUM={other}"


def _condition(rules: StoreRules) -> str:
    return CONDITION if rules.condition == IF_NONE_MATCH else f"set RUSHES_S3_CONDITION={LOOK}"


def _encryption(rules: StoreRules) -> str:
    names = "RUSHES_S3_ENCRYPTION and RUSHES_S3_ENCRYPTION_KEY"
    if rules.encryption is None:
        return f"set {names} as the bucket's policy demands"
    return f"see that {names} say what the bucket's policy and the key's allow"


def _always(then: str) -> Callable[[StoreRules], str]:
    return lambda rules: then


# In this order; the words stand in the code or in the text of a refusal, in lower case.
_REMEDIES: list[tuple[tuple[str, ...], Callable[[StoreRules], str]]] = [
    (("secondleveldomain", "virtual host", "virtual-host", "path style", "path-style"), _addressing),
    (("x-amz-checksum", "checksum-algorithm", "checksum algorithm", "content-md5"), _checksum),
    (("if-none-match", "notimplemented", "overwrite", REPLACES), _condition),
    (("encryption", "kms"), _encryption),
    (
        ("accesskeyid", "signaturedoesnotmatch", "credentials", "expiredtoken", "invalidtoken", "tokenrefresh"),
        _always("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say who asks: set a key that is valid"),
    ),
    (("requesttimetooskewed",), _always("let this machine keep time by NTP: its clock is not the store's")),
    (("nosuchbucket",), _always(f"make the bucket, or name the one that there is: {REACH}")),
    (
        ("authorizationheadermalformed", "permanentredirect", "locationconstraint", "region"),
        _always(REGION),
    ),
    (("full", "quota", "insufficientstorage", "507"), _always("make room in the store: it has none left for us")),
]
