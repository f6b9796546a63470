"""The HTTP API: keys, requests, refusals, pages."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from api_orders import Bells
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.settings import Settings
from jobs.store import cases, heartbeats, tables
from jobs.store.database import Database
from rushes.app import create_app
from storage.bucket import Bucket
from storage.keys import poster_key

GOOD = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}
URL = "https://example.com/file"
DYING = "https://host/a.png?X-Amz-Date=20260101T000000Z&X-Amz-Expires=600&X-Amz-Signature=0"
FRAME = {"type": "first_frame", "url": URL}
CLIP = {"type": "reference_video", "url": URL}
IMAGE = {**GOOD, "mode": "image-to-video", "media": [FRAME]}
REFERENCE = {**GOOD, "mode": "reference-to-video", "media": [CLIP]}
EDIT = {"mode": "video-edit", "provider": "evolink", "media": [{"type": "video", "url": URL}]}


def test_a_request_is_kept_answered_with_202_and_its_place_and_rung_for(api: FlaskClient, bells: Bells) -> None:
    answer = api.post("/v1/jobs", json=GOOD)
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert bells.rung == [("jobs.submit", job["id"])]
    assert job["waiting"].pop("position") is None  # an order does not pay for counting
    shown = api.get(answer.headers["Location"]).get_json()
    assert shown["waiting"].pop("position") == 1
    assert shown == job
    events = api.get(job["links"]["events"]).get_json()["data"]
    assert [line["event"] for line in events] == ["created"]


def test_the_same_key_and_body_give_the_same_job_and_another_body_is_refused(api: FlaskClient, bells: Bells) -> None:
    headers = {"Idempotency-Key": "order-7"}
    first = api.post("/v1/jobs", json=GOOD, headers=headers)
    again = api.post("/v1/jobs", json=GOOD, headers=headers)
    other = api.post("/v1/jobs", json={**GOOD, "seed": 7}, headers=headers)
    assert again.get_json()["id"] == first.get_json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert len(bells.rung) == 1


@pytest.mark.parametrize(("first", "then"), [("x", '"x"'), ('"x"', "x"), (' "x" ', '"x"'), ('a"b', r'"a\"b"')])
def test_a_key_is_one_key_quoted_or_not(api: FlaskClient, first: str, then: str) -> None:
    made = api.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": first}).get_json()["id"]
    again = api.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": then})
    assert (again.get_json()["id"], again.headers["Idempotency-Replayed"]) == (made, "true")


@pytest.mark.parametrize("then", ["x", '"x"'])
def test_a_key_that_was_kept_with_its_quotes_is_still_found(api: FlaskClient, database: Database, then: str) -> None:
    made = api.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": "x"}).get_json()["id"]
    with database.write() as db:
        db.execute(sa.update(tables.idempotency_keys).values(key='"x"'))
    assert api.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": then}).get_json()["id"] == made


def test_fifty_equal_requests_at_once_make_one_job(api: FlaskClient, database: Database) -> None:
    def send(_: int) -> str:
        client = api.application.test_client()
        client.environ_base.update(api.environ_base)
        answer = client.post("/v1/jobs", json=GOOD, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 202, answer.get_data()
        return str(answer.get_json()["id"])

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(send, range(50)))) == 1
    with database.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(tables.jobs)).scalar_one() == 1


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "prompt", "Missing data"),
        ({**GOOD, "prompt": ""}, "prompt", "between 1 and 5000"),
        ({**GOOD, "prompt": 7}, "prompt", "Not a valid string"),
        ({**GOOD, "promt": "x"}, "promt", "did you mean prompt"),
        ({**GOOD, "resolution": "4k"}, "resolution", "720p, 1080p"),
        ({**GOOD, "duration": 99}, "duration", "15"),
        ({**GOOD, "duration": 16}, "duration", "15"),
        ({**GOOD, "duration": 1}, "duration", "At least 2 seconds"),
        ({**GOOD, "duration": 0}, "duration", "video-edit alone"),
        ({**GOOD, "duration": "5"}, "duration", "Not a valid integer"),
        ({**GOOD, "seed": -1}, "seed", "0"),
        ({**GOOD, "seed": 0}, "seed", "evolink"),
        ({**GOOD, "ratio": "2:1"}, "ratio", "16:9"),
        ({**GOOD, "mode": "video"}, "mode", "text-to-video"),
        ({**GOOD, "mode": "image-to-video"}, "media", "wants first_frame or first_clip"),
        ({**GOOD, "mode": "reference-to-video"}, "media", "wants reference_image or reference_video"),
        ({**GOOD, "mode": "video-edit"}, "media", "wants video"),
        ({**GOOD, "provider": "nobody"}, "provider", "choose from"),
        ({**GOOD, "provider": "apiframe"}, "provider", "RUSHES_APIFRAME_API_KEY"),
        ({**GOOD, "provider": []}, "provider", "auto"),
        ({**GOOD, "media": [{"type": "x", "url": "y"}]}, "media.0.type", "first_frame"),
        ({**GOOD, "media": [{"type": "first_frame", "url": "file:///etc/passwd"}]}, "media.0.url", "https://"),
        ({**GOOD, "media": [FRAME]}, "media", "first_frame goes with image-to-video, reference-to-video"),
        ({**IMAGE, "media": [FRAME, FRAME]}, "media", "may occur 1 time"),
        ({**IMAGE, "ratio": "16:9"}, "ratio", "takes the shape of its first frame"),
        ({**IMAGE, "media": [{**FRAME, "reference_voice": URL}]}, "media", "reference_voice stands inside"),
        ({**IMAGE, "media": [{**FRAME, "typ": "x"}]}, "media.0.typ", "did you mean type"),
        ({**IMAGE, "media": [FRAME, {"type": "first_clip", "url": URL}]}, "media", "evolink does not serve"),
        ({**IMAGE, "media": [{**FRAME, "url": DYING}]}, "media.0.url", "dies at 2026-01-01T00:10:00Z"),
        ({**REFERENCE, "duration": 12}, "duration", "it allows 2 to 10 seconds with a reference_video"),
        ({**REFERENCE, "media": [CLIP] * 6}, "media", "at most 5 reference_image and reference_video"),
        ({**REFERENCE, "prompt": None}, "prompt", "Missing data"),
        ({**REFERENCE, "media": [CLIP] * 17}, "media", "16"),
        ({**EDIT, "duration": 5}, "duration", "evolink does not serve 5; it allows 0, the length of the input"),
        ({**EDIT, "ratio": "1:1"}, "ratio", "evolink does not serve '1:1'"),
        ({**EDIT, "audio_setting": "loud"}, "audio_setting", "auto, origin"),
        ({**GOOD, "audio_setting": "origin"}, "audio_setting", "only with video-edit"),
        ({**GOOD, "shot_type": "multi"}, "shot_type", "evolink does not serve 'multi'; it allows nothing"),
        ({**GOOD, "shot_type": "both"}, "shot_type", "single, multi"),
        ({**GOOD, "prompt_extend": "no"}, "prompt_extend", "boolean"),
        ({**GOOD, "watermark": True}, "watermark", "evolink does not serve True; it allows false"),
        ({**GOOD, "negative_prompt": "x" * 501}, "negative_prompt", "at most 500 characters"),
        ({**GOOD, "metadata": {"a": 1}}, "metadata.a", "string"),
        ({**GOOD, "notify_url": "https://example.com/x"}, "notify_url", "RUSHES_NOTICE_SECRETS"),
        ({**GOOD, "on_unconfirmed": "retry"}, "on_unconfirmed", "resubmit"),
        ({**GOOD, "start_within_s": 1}, "start_within_s", "60"),
        ({**GOOD, "watermark": "yes"}, "watermark", "boolean"),
        ([GOOD], "body", "Invalid input type"),
    ],
)
def test_a_wrong_request_gets_422_naming_the_field_and_what_is_allowed(
    api: FlaskClient, bells: Bells, body: Any, field: str, words: str
) -> None:
    answer = api.post("/v1/jobs", json=body)
    problem = answer.get_json(force=True)
    assert answer.status_code == 422, problem
    assert answer.content_type == "application/problem+json"
    assert (problem["code"], problem["title"]) == ("invalid_request", "The request is not valid.")
    assert field in problem["detail"]
    assert words in " ".join(problem["errors"][field]), problem
    assert bells.rung == []


@pytest.mark.parametrize("body", [GOOD, IMAGE, REFERENCE, EDIT], ids=lambda body: body.get("mode", "text-to-video"))
def test_every_mode_is_taken(api: FlaskClient, body: dict[str, Any]) -> None:
    answer = api.post("/v1/jobs", json=body)
    assert answer.status_code == 202
    assert answer.get_json()["mode"] == body.get("mode", "text-to-video")


@pytest.mark.parametrize("query", ["dryrun=true", "limit=3"])
def test_an_order_with_a_parameter_that_nobody_knows_is_refused(api: FlaskClient, bells: Bells, query: str) -> None:
    answer = api.post(f"/v1/jobs?{query}", json=GOOD)
    name = query.partition("=")[0]
    assert (answer.status_code, list(answer.get_json()["errors"])) == (422, [name])
    assert bells.rung == []
    if name == "dryrun":
        assert "did you mean dry_run?" in answer.get_json()["errors"][name][0]


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"prompt": "a", "prompt": "b"}', "application/json", 400),
        (b'{"prompt": "a\\ud800"}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"seed": NaN}', "application/json", 400),
        (b'{"prompt": "a"}', "text/plain", 415),
        (b"prompt=a", "application/x-www-form-urlencoded", 415),
        (b"x" * 300_000, "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused_and_never_500(
    api: FlaskClient, raw: bytes, content_type: str, status: int
) -> None:
    answer = api.post("/v1/jobs", data=raw, content_type=content_type)
    assert answer.status_code == status
    assert answer.get_json(force=True)["status"] == status


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer rk_nobody", "Basic abc", "Bearer rk_\udcff"])
def test_without_a_live_key_everything_under_v1_is_401_before_the_body_is_read(api: FlaskClient, header: str) -> None:
    client = api.application.test_client()
    answer = client.post("/v1/jobs", data=b"{", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "rushes keys create" in answer.get_json(force=True)["detail"] or header


def test_a_revoked_key_is_refused(api: FlaskClient, database: Database) -> None:
    key_id, key = api_keys.create(database, "short-lived")
    client = api.application.test_client()
    assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert api_keys.revoke(database, key_id)
    assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_pages_walk_through_all_jobs_once_newest_first(api: FlaskClient) -> None:
    made = [api.post("/v1/jobs", json=GOOD).get_json()["id"] for _ in range(7)]
    seen, cursor = [], None
    while True:
        page = api.get("/v1/jobs", query_string={"limit": 3, **({"cursor": cursor} if cursor else {})}).get_json()
        seen += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            break
    assert seen == made[::-1]
    assert api.get("/v1/jobs?state=archived").get_json()["data"] == []


@pytest.mark.parametrize("query", ["state=gone", "limit=0", "limit=101", "limit=x", "cursor=%00", "stat=queued"])
def test_a_wrong_query_gets_422(api: FlaskClient, query: str) -> None:
    assert api.get(f"/v1/jobs?{query}").status_code == 422


def test_unknown_jobs_paths_and_methods_are_problems_too(api: FlaskClient) -> None:
    assert api.get("/v1/jobs/job_nobody").get_json(force=True)["code"] == "unknown_job"
    assert api.get("/v1/jobs/job_nobody/video").status_code == 404
    assert api.get("/v1/nothing").content_type == "application/problem+json"
    answer = api.delete("/v1/jobs")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_the_video_is_409_until_it_is_archived_and_then_a_link_that_works(
    api_with_bucket: FlaskClient, database: Database, bucket: Bucket
) -> None:
    job_id = api_with_bucket.post("/v1/jobs", json=GOOD).get_json()["id"]
    early = api_with_bucket.get(f"/v1/jobs/{job_id}/video")
    assert (early.status_code, early.get_json(force=True)["code"]) == (409, "not_archived")
    with database.write() as db:
        key = cases.read_case(db, job_id).job.archive_key
        db.execute(sa.update(tables.jobs).values(state="archived", alarm_at=None, width=16))
    bucket.put_small(key, b"film", "video/mp4")
    answer = api_with_bucket.get(f"/v1/jobs/{job_id}/video")
    assert answer.status_code == 302
    followed = requests.get(answer.headers["Location"], timeout=5)
    assert (followed.content, "Content-Disposition" in followed.headers) == (b"film", False)
    saved = requests.get(api_with_bucket.get(f"/v1/jobs/{job_id}/video?download=true").headers["Location"], timeout=5)
    assert (saved.content, f"{job_id}.mp4" in saved.headers["Content-Disposition"]) == (b"film", True)


def test_the_poster_is_409_until_its_video_is_archived_and_then_a_link_that_works(
    api_with_bucket: FlaskClient, database: Database, bucket: Bucket
) -> None:
    job_id = api_with_bucket.post("/v1/jobs", json=GOOD).get_json()["id"]
    early = api_with_bucket.get(f"/v1/jobs/{job_id}/poster")
    assert (early.status_code, early.get_json(force=True)["code"]) == (409, "not_archived")
    with database.write() as db:
        key = cases.read_case(db, job_id).job.archive_key
        db.execute(sa.update(tables.jobs).values(state="archived", alarm_at=None, width=16))
    bucket.put_small(poster_key(key), b"picture", "image/jpeg")
    links = api_with_bucket.get(f"/v1/jobs/{job_id}").get_json()["links"]
    assert requests.get(api_with_bucket.get(links["poster"]).headers["Location"], timeout=5).content == b"picture"


def test_a_request_is_kept_while_valkey_is_away(settings: Settings, database: Database) -> None:
    app = create_app(settings)  # with its real ringer; nobody listens at its broker's address
    _, key = api_keys.create(database, "test")
    answer = app.test_client().post("/v1/jobs", json=GOOD, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 202
    app.extensions["rushes.close"]()


def test_readiness_names_its_parts_and_liveness_asks_nobody(api_with_bucket: FlaskClient) -> None:
    assert api_with_bucket.get("/livez").get_json() == {"status": "ok"}
    answer = api_with_bucket.get("/readyz")
    parts = answer.get_json()["parts"]
    assert answer.status_code == 503
    assert parts["database"] == parts["bucket"] == "ok"
    assert parts["valkey"] != "ok"
    assert parts["worker"] == "never seen"


def test_a_process_that_was_seen_before_the_clock_was_set_back_is_not_taken_for_a_living_one(
    api_with_bucket: FlaskClient, database: Database
) -> None:
    now = database.clock
    database.clock = lambda db: now(db) + timedelta(days=1)
    heartbeats.beat(database, "worker@here:1", "worker")
    assert api_with_bucket.get("/readyz").get_json()["parts"]["worker"] == "never seen"
    database.clock = now
    heartbeats.beat(database, "worker@here:1", "worker")
    assert api_with_bucket.get("/readyz").get_json()["parts"]["worker"] == "ok"


def test_the_openapi_document_is_valid_and_describes_problems(api: FlaskClient) -> None:
    document = json.loads(api.get("/openapi.json").get_data())
    validate(document)
    assert document["openapi"].startswith("3.1")
    rules = {re.sub("<(.*?)>", r"{\1}", rule.rule) for rule in api.application.url_map.iter_rules()}
    assert set(document["paths"]) == {rule for rule in rules if rule.startswith("/v1/")}


def test_every_field_of_a_request_is_described(api: FlaskClient) -> None:
    schemas = json.loads(api.get("/openapi.json").get_data())["components"]["schemas"]
    for name in ("Request", "Media", "Retry"):
        fields = schemas[name]["properties"]
        assert [field for field, about in fields.items() if not about.get("description")] == []
        assert schemas[name]["additionalProperties"] is False


def test_every_parameter_of_a_query_is_described(api: FlaskClient) -> None:
    paths = json.loads(api.get("/openapi.json").get_data())["paths"]
    views = [view for path in paths.values() for method, view in path.items() if method in ("get", "post")]
    given = [parameter for view in views for parameter in view.get("parameters", [])]
    assert len(given) > 20
    assert [p["name"] for p in given if "$ref" not in p and not p.get("description")] == []


def test_answers_are_open_to_new_fields(api: FlaskClient) -> None:
    schemas = json.loads(api.get("/openapi.json").get_data())["components"]["schemas"]
    closed = {name for name, about in schemas.items() if about.get("additionalProperties") is False}
    assert {"Request", "Media", "Retry"} <= closed
    assert closed & {"Job", "JobList", "Problem", "Quote", "Event"} == set()


SIGNED = "https://host/a.png?X-Amz-Signature=0123456789abcdef"
TOLD = "https://pipeline.example/told?token=0123456789abcdef"


NOTICES = {"NOTICE_SECRETS": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}


def test_a_job_shows_the_request_as_it_was_taken(make_api: Any) -> None:
    api = make_api(**NOTICES)
    asked = {**IMAGE, "media": [{**FRAME, "url": SIGNED}], "notify_url": TOLD, "metadata": {"a": "b"}}
    made = api.post("/v1/jobs", json=asked).get_json()
    shown = api.get(made["links"]["self"]).get_json()["request"]
    assert shown == made["request"]
    assert {name: shown[name] for name in asked} == asked
    assert (shown["ratio"], shown["seed"], shown["on_unconfirmed"]) == (None, None, "wait")
    again = api.post("/v1/jobs", json=shown).get_json()
    assert (again["request"], again["id"] != made["id"]) == (shown, True)


def test_what_signs_an_input_is_shown_to_those_who_may_order_and_in_no_list(make_api: Any, database: Database) -> None:
    api = make_api(**NOTICES)
    asked = {**IMAGE, "media": [{**FRAME, "url": SIGNED}], "notify_url": TOLD}
    place = api.post("/v1/jobs", json=asked).headers["Location"]
    _, reading = api_keys.create(database, "dashboard", Scope.READ)
    answers = {
        "mine": api.get(place),
        "theirs": api.get(place, headers={"Authorization": f"Bearer {reading}"}),
        "list": api.get("/v1/jobs"),
    }
    assert [name for name, answer in answers.items() if "0123456789abcdef" in answer.text] == ["mine"]
    assert "https://host/a.png?…" in json.dumps(answers["list"].get_json(), ensure_ascii=False)
    assert answers["theirs"].get_json()["request"]["notify_url"] == "https://pipeline.example/…"


def test_a_notice_url_of_the_keys_own_is_shown_as_the_one_that_is_told(make_api: Any, database: Database) -> None:
    client = make_api(**NOTICES)
    _, key = api_keys.create(database, "pipeline", notify_url="https://pipeline.example/told")
    theirs = {"Authorization": f"Bearer {key}"}
    said = [
        client.post("/v1/jobs", json={**GOOD, **more}, headers=theirs).get_json() for more in ({}, {"notify_url": None})
    ]
    assert [job["request"]["notify_url"] for job in said] == ["https://pipeline.example/told", None]


def test_a_voice_that_is_null_is_one_that_was_left_out(api: FlaskClient) -> None:
    silent = {**FRAME, "reference_voice": None}
    made = api.post("/v1/jobs", json={**IMAGE, "media": [silent]}).get_json()
    assert made["request"]["media"] == [FRAME]
    assert api.get("/v1/jobs").get_json()["data"][0]["request"]["media"] == [FRAME]
