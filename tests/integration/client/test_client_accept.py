"""Accepting a film that the proof refused."""

from __future__ import annotations

import pytest
from scripted import JOB_ID, Answer, Scripted, job, problem

from rushes_client import Client, NothingKept


def test_a_film_is_accepted_and_who_did_is_told(client: Client, service: Scripted) -> None:
    kept = {
        "sha256": "a",
        "bytes": 7,
        "reason": "cut off",
        "kept_at": "2026-11-21T15:46:13.827Z",
        "accepted_by": "key_1",
    }
    order = {"number": 1, "provider": "evolink", "outcome": "finished", "cost": {"standing": "charged"}}
    orders = [{**order, "unproven": kept, "created_at": "2026-11-21T15:46:13.827Z"}]
    service.script = [
        Answer(503),
        Answer(202, job("archiving", attempts=orders)),
        Answer(200, job("archived", accepted_by="key_1", ended_at="2026-11-21T15:46:13.827Z")),
    ]
    asked = client.accept(JOB_ID).attempts[0].unproven
    assert asked is not None
    assert (asked.reason, asked.accepted_by) == ("cut off", "key_1")
    assert client.wait(JOB_ID).accepted_by == "key_1"
    assert [request.path for request in service.requests[:2]] == [f"/v1/jobs/{JOB_ID}/video/accept"] * 2


def test_where_nothing_is_kept_it_says_so(client: Client, service: Scripted) -> None:
    service.script = [problem(409, "nothing_kept")]
    with pytest.raises(NothingKept):
        client.accept(JOB_ID)
