"""Poster, sidecar and video: sent beside each other, and the video appears last."""

import hashlib
import io
import os
import threading
from collections.abc import Callable

import pytest

from storage.bucket import Bucket
from storage.errors import BucketUnavailable, Cancelled
from storage.keys import poster_key, sidecar_key
from storage.publication import publish
from storage.spool import Spooled

KEY = "videos/2026/01/01/job_1.mp4"
PATIENCE_S = 10


class Told(io.BytesIO):
    """A film that tells when its last byte was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.is_read = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if self.tell() == len(self.getvalue()):
            self.is_read.set()
        return piece


def put(bucket: Bucket, file: io.BytesIO, keep_going: Callable[[], None] = lambda: None) -> None:
    data = file.getvalue()
    spooled = Spooled(file, len(data), hashlib.sha256(data).hexdigest())
    publish(bucket, KEY, spooled, poster=b"\xff\xd8\xff", sidecar=b"{}", metadata={}, keep_going=keep_going)


@pytest.fixture
def data() -> bytes:
    return os.urandom(4 << 20)


def test_the_video_is_sent_while_its_sidecar_is_and_appears_after_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    file, put_small, seen = Told(data), bucket.put_small, list[object]()

    def late(key: str, body: bytes, content_type: str) -> None:
        if key == sidecar_key(KEY):
            seen.append(file.is_read.wait(PATIENCE_S))
            threading.Event().wait(0.5)  # for the store to show what it should not
            seen.append(bucket.head(KEY))
        put_small(key, body, content_type)

    monkeypatch.setattr(bucket, "put_small", late)
    put(bucket, file)
    assert seen == [True, None]
    found = [bucket.head(key) for key in (KEY, poster_key(KEY), sidecar_key(KEY))]
    assert [each and each.bytes for each in found] == [len(data), 3, 2]


@pytest.mark.parametrize("of", [poster_key, sidecar_key])
def test_a_video_whose_poster_or_sidecar_fails_does_not_appear(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, data: bytes, of: Callable[[str], str]
) -> None:
    put_small = bucket.put_small

    def failing(key: str, body: bytes, content_type: str) -> None:
        if key == of(KEY):
            raise BucketUnavailable("away")
        put_small(key, body, content_type)

    monkeypatch.setattr(bucket, "put_small", failing)
    with pytest.raises(BucketUnavailable, match="away"):
        put(bucket, Told(data))
    assert bucket.head(KEY) is None


def test_a_caller_who_says_stop_while_the_sidecar_is_waited_for_leaves_no_video(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    file, told, waited = Told(data), threading.Event(), list[bool]()

    def keep_going() -> None:
        if file.is_read.is_set():
            told.set()
            raise Cancelled("the lease was lost")

    monkeypatch.setattr(bucket, "put_small", lambda *_: waited.append(told.wait(PATIENCE_S)))
    with pytest.raises(Cancelled, match="lost"):
        put(bucket, file, keep_going)
    assert all(waited)
    assert bucket.head(KEY) is None
