"""What is refused, and how it helps: every parameter and field of every operation has a row here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from api_orders import as_operator
from flask.testing import FlaskClient

from jobs.store.database import Database

JOB = "job_01K8Z3V0QWERTYUIOPASDFGHJK"
GOOD = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}
FRAME = {"type": "first_frame", "url": "https://example.com/file"}
PAGE = [("limit", "0", "Choose from 1 to 100"), ("limit", "x", "Not a whole number"), ("cursor", "!", "`next_cursor`")]
A_TIME = "send for example 2026-11-21T16:00:00Z"

# operation → parameter of the query, what is sent, and words of the refusal
QUERIES: dict[str, list[tuple[str, str, str]]] = {
    "POST /v1/jobs": [("dry_run", "maybe", "dry_run=true")],
    "GET /v1/jobs": [
        *PAGE,
        ("cursor", "x" * 201, "`next_cursor`"),
        ("state", "gone", "choose from queued, submitting"),
        ("state", "queued,gone", "gone"),
        ("state", "", "choose from"),
        ("provider", "nobody", "choose from aivideoapi, apiframe"),
        ("mode", "video", "choose from text-to-video"),
        ("created_after", "yesterday", A_TIME),
        ("created_after", "2026-11-21T16:00:00", "with a zone"),
        ("created_after", "0001-01-01T00:00:00+14:00", A_TIME),
        ("created_before", "2026-11-21", A_TIME),
        ("created_before", "2026-11-21T16:00:00 01:00", "%2B"),
        ("overdue", "false", "Send true"),
        ("needs_person", "no", "Send true"),
        ("batch", "\0", "NUL"),
        ("prompt", "", "Send 1 to 200 characters"),
        ("prompt", "x" * 201, "Send 1 to 200 characters"),
        ("prompt", "\0", "NUL"),
        ("metadata", "12", "metadata.scene=12"),
        ("metadata.", "12", "Length must be between 1 and 64"),
        ("metadata.a", "x" * 513, "Longer than maximum length 512"),
        ("metadata.a", "\0", "NUL"),
    ],
    "GET /v1/jobs/{job_id}": [
        ("wait", "61", "0 to 60 seconds"),
        ("wait", "-1", "0 to 60 seconds"),
        ("wait", "nan", "Special numeric values"),
        ("wait", "long", "Not a number of seconds"),
    ],
    "GET /v1/jobs/{job_id}/video": [("download", "yes", "download=true")],
    "GET /v1/costs": [
        ("from", "today", "YYYY-MM-DD"),
        ("to", "2026-13-01", "YYYY-MM-DD"),
        ("provider", "nobody", "choose from"),
        ("batch", "\0", "NUL"),
        ("key", "nobody", "No API key has this id or name"),
        ("by", "month", "choose from day, provider, key, batch and metadata.<key>"),
        ("format", "xlsx", "choose from json, csv"),
    ],
    "GET /v1/overview": [("span", "year", "Knows no year; choose from hour, day, week.")],
    "GET /v1/events": [
        ("after", "-1", "Send `next`"),
        ("after", "x", "Not a whole number"),
        ("after", "9" * 19, "`next`"),
    ],
    "GET /v1/attention": [("reason", "x", "choose from"), ("limit", "0", "Choose from 1 to 1000")],
    "GET /v1/notices": [
        *PAGE,
        ("job_id", "7", "ids look like job_"),
        ("state", "gone", "choose from"),
        ("type", "job.x", "choose from job.archived"),
    ],
    "GET /v1/callbacks/figures": [
        ("from", "yesterday", "YYYY-MM-DD"),
        ("from", "2026-01-01", "Callbacks are kept for 30 days (RUSHES_KEEP_CALLBACKS_D)"),
        ("to", "2026-01-01", "or a later day"),
        ("to", "2026-13-01", "YYYY-MM-DD"),
        ("provider", "nobody", "choose from"),
    ],
    "GET /v1/callbacks": [
        *PAGE,
        ("job_id", "7", "ids look like job_"),
        ("provider", "nobody", "choose from"),
        ("readable", "perhaps", "Send true or false"),
        ("unread", "perhaps", "Send true or false"),
    ],
}
# part of a path → the status, and words of the refusal
PATHS = {
    "job_id": ("unknown_job", "ids look like job_"),
    "number": ("unknown_order", "they are numbered from 1"),
    "name": ("unknown_provider", "there are aivideoapi, apiframe"),
    "batch": ("unknown_batch", "No job belongs to a batch"),
    "notice_id": ("unknown_notice", "ids look like ntc_"),
    "callback_id": ("unknown_callback", "ids look like cbk_"),
    "key_id": ("unknown_key", "ids look like key_"),
}
# What cannot be wrong: an id that is none is replaced, a validator that is none matches nothing.
NEVER_REFUSED = {"X-Request-Id", "If-None-Match"}
HEADERS = {
    "POST /v1/jobs": [
        ("Idempotency-Key", "x" * 256, "1 to 255"),
        ("Idempotency-Key", "é", "visible ASCII"),
        ("Idempotency-Key", '""', "1 to 255"),
        ("Idempotency-Key", '"x', "one pair of quotes"),
        ("Idempotency-Key", '"x" "y"', "one pair of quotes"),
    ]
}
# schema → field, what is sent, and words of the refusal
BODIES: dict[str, list[tuple[str, Any, str]]] = {
    "Request": [
        ("mode", "video", "text-to-video"),
        ("prompt", 7, "Not a valid string"),
        ("negative_prompt", "", "between 1 and 5000"),
        ("resolution", "4k", "720p, 1080p"),
        ("ratio", "2:1", "16:9"),
        ("duration", 99, "15"),
        ("seed", -1, "0"),
        ("prompt_extend", "no", "boolean"),
        ("watermark", "yes", "boolean"),
        ("audio_setting", "loud", "auto, origin"),
        ("shot_type", "both", "single, multi"),
        ("media", {}, "Not a valid list"),
        ("provider", [], "auto"),
        ("notify_url", "ftp://x", "https://"),
        ("metadata", [], "mapping"),
        ("batch", "a/b", "leave / out"),
        ("on_unconfirmed", "retry", "resubmit"),
        ("start_within_s", 1, "60"),
        ("resolutoin", "720p", "did you mean resolution?"),
    ],
    "Media": [
        ("type", "x", "first_frame"),
        ("url", "file:///etc/passwd", "https://"),
        ("reference_voice", "x", "https://"),
        ("typ", "x", "did you mean type?"),
    ],
    "Retry": [
        ("accept_double_charge", "yes", "boolean"),
        ("accept_double", True, "did you mean accept_double_charge?"),
    ],
    "Settle": [
        ("task_id", "t 1", "as the gateway shows it"),
        ("made", True, "send its task_id"),
        ("charged", "yes", "boolean"),
        ("task", "t-1", "did you mean task_id?"),
    ],
    "KeyRequest": [
        ("name", "", "1 to 100 printable characters"),
        ("name", "x" * 101, "1 to 100 printable characters"),
        ("name", "a\nb", "1 to 100 printable characters"),
        ("name", 7, "Not a valid string"),
        ("scope", "all", "Knows no all; choose from read, write, admin."),
        ("notify_url", "ftp://x", "https://"),
        ("scop", "read", "did you mean scope?"),
    ],
    "Rest": [("seconds", 0, "Choose from 1 to 2592000"), ("second", 9, "did you mean seconds?")],
    "ReplayFailed": [
        ("job_id", "7", "ids look like job_"),
        ("since", "now", A_TIME),
        ("sinc", "", "did you mean since?"),
    ],
}


@pytest.fixture
def api(api: FlaskClient, database: Database) -> FlaskClient:
    """What is refused here is refused to those who may do everything."""
    return as_operator(api, database)


@pytest.fixture
def document(api: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.get("/openapi.json").get_data())
    return found


def parameters(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every operation with the place and the name of each of its parameters."""
    for path, item in document["paths"].items():
        for method in {"get", "post", "put", "patch", "delete"} & set(item):
            for given in [*item.get("parameters", []), *item[method]["parameters"]]:
                known = document["components"]["parameters"].get(given.get("$ref", "").rpartition("/")[2], given)
                yield f"{method.upper()} {path}", known["in"], known["name"]


def test_every_parameter_has_a_row(document: dict[str, Any]) -> None:
    missing = set()
    for operation, where, name in parameters(document):
        rows = {"query": QUERIES, "header": HEADERS}.get(where, {}).get(operation, [])
        known = name in PATHS if where == "path" else name in {row[0] for row in rows} | NEVER_REFUSED
        missing |= set() if known else {(operation, name)}
    assert missing == set()


def test_every_field_of_every_body_has_a_row(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    strict = {name for name, about in schemas.items() if about.get("additionalProperties") is False}
    assert strict == set(BODIES)
    for name in strict:
        assert set(schemas[name]["properties"]) <= {row[0] for row in BODIES[name]}, name


IN_PATHS = {"job_id": JOB, "number": "1", "name": "evolink", "callback_id": "cbk_1", "batch": "b"}
IN_PATHS |= {"notice_id": JOB.replace("job", "ntc"), "key_id": JOB.replace("job", "key")}
NEEDED = {"POST /v1/jobs": {"json": GOOD}, "POST /v1/jobs/{job_id}/attempts/{number}/settle": {"json": {"made": False}}}


def ask(api: FlaskClient, operation: str, **more: Any) -> Any:
    """One request; the job does not exist, which is found out after the request was read."""
    method, _, path = operation.partition(" ")
    return api.open(path.format(**IN_PATHS), method=method, **{**NEEDED.get(operation, {}), **more})


def refused(answer: Any, field: str, words: str) -> None:
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (422, "invalid_request"), problem
    assert answer.content_type == "application/problem+json"
    assert words in " ".join(problem["errors"][field]), problem
    assert field in problem["detail"]


@pytest.mark.parametrize(
    ("operation", "name", "sent", "words"),
    [(operation, *row) for operation, rows in QUERIES.items() for row in rows],
    ids=lambda value: value[:30].replace("\0", "NUL"),
)
def test_a_wrong_parameter_is_refused_with_what_would_be_right(
    api: FlaskClient, operation: str, name: str, sent: str, words: str
) -> None:
    refused(ask(api, operation, query_string={name: sent}), name.rstrip("."), words)


@pytest.mark.parametrize(
    ("operation", "name", "sent", "words"), [(operation, *row) for operation, rows in HEADERS.items() for row in rows]
)
def test_a_wrong_header_is_refused_with_what_would_be_right(
    api: FlaskClient, operation: str, name: str, sent: str, words: str
) -> None:
    refused(ask(api, operation, headers={name: sent}), name, words)


@pytest.mark.parametrize("sent", ["-7", "x" * 300, "%00", "..%2f..", "日本", "JOB_01K8Z3V0QWERTYUIOPASDFGHJK"])
def test_a_wrong_id_in_any_path_is_404_and_says_what_ids_look_like(
    api: FlaskClient, document: dict[str, Any], sent: str
) -> None:
    for operation, where, name in parameters(document):
        if where != "path":
            continue
        method, _, path = operation.partition(" ")
        asked = path.format(**{**IN_PATHS, name: sent if "%" in sent else quote(sent)})
        answer = api.open(asked, method=method, **NEEDED.get(operation, {}))
        problem = answer.get_json(force=True)
        assert answer.status_code == 404, operation
        if "%2f" not in sent:  # which is a path of its own
            assert (problem["code"], PATHS[name][1] in problem["detail"]) == (PATHS[name][0], True), problem


@pytest.mark.parametrize(
    ("schema", "field", "sent", "words"),
    [(schema, *row) for schema, rows in BODIES.items() for row in rows],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_field_is_refused_with_what_would_be_right(
    api: FlaskClient, schema: str, field: str, sent: Any, words: str
) -> None:
    places: dict[str, Callable[[], tuple[str, Any, str]]] = {
        "Request": lambda: ("/v1/jobs", {**GOOD, field: sent}, field),
        "Media": lambda: (
            "/v1/jobs",
            {**GOOD, "mode": "image-to-video", "media": [{**FRAME, field: sent}]},
            f"media.0.{field}",
        ),
        "Retry": lambda: (f"/v1/jobs/{JOB}/retry", {field: sent}, field),
        "Settle": lambda: (f"/v1/jobs/{JOB}/attempts/1/settle", {field: sent}, field),
        "KeyRequest": lambda: ("/v1/keys", {"name": "maria", field: sent}, field),
        "Rest": lambda: ("/v1/providers/evolink/rest", {field: sent}, field),
        "ReplayFailed": lambda: ("/v1/notices/replay", {field: sent}, field),
    }
    path, body, name = places[schema]()
    refused(api.post(path, json=body), name, words)


def test_a_parameter_that_nobody_knows_is_refused_everywhere(api: FlaskClient, document: dict[str, Any]) -> None:
    for operation in {operation for operation, _, _ in parameters(document)}:
        refused(ask(api, operation, query_string={"xyz": "1"}), "xyz", "Unknown field")


@pytest.mark.parametrize(
    ("query", "name", "near"),
    [("stat=queued", "stat", "state"), ("wait_s=3", "wait_s", "wait"), ("dryrun=1", "dryrun", "dry_run")],
)
def test_a_misspelt_parameter_is_told_the_nearest(api: FlaskClient, query: str, name: str, near: str) -> None:
    places = {"stat": "GET /v1/jobs", "wait_s": "GET /v1/jobs/{job_id}", "dryrun": "POST /v1/jobs"}
    refused(ask(api, places[name], query_string=query), name, f"did you mean {near}?")


def test_one_value_given_twice_is_refused(api: FlaskClient) -> None:
    refused(api.get("/v1/jobs?limit=1&limit=2"), "limit", "more than once")
    refused(api.get("/v1/jobs?metadata.a=1&metadata.a=2"), "metadata.a", "more than once")


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/job", "/v1/jobs"),
        ("/jobs", "/v1/jobs"),
        (f"/v1/jobs/{JOB}/vidoe", f"/v1/jobs/{JOB}/video"),
        ("/v1/provider", "/v1/providers"),
        ("/openapi", "/openapi.json"),
    ],
)
def test_an_unknown_path_is_told_the_nearest(api: FlaskClient, path: str, near: str) -> None:
    problem = api.get(path).get_json(force=True)
    assert (problem["status"], problem["code"]) == (404, "not_found")
    assert f"did you mean {near}?" in problem["detail"]


def test_a_path_that_is_like_none_is_told_where_all_are(api: FlaskClient) -> None:
    detail = api.get("/zzzzzz").get_json(force=True)["detail"]
    assert detail == "No such path. /openapi.json lists them all."
    assert "webhooks" not in api.get("/webhook/evolink").get_json(force=True)["detail"]
