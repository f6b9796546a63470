"""docs/notices.md: its example, its timetable, and its receiver, which reads what we sign."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from rushes.api.schemas.jobs import JobSchema
from webhooks import delivery

PAGE = (Path(__file__).parents[3] / "docs" / "notices.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UNITS = {3_600: "h", 60: "m", 1: "s"}


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def notice() -> dict[str, Any]:
    return dict(json.loads(block("json")))


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setenv("RUSHES_NOTICE_SECRETS", SECRET)
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(block("python"), "docs/notices.md", "exec"), page)
    app: Flask = page["app"]
    return app.test_client()


def signed(body: str, *secrets: str) -> Mapping[str, str]:
    now = datetime.now(UTC)
    signatures = [Webhook(secret).sign("ntc_1", now, body) for secret in secrets]
    stamp = {"webhook-id": "ntc_1", "webhook-timestamp": str(int(now.timestamp()))}
    return {**stamp, "webhook-signature": " ".join(signatures)}


def test_the_job_of_the_example_has_exactly_the_fields_of_the_api() -> None:
    shown, schema = notice()["data"], JobSchema()
    assert set(shown) == set(schema.fields)
    for name in ("cost", "video", "links"):
        assert set(shown[name]) == set(schema.fields[name].schema.fields), name
    assert schema.validate(shown) == {}


def test_the_headers_of_the_example_are_those_that_are_sent() -> None:
    names = [line.partition(":")[0] for line in block("text").splitlines()]
    assert names == ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]


def test_the_timetable_is_the_one_that_is_kept() -> None:
    *first, last = [next(f"{s // n} {unit}" for n, unit in UNITS.items() if s >= n) for s in delivery.TIMETABLE]
    assert f"{', '.join(first)} and {last}" in " ".join(PAGE.split())


def test_the_receiver_takes_a_notice_once(receiver: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(notice())
    for _ in range(2):
        assert receiver.post("/rushes", data=body, headers=signed(body, SECRET)).status_code == 204
    assert capsys.readouterr().out == f"job.archived {notice()['data']['id']}\n"


def test_the_receiver_refuses_what_another_signed(receiver: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(notice())
    other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    assert receiver.post("/rushes", data=body, headers=signed(body, other)).status_code == 400
    assert receiver.post("/rushes", data=body).status_code == 400
    assert capsys.readouterr().out == ""
