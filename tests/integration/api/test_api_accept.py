"""POST /v1/jobs/<id>/video/accept: a person takes a film that the proof refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from api_orders import Bells, Orders
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.store.database import Database

DAY = "2026-03-04"
KEPT = {"task_id": "t-1", "sha256": "a" * 64, "bytes": 7, "reason": "cut off", "kept_at": datetime.now(UTC).isoformat()}
MADE = {"outcome": "finished", "task_id": "t-1"}


@pytest.mark.both_databases
def test_it_is_copied_next_and_history_names_the_key(api: FlaskClient, database: Database, bells: Bells) -> None:
    job_id = Orders(api, database).add(DAY, "charged", state="archiving", unproven=[KEPT], **MADE)
    answers = [api.post(f"/v1/jobs/{job_id}/video/accept") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    key_id = api.get(f"/v1/jobs/{job_id}").get_json()["attempts"][0]["unproven"]["accepted_by"]
    told = [line for line in api.get(f"/v1/jobs/{job_id}/events").get_json()["data"] if line["event"] == "accept_film"]
    assert [line["detail"] for line in told] == [{"sha256": KEPT["sha256"], "api_key": key_id}]
    assert ("jobs.transfer", job_id) in bells.rung


@pytest.mark.parametrize("state", ["generating", "archiving", "cancelled", "archived", "failed"])
def test_where_nothing_is_kept_nothing_is_accepted(api: FlaskClient, database: Database, state: str) -> None:
    job_id = Orders(api, database).add(DAY, "charged", state=state, **MADE)
    answer = api.post(f"/v1/jobs/{job_id}/video/accept")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "nothing_kept")


def test_a_key_that_may_only_look_accepts_nothing(api: FlaskClient, database: Database) -> None:
    _, key = api_keys.create(database, "looks", Scope.READ)
    answer = api.post(
        "/v1/jobs/job_01K8Z3V0QWERTYUIOPASDFGHJK/video/accept", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 403
