"""Whatever a gateway says, reading it gives a value of ours or one of our errors."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from drawn_bodies import ANYTHING, samples, spoilt
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from jobs.errors import BadReport
from jobs.providers.base import Acceptance, Refusal, Report
from jobs.providers.registry import PROVIDERS

CALM = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
STATUSES = st.sampled_from([200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503])
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "X-Webhook-Signature", "X-Timestamp"]), st.text(max_size=20))
EVERY = pytest.mark.parametrize("name", list(PROVIDERS))


def bodies(name: str) -> st.SearchStrategy[Any]:
    drawn = st.one_of(spoilt(samples(name, "query_*", "callback_*", "submit_*", "refused_*")), ANYTHING)
    return drawn.map(lambda value: json.loads(json.dumps(value)))  # as it comes off the wire


@EVERY
def test_any_report_is_read_or_is_a_bad_report(name: str) -> None:
    @CALM
    @given(bodies(name))
    def read(body: Any) -> None:
        for reader in (PROVIDERS[name].read_report, PROVIDERS[name].read_callback):
            with contextlib.suppress(BadReport):
                report = reader(body)
                assert isinstance(report, Report)
                assert report.progress is None or 0 <= report.progress <= 100
                assert report.link is None or isinstance(report.link, str)

    read()


@EVERY
def test_any_callback_passes_the_schema_or_is_refused_by_it(name: str) -> None:
    provider = PROVIDERS[name]
    if provider.callback_schema is None:
        return

    @CALM
    @given(bodies(name))
    def load(body: Any) -> None:
        assert provider.callback_schema is not None
        with contextlib.suppress(ValidationError, BadReport):
            provider.read_callback(provider.callback_schema().load(body))

    load()


@EVERY
def test_any_answer_to_an_order_is_an_acceptance_a_refusal_or_neither(name: str) -> None:
    provider = PROVIDERS[name]

    @CALM
    @given(STATUSES, HEADERS, bodies(name))
    def read(status: int, headers: dict[str, str], body: Any) -> None:
        with contextlib.suppress(BadReport):
            assert isinstance(provider.read_acceptance(status, body), Acceptance)
        assert isinstance(provider.read_refusal(status, headers, body), Refusal | None)

    read()


@EVERY
def test_any_signature_is_good_or_not(name: str) -> None:
    verify = PROVIDERS[name].verify_callback
    if verify is None:
        return

    @CALM
    @given(st.binary(max_size=50), HEADERS)
    def judge(body: bytes, headers: dict[str, str]) -> None:
        assert verify("afk_test", body, headers) is False

    judge()
