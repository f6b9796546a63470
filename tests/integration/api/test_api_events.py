"""GET /v1/events."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from rushes.api.events import MoveSchema

pytestmark = pytest.mark.both_databases

PLAIN = {"prompt": "A red fox", "provider": "evolink"}


def events(api: FlaskClient, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/v1/events{query}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.get_json()
    return told


def test_moves_are_told_once_from_where_the_answer_before_ended(api: FlaskClient) -> None:
    api.post("/v1/jobs", json=PLAIN)
    begun = events(api)
    assert begun["data"] == []
    job = api.post("/v1/jobs", json=PLAIN).get_json()
    first = events(api, f"?after={begun['next']}")
    assert [(move["job_id"], move["state"]) for move in first["data"]] == [(job["id"], "queued")]
    assert MoveSchema().validate(first["data"][0]) == {}
    assert first["next"] == first["data"][-1]["number"]
    assert events(api, f"?after={first['next']}") == {"data": [], "next": first["next"]}
    api.post(f"{job['links']['self']}/cancel")
    assert [move["state"] for move in events(api, f"?after={first['next']}")["data"]] == ["cancelled"]


def test_all_that_is_known_can_be_read_again(api: FlaskClient) -> None:
    made = [api.post("/v1/jobs", json=PLAIN).get_json()["id"] for _ in range(3)]
    assert [move["job_id"] for move in events(api, "?after=0")["data"]] == made
