"""How a store wants to be spoken to: its address style, and what goes with every PUT. Stores differ in these alone."""

from __future__ import annotations

from dataclasses import dataclass

PATH, VIRTUAL = "path", "virtual"  # https://endpoint/bucket/key, https://bucket.endpoint/key
SHA256, MD5, SIGNATURE = "sha256", "md5", "none"
IF_NONE_MATCH, LOOK = "if-none-match", "head"
FORBID_OVERWRITE = ("x-oss-forbid-overwrite", "x-cos-forbid-overwrite")  # Aliyun's and Tencent's own headers

ADDRESSING = (PATH, VIRTUAL)
CHECKSUMS = (SHA256, MD5, SIGNATURE)
CONDITIONS = (IF_NONE_MATCH, *FORBID_OVERWRITE, LOOK)
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class StoreRules:
    """One store's rules. The defaults are those of AWS S3 and of most others.

    `addressing`: None means by path where an endpoint is named, by host name on AWS.
    `checksum`: what the store checks a body against, `x-amz-checksum-sha256` or `Content-MD5`. With either other than
    the first, the SHA-256 of the body is part of the request's signature as well, over TLS too.
    `condition`: what keeps a PUT from replacing an object. `head` only looks first, so that two PUTs at the same
    moment both succeed.
    `encryption` and `encryption_key`: the server-side encryption headers, where a policy demands them.
    """

    addressing: str | None = None
    checksum: str = SHA256
    condition: str = IF_NONE_MATCH
    encryption: str | None = None
    encryption_key: str | None = None

    @property
    def encryption_arguments(self) -> dict[str, str]:
        """boto3's arguments of a PUT for the encryption headers."""
        found = {"ServerSideEncryption": self.encryption, "SSEKMSKeyId": self.encryption_key}
        return {name: value for name, value in found.items() if value is not None}
