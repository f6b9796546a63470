"""The archive: one bucket of any S3 store, spoken to by the store's rules (`rules.py`).

The video goes in one PutObject, never in parts: a store shows such an object whole or not at all, so that its
appearance is the commit, and there are no left-over parts to sweep.
"""

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import BucketRefuses, BucketUnavailable, NoStoreKeys, ObjectExists
from storage.put_body import PutBody
from storage.rules import LOOK, MD5, SHA256, StoreRules
from storage.spool import Spooled
from storage.store_errors import told

VIDEO_TYPE = "video/mp4"
ASIDE_TYPE = "application/octet-stream"  # of what is kept beside the archive: no browser plays it
READ_BYTES = 256 << 10
FORBIDDEN, NOT_FOUND = 403, 404
DEFAULT_RULES = StoreRules()
NO_SUCH_KEY = "NoSuchKey"
TAKEN = frozenset({304, 412})  # of a conditional PUT; the first is meant for GET, and some answer it all the same
TAKEN_CODE = "FileAlreadyExists"  # with a 409, where a header of the vendor's own forbids overwriting


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
    rules: StoreRules = DEFAULT_RULES

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may quote."""
        return tuple(filter(None, (self.secret_key, self.session_token)))


@dataclass(frozen=True)
class StoredVideo:
    """An object as HEAD shows it. Metadata names are lower case, as S3 keeps them.

    `sha256` in hex is the store's own word on the bytes, where it was asked for and keeps one. `written_at` is by the
    store's clock.
    """

    key: str
    bytes: int
    metadata: dict[str, str]
    sha256: str | None = None
    etag: str | None = None
    written_at: datetime | None = None


class Listed(NamedTuple):
    """An object as a listing shows it. `written_at` by the store's clock."""

    key: str
    bytes: int
    written_at: datetime


class Bucket:
    """Every method raises BucketUnavailable when the store does not do as asked, BucketRefuses when it says no.

    Keys are whole, prefix included.
    """

    def __init__(self, config: BucketConfig, client: Any = None) -> None:
        self.config = config
        if client is not None:
            self._client = client

    @cached_property
    def _client(self) -> Any:
        from storage.store_client import connect  # only where a store is asked: with a client it takes 25 MB

        return connect(self.config)

    def prepare(self) -> None:
        """Make the client now, for whoever keeps nobody waiting for it later."""
        with suppress(BotoCoreError, OSError):  # raised by what is asked first: a role's keys may be there by then
            _ = self._client

    def head(self, key: str) -> StoredVideo | None:
        """None only if the bucket is there and the object is not.

        HEAD has no body, so a missing bucket answers the same 404; taking that for "not stored" could fail a job whose
        video is safe. On AWS this needs s3:ListBucket, without which an absent object answers 403.
        """
        return self._head(key)

    def head_with_checksum(self, key: str) -> StoredVideo | None:
        """As `head`, with what the store knows of the bytes. A store that encrypts may want a further permission.

        One that takes no SHA-256 with a PUT is not asked for it: it may refuse the question.
        """
        return self._head(key, **({"ChecksumMode": "ENABLED"} if self.config.rules.checksum == SHA256 else {}))

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins so, by key, a page of the store's at a time."""
        page: dict[str, Any] = {"Bucket": self.config.bucket, "Prefix": prefix}
        while True:
            with self._told(f"list {prefix}"):
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
        first: Callable[[], None] | None = None,
    ) -> None:
        """Put the whole file if nothing stands at the key, checked by the store against its checksum.

        `first` is done by another thread while bytes flow, of which the last are held back until it is: without all of
        them no store shows an object. What it raises comes out, and nothing appears.

        Raises ObjectExists if something does. That may be our own object: a put whose answer was lost is sent again by
        botocore. `keep_going` is called up to four times a second while bytes flow; what it raises comes out.
        """
        with ThreadPoolExecutor(1, "beside") as pool:
            done = None if first is None else pool.submit(first)
            self._put(key, spooled, content_type, metadata=metadata, once=True, keep_going=keep_going, first=done)

    def put_small(self, key: str, body: bytes, content_type: str) -> None:
        """Put or replace; for the poster and the sidecar, which say the same every time.

        A policy may deny every PUT without a condition, so that nothing is ever replaced: what stands there stays then.
        """
        spooled = Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest())
        try:
            self._put(key, spooled, content_type)
        except BucketRefuses as error:
            if error.status != FORBIDDEN or self.config.rules.condition == LOOK:
                raise
            try:
                self._put(key, spooled, content_type, once=True)
            except ObjectExists:
                return
            except BucketUnavailable:
                raise error from None

    def _put(
        self,
        key: str,
        spooled: Spooled,
        content_type: str,
        *,
        metadata: Mapping[str, str] | None = None,
        once: bool = False,
        keep_going: Callable[[], None] | None = None,
        first: Future[None] | None = None,
    ) -> None:
        """Every PUT that we make, by the store's rules. `once`: only where nothing stands at the key yet."""
        looks_first = once and self.config.rules.condition == LOOK
        if looks_first and self.head(key) is not None:
            raise ObjectExists(f"{key} is taken")
        body = PutBody(spooled, keep_going, first)
        condition = {"IfNoneMatch": "*"} if once and not looks_first else {}
        try:
            with self._told(f"PUT {key}"):
                self._client.put_object(
                    Bucket=self.config.bucket,
                    Key=key,
                    Body=body,
                    ContentLength=spooled.bytes,
                    ContentType=content_type,
                    Metadata=dict(metadata or {}),
                    **self._checksum(spooled, body),
                    **self.config.rules.encryption_arguments,
                    **condition,
                )
        except BucketUnavailable as error:
            if body.stopped is not None:
                raise body.stopped from None
            if condition and (error.status in TAKEN or error.code == TAKEN_CODE):
                raise ObjectExists(f"{key} is taken") from error
            raise

    def _checksum(self, spooled: Spooled, body: PutBody) -> dict[str, str]:
        """What the store is to check the body against, beside the signature."""
        if self.config.rules.checksum == SHA256:
            return {"ChecksumSHA256": base64.b64encode(bytes.fromhex(spooled.sha256)).decode()}
        if self.config.rules.checksum == MD5:
            return {"ContentMD5": base64.b64encode(body.md5()).decode()}
        return {}

    def delete(self, key: str) -> None:
        """Delete what is kept aside, or a trial's; nothing happens where nothing is. Videos are never deleted."""
        with self._told(f"DELETE {key}"):
            self._client.delete_object(Bucket=self.config.bucket, Key=key)

    def link(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        """A GET link that anyone may use until it expires. With a file name, browsers save instead of playing."""
        params = {"Bucket": self.config.bucket, "Key": key}
        if filename is not None:
            params["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        with self._told(f"link to {key}"):
            return str(self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=expires_s))

    def open(self, key: str) -> Iterator[bytes]:
        """The object's bytes, a piece at a time; asked for at once, so that an absent key raises here."""
        with self._told(f"GET {key}"):
            body = self._client.get_object(Bucket=self.config.bucket, Key=key)["Body"]
        return self._read(key, body)

    def check_keys(self) -> None:
        """Raise NoStoreKeys unless there is something to sign with. Asks whoever gives a role's keys, not the store."""
        with self._told(f"keys to bucket {self.config.bucket}", NoStoreKeys):
            self._client.generate_presigned_url("head_bucket", Params={"Bucket": self.config.bucket})

    def check(self) -> None:
        """Raise BucketUnavailable unless the bucket answers to us. One small request, or two to hear why not."""
        what = f"bucket {self.config.bucket}"
        try:
            with self._told(what):
                self._client.head_bucket(Bucket=self.config.bucket)
        except BucketRefuses as error:
            with self._told(what):
                self._client.list_objects_v2(Bucket=self.config.bucket, MaxKeys=1)
            raise error

    def ensure(self) -> None:
        """Create the bucket if it is absent. For a store on this machine; elsewhere buckets belong to their owner."""
        try:
            self.check()
        except BucketUnavailable as error:
            if error.status != NOT_FOUND:
                raise
            with self._told(f"create bucket {self.config.bucket}"):
                self._client.create_bucket(Bucket=self.config.bucket)

    def _head(self, key: str, **more: str) -> StoredVideo | None:
        try:
            with self._told(f"HEAD {key}"):
                found = self._client.head_object(Bucket=self.config.bucket, Key=key, **more)
        except BucketUnavailable as error:
            if error.status != NOT_FOUND and not self._is_told_absent(key, error):
                raise
        else:
            sha256 = _hex(found.get("ChecksumSHA256"))
            marks = {"etag": found.get("ETag"), "written_at": found.get("LastModified")}
            return StoredVideo(key, found["ContentLength"], dict(found["Metadata"]), sha256, **marks)
        self.check()
        return None

    def _is_told_absent(self, key: str, error: BucketUnavailable) -> bool:
        """Whether a HEAD was refused for want of an object. Its answer has no text: a GET's says why, and is raised."""
        if not isinstance(error, BucketRefuses) or error.status is None:
            return False
        try:
            with self._told(f"HEAD {key}"):
                self._client.get_object(Bucket=self.config.bucket, Key=key)["Body"].close()
        except BucketUnavailable as why:
            if why.code == NO_SUCH_KEY:
                return True
            raise
        return False

    @contextmanager
    def _told(self, what: str, kind: type[BucketUnavailable] | None = None) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, OSError) as error:  # the last of a file that names who we are
            raise told(what, error, self.config.secrets, kind) from error

    def _read(self, key: str, body: Any) -> Iterator[bytes]:
        try:
            with self._told(f"GET {key}"):
                yield from iter(lambda: body.read(READ_BYTES), b"")
        finally:
            body.close()


def _hex(checksum: str | None) -> str | None:
    """A store's Base64 in hex. One with a dash is of parts, and says nothing of the whole."""
    return None if checksum is None or "-" in checksum else base64.b64decode(checksum).hex()
