"""The API's own description: valid, whole, current, and true of what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_orders import PLAIN, Orders, as_operator
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from jobs.providers.registry import PROVIDERS
from jobs.store.database import Database

ROOT = Path(__file__).parents[3]
METHODS = {"get", "post", "put", "patch", "delete"}
JOB = "job_01K8Z3V0QWERTYUIOPASDFGHJK"
OWN_TYPES = {"200", "201", "202", "302", "304"}


@pytest.fixture
def document(api: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.get("/openapi.json").get_data())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield f"{method.upper()} {path}", item[method]


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        kind, name = part["$ref"].split("/")[-2:]
        part = document["components"][kind][name]
    return part


def test_it_is_valid_and_the_committed_one_is_the_same(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    committed = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    assert committed == document, "stale: run python docs/generate.py"


def test_every_view_under_v1_is_in_it_and_nothing_else(api: FlaskClient, document: dict[str, Any]) -> None:
    rules = [rule for rule in api.application.url_map.iter_rules() if rule.rule.startswith("/v1/")]
    served = {(re.sub("<(.*?)>", r"{\1}", r.rule), m) for r in rules for m in r.methods or () if m.lower() in METHODS}
    assert {tuple(name.split(" ")[::-1]) for name, _ in operations(document)} == served


def test_every_operation_has_a_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    names = [about["operationId"] for _, about in operations(document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)+", name)] == []
    assert [name for name, about in operations(document) if not about["summary"].endswith(".")] == []


def examples(document: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for name, about in operations(document):
        for content in about.get("requestBody", {}).get("content", {}).values():
            yield from ((name, said, example["value"]) for said, example in content["examples"].items())


def test_every_body_has_examples_and_each_of_them_is_taken(
    make_api: Callable[..., FlaskClient], database: Database, document: dict[str, Any]
) -> None:
    keys = {f"{name.upper()}_API_KEY": "sk-test" for name in PROVIDERS}
    api = as_operator(make_api(**keys), database)
    tried = list(examples(document))
    assert {"POST /v1/jobs", "POST /v1/notices/replay"} <= {name for name, _, _ in tried}
    for name, said, body in tried:
        parts = {"job_id": JOB, "number": "1", "name": "evolink"}
        answer = api.post(name.removeprefix("POST ").format(**parts), json=body)
        wanted = (404,) if "{job_id}" in name else (200, 201, 202)  # of a job that is not there, once the body was read
        assert answer.status_code in wanted, (name, said, answer.text)


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        given = [*item.get("parameters", []), *(p for m in METHODS & set(item) for p in item[m]["parameters"])]
        for parameter in (resolved(document, each) for each in given):
            assert parameter.get("description"), (path, parameter["name"])


def test_every_refusal_is_a_problem_and_every_answer_names_its_headers(document: dict[str, Any]) -> None:
    for name, about in operations(document):
        assert {"401", "403", "422", "429", "500", "503"} <= set(about["responses"]), name
        for status, answer in about["responses"].items():
            said = resolved(document, answer)
            if status not in OWN_TYPES:
                assert list(said["content"]) == ["application/problem+json"], (name, status)
            assert "X-Request-Id" in said["headers"], (name, status)
            assert ("RateLimit" in said["headers"]) is (status != "401"), (name, status)


def test_what_is_answered_bears_the_headers_that_are_described(api: FlaskClient, document: dict[str, Any]) -> None:
    body = {"prompt": "A red fox", "resolution": "720p", "duration": 2}
    made = api.post("/v1/jobs", json=body)
    place = made.headers["Location"]
    answers = {
        ("post", "/v1/jobs", "202"): made,
        ("get", "/v1/jobs/{job_id}", "200"): api.get(place),
        ("get", "/v1/jobs/{job_id}", "304"): api.get(place, headers={"If-None-Match": "*"}),
        ("get", "/v1/jobs", "200"): api.get("/v1/jobs"),
        ("get", "/v1/jobs", "422"): api.get("/v1/jobs?limit=0"),
        ("get", "/v1/jobs", "401"): api.application.test_client().get("/v1/jobs"),
    }
    not_always = {"Retry-After", "Link", "Idempotency-Replayed"}
    for (method, path, status), answer in answers.items():
        assert str(answer.status_code) == status
        said = resolved(document, document["paths"][path][method]["responses"][status])
        assert [name for name in said["headers"] if name not in answer.headers and name not in not_always] == []


def fields(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The fields of what is answered, wherever the schema stands."""
    whole = next((each for each in part.get("anyOf", []) if "$ref" in each), part)
    found: dict[str, Any] = resolved(document, whole).get("properties", {})
    return found


def differences(document: dict[str, Any], schema: dict[str, Any], told: Any, at: str) -> Iterator[str]:
    """Fields that are answered and not described, or described and not answered."""
    if isinstance(told, list):
        for each in told:
            yield from differences(document, schema["items"], each, f"{at}[]")
    elif isinstance(told, dict) and (known := fields(document, schema)):
        yield from (f"{at}.{name}" for name in set(known) ^ set(told))
        for name in set(known) & set(told):
            yield from differences(document, known[name], told[name], f"{at}.{name}")


def test_what_is_answered_has_the_fields_that_are_described(
    api: FlaskClient, database: Database, document: dict[str, Any]
) -> None:
    Orders(api, database).add("2026-11-21", "charged", state="failed", outcome="finished", link="https://host/v.mp4")
    Orders(api, database).add("2026-11-21", "charged", state="archived", outcome="delivered")
    queued = api.post("/v1/jobs", json=PLAIN).headers["Location"]
    answers = {
        "/v1/jobs": api.get("/v1/jobs"),
        "/v1/jobs/{job_id}": api.get(queued),
        "/v1/jobs/{job_id}/events": api.get(f"{queued}/events"),
    }
    for path, answer in answers.items():
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        assert list(differences(document, resolved(document, content["schema"]), answer.get_json(), path)) == []
    quoted = api.post("/v1/jobs?dry_run=true", json=PLAIN).get_json()
    assert set(quoted) == set(document["components"]["schemas"]["Quote"]["properties"])
    problem = api.get("/v1/jobs?limit=0").get_json(force=True)
    assert set(problem) == set(document["components"]["schemas"]["Problem"]["properties"])


def test_what_is_sent_may_lack_whatever_has_a_default_and_the_default_is_told(document: dict[str, Any]) -> None:
    sent = document["components"]["schemas"]["Request"]
    assert ("required" in sent, [name for name, about in sent["properties"].items() if "default" in about]) == (
        False,
        [],
    )
    assert sent["properties"]["resolution"]["description"].endswith('Default: "1080p".')
    assert sent["properties"]["watermark"]["description"].endswith("Default: false.")


def test_every_object_that_is_answered_says_which_members_are_always_there(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    sent = {name for name, schema in schemas.items() if not schema.get("required")}
    assert sent == {"Request", "Retry", "Settle", "Rest", "ReplayFailed"}  # whose fields may all be left out
    assert schemas["Job"]["required"] == list(schemas["Job"]["properties"])


def test_it_tells_how_to_send_the_key(document: dict[str, Any]) -> None:
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_nothing_in_it_is_left_over(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for kind, parts in document["components"].items():
        for name in parts if kind != "securitySchemes" else ():
            assert f'"#/components/{kind}/{name}"' in text, f"nothing refers to {kind}/{name}"
