"""Requests drawn from the service's own OpenAPI document, right and wrong: no 500, and every answer as described."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from api_orders import as_operator
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from proving import drawn
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from jobs.store.database import Database

DESCRIBED = [not_a_server_error, content_type_conformance, response_schema_conformance]
SILENT = 502  # described: the gateway, which is asked in the request, gave no answer
EXAMPLES = drawn(25)  # of each operation and kind
CALM = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def checks() -> None:
    load_all_checks()


def ask(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> set[int]:
    """Many requests to one operation; the statuses that they were answered with."""
    seen = set[int]()

    @CALM
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        answer = case.call(headers=headers)
        seen.add(answer.status_code)
        if answer.status_code != SILENT:
            case.validate_response(answer, checks=DESCRIBED if answer.status_code < 300 else [not_a_server_error])

    one()
    return seen


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_no_request_to_any_operation_is_an_internal_error(
    make_api: Callable[..., FlaskClient], database: Database, mode: GenerationMode
) -> None:
    api = make_api(EVOLINK_BASE_URL="https://gateway.invalid")  # for none of these is a real one asked
    schema = schemathesis.openapi.from_dict(json.loads(api.get("/openapi.json").get_data()))
    schema.app = api.application
    headers = {"Authorization": str(as_operator(api, database).environ_base["HTTP_AUTHORIZATION"])}
    operations = [result.ok() for result in schema.get_all_operations()]
    if mode is GenerationMode.NEGATIVE:  # a path alone cannot be wrong: every text is one
        operations = [each for each in operations if list(each.query) or list(each.body)]
    asked = {each.label: ask(each, mode, headers) for each in operations}
    assert {"POST /v1/jobs", "GET /v1/jobs", "GET /v1/costs"} <= set(asked)
    assert not any(seen <= {401, 403} for seen in asked.values()), "turned away at the door"


METHODS = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
PATHS = st.builds(str.__add__, st.sampled_from(["/v1/jobs/", "/v1/", "/webhooks/", "/"]), st.text(max_size=40))
QUERIES = st.dictionaries(st.sampled_from(["state", "limit", "cursor", "from", "to", "x"]), st.text(max_size=30))
KINDS = st.sampled_from(
    ["application/json", "application/json; charset=utf-16", "text/plain", "", "multipart/form-data"]
)


def test_no_path_query_or_body_is_an_internal_error(api: FlaskClient) -> None:
    @settings(CALM, max_examples=drawn(300))
    @given(METHODS, PATHS, QUERIES, st.binary(max_size=60), KINDS)
    def ask(method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> None:
        answer = api.open(path.replace("?", "%3F"), method=method, query_string=query, data=body, content_type=kind)
        assert answer.status_code < 500, answer.get_data()

    ask()
