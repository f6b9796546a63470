"""The metadata of a video's object: ASCII there, as it was back."""

from __future__ import annotations

from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_cases import JOB_ID, accepted, case, job

from jobs import gate
from jobs.machine.states import State
from jobs.steps import object_metadata
from jobs.steps.object_metadata import BadMetadata, Said
from storage.bucket import StoredVideo
from storage.proof.probe import VideoFacts

SHA256 = "0a" * 32
MOST_BYTES = 2048  # of names and values, with the prefix that some stores count
IDS = st.text(min_size=1, max_size=200).filter(lambda text: gate.name(text) is not None)


def stored(task_id: str | None = "task-1", video: VideoFacts | None = None, **changes: str) -> StoredVideo:
    video = video or VideoFacts(2.0, 1280, 720, 24.0, "h264", False)
    metadata = object_metadata.write(case(job(State.ARCHIVING), accepted(task_id=task_id)), SHA256, video)
    return StoredVideo("key.mp4", 1000, metadata | {f"rushes-{name}": value for name, value in changes.items()})


@given(task_id=IDS)
def test_an_id_comes_back_as_it_was_and_travels_as_ascii_without_blanks(task_id: str) -> None:
    found = stored(task_id)
    assert all(value.isascii() and value.isprintable() and " " not in value for value in found.metadata.values())
    assert object_metadata.read(found) == Said(JOB_ID, 1, task_id)


@pytest.mark.parametrize("task_id", ["任" * 170, "🎬" * 128, "%" * 200, "x" * 200])
def test_the_longest_ids_fit_into_what_a_store_takes(task_id: str) -> None:
    assert gate.name(task_id) == task_id
    size = sum(len(f"x-amz-meta-{name}{value}") for name, value in stored(task_id).metadata.items())
    assert size <= MOST_BYTES


@pytest.mark.parametrize("task_id", ["task-1", "a/b?c=d&e+f~g", "8b6a5162-0b1c-4c8e"])
def test_an_id_of_plain_characters_is_written_as_it_is(task_id: str) -> None:
    assert stored(task_id).metadata["rushes-task"] == task_id


def test_no_id_reads_as_an_encoded_word_that_a_store_would_decode() -> None:
    found = stored("=?UTF-8?B?5Lu7?=")
    assert str(make_header(decode_header(found.metadata["rushes-task"]))) == found.metadata["rushes-task"]
    assert object_metadata.read(found).task_id == "=?UTF-8?B?5Lu7?="


def test_an_order_that_bears_no_task_any_more_names_none() -> None:
    assert object_metadata.read(stored(None)).task_id is None


@pytest.mark.parametrize("video", [(2.0, 1280, 720, 24.0), (9.2e18, 16, 16, 0.001), (0.001, 8192, 4320, 2e9)])
def test_what_a_probe_may_say_is_read_as_it_was_written(video: Any) -> None:
    duration_s, width, height, fps = video
    columns = object_metadata.video_columns(stored(video=VideoFacts(*video, "h264", False)))
    assert columns == {
        "bytes": 1000,
        "sha256": SHA256,
        "accepted_by": None,
        "duration_s": duration_s,
        "width": width,
        "height": height,
        "fps": fps,
    }


def test_only_what_a_person_accepted_may_say_nothing_of_the_film() -> None:
    whose = object_metadata.write(case(job(State.ARCHIVING), accepted()), SHA256, None, accepted_by="key_1")
    found = StoredVideo("key.mp4", 1000, whose)
    assert object_metadata.read(found).accepted_by == "key_1"
    assert object_metadata.video_columns(found)["accepted_by"] == "key_1"
    assert object_metadata.video_columns(found)["width"] is None
    unmarked = StoredVideo("key.mp4", 1000, {k: v for k, v in whose.items() if k != "rushes-accepted-by"})
    with pytest.raises(BadMetadata, match="rushes-size"):
        object_metadata.video_columns(unmarked)


@pytest.mark.parametrize(
    "changes", [{"job": ""}, {"attempt": "0"}, {"attempt": "1" * 10}, {"task": "%FF"}, {"task": "%00"}]
)
def test_nonsense_is_nobodys(changes: dict[str, str]) -> None:
    with pytest.raises(BadMetadata, match=f"rushes-{next(iter(changes))}"):
        object_metadata.read(stored(**changes))


@pytest.mark.parametrize(
    ("name", "value"), [("sha256", "x" * 64), ("size", "1x"), ("size", "1x1e9"), ("duration-s", "inf"), ("fps", "nan")]
)
def test_what_is_no_number_is_none_of_a_videos(name: str, value: str) -> None:
    with pytest.raises(BadMetadata, match=f"rushes-{name}"):
        object_metadata.video_columns(stored(**{name: value}))
