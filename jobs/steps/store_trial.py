"""What a transfer does with the store, done with a scratch object: before anything is bought."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from contextlib import suppress

import structlog

from jobs.errors import StoreUnfit
from jobs.steps import object_metadata, store_refusals
from storage.bucket import Bucket, StoredVideo
from storage.errors import BucketRefuses, BucketUnavailable, ObjectExists
from storage.keys import VIDEO, poster_key, sidecar_key
from storage.proof.probe import VideoFacts
from storage.publication import POSTER_TYPE, publish
from storage.spool import Spooled

FOLDER = "videos/.rushes-doctor"  # beside the videos, so that a permission for their folder alone holds here too
TASK_ID = "scratch 任务 =?=100%"  # ids are foreign: nothing of one may be lost in a header

log = structlog.get_logger()


class StoreTrial:
    """A scratch video with what stands beside it. Every method raises BucketUnavailable as a transfer would."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._folder = f"{bucket.config.prefix}{FOLDER}/"
        self.key = f"{self._folder}{name}{VIDEO}"
        self.video = secrets.token_bytes(1024)
        self.poster = b"\xff\xd8\xff scratch poster"
        self.metadata = object_metadata.of_video(
            "job_scratch",
            1,
            TASK_ID,
            hashlib.sha256(self.video).hexdigest(),
            VideoFacts(2.0, 16, 16, 24.0, "h264", False),
        )
        self._sidecar = json.dumps({"object": self.metadata, "note": "made by a trial; may be deleted"}).encode()

    @property
    def keys(self) -> tuple[str, str, str]:
        """Of the video, the poster and the sidecar."""
        return self.key, poster_key(self.key), sidecar_key(self.key)

    def find_keys(self) -> None:
        """What signs every request, be it a role's that somebody else gives."""
        self._bucket.check_keys()

    def look(self) -> None:
        """As a transfer begins: HEAD of a key where nothing stands."""
        self._bucket.check()
        self._bucket.head(f"{self._folder}{secrets.token_hex(8)}{VIDEO}")

    def put_small(self) -> None:
        """The PUT of a poster alone."""
        self._bucket.put_small(poster_key(self.key), self.poster, POSTER_TYPE)

    def put(self) -> None:
        """The three PUTs. Raises ObjectExists where a video of an earlier trial stands."""
        with _spooled(self.video) as spooled:
            publish(
                self._bucket,
                self.key,
                spooled,
                poster=self.poster,
                sidecar=self._sidecar,
                metadata=self.metadata,
                keep_going=lambda: None,
            )

    def keeps_the_first(self) -> bool:
        """Whether a second video for the same key is refused. It replaces the first where it is not."""
        second = secrets.token_bytes(1024)
        try:
            with _spooled(second) as spooled:
                self._bucket.put_video(self.key, spooled, self.metadata)
        except ObjectExists:
            return True
        self.video = second
        return False

    def stored(self) -> StoredVideo | None:
        """HEAD of the video."""
        return self._bucket.head(self.key)

    def read(self) -> bytes:
        """The video's bytes."""
        return b"".join(self._bucket.open(self.key))

    def remove(self) -> str | None:
        """Take all three away. None if that is allowed, else the store's word: no installation needs to be."""
        refused = None
        for key in self.keys:
            try:
                self._bucket.delete(key)
            except BucketUnavailable as error:
                refused = error.code or "refused"
        return refused


def require(bucket: Bucket, name: str) -> None:
    """Raise StoreUnfit if the store refuses what a transfer does, or nothing is there to sign with. A store that does
    not answer may do so later.

    What stands here is named by `name`, so that a store in which nothing may be deleted gathers no heap of it.
    """
    trial = StoreTrial(bucket, name)
    try:
        trial.find_keys()
        try:
            trial.look()
            with suppress(ObjectExists):
                trial.put()
        finally:
            trial.remove()
    except BucketRefuses as error:
        raise StoreUnfit(
            f"The store cannot take a video, so nothing is bought: {error}."
            f" What to do: {store_refusals.remedy(error, bucket.config.rules)}. `rushes doctor` tries what it wants."
        ) from error
    except BucketUnavailable as error:
        log.warning("store_not_tried", reason=str(error))


def _spooled(body: bytes) -> Spooled:
    return Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest())
