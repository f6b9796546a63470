"""`rushes evidence` and GET /v1/jobs/<id>/evidence: all that proves an order, and nothing that opens a door."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from altered import AlteredSandbox
from api_client import served
from click.testing import Result
from flask.testing import FlaskClient
from leak_scan import leaks
from served import Served
from workshop import RUN, Workshop, account

from jobs import callback_urls
from jobs.intake.api_keys import Scope
from jobs.machine.states import State
from jobs.store import history
from jobs.upkeep.audit import audit
from jobs.upkeep.prune import Pruned, Pruning

Rushes = Callable[..., Result]
LINK = "https://cdn.example/v.mp4?X-Amz-Signature=0123456789abcdef"


@pytest.fixture
def api(workshop: Workshop) -> Iterator[FlaskClient]:
    with served(workshop, Scope.READ) as client:
        yield client


def evidence(api: FlaskClient, job_id: str) -> dict[str, Any]:
    answer = api.get(f"/v1/jobs/{job_id}/evidence")
    assert answer.status_code == 200, answer.text
    assert list(leaks(answer.text)) == []
    told: dict[str, Any] = answer.get_json()
    return told


def submitted(workshop: Workshop, **request: Any) -> str:
    job_id = workshop.create(**request)
    RUN["jobs.submit"](job_id, workshop.resources)
    return job_id


def callback_url(workshop: Workshop, job_id: str, provider: str) -> str:
    public_url = workshop.settings.public_url
    assert public_url is not None
    return callback_urls.mint(public_url, workshop.settings.callback_keys, provider, job_id, 1)


def missing(told: dict[str, Any]) -> dict[str, str]:
    return {each["what"]: each["why"] for each in told["not_kept"]}


def test_an_archived_job_is_proven_from_its_order_to_its_object(
    workshop: Workshop, receiver: Served, api: FlaskClient, sandbox: Any
) -> None:
    job_id = submitted(workshop, provider="apiframe")
    case = workshop.until(job_id, State.ARCHIVED)
    workshop.await_(lambda: evidence(api, job_id)["callbacks"], "the callback", job_id=job_id)
    told = evidence(api, job_id)
    (task,) = sandbox.tasks("apiframe")
    (order,) = told["orders"]
    assert (order["task_id"], order["outcome"], order["money"]["standing"]) == (task["task_id"], "delivered", "charged")
    assert order["times"]["created_at"] <= min(order["times"]["accepted_at"], order["times"]["finished_at"])
    assert order["request"]["headers"]["Idempotency-Key"] == f"{job_id}-1"
    assert json.loads(order["request"]["text"])["prompt"] == "A red fox runs through snow"
    (answer,) = order["answers"]
    assert (answer["what"], answer["status"], task["task_id"] in answer["body"]) == ("answered", 202, True)
    callback = told["callbacks"][-1]
    assert "X-Webhook-Signature" in callback["headers"]
    assert json.loads(base64.b64decode(callback["body"]["base64"]))["jobId"] == task["task_id"]
    assert [line["event"] for line in told["history"]][:2] == ["created", "routed"]
    assert "archived" in [line["to_state"] for line in told["history"]]
    stored = told["archive"]["object"]
    assert (stored["bytes"], stored["metadata"]["rushes-sha256"]) == (case.job.bytes, case.job.sha256)
    assert None not in (stored["etag"], stored["written_at"])
    assert told["archive"]["object_missing"] is None
    assert told["made_by"]["service"].startswith("rushes ")
    assert [what for what in missing(told) if what.startswith("order 1")] == []


def test_the_checksum_is_of_all_the_rest_in_the_form_that_the_document_names(
    workshop: Workshop, api: FlaskClient
) -> None:
    told = evidence(api, submitted(workshop, provider="evolink", prompt="Ein Fuchs im Schnee: 狐"))
    said = told.pop("sha256")
    form = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert said == hashlib.sha256(form).hexdigest()
    told["orders"][0]["money"]["reported_usd"] = 0.01
    form = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert said != hashlib.sha256(form).hexdigest()


def test_the_request_is_told_byte_by_byte_as_it_was_sent(make_workshop: Any, door: AlteredSandbox) -> None:
    workshop: Workshop = make_workshop(**door.settings)
    with served(workshop, Scope.READ) as api:
        for name in ("aivideoapi", "easyrouter"):
            job_id = submitted(workshop, provider=name)
            headers, body = door.orders[-1]
            request = evidence(api, job_id)["orders"][0]["request"]
            assert base64.b64decode(request["base64"]) == body
            assert (request["bytes"], request["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
            assert not request["masked"]
            sent = {n: v for n, v in headers.items() if n not in ("Host", "Content-Length")}
            assert request["headers"] == {**sent, "Authorization": "Bearer …"}


def test_secrets_are_masked_in_raw_bodies_too_and_what_came_is_known_by_its_checksum(
    workshop: Workshop, receiver: Served, api: FlaskClient, sandbox: Any
) -> None:
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = submitted(workshop, provider="aivideoapi")
    url, key = callback_url(workshop, job_id, "aivideoapi"), account(workshop, "aivideoapi").api_key
    token = url.rpartition("/")[2]
    old = callback_urls.mint("https://x.example", {"old": b"dropped long ago"}, "aivideoapi", job_id, 1)
    body = json.dumps({"id": "t-1", "status": "completed", "callback_url": url, "old": old, "key": key})
    body = body[:-1] + f', "escaped": "{url}", "link": "{LINK}"'.replace("/", "\\/") + "}"
    assert requests.post(url, data=body.encode(), headers={"Content-Type": "application/json"}, timeout=5).ok
    told = evidence(api, job_id)
    (kept,) = [each for each in told["callbacks"] if '"t-1"' in each["body"]["text"]]
    shown = base64.b64decode(kept["body"]["base64"]).decode()
    for secret in (token, old.rpartition("/")[2], key, "0123456789abcdef"):
        assert secret in body
        assert secret not in shown
        assert secret not in json.dumps(told)
    assert kept["body"]["masked"]
    assert (
        kept["body"]["sha256"]
        == hashlib.sha256(body.encode()).hexdigest()
        != hashlib.sha256(shown.encode()).hexdigest()
    )
    assert told["orders"][0]["request"]["masked"], "it names the callback URL"
    assert token not in told["orders"][0]["request"]["text"]


def test_what_is_no_text_is_told_byte_by_byte(
    workshop: Workshop, receiver: Served, api: FlaskClient, sandbox: Any
) -> None:
    sandbox.fault("aivideoapi", "lose_callback")
    job_id = submitted(workshop, provider="aivideoapi")
    body = bytes(range(256)) * 3
    requests.post(callback_url(workshop, job_id, "aivideoapi"), data=body, timeout=5)
    (kept,) = evidence(api, job_id)["callbacks"]
    assert base64.b64decode(kept["body"]["base64"]) == body
    assert (kept["body"]["text"], kept["body"]["masked"], kept["readable"]) == (None, False, False)
    assert kept["answered_with"] == 400


def test_an_acceptance_that_quotes_our_callback_url_tells_no_token_to_history(
    make_workshop: Any, door: AlteredSandbox, receiver: Served
) -> None:
    workshop: Workshop = make_workshop(**door.settings)
    workshop.receive_callbacks_at(receiver.url)
    door.rewrite = lambda body: body[:-1] + b', "echo": ' + json.dumps(door.orders[-1][1].decode()).encode() + b"}"
    job_id = submitted(workshop, provider="evolink")
    token = callback_url(workshop, job_id, "evolink").rpartition("/")[2]
    assert token.encode() in door.orders[-1][1]
    with workshop.database.read() as db:
        (line,) = [each for each in history.of_job(db, job_id) if each["event"] == "answered"]
    assert "echo" in line["detail"]["body"]
    assert token not in line["detail"]["body"]


@pytest.mark.parametrize(
    ("provider", "fault", "what"),
    [("evolink", {"status": 400}, "refused"), ("easyrouter", {"status": 503, "body": "<html>"}, "answer_lost")],
)
def test_a_refusal_and_an_answer_that_says_nothing_are_told_as_they_came(
    workshop: Workshop, api: FlaskClient, sandbox: Any, provider: str, fault: dict[str, Any], what: str
) -> None:
    sandbox.fault(provider, "refuse", **fault, times=1)
    (answer, *_) = evidence(api, submitted(workshop, provider=provider))["orders"][0]["answers"]
    assert (answer["what"], answer["status"]) == (what, fault["status"])
    assert answer["body"]


def test_what_pruning_took_is_said_to_be_gone(workshop: Workshop, api: FlaskClient) -> None:
    job_id = submitted(workshop, provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)
    at_once = replace(workshop.settings, keep_history_d=0, keep_callbacks_d=0)
    assert Pruning(workshop.database, at_once, pause=lambda s: None).run().histories == 1
    told = evidence(api, job_id)
    assert (told["orders"][0]["request"], told["orders"][0]["answers"]) == (None, [])
    gone = missing(told)
    for what in ("history", "requests of orders", "answers", "notices"):
        assert gone[what].startswith("thrown away on 20")
        assert "RUSHES_KEEP_HISTORY_D" in gone[what]
    assert gone["order 1: callbacks"] == "the order bore no callback URL"
    assert told["archive"]["sha256"] == workshop.case(job_id).job.sha256, "what the account rests on stays"


def test_a_packed_history_proves_the_same(workshop: Workshop, api: FlaskClient) -> None:
    job_id = submitted(workshop, provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)

    def told() -> tuple[Any, ...]:
        found = evidence(api, job_id)
        return found["history"], found["orders"], missing(found), api.get(f"/v1/jobs/{job_id}/events").get_json()

    before = told()
    at_once = replace(workshop.settings, pack_history_d=0)
    assert Pruning(workshop.database, at_once, pause=lambda s: None).run() == Pruned(packed_histories=1)
    assert told() == before
    assert audit(workshop.resources).balances


def test_a_bucket_that_does_not_answer_keeps_no_evidence_back(
    workshop: Workshop,
) -> None:
    job_id = submitted(workshop, provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)
    with served(workshop, Scope.READ, s3_endpoint_url="http://127.0.0.1:1") as api:
        archive = evidence(api, job_id)["archive"]
    assert archive["object"] is None
    assert archive["object_missing"].startswith("not looked at: ")
    assert archive["bytes"] == workshop.case(job_id).job.bytes


def test_an_order_that_was_not_sent_says_so(workshop: Workshop, api: FlaskClient) -> None:
    told = evidence(api, workshop.create(provider="evolink"))
    assert (told["orders"], told["archive"], told["callbacks"]) == ([], None, [])


@pytest.mark.parametrize("job_id", ["job_01K8Z3V0QWERTYUIOPASDFGHJK", "scene-12"])
def test_a_job_that_there_is_not_is_404(api: FlaskClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/evidence")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_job")


def test_the_command_writes_one_private_file_and_never_over_another(
    workshop: Workshop, rushes: Rushes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job_id = submitted(workshop, provider="easyrouter")
    done = rushes("evidence", job_id)
    assert done.exit_code == 0, done.output
    file = tmp_path / f"evidence-{job_id}.json"
    assert done.stdout == f"{file.name}\n"
    assert "1 order, 0 callbacks, 0 notices" in done.stderr
    assert "not in it: order 1: callbacks (the order bore no callback URL)" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.read_bytes()
    assert list(leaks(written.decode())) == []
    assert json.loads(written)["job"]["id"] == job_id

    again = rushes("evidence", job_id)
    assert (again.exit_code, file.read_bytes()) == (1, written)
    assert "is there already, and is left as it is" in again.stderr
    assert "--output" in again.stderr

    other = rushes("evidence", job_id, "--output", "dispute.json", "--json")
    told = json.loads(other.stdout)
    bytes_ = (tmp_path / "dispute.json").read_bytes()
    assert told == {
        "id": job_id,
        "file": "dispute.json",
        "bytes": len(bytes_),
        "sha256": hashlib.sha256(bytes_).hexdigest(),
    }


def test_the_command_writes_nothing_of_a_job_that_there_is_not(
    rushes: Rushes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = rushes("evidence", "job_01K8Z3V0QWERTYUIOPASDFGHJK")
    assert done.exit_code == 3
    assert list(tmp_path.glob("evidence-*")) == []
