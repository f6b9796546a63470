from __future__ import annotations

from typing import Any

import pytest

from jobs.errors import BadRequest
from jobs.generation import LONGEST_PROMPT, Generation, Media, Mode, load_request

FRAME = {"type": "first_frame", "url": "https://host/a.png"}


def faults(body: Any) -> dict[str, list[str]]:
    with pytest.raises(BadRequest) as caught:
        load_request(body)
    return caught.value.fields


def test_a_prompt_is_enough_and_the_rest_is_said_for_every_gateway_alike() -> None:
    request = load_request({"prompt": "A fox"})
    assert request.generation == Generation(
        mode=Mode.TEXT, prompt="A fox", resolution="1080p", ratio="16:9", duration=5, prompt_extend=True
    )
    assert request.providers == ()
    assert request.on_unconfirmed == "wait"


def test_a_whole_request_is_read() -> None:
    body = {
        "mode": "reference-to-video",
        "prompt": "狐狸 🦊",
        "negative_prompt": "snow",
        "resolution": "720p",
        "ratio": "9:16",
        "duration": 8,
        "seed": 0,
        "prompt_extend": False,
        "watermark": True,
        "audio_setting": "auto",
        "media": [{"type": "reference_image", "url": "https://host/a.png", "reference_voice": "https://host/v.mp3"}],
        "provider": ["evolink", "apiframe"],
        "notify_url": "https://host/hook",
        "metadata": {"shot": "12"},
        "on_unconfirmed": "resubmit",
        "start_within_s": 3600,
    }
    request = load_request(body)
    assert request.generation.media == (Media("reference_image", "https://host/a.png", "https://host/v.mp3"),)
    assert request.generation.seed == 0
    assert request.providers == ("evolink", "apiframe")
    assert request.metadata == {"shot": "12"}
    assert request.start_within_s == 3600


def test_an_edit_lasts_as_long_as_its_video_and_keeps_its_ratio() -> None:
    edit = load_request({"mode": "video-edit", "prompt": "p", "media": [{"type": "video", "url": "https://h/v.mp4"}]})
    assert (edit.generation.duration, edit.generation.ratio) == (0, None)


ANYTHING: dict[str, tuple[Any, str]] = {
    "prompt": ("", "Length must be between 1 and 5000"),
    "negative_prompt": ("x" * (LONGEST_PROMPT + 1), "Length must be between 1 and 5000"),
    "mode": ("text", "Must be one of: text-to-video, image-to-video, reference-to-video, video-edit"),
    "resolution": ("4k", "Must be one of: 720p, 1080p"),
    "ratio": ("2:1", "Must be one of: 16:9, 9:16, 1:1, 4:3, 3:4"),
    "duration": (16, "less than or equal to 15"),
    "seed": (2**31, "less than or equal to 2147483647"),
    "prompt_extend": ("yes", "Not a valid boolean"),
    "watermark": (1.5, "Not a valid boolean"),
    "audio_setting": ("loud", "Must be one of: auto, origin"),
    "notify_url": ("ftp://host/x", "Not a URL that can be used; send https://host/path without a user name."),
    "on_unconfirmed": ("retry", "Must be one of: wait, resubmit"),
    "start_within_s": (59, "greater than or equal to 60"),
    "provider": ([], "a list of names in order of preference"),
    "media": ({}, "Not a valid list"),
    "metadata": ([], "Not a valid mapping type"),
}


@pytest.mark.parametrize("field", ANYTHING)
def test_a_bad_field_is_named_with_what_is_allowed(field: str) -> None:
    value, said = ANYTHING[field]
    found = faults({"prompt": "A fox", field: value})
    assert list(found) == [field]
    assert said in found[field][0]


@pytest.mark.parametrize("value", ["5", 5.5, True])
@pytest.mark.parametrize("field", ["duration", "seed"])
def test_numbers_are_whole_and_no_strings(field: str, value: Any) -> None:
    assert list(faults({"prompt": "p", field: value})) == [field]


def test_all_faults_are_told_together() -> None:
    assert set(faults({"resolution": "4k", "seed": -1})) == {"prompt", "resolution", "seed"}


@pytest.mark.parametrize(("typo", "meant"), [("promt", "prompt"), ("ratios", "ratio"), ("webhook", None)])
def test_an_unknown_field_is_answered_with_the_nearest_one(typo: str, meant: str | None) -> None:
    said = f"Unknown field; did you mean {meant}?" if meant else "Unknown field."
    assert faults({"prompt": "p", typo: "x"}) == {typo: [said]}


def test_an_unknown_field_inside_media_is_named_by_its_path() -> None:
    found = faults({"mode": "image-to-video", "prompt": "p", "media": [{**FRAME, "uri": "x"}]})
    assert found == {"media.0.uri": ["Unknown field; did you mean url?"]}


@pytest.mark.parametrize("text", ["a\0b", "half \ud800", "\udfff"], ids=["NUL", "high surrogate", "low surrogate"])
@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "notify_url"])
def test_text_that_no_database_holds_is_refused(field: str, text: str) -> None:
    found = faults({"prompt": "p", field: text})
    assert found == {field: ["Holds a NUL or half of a surrogate pair; send valid Unicode text."]}


@pytest.mark.parametrize("metadata", [{"a\0": "b"}, {"a": "\ud800"}])
def test_so_is_such_text_in_metadata(metadata: dict[str, str]) -> None:
    assert any("NUL" in " ".join(said) for said in faults({"prompt": "p", "metadata": metadata}).values())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/a.png",
        "file:///etc/passwd",
        "https://",
        "https://user@host/a",
        "https://[::1",
        "https://h/" + "x" * 4096,
    ],
)
def test_a_url_needs_http_a_host_and_no_user(url: str) -> None:
    assert "media.0.url" in faults({"mode": "image-to-video", "prompt": "p", "media": [{**FRAME, "url": url}]})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["evolink", "evolink"], "A name occurs twice."),
        (["auto", "evolink"], '"auto" stands alone.'),
        ("", "list of names"),
        ([1], "list of names"),
        ({}, "list of names"),
    ],
)
def test_a_choice_of_gateways_is_auto_a_name_or_a_list(value: Any, said: str) -> None:
    assert said in faults({"prompt": "p", "provider": value})["provider"][0]


@pytest.mark.parametrize("value", ["auto", ["auto"]])
def test_auto_leaves_the_choice_to_us(value: Any) -> None:
    assert load_request({"prompt": "p", "provider": value}).providers == ()


def test_text_to_video_takes_no_pictures() -> None:
    assert "choose another mode" in faults({"prompt": "p", "media": [FRAME]})["media"][0]


def test_text_to_video_takes_a_driving_audio() -> None:
    request = load_request({"prompt": "p", "media": [{"type": "driving_audio", "url": "https://host/a.mp3"}]})
    assert request.generation.media[0].type == "driving_audio"


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert faults(body) == {"body": ["Invalid input type."]}


def test_metadata_is_bounded() -> None:
    many = {str(n): "x" for n in range(17)}
    assert "metadata" in faults({"prompt": "p", "metadata": many})
    assert faults({"prompt": "p", "metadata": {"k" * 65: "v"}})
    assert faults({"prompt": "p", "metadata": {"k": "v" * 513}})
