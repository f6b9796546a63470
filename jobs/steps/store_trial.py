"""What a transfer does with the store, done with a scratch object: before anything is bought."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from jobs.errors import StoreUnfit
from jobs.steps import aside_trial, object_metadata, store_refusals
from jobs.steps.aside_trial import AsideTrial
from jobs.steps.object_metadata import BadMetadata
from jobs.steps.store_refusals import ALTERS
from storage.bucket import Bucket, StoredVideo
from storage.errors import BucketRefuses, BucketUnavailable, ObjectExists
from storage.keys import VIDEO, poster_key, sidecar_key
from storage.proof.probe import VideoFacts
from storage.publication import POSTER_TYPE, publish
from storage.spool import Spooled

FOLDER = "videos/.rushes-doctor"  # beside the videos, so that a permission for their folder alone holds here too
VIDEO_BYTES = 2 << 20  # above the limits of body that proxies before a store have by default: nginx's is 1 MiB
SECOND_BYTES = 1024
LONGEST_PAUSE_S = 30  # between two tries of a store that does not answer
TASK_ID = "scratch 任务 =?=100%"  # ids are foreign: nothing of one may be lost in a header

log = structlog.get_logger()


class StoreTrial:
    """A scratch video with what stands beside it. Every method raises BucketUnavailable as a transfer would."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._folder = f"{bucket.config.prefix}{FOLDER}/"
        self.key = f"{self._folder}{name}{VIDEO}"
        self.video = secrets.token_bytes(VIDEO_BYTES)
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
        """As a transfer begins: HEAD of a key where nothing stands. Raises BucketRefuses if something is said to."""
        self._bucket.check()
        key = f"{self._folder}{secrets.token_hex(8)}{VIDEO}"
        if self._bucket.head(key) is not None:
            raise BucketRefuses(f"HEAD {key}: an object is told of where none was put", code=ALTERS)

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
        second = secrets.token_bytes(SECOND_BYTES)
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

    def altered(self, stored: StoredVideo) -> str | None:
        """What the store has altered of our video; None: nothing, by what HEAD shows."""
        if stored.bytes != len(self.video):
            return f"{len(self.video)} bytes were put, and {stored.bytes} are told of"
        lost = ", ".join(sorted(dict(self.metadata.items() - stored.metadata.items())))
        return f"what a video says of itself does not come back as it was put: {lost}" if lost else None

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


def require(bucket: Bucket, name: str) -> bool:
    """Raise StoreUnfit if the store refuses what a transfer does, or nothing is there to sign with.

    False: it does not answer, and may do so later.

    What stands here is named by `name`, so that a store in which nothing may be deleted gathers no heap of it.
    """
    trial = StoreTrial(bucket, name)
    try:
        trial.find_keys()
        trial.look()
        _put_and_read(trial)
    except BucketRefuses as error:
        raise StoreUnfit(
            f"The store cannot take a video, so nothing is bought: {error}."
            f" What to do: {store_refusals.remedy(error, bucket.config.rules)}. `rushes doctor` tries what it wants."
        ) from error
    except BucketUnavailable as error:
        log.warning("store_not_tried", reason=str(error))
        return False
    _try_aside(bucket, name)
    return True


def await_answer(passes: Callable[[], bool], stopping: threading.Event, unfit: Callable[[StoreUnfit], None]) -> None:
    """Try a store that did not answer at the start until it does; `unfit` is told once if it refuses then.

    `passes` tries it, as `require` does. Returns early when this process stops.
    """
    pause_s = 1.0
    while not stopping.wait(pause_s):
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        try:
            if passes():
                log.info("store_tried")
                return
        except StoreUnfit as error:
            unfit(error)
            return
        except Exception:  # this thread outlives whatever a trial may meet
            log.exception("store_not_tried")


def _put_and_read(trial: StoreTrial) -> None:
    """Put, and see that it stands there as it was put; nothing of it stays."""
    try:
        with suppress(ObjectExists):  # of an earlier trial, or of another process that starts just now
            trial.put()
        stored = trial.stored()  # None: such a process took it away
    finally:
        trial.remove()
    if stored is None:
        return
    try:
        object_metadata.read(stored)
        object_metadata.video_columns(stored)
    except BadMetadata as error:
        raise BucketRefuses(f"HEAD {trial.key}: what a video says of itself is lost: {error}", code=ALTERS) from error
    if stored.metadata.get("rushes-sha256") == trial.metadata["rushes-sha256"] and (told := trial.altered(stored)):
        raise BucketRefuses(f"HEAD {trial.key}: {told}", code=ALTERS)


def _try_aside(bucket: Bucket, name: str) -> None:
    """Say in the log if no film can be kept aside. Videos can be archived all the same, so it is no end."""
    trial = AsideTrial(bucket, name)
    try:
        trial.put()
    except BucketRefuses as error:
        then = aside_trial.remedy(error, trial, bucket.config.rules)
        log.error("store_keeps_nothing_aside", reason=str(error), then=then)
    except BucketUnavailable as error:
        log.warning("store_not_tried", reason=str(error))
    finally:
        with suppress(BucketUnavailable):  # a key that may delete nothing is a good one
            trial.remove()


def _spooled(body: bytes) -> Spooled:
    return Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest())
