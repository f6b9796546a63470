"""The bucket answers 503, hangs, loses its answer, takes flipped bits, or holds somebody else's object."""

from __future__ import annotations

import pytest
from plant import Plant
from wire_words import CONFLICT, SLOW_DOWN, is_final, request_of

from jobs.machine.states import State

ONE_CALL = 3  # tries that the S3 client makes of one call
CALLS = {
    "HEAD": ("HEAD", ".mp4"),
    "PUT of the poster": ("PUT", ".jpg"),
    "PUT of the sidecar": ("PUT", ".json"),
    "PUT of the video": ("PUT", ".mp4"),
}
FAILURES: dict[str, str | bytes] = {"503": SLOW_DOWN, "reset": "cut"}
SAMPLE = {("HEAD", "503"), ("PUT of the video", "reset")}


@pytest.mark.parametrize(
    ("call", "how"),
    [
        pytest.param(call, how, marks=() if (call, how) in SAMPLE else pytest.mark.prove)
        for call in CALLS
        for how in FAILURES
    ],
)
def test_a_call_that_fails_is_tried_again_later(plant: Plant, call: str, how: str) -> None:
    match = request_of(*CALLS[call])
    trap = plant.to_bucket["transfer"].trap(match, after=False, then=FAILURES[how], times=ONE_CALL)
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert "transfer_trouble" in plant.book.history(job_id)


@pytest.mark.prove
def test_a_put_that_meets_another_write_under_way_is_tried_again(plant: Plant) -> None:
    trap = plant.to_bucket["transfer"].trap(request_of("PUT", ".mp4"), after=False, then=CONFLICT)
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()


def test_a_bucket_that_is_away_for_a_while_costs_no_job(plant: Plant) -> None:
    plant.to_bucket["transfer"].refuse()
    job_ids = [plant.book.order("evolink") for _ in range(3)]
    for job_id in job_ids:
        plant.await_(lambda j=job_id: "transfer_trouble" in plant.book.history(j), "trouble with the bucket")
    assert {plant.book.state(job_id) for job_id in job_ids} == {State.ARCHIVING}
    plant.to_bucket["transfer"].heal()
    plant.book.await_archived(*job_ids)


@pytest.mark.prove
def test_a_bucket_that_hangs_past_the_lease_gets_the_object_from_another_and_keeps_one(plant: Plant) -> None:
    trap = plant.to_bucket["transfer"].trap(request_of("PUT", ".mp4"), after=False)
    job_id = plant.book.order("evolink")
    [case] = plant.book.await_archived(job_id)  # by whoever took the job when the lease ran out
    assert trap.caught.is_set()
    trap.release()
    plant.book.await_archived(plant.book.order("evolink"))
    assert plant.book.case(job_id).job == case.job
    assert plant.book.history(job_id).count("store") == 1


def test_a_put_whose_answer_was_lost_has_stored_the_video(plant: Plant) -> None:
    match = request_of("PUT", ".mp4")
    trap = plant.to_bucket["transfer"].trap(match, after=True, then="cut", counts=is_final)
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert plant.book.sold(job_id)[0]["link_hits"]["count"] == 1


def test_a_strangers_object_that_appears_at_the_last_moment_is_not_overwritten(plant: Plant) -> None:
    trap = plant.to_bucket["transfer"].trap(request_of("PUT", ".mp4"), after=False)
    job_id = plant.book.order("evolink")
    assert trap.caught.wait(60)
    key = plant.book.case(job_id).job.archive_key
    plant.bucket.put_small(key, b"a stranger's", "text/plain")
    plant.book.strangers.add(key)
    trap.release()
    [case] = plant.book.await_ended(job_id)
    assert (case.job.state, case.job.error_code) == (State.FAILED, "key_conflict")
    assert b"".join(plant.bucket.open(key)) == b"a stranger's"


def test_a_bit_that_flips_on_the_way_never_reaches_the_archive(plant: Plant) -> None:
    def flipped(chunk: bytes) -> bytes:
        return chunk[:-1] + bytes([chunk[-1] ^ 1])

    def film(recent: bytes, chunk: bytes) -> bool:
        return b"ftyp" in chunk

    trap = plant.to_bucket["transfer"].trap(film, after=False, then=flipped, times=ONE_CALL)
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert "transfer_trouble" in plant.book.history(job_id)
