from datetime import UTC, datetime, timedelta, timezone

import pytest

from storage.keys import job_of, poster_key, sidecar_key, video_key

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


def test_a_video_stands_under_the_day_of_its_job() -> None:
    assert video_key("archive/", "job_01ABC", NOON) == "archive/videos/2026/03/07/job_01ABC.mp4"


def test_the_day_is_the_one_in_utc() -> None:
    in_tokyo = datetime(2026, 3, 8, 1, tzinfo=timezone(timedelta(hours=9)))
    assert video_key("", "job_1", in_tokyo) == "videos/2026/03/07/job_1.mp4"


def test_poster_and_sidecar_stand_beside_the_video() -> None:
    key = video_key("", "job_1", NOON)
    assert poster_key(key) == "videos/2026/03/07/job_1.jpg"
    assert sidecar_key(key) == "videos/2026/03/07/job_1.json"


@pytest.mark.parametrize("job_id", ["", "../job_1", "a/b", "job 1", "jöb", "job_1\n"])
def test_a_job_id_that_would_leave_its_folder_is_refused(job_id: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a key"):
        video_key("", job_id, NOON)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        video_key("", "job_1", NOON.replace(tzinfo=None))


@pytest.mark.parametrize("suffix", ["mp4", "jpg", "json"])
@pytest.mark.parametrize("prefix", ["", "takes/", "a.b"])
def test_an_objects_job_is_read_from_its_key(prefix: str, suffix: str) -> None:
    assert job_of(prefix, f"{prefix}videos/2026/11/21/job_1.{suffix}") == "job_1"


@pytest.mark.parametrize(
    "key",
    ["videos/2026/11/21/job_1.mov", "videos/2026/11/job_1.mp4", "takes/readme.txt", "takes/videos/2026/11/21/a/b.mp4",
     "takes/videos/2026/11/21/.mp4", "videos/2026/11/21/job_1.mp4"],
)  # fmt: skip
def test_a_key_that_no_job_has_names_none(key: str) -> None:
    assert job_of("takes/", key) is None
