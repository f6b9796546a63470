"""The archive: one bucket of any S3 store that honours If-None-Match on PutObject.

The video goes in one PutObject, never in parts: a store shows such an object whole or not at all, so that its
appearance is the commit, and there are no left-over parts to sweep.
"""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import BucketUnavailable, ObjectExists
from storage.spool import Spooled

VIDEO_TYPE = "video/mp4"
ASIDE_TYPE = "application/octet-stream"  # of what is kept beside the archive: no browser plays it
DEFAULT_REGION = "us-east-1"
READ_BYTES = 256 << 10
KEEP_GOING_S = 0.25
NOT_FOUND, CONFLICT, PRECONDITION_FAILED = 404, 409, 412


@dataclass(frozen=True)
class BucketConfig:
    """Where the archive is. No endpoint means AWS; no keys means whatever boto3 finds (role, profile)."""

    bucket: str
    prefix: str
    endpoint_url: str | None
    region: str | None
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StoredVideo:
    """An object as HEAD shows it. Metadata names are lower case, as S3 keeps them.

    `sha256` in hex is the store's own word on the bytes, where it was asked for and keeps one.
    """

    key: str
    bytes: int
    metadata: dict[str, str]
    sha256: str | None = None


class Listed(NamedTuple):
    """An object as a listing shows it. `written_at` by the store's clock."""

    key: str
    bytes: int
    written_at: datetime


class Bucket:
    """Every method raises BucketUnavailable when the store does not do as asked. Keys are whole, prefix included."""

    def __init__(self, config: BucketConfig, client: Any = None) -> None:
        self.config = config
        self._client = client or connect(config)

    def head(self, key: str) -> StoredVideo | None:
        """None only if the bucket is there and the object is not.

        HEAD has no body, so a missing bucket answers the same 404; taking that for "not stored" could fail a job whose
        video is safe. On AWS this needs s3:ListBucket, without which an absent object answers 403.
        """
        return self._head(key)

    def head_with_checksum(self, key: str) -> StoredVideo | None:
        """As `head`, with what the store knows of the bytes. A store that encrypts may want a further permission."""
        return self._head(key, ChecksumMode="ENABLED")

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins so, by key, a page of the store's at a time."""
        page: dict[str, Any] = {"Bucket": self.config.bucket, "Prefix": prefix}
        while True:
            with _told(f"list {prefix}"):
                found = self._client.list_objects_v2(**page)
            yield from (Listed(item["Key"], item["Size"], item["LastModified"]) for item in found.get("Contents", []))
            if not found.get("IsTruncated"):
                return
            page["ContinuationToken"] = found["NextContinuationToken"]

    def put_video(
        self,
        key: str,
        spooled: Spooled,
        metadata: Mapping[str, str],
        keep_going: Callable[[], None] | None = None,
        *,
        content_type: str = VIDEO_TYPE,
    ) -> None:
        """Put the whole file if nothing stands at the key, checked by the store against its SHA-256.

        Raises ObjectExists if something does. That may be our own object: a put whose answer was lost is sent again by
        botocore. `keep_going` is called up to four times a second while bytes flow; what it raises comes out.
        """
        body = _Body(spooled.file, keep_going)
        try:
            with _told(f"PUT {key}"):
                self._client.put_object(
                    Bucket=self.config.bucket,
                    Key=key,
                    Body=body,
                    ContentLength=spooled.bytes,
                    ContentType=content_type,
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(spooled.sha256)).decode(),
                    Metadata=dict(metadata),
                    IfNoneMatch="*",
                )
        except BucketUnavailable as error:
            if body.stopped is not None:
                raise body.stopped from None
            if _status(error.__cause__) == PRECONDITION_FAILED:
                raise ObjectExists(f"{key} is taken") from error
            raise

    def put_small(self, key: str, body: bytes, content_type: str) -> None:
        """Put or replace; for the poster and the sidecar, which say the same every time."""
        with _told(f"PUT {key}"):
            self._client.put_object(Bucket=self.config.bucket, Key=key, Body=body, ContentType=content_type)

    def delete(self, key: str) -> None:
        """Delete an object that is kept aside; nothing happens where there is none. Videos are never deleted."""
        with _told(f"DELETE {key}"):
            self._client.delete_object(Bucket=self.config.bucket, Key=key)

    def link(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        """A GET link that anyone may use until it expires. With a file name, browsers save instead of playing."""
        params = {"Bucket": self.config.bucket, "Key": key}
        if filename is not None:
            params["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        with _told(f"link to {key}"):
            return str(self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=expires_s))

    def open(self, key: str) -> Iterator[bytes]:
        """The object's bytes, a piece at a time; asked for at once, so that an absent key raises here."""
        with _told(f"GET {key}"):
            body = self._client.get_object(Bucket=self.config.bucket, Key=key)["Body"]
        return self._read(key, body)

    def check(self) -> None:
        """Raise BucketUnavailable unless the bucket answers to us. One small request."""
        with _told(f"bucket {self.config.bucket}"):
            self._client.head_bucket(Bucket=self.config.bucket)

    def ensure(self) -> None:
        """Create the bucket if it is absent. For a store on this machine; elsewhere buckets belong to their owner."""
        try:
            self.check()
        except BucketUnavailable as error:
            if _status(error.__cause__) != NOT_FOUND:
                raise
            with _told(f"create bucket {self.config.bucket}"):
                self._client.create_bucket(Bucket=self.config.bucket)

    def _head(self, key: str, **more: str) -> StoredVideo | None:
        try:
            with _told(f"HEAD {key}"):
                found = self._client.head_object(Bucket=self.config.bucket, Key=key, **more)
        except BucketUnavailable as error:
            if _status(error.__cause__) != NOT_FOUND:
                raise
        else:
            sha256 = _hex(found.get("ChecksumSHA256"))
            return StoredVideo(key, found["ContentLength"], dict(found["Metadata"]), sha256)
        self.check()
        return None

    @staticmethod
    def _read(key: str, body: Any) -> Iterator[bytes]:
        try:
            with _told(f"GET {key}"):
                yield from iter(lambda: body.read(READ_BYTES), b"")
        finally:
            body.close()


def connect(config: BucketConfig) -> Any:
    """A boto3 client. Opens no connection yet.

    s3v4 is said aloud: for a foreign endpoint boto3 presigns with version 2, which leaves If-None-Match unsigned.
    Checksums "when required": many stores do not know the newer ones that boto3 would add by itself.
    """
    return boto3.client(
        "s3",
        endpoint_url=config.endpoint_url,
        region_name=config.region or (DEFAULT_REGION if config.endpoint_url else None),
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        aws_session_token=config.session_token,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if config.endpoint_url else "virtual"},
            retries={"mode": "standard", "max_attempts": 2},
            connect_timeout=2,
            read_timeout=30,
            max_pool_connections=32,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class _Body:
    """The spool file as botocore reads it, letting the caller live while it does."""

    def __init__(self, file: BinaryIO, keep_going: Callable[[], None] | None) -> None:
        file.seek(0)
        self.stopped: BaseException | None = None
        self._file, self._keep_going = file, keep_going
        self._called_at = time.monotonic()
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        now = time.monotonic()
        if self._keep_going and now - self._called_at >= KEEP_GOING_S:
            self._called_at = now
            try:
                self._keep_going()
            except BaseException as error:
                self.stopped = error  # botocore wraps what comes out of here
                raise
        return self._file.read(count)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """botocore's errors in our words: what was asked, and the store's code."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise BucketUnavailable(f"{what}: {_status(error)} {code}") from error
    except BotoCoreError as error:
        raise BucketUnavailable(f"{what}: {type(error).__name__}") from error


def _hex(checksum: str | None) -> str | None:
    """A store's Base64 in hex. One with a dash is of parts, and says nothing of the whole."""
    return None if checksum is None or "-" in checksum else base64.b64decode(checksum).hex()


def _status(error: BaseException | None) -> int | None:
    if not isinstance(error, ClientError):
        return None
    status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status
