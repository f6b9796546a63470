"""What every gateway's callback schema must take and refuse: the receiver believes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_bodies import EVERY, GARBAGE, JSON, OBJECTS, check, samples
from hypothesis import given
from marshmallow import INCLUDE, ValidationError

from jobs.errors import BadReport
from jobs.providers.base import Provider


@EVERY
def test_every_sample_of_a_callback_passes_the_schema_and_is_read_like_a_query(provider: Provider) -> None:
    accepted = provider.read_acceptance(200, samples(provider, "submit_accepted")["submit_accepted"])
    for body in samples(provider, "callback").values():
        assert provider.callback_schema is not None
        report = provider.read_callback(provider.callback_schema().load(body))  # as the receiver reads it
        check(report)
        assert report.task_id == accepted.task_id


@EVERY
@GARBAGE
@given(body=JSON | OBJECTS)
def test_the_callback_schema_takes_what_can_be_read_and_refuses_the_rest(provider: Provider, body: Any) -> None:
    if provider.callback_schema is None:
        return
    schema = provider.callback_schema()
    assert schema.unknown == INCLUDE
    try:
        schema.load(body)
    except ValidationError:
        return
    try:
        check(provider.read_callback(body))
    except BadReport:  # blank words pass a length
        assert not body["status"].strip()


@EVERY
@pytest.mark.parametrize(
    ("field", "odd"),
    [*(("id", odd) for odd in (None, "", 7.5, True, ["x"], "x" * 201, "a\0b")), ("status", ""), ("status", 7)],
)
def test_the_callback_schema_wants_an_id_that_can_be_kept_and_a_status(
    provider: Provider, field: str, odd: Any
) -> None:
    for body in samples(provider, "callback").values():
        assert provider.callback_schema is not None
        named = "jobId" if field == "id" and "jobId" in body else field
        with pytest.raises(ValidationError):
            provider.callback_schema().load(body | {named: odd})
        with pytest.raises(ValidationError):
            provider.callback_schema().load({k: v for k, v in body.items() if k != named})


@EVERY
def test_a_callbacks_id_may_be_a_number_and_its_status_longer_than_any_word(provider: Provider) -> None:
    for body in samples(provider, "callback").values():
        assert provider.callback_schema is not None
        named = "jobId" if "jobId" in body else "id"
        loaded = provider.callback_schema().load(body | {named: 7, "status": "word" * 100})
        assert provider.read_callback(loaded).task_id == "7"
