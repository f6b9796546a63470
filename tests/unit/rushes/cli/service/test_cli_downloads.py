"""Bringing a video home, whatever the line does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rushes.cli.service import downloads
from rushes.cli.service.api import Api
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure

FILM = bytes(range(256)) * 40
JOB: dict[str, Any] = {
    "id": "job_1",
    "state": "archived",
    "video": {"bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest()},
}


class Store(requests.Session):
    """The service's redirects and the bucket behind them. `faults`: what befalls one link after the other.

    A number: it breaks off after so many bytes. A status: it is refused so. "whole": it knows no ranges.
    """

    def __init__(self, film: bytes = FILM, *faults: Any) -> None:
        super().__init__()
        self.film, self.faults = film, list(faults)
        self.ranges: list[str | None] = []
        self.links = 0

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.url = str(url)
        if str(url) == "http://service/v1/jobs/job_1/video":
            self.links += 1
            response.status_code = 302
            response.headers["Location"] = f"https://s3/{self.links}"
            return response
        assert "Authorization" not in what["headers"]
        assert str(url) == f"https://s3/{self.links}"
        fault = self.faults.pop(0) if self.faults else None
        asked = what["headers"].get("Range")
        self.ranges.append(asked)
        begun = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and fault != "whole" else 0
        response.status_code = fault if isinstance(fault, int) and fault >= 400 else 206 if begun else 200
        response.raw = _Raw(self.film[begun:], fault if isinstance(fault, int) and fault < 400 else None)
        return response


class _Raw:
    def __init__(self, body: bytes, breaks_after: int | None) -> None:
        self._body, self._breaks_after = body, breaks_after

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        yield self._body if self._breaks_after is None else self._body[: self._breaks_after]
        if self._breaks_after is not None:
            raise requests.exceptions.ChunkedEncodingError("broken off")

    def close(self) -> None:
        """Nothing is open."""

    release_conn = close


def save(store: Store, path: Path, heard: list[int] | None = None) -> bool:
    counts = heard if heard is not None else []
    return downloads.save(Api("http://service", "rk_1", session=store, pause=lambda s: None), JOB, path, counts.append)


def test_a_video_is_saved_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    heard: list[int] = []
    assert save(Store(), tmp_path / "new" / "v.mp4", heard)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["v.mp4"]
    assert ((tmp_path / "new" / "v.mp4").read_bytes(), sum(heard)) == (FILM, len(FILM))


def test_a_line_that_breaks_is_gone_on_with_from_there_by_a_new_link(tmp_path: Path) -> None:
    store, heard = Store(FILM, 100, 0, 50), list[int]()
    assert save(store, tmp_path / "v.mp4", heard)
    assert store.ranges == [None, "bytes=100-", "bytes=100-", "bytes=150-"]
    assert ((tmp_path / "v.mp4").read_bytes(), sum(heard), store.links) == (FILM, len(FILM), 4)


def test_what_an_earlier_call_brought_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "v.mp4.part").write_bytes(FILM[:77])
    store, heard = Store(), list[int]()
    assert save(store, tmp_path / "v.mp4", heard)
    assert (store.ranges, heard[0], sum(heard)) == (["bytes=77-"], 77, len(FILM))


def test_a_link_that_has_expired_is_asked_for_anew(tmp_path: Path) -> None:
    assert save(Store(FILM, 403, 503), tmp_path / "v.mp4")


def test_a_store_without_ranges_sends_it_anew(tmp_path: Path) -> None:
    (tmp_path / "v.mp4.part").write_bytes(FILM[:77])
    heard: list[int] = []
    assert save(Store(FILM, "whole"), tmp_path / "v.mp4", heard)
    assert ((tmp_path / "v.mp4").read_bytes(), sum(heard)) == (FILM, len(FILM))


def test_a_part_that_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "v.mp4.part").write_bytes(FILM + b"more")
    heard: list[int] = []
    assert save(Store(), tmp_path / "v.mp4", heard)
    assert sum(heard) == len(FILM)


def test_a_bucket_that_stays_away_is_given_up_and_what_came_is_kept(tmp_path: Path) -> None:
    store = Store(FILM, 100, *[503] * 9)
    with pytest.raises(Failure, match="100 of 10240 bytes") as caught:
        save(store, tmp_path / "v.mp4")
    assert (caught.value.code, len(store.ranges)) == (failures.UNREACHABLE, 6)
    assert (tmp_path / "v.mp4.part").read_bytes() == FILM[:100]


def test_a_video_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(FILM)
    store = Store()
    assert not save(store, tmp_path / "v.mp4")
    assert store.links == 0


def test_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"mine")
    with pytest.raises(Failure, match="is another file"):
        save(Store(), tmp_path / "v.mp4")
    assert (tmp_path / "v.mp4").read_bytes() == b"mine"


def test_other_bytes_than_were_archived_never_take_the_name(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="came with the SHA-256"):
        save(Store(b"x" * len(FILM)), tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("film", [FILM + b"more", FILM * 3])
def test_a_film_that_does_not_end_is_cut_off(tmp_path: Path, film: bytes) -> None:
    with pytest.raises(Failure, match="more than 10240 bytes"):
        save(Store(film), tmp_path / "v.mp4")


def test_a_film_that_is_too_short_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="50 of 10240 bytes"):
        save(Store(FILM[:50]), tmp_path / "v.mp4")


def test_a_job_without_a_video_is_told(tmp_path: Path) -> None:
    job = {"id": "job_1", "state": "generating", "video": None}
    with pytest.raises(Failure, match="job_1 is generating; it has no video"):
        downloads.save(Api("http://service", None, session=Store()), job, tmp_path / "v.mp4", lambda count: None)
