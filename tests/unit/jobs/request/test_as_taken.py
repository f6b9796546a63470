"""A request is shown as it was taken: sent again it asks for the same, and no link shows what signs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import BadRequest
from jobs.request.as_taken import as_taken, masked
from jobs.request.fields import CHOICES, FIELDS
from jobs.request.generation import Mode
from jobs.request.schema import MEDIA, RequestSchema, load_request

SIGNED = "https://host/a.png?X-Amz-Date=20260101T000000Z&X-Amz-Signature=0123456789abcdef"
VOICE = "https://host/voice.mp3?sig=0123456789abcdef"
TEXTS = {"negative_prompt": st.sampled_from([None, "fog"])}
CHOSEN = {field.name: st.sampled_from(field.values) for field in CHOICES}
NUMBERS = {"duration": st.integers(2, 15), "seed": st.sampled_from([None, 0, 7])}
REST = {
    "provider": st.sampled_from(["auto", "evolink", ["evolink", "gravitex"]]),
    "notify_url": st.sampled_from([None, "https://pipeline.example/told?token=secret"]),
    "metadata": st.dictionaries(st.sampled_from(["scene", "take"]), st.text("ab", max_size=3)),
    "batch": st.sampled_from([None, "scenes.jsonl"]),
    "on_unconfirmed": st.sampled_from(["wait", "resubmit"]),
    "start_within_s": st.sampled_from([None, 60]),
}


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Bodies that are taken: any mode, any of its media, any of the other fields said or left out."""
    mode = draw(st.sampled_from([None, *Mode]))
    rule = MEDIA[mode or Mode.TEXT]
    kinds = draw(st.lists(st.sampled_from(sorted(rule.most)), unique=True))
    kinds += [draw(st.sampled_from(rule.leads))] if rule.leads and not set(rule.leads) & set(kinds) else []
    media: list[dict[str, Any]] = [{"type": kind, "url": SIGNED} for kind in kinds]
    if mode is Mode.REFERENCE and media[0]["type"] in rule.leads and draw(st.booleans()):
        media[0]["reference_voice"] = draw(st.sampled_from([VOICE, None]))
    body = draw(
        st.fixed_dictionaries({"prompt": st.just("A red fox")}, optional={**TEXTS, **CHOSEN, **NUMBERS, **REST})
    )
    body |= {"media": media} if media else {}
    body |= {"mode": mode.value} if mode else {}
    if mode is Mode.IMAGE or (mode is Mode.REFERENCE and "first_frame" in kinds):
        body.pop("ratio", None)
    if mode is not Mode.EDIT:
        body.pop("audio_setting", None)
    return body


@given(bodies())
def test_what_is_shown_has_every_field_and_sent_again_asks_for_the_same(body: dict[str, Any]) -> None:
    shown = as_taken(body, notify_url=body.get("notify_url"))
    assert load_request(json.loads(json.dumps(shown))) == load_request(body)
    assert shown.keys() == RequestSchema().fields.keys()


@given(bodies())
def test_masked_it_is_still_a_request_and_tells_nothing_that_signs(body: dict[str, Any]) -> None:
    shown = masked(as_taken(body, notify_url=body.get("notify_url")))
    assert load_request(shown).generation.kind == load_request(body).generation.kind
    assert not [secret for secret in ("0123456789abcdef", "secret") if secret in json.dumps(shown)]
    for item in shown["media"]:
        assert item["url"] == "https://host/a.png?…"


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({}, {"duration": 5, "ratio": "16:9", "resolution": "1080p", "prompt_extend": True, "provider": "auto"}),
        ({"mode": "video-edit", "media": [{"type": "video", "url": "u"}]}, {"duration": 0, "ratio": None}),
        ({"mode": "image-to-video", "media": [{"type": "first_frame", "url": "u"}]}, {"duration": 5, "ratio": None}),
        ({"mode": "reference-to-video", "media": [{"type": "reference_image", "url": "u"}]}, {"ratio": "16:9"}),
    ],
)
def test_what_is_meant_where_nothing_is_said_is_filled_in(body: dict[str, Any], meant: dict[str, Any]) -> None:
    shown = as_taken(body, notify_url=None)
    assert {name: shown[name] for name in meant} == meant


def test_every_field_of_the_video_is_shown() -> None:
    assert {field.name for field in FIELDS} <= as_taken({}, notify_url=None).keys()


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://host/a.png", "https://host/a.png"),
        ("https://host/a.png?", "https://host/a.png?…"),
        ("https://host/a.png?token", "https://host/a.png?…"),
        ("https://host/a.png#t=secret", "https://host/a.png"),
        ("https://host/a.png#b?token=secret", "https://host/a.png"),
    ],
)
def test_only_where_a_link_leads_is_shown(link: str, shown: str) -> None:
    body = {"media": [{"type": "driving_audio", "url": link, "reference_voice": link}]}
    (item,) = masked(as_taken(body, notify_url=link))["media"]
    assert (item["url"], item["reference_voice"]) == (shown, shown)
    assert masked(as_taken(body, notify_url=link))["notify_url"] == "https://host/…"


@pytest.mark.parametrize(
    "body",
    [
        {"media": ["a"]},
        {"media": [{}]},
        {"media": [{"type": "video", "url": 5}]},
        {"mode": "flip-book"},
        {"metadata": 5},
        {"media": 5},
    ],
)
def test_what_was_never_taken_is_none(body: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        as_taken(body, notify_url=None)
    with pytest.raises(BadRequest):
        load_request(body)


@pytest.mark.parametrize(
    "url", ["https://hook:8443/T1/B2/secret", "https://hook:8443?secret", "https://hook:8443#secret"]
)
def test_of_the_address_of_notices_only_the_host_is_shown(url: str) -> None:
    assert masked(as_taken({}, notify_url=url))["notify_url"] == "https://hook:8443/…"
