"""Against a real S3 server."""

import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import films
import pytest
import requests
from misbehaving import Server, head

from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketUnavailable, Cancelled, ObjectExists
from storage.spool import Spooled

KEY = "archive/videos/2026/03/07/job_1.mp4"
FACTS = {"job": "job_1", "attempt": "2", "duration": "1.0"}


def spooled(data: bytes) -> Spooled:
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    file.write(data)
    return Spooled(file, len(data), hashlib.sha256(data).hexdigest())


def put(bucket: Bucket, data: bytes, key: str = KEY) -> None:
    with spooled(data) as film:
        bucket.put_video(key, film, FACTS)


def test_a_video_is_kept_with_its_facts(bucket: Bucket) -> None:
    put(bucket, films.film())
    stored = bucket.head(KEY)
    assert stored
    assert (stored.key, stored.bytes, stored.metadata) == (KEY, len(films.film()), FACTS)
    assert b"".join(bucket.open(KEY)) == films.film()


def test_an_absent_video_is_none_and_cannot_be_opened(bucket: Bucket) -> None:
    assert bucket.head(KEY) is None
    with pytest.raises(BucketUnavailable):
        bucket.open(KEY)


def test_a_second_put_meets_the_first_and_changes_nothing(bucket: Bucket) -> None:
    put(bucket, films.film())
    with pytest.raises(ObjectExists):
        put(bucket, films.index_first())
    assert b"".join(bucket.open(KEY)) == films.film()


def test_of_eight_puts_at_once_one_wins(bucket: Bucket) -> None:
    bodies = [films.film() + bytes([number]) for number in range(8)]
    start = threading.Barrier(8)

    def race(body: bytes) -> bool:
        start.wait()
        try:
            put(bucket, body)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, bodies))
    assert won.count(True) == 1
    assert b"".join(bucket.open(KEY)) == bodies[won.index(True)]


def test_bytes_that_are_not_those_of_the_hash_never_appear(bucket: Bucket) -> None:
    with spooled(films.film()) as film, pytest.raises(BucketUnavailable, match="400"):
        bucket.put_video(KEY, replace(film, sha256=hashlib.sha256(b"other").hexdigest()), FACTS)
    assert bucket.head(KEY) is None
    put(bucket, films.film())


def test_a_video_is_read_once_to_be_put(bucket: Bucket) -> None:
    data, count = os.urandom(4 << 20), 0

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal count
            piece = super().read(size)
            count += len(piece)
            return piece

    bucket.put_video(KEY, Spooled(Counted(data), len(data), hashlib.sha256(data).hexdigest()), FACTS)
    assert count == len(data)
    assert b"".join(bucket.open(KEY)) == data


@pytest.mark.parametrize("patience", [0, 20], ids=["before the first byte", "while it is sent"])
def test_a_caller_who_says_stop_in_the_middle_leaves_no_object(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    monkeypatch.setattr("storage.put_body.KEEP_GOING_S", 0)
    asked = 0

    def keep_going() -> None:
        nonlocal asked
        asked += 1
        if asked > patience:
            raise Cancelled("told to")

    with spooled(os.urandom(4 << 20)) as film, pytest.raises(Cancelled, match="told to"):
        bucket.put_video(KEY, film, FACTS, keep_going)
    assert bucket.head(KEY) is None


def test_a_put_whose_answer_was_lost_meets_our_own_object(
    bucket_config: BucketConfig, serve: Callable[..., Server]
) -> None:
    tries: list[int] = []

    def talk(_: Server, connection: socket.socket, target: str) -> None:
        tries.append(1)
        if len(tries) > 1:
            connection.sendall(head("412 Precondition Failed", Content_Length=0))

    there = replace(bucket_config, endpoint_url=serve(talk).url("/"))
    with pytest.raises(ObjectExists):
        put(Bucket(there), films.film())
    assert len(tries) == 2


def test_small_objects_may_be_replaced(bucket: Bucket) -> None:
    for body in (b"{}", b'{"job": "job_1"}'):
        bucket.put_small("a.json", body, "application/json")
    assert b"".join(bucket.open("a.json")) == b'{"job": "job_1"}'


def test_a_link_opens_the_video_in_parts_too_and_for_this_video_alone(bucket: Bucket) -> None:
    put(bucket, films.film())
    link = bucket.link(KEY, expires_s=60)
    with requests.Session() as session:
        whole = session.get(link, timeout=10)
        assert (whole.content, whole.headers["Content-Type"]) == (films.film(), "video/mp4")
        part = session.get(link, headers={"Range": "bytes=10-19"}, timeout=10)
        assert (part.status_code, part.content) == (206, films.film()[10:20])
        assert session.get(link.replace("job_1", "job_2"), timeout=10).status_code == 403


def test_a_link_with_a_file_name_makes_browsers_save(bucket: Bucket) -> None:
    put(bucket, films.film())
    with requests.Session() as session:
        answer = session.get(bucket.link(KEY, expires_s=60, filename='fox "é"\r\nX: y.mp4'), timeout=10)
    assert answer.status_code == 200
    disposition = "attachment; filename*=UTF-8''fox%20%22%C3%A9%22%0D%0AX%3A%20y.mp4"
    assert answer.headers["Content-Disposition"] == disposition


def test_a_store_that_does_not_serve_us_means_try_later(bucket_config: BucketConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    for wrong in (
        replace(bucket_config, bucket="absent"),
        replace(bucket_config, secret_key="wrong"),
        replace(bucket_config, endpoint_url=f"http://127.0.0.1:{port}"),
    ):
        bucket = Bucket(wrong)
        for act in (bucket.check, lambda: bucket.head(KEY), lambda: put(bucket, films.film())):  # noqa: B023
            with pytest.raises(BucketUnavailable):
                act()


def test_ensure_makes_the_bucket_once(bucket_config: BucketConfig) -> None:
    fresh = Bucket(replace(bucket_config, bucket=bucket_config.bucket + "-fresh"))
    fresh.ensure()
    fresh.ensure()
    fresh.check()


FLAT = """
import os, pathlib, resource, sys
from storage.bucket import Bucket, BucketConfig
from storage.spool import Spool
def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
name, endpoint, access, secret, folder = sys.argv[1:]
bucket = Bucket(BucketConfig(name, "", endpoint, "us-east-1", access, secret))
bucket.put_small("warm", b"up", "text/plain")
spool = Spool(pathlib.Path(folder))
before = peak_mb()
for _ in range(64):
    spool.write(os.urandom(1 << 20))
with spool.finish() as film:
    bucket.put_video("large.mp4", film, {})
print(bucket.head("large.mp4").bytes, round(peak_mb() - before))
"""


def test_memory_stays_flat_for_a_large_video(bucket_config: BucketConfig, tmp_path: os.PathLike[str]) -> None:
    config = bucket_config
    arguments = [config.bucket, config.endpoint_url, config.access_key, config.secret_key, str(tmp_path)]
    command = [sys.executable, "-c", FLAT, *map(str, arguments)]
    size, growth_mb = map(int, subprocess.check_output(command, text=True).split())
    assert size == 64 << 20
    assert growth_mb < 8


def test_a_listing_has_every_object_below_a_prefix_page_by_page(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"archive/videos/{n}.json" for n in range(5)]
    for key in [*keys, "archive/other.json"]:
        bucket.put_small(key, b"{}", "application/json")
    real = bucket._client.list_objects_v2
    asked = []

    def by_two(**page: object) -> object:
        asked.append(page)
        return real(**page, MaxKeys=2)

    monkeypatch.setattr(bucket._client, "list_objects_v2", by_two)
    assert [(item.key, item.bytes) for item in bucket.listing("archive/videos/")] == [(key, 2) for key in keys]
    assert len(asked) >= 3
    assert list(bucket.listing("nothing/")) == []


def test_a_listing_of_a_bucket_that_is_not_there_is_no_empty_one(bucket: Bucket) -> None:
    with pytest.raises(BucketUnavailable, match="list videos/"):
        list(Bucket(replace(bucket.config, bucket="nowhere-at-all")).listing("videos/"))


def test_the_stores_own_checksum_is_shown_where_it_keeps_one(bucket: Bucket) -> None:
    put(bucket, films.film())
    stored = bucket.head_with_checksum(KEY)
    assert stored
    assert stored.sha256 in (None, hashlib.sha256(films.film()).hexdigest())
    assert bucket.head_with_checksum("archive/none.mp4") is None
