"""What mends a store's refusal: a setting, a permission, or something at the store. By what stores say. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from storage.errors import BucketRefuses, BucketUnavailable, NoStoreKeys
from storage.rules import FORBID_OVERWRITE, IF_NONE_MATCH, LOOK, MD5, PATH, SHA256, SIGNATURE, VIRTUAL, StoreRules

REPLACES = "replaced"  # the code of a second video for the same key that took the first one's place
ALTERS = "altered"  # and of one that does not come back as it was put
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
KMS = (
    "let the key do kms:GenerateDataKey and kms:Decrypt with the bucket's KMS key, in its own policy and in the KMS"
    " key's, and see that the KMS key is enabled; no other setting is a way around what the bucket's owner decided"
)
BODY_LIMIT = (
    "raise the limit on a body (client_max_body_size of nginx, say) in what stands before the store to"
    " RUSHES_MAX_VIDEO_BYTES, or let RUSHES_S3_ENDPOINT_URL lead around it"
)
WHO = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say who asks: set a key that is valid"
ACCOUNT = "look at the store's account, its bill for one: the store has closed it"
BETWEEN = "look at what stands between here and the store: it alters what is sent, or what comes back"

# Names of others, in which any word may stand: resources, addresses, and what is quoted unless it is a header.
_NAMES = re.compile(r"""arn:\S+|\w+://\S+|(?<!\w)(["'`])(?!x-|content-|if-).*?\1(?!\w)""")
_WORD = r"(?<![\w:-])"  # it begins here, and is no part of a name


class _Remedy(NamedTuple):
    """What stands in the code of a refusal, how something in its text begins, in lower case, and its statuses."""

    code: str
    text: str
    statuses: tuple[int, ...]
    then: Callable[[StoreRules], str]


def remedy(error: BucketUnavailable, rules: StoreRules) -> str:
    """What to do, in one sentence without a full stop. The code counts first, then the text, then the status."""
    if isinstance(error, NoStoreKeys):
        return REGION if error.code == "NoRegionError" else KEYS
    code, text = error.code.lower(), _words_of(error)
    found = (
        *(each for each in _REMEDIES if each.code and re.search(each.code, code)),
        *(each for each in _REMEDIES if each.text and re.search(f"{_WORD}(?:{each.text})", text)),
        *(each for each in _REMEDIES if error.status in each.statuses),
    )
    if found:
        return found[0].then(rules)
    return PERMIT if error.status == 403 else REACH


def mends(error: Exception | None, rules: StoreRules) -> dict[str, str]:
    """What history says beside a refusal: `then`, what to do; nothing of any other error."""
    return {"then": remedy(error, rules)} if isinstance(error, BucketRefuses) else {}


def is_about_kms(error: BucketUnavailable) -> bool:
    """Whether the refusal is one of the key management service, which the owner of the bucket has chosen."""
    return remedy(error, StoreRules()) == KMS


def _words_of(error: BucketUnavailable) -> str:
    """The store's own text, without the key that was asked for and without names. Who gave no answer said nothing."""
    if error.status is None:
        return ""
    _, _, answer = str(error).partition(": ")
    _, _, text = answer.partition(" (")
    return _NAMES.sub(" ", text.lower())


def _addressing(rules: StoreRules) -> str:
    return f"set RUSHES_S3_ADDRESSING={PATH if rules.addressing == VIRTUAL else VIRTUAL}"


def _checksum(rules: StoreRules) -> str:
    other = {SHA256: MD5, MD5: SIGNATURE, SIGNATURE: MD5}[rules.checksum]
    return f"set RUSHES_S3_CHECKSUM={other}"


def _condition(rules: StoreRules) -> str:
    return CONDITION if rules.condition == IF_NONE_MATCH else f"set RUSHES_S3_CONDITION={LOOK}"


def _not_implemented(rules: StoreRules) -> str:
    """It need not say which header."""
    unset = "" if rules.encryption is None else "unset RUSHES_S3_ENCRYPTION if it knows no encryption headers; else "
    return f"{unset}{_condition(rules)}"


def _encryption(rules: StoreRules) -> str:
    names = "RUSHES_S3_ENCRYPTION and RUSHES_S3_ENCRYPTION_KEY"
    if rules.encryption is None:
        return f"set {names} as the bucket's policy demands"
    return f"see that {names} say what the bucket's policy and the key's allow"


def _kms(rules: StoreRules) -> str:
    return (
        KMS if rules.encryption is None else f"{KMS}; RUSHES_S3_ENCRYPTION_KEY names it, where it is not the bucket's"
    )


def _always(then: str) -> Callable[[StoreRules], str]:
    return lambda rules: then


_REMEDIES = [
    _Remedy("^kms", r"kms[:.]\w|kms key", (), _kms),
    _Remedy("secondleveldomain|pathstyle", "virtual.host|path.style", (), _addressing),
    _Remedy("", "x-amz-checksum|x-amz-sdk-checksum|checksum.algorithm|content-md5", (), _checksum),
    _Remedy("encryption", "x-amz-server-side-encryption", (), _encryption),
    _Remedy(f"^{REPLACES}$", "if-none-match|x-[a-z]+-forbid-overwrite", (), _condition),
    _Remedy("^notimplemented$", "", (501,), _not_implemented),
    _Remedy(f"^{ALTERS}$|^missingcontentlength$", "", (411, 417), _always(BETWEEN)),
    _Remedy("accesskey|signaturedoesnotmatch|credential|token", "", (401,), _always(WHO)),
    _Remedy("^allaccessdisabled$|^userdisable$|^accountproblem$|^notsignedup$", "", (402,), _always(ACCOUNT)),
    _Remedy("timetooskewed", "", (), _always("let this machine keep time by NTP: its clock is not the store's")),
    _Remedy("^nosuchbucket$", "", (404,), _always(f"make the bucket, or name the one that there is: {REACH}")),
    _Remedy(
        "^authorizationheadermalformed$|^authorizationqueryparameterserror$|redirect$|locationconstraint|region",
        "region is wrong|the region ",
        (301, 308),
        _always(REGION),
    ),
    _Remedy("entitytoolarge|payloadtoolarge", "too large|exceeds the maximum", (413,), _always(BODY_LIMIT)),
    _Remedy(
        "full$|quota|insufficientstorage|capexceeded",
        r"quota(?![\w-])|(?:disk|storage|drive|volume|bucket|backend) (?:is )?full(?![\w-])|no space"
        "|[a-z]+ cap exceeded|insufficient (?:storage|space)|minimum free drive",
        (507,),
        _always("make room in the store, or raise its quota: it takes no more from us"),
    ),
]
