"""Bytes: links that are fetched, films, the probe, and a bucket with conditional puts. The real check_boxes judges."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from sim_gateways import SIZE, Gateways
from sim_world import World

from storage.bucket import VIDEO_TYPE, Bucket, BucketConfig, Listed, StoredVideo
from storage.errors import (
    BadVideo,
    BucketUnavailable,
    LinkDead,
    LinkForbidden,
    LinkUnavailable,
    ObjectExists,
    StorageError,
)
from storage.fetch import FetchLimits
from storage.keys import UNPROVEN
from storage.proof.probe import Prober, VideoFacts
from storage.spool import Spooled

POSTER = b"\xff\xd8\xff poster"
STRANGER = {"rushes-job": "job_of_another_installation"}
HTML = b"<!doctype html><title>Sign in</title>"


MARK = "rushes-accepted-by"
IN_BUCKET = "https://bucket.example/"


def film(provider: str, task_id: str, take: int = 0) -> bytes:
    """The whole film of a task: boxes that tile it, and bytes that are like no other's. Another take plays alike."""
    told = _box(b"mdat", f"{provider} {task_id}".encode() * 4)
    return _box(b"ftyp", b"isom") + _box(b"moov", b"index") + _box(b"free", str(take).encode()) + told


def task_of(content: bytes) -> tuple[str, str]:
    """The gateway and the id of the task whose film that is."""
    told = content.rpartition(b"mdat")[2].decode()
    provider, _, task_id = told[: len(told) // 4].partition(" ")
    return provider, task_id


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


class SimFetch:
    """storage.fetch with the way there and back left to fate."""

    def __init__(self, world: World, gateways: Gateways, bucket: SimBucket) -> None:
        self.world, self.gateways, self.bucket = world, gateways, bucket

    def __call__(
        self,
        session: requests.Session,
        url: str,
        *,
        folder: Path,
        limits: FetchLimits,
        allow_private: bool,
        keep_going: Callable[[], None],
    ) -> Spooled:
        world, fate = self.world, self.world.fate
        world.effect("before a download", 0.05)
        keep_going()
        if url.startswith(IN_BUCKET):
            content = self.bucket.objects[url.removeprefix(IN_BUCKET)].content
            return Spooled(io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())
        task, number = self.gateways.find(url)
        if fate.strikes("link_expires"):
            task.forgotten_at = world.now
        if fate.strikes("link_dead"):
            task.links = max(task.links, number + 1)
        if fate.strikes("link_forbidden"):
            task.links = task.links_forbidden = max(task.links, number + 1)
        if number < task.links_forbidden:
            world.tell("link forbidden", task.id)
            raise LinkForbidden("the link names a port")
        if number < task.links or world.now >= task.gone_at():
            world.tell("link dead", task.id)
            raise LinkDead("the link answers 403", status=403)
        if fate.strikes("link_unavailable"):
            world.tell("link unavailable", task.id)
            raise LinkUnavailable("the link answers 503")
        rounds = int(fate.between(2, 8)) if fate.strikes("download_slow") else 1
        for _ in range(rounds):
            world.effect("during a download", fate.between(5, 40) if rounds > 1 else 0.5)
            keep_going()
        if fate.strikes("film_differs"):
            task.takes += 1
        content = film(task.provider, task.id, task.takes - 1)
        if fate.strikes("download_cut"):
            content = content[:-5]
        if fate.strikes("download_html"):
            raise BadVideo(f"no MP4: it begins with {HTML[:16]!r}")
        return Spooled(io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())


class SimProber(Prober):
    """Every film plays; one that is whole is as long as was ordered."""

    def __init__(self, world: World, gateways: Gateways) -> None:
        super().__init__()
        self.world, self.gateways = world, gateways

    def probe(self, file: BinaryIO) -> tuple[VideoFacts, bytes]:
        self.world.effect("during the proof", 0.05)
        if self.world.fate.strikes("probe_fails"):
            raise StorageError("the probe helper does not stay alive")
        file.seek(0)
        task = self.gateways.tasks.get(task_of(file.read()))
        length_s, size = (task.length_s, task.size) if task else (1.0, SIZE)
        return VideoFacts(length_s, *size, 30.0, "h264", has_audio=False), POSTER


@dataclass(frozen=True)
class Stored:
    content: bytes
    metadata: dict[str, str]


class SimBucket(Bucket):
    """One bucket; a PUT is whole or not at all, and only one with If-None-Match can be the first at a key."""

    def __init__(self, world: World) -> None:
        super().__init__(BucketConfig("videos", "", None, None, None, None), client=object())
        self.world = world
        self.objects: dict[str, Stored] = {}
        self.small: dict[str, bytes] = {}
        self.puts: dict[str, int] = {}
        self.landed: dict[str, float] = {}
        self.proven: set[str] = set()  # keys at which a film landed that bears nobody's mark
        self.replaced: set[str] = set()  # those at which an accepted one took its place
        self.away_until = 0.0

    def head(self, key: str) -> StoredVideo | None:
        if key.startswith(UNPROVEN):
            self._reach_aside()
        else:
            self._reach("before a HEAD")
        found = self._found(key)
        return None if found is None else StoredVideo(key, len(found.content), dict(found.metadata))

    head_with_checksum = head  # this store keeps none

    def listing(self, prefix: str) -> Iterator[Listed]:
        if prefix.startswith(UNPROVEN):  # of which fate decides apart from all else
            self._reach_aside()
        else:
            self._reach("before a listing")
        keys = sorted(key for key in (*self.objects, *self.small) if key.startswith(prefix))
        now = self.world.database_time()
        return iter([Listed(key, len(found.content), now) for key in keys if (found := self._found(key)) is not None])

    def open(self, key: str) -> Iterator[bytes]:
        self._reach("before a GET")
        found = self._found(key)
        if found is None:
            raise BucketUnavailable("404 NoSuchKey")
        return iter([found.content])

    def link(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        return f"{IN_BUCKET}{key}"

    def put_small(self, key: str, body: bytes, content_type: str) -> None:
        self._reach("before a small PUT")
        self.small[key] = body

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
        if first is not None:
            first()
        world, fate = self.world, self.world.fate
        if key.startswith(UNPROVEN):
            self._reach_aside()
            spooled.file.seek(0)
            self.objects.setdefault(key, Stored(spooled.file.read(), dict(metadata)))
            return
        self._reach("before the PUT")
        spooled.file.seek(0)
        made = Stored(spooled.file.read(), dict(metadata))
        if fate.strikes("put_late"):
            world.after(fate.between(1, 3000), lambda: self._land(key, made))
            world.effect("after the PUT", 30)
            world.tell("PUT given up, and under way")
            raise BucketUnavailable("PUT: the time was over")
        if keep_going:
            keep_going()
        landed = self._land(key, made)
        world.effect("after the PUT", 0.2)
        if fate.strikes("put_unanswered"):
            world.tell("PUT unanswered")
            raise BucketUnavailable("PUT: no answer")
        if not landed:
            raise ObjectExists(f"{key} is taken")

    def _land(self, key: str, made: Stored) -> bool:
        if key in self.objects:
            return False
        if MARK in made.metadata and key in self.proven:
            self.replaced.add(key)
        elif MARK not in made.metadata:
            self.proven.add(key)
        self.objects[key] = made
        self.puts[key] = self.puts.get(key, 0) + 1
        self.landed[key] = self.world.now
        self.world.tell("object appears", key.rpartition("/")[2])
        return True

    def _found(self, key: str) -> Stored | None:
        small = self.small.get(key)
        return self.objects.get(key) if small is None else Stored(small, {})

    def _reach_aside(self) -> None:
        if self.world.fate.strikes("aside_refused"):
            self.world.tell("bucket refuses aside")
            raise BucketUnavailable("403 AccessDenied")

    def _reach(self, point: str) -> None:
        world, fate = self.world, self.world.fate
        world.effect(point, 0.05)
        if fate.strikes("bucket_away"):
            self.away_until = world.now + fate.between(60, 3000)
        if (world.now < self.away_until and not fate.calm) or fate.strikes("bucket_refuses"):
            world.tell("bucket refuses")
            raise BucketUnavailable("503 SlowDown")


def strange(key: str) -> Stored:
    """An object that is not ours."""
    return Stored(film("elsewhere", key), dict(STRANGER))
