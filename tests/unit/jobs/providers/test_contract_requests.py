"""What every gateway's module must ask, whichever it is: the other half of test_contract.py."""

from __future__ import annotations

import json

import pytest
from gateway_bodies import EVERY

from jobs.generation import Generation, Media, Mode
from jobs.providers.base import Provider

PLAIN = Generation(Mode.TEXT, "A cat", ratio="16:9")


@EVERY
def test_a_query_puts_the_id_into_one_step_of_the_path(provider: Provider) -> None:
    request = provider.query_request("a/../b?c#d é")
    assert (request.method, request.body) == ("GET", None)
    assert request.path.endswith("/a%2F..%2Fb%3Fc%23d%20%C3%A9")


@EVERY
def test_a_callback_url_is_sent_only_where_there_are_callbacks_and_only_when_given(provider: Provider) -> None:
    url = "https://rushes.example/webhooks/x"
    assert (url in json.dumps(provider.submit_request(PLAIN, url).body)) == (provider.callbacks is not None)
    without = json.dumps(provider.submit_request(PLAIN, None).body).lower()
    assert "callback" not in without
    assert "webhook" not in without


@EVERY
def test_resolution_ratio_duration_and_model_are_always_said(provider: Provider) -> None:
    for resolution, ratio, duration in (("720p", "3:4", 7), ("1080p", "16:9", 2)):
        spec = Generation(Mode.TEXT, "A cat", resolution=resolution, ratio=ratio, duration=duration)
        said = json.dumps(provider.submit_request(spec, None).body)
        for words in (f'"{ratio}"', f": {duration}", f'"{provider.models[Mode.TEXT]}"'):
            assert words in said
        assert f'"{resolution}"' in said.lower()


@EVERY
def test_a_ratio_that_was_not_asked_for_is_said_as_sixteen_to_nine(provider: Provider) -> None:
    assert '"16:9"' in json.dumps(provider.submit_request(Generation(Mode.TEXT, "A cat"), None).body)


@EVERY
def test_what_was_not_asked_for_is_not_sent_as_null(provider: Provider) -> None:
    assert "null" not in json.dumps(provider.submit_request(PLAIN, None).body)


@EVERY
def test_the_key_is_in_the_headers_and_nowhere_else(provider: Provider) -> None:
    assert "sk-secret" in " ".join(provider.auth_headers("sk-secret").values())
    assert provider.submit_request(PLAIN, None).headers == {}


@EVERY
def test_a_plain_request_fits_every_gateway(provider: Provider) -> None:
    assert provider.fit(PLAIN) == []


@EVERY
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (Generation(Mode.TEXT, "p", duration=1), "duration"),
        (Generation(Mode.TEXT, "p", duration=16), "duration"),
        (Generation(Mode.TEXT, "p", negative_prompt="x" * 2501), "negative_prompt"),
        (Generation(Mode.TEXT, "p", audio_setting="auto"), "audio_setting"),
        (Generation(Mode.TEXT, "p", media=(Media("driving_audio", "https://h/a"),) * 2), "media"),
        (Generation(Mode.EDIT, "p", duration=0), "mode"),
    ],
)
def test_what_no_gateway_can_make_is_a_misfit_that_names_the_field(
    provider: Provider, spec: Generation, field: str
) -> None:
    assert [m.field for m in provider.fit(spec)] == [field]


@EVERY
def test_every_duration_that_fits_has_a_price_or_none_of_them_has(provider: Provider) -> None:
    for resolution in ("720p", "1080p"):
        price = provider.price_credits(Generation(Mode.TEXT, "p", resolution=resolution, duration=10))
        assert (price is None) == (provider.prices is None)
