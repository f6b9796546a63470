"""Reading a request: each field, and what holds of each mode at every gateway."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.errors import BadRequest
from jobs.request.fields import LONGEST_PROMPT
from jobs.request.generation import Generation, Media, Mode
from jobs.request.schema import load_request

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
        "shot_type": "multi",
        "media": [{"type": "reference_image", "url": "https://host/a.png", "reference_voice": "https://host/v.mp3"}],
        "provider": ["evolink", "apiframe"],
        "notify_url": "https://host/hook",
        "metadata": {"shot": "12"},
        "on_unconfirmed": "resubmit",
        "start_within_s": 3600,
    }
    request = load_request(body)
    assert request.generation == Generation(
        mode=Mode.REFERENCE,
        prompt="狐狸 🦊",
        negative_prompt="snow",
        resolution="720p",
        ratio="9:16",
        duration=8,
        seed=0,
        prompt_extend=False,
        watermark=True,
        shot_type="multi",
        media=(Media("reference_image", "https://host/a.png", "https://host/v.mp3"),),
    )
    assert request.notify_url == "https://host/hook"
    assert request.on_unconfirmed == "resubmit"
    assert request.providers == ("evolink", "apiframe")
    assert request.metadata == {"shot": "12"}
    assert request.start_within_s == 3600


def file(kind: str, voice: str | None = None) -> dict[str, str]:
    given = {"type": kind, "url": f"https://host/{kind}"}
    return given | {"reference_voice": voice} if voice else given


@pytest.mark.parametrize(
    ("mode", "kinds", "said", "duration", "ratio"),
    [
        ("text-to-video", [], {}, 5, "16:9"),
        ("text-to-video", ["driving_audio"], {"ratio": "1:1", "duration": 15}, 15, "1:1"),
        ("image-to-video", ["first_frame"], {}, 5, None),
        ("image-to-video", ["first_clip", "last_frame"], {"duration": 2}, 2, None),
        ("reference-to-video", ["reference_video"], {}, 5, "16:9"),
        ("reference-to-video", ["reference_image"], {"ratio": "3:4"}, 5, "3:4"),
        ("reference-to-video", ["reference_image", "first_frame"], {}, 5, None),
        ("video-edit", ["video"], {}, 0, None),
        ("video-edit", ["video", "reference_image"], {"duration": 0, "ratio": "4:3"}, 0, "4:3"),
        ("video-edit", ["video"], {"duration": 7}, 7, None),
    ],
)
def test_length_and_shape_are_said_for_every_gateway_alike(
    mode: str, kinds: list[str], said: dict[str, Any], duration: int, ratio: str | None
) -> None:
    body = {"mode": mode, "prompt": "p", "media": [file(kind) for kind in kinds], **said}
    generation = load_request(body).generation
    assert (generation.duration, generation.ratio) == (duration, ratio)
    assert [item.type for item in generation.media] == kinds


def test_only_an_edit_may_do_without_a_prompt() -> None:
    assert load_request({"mode": "video-edit", "media": [file("video")]}).generation.prompt is None
    for mode, kind in (("text-to-video", "driving_audio"), ("image-to-video", "first_frame")):
        assert faults({"mode": mode, "media": [file(kind)]}) == {"prompt": ["Missing data for required field."]}


VOICE = "https://host/v.mp3"
SHAPE = "The video takes the shape of its first frame or clip; leave ratio out."
SECONDS = "At least 2 seconds; 0, the length of the input, is for video-edit alone."
SOUND = "It is about the sound of the edited video; only with video-edit."
INSIDE = "reference_voice stands inside the references of reference-to-video alone."
REFERENCES = "reference_image, reference_video, reference_voice, first_frame"
AGAINST_ITS_MODE: dict[str, tuple[str, list[dict[str, str]], dict[str, Any], dict[str, list[str]]]] = {
    "a picture for a text": (
        "text-to-video",
        [file("first_frame")],
        {},
        {
            "media": [
                "text-to-video takes no first_frame, but driving_audio; "
                "first_frame goes with image-to-video, reference-to-video."
            ]
        },
    ),
    "a video for references, and two first frames": (
        "reference-to-video",
        [file("reference_image"), file("video"), file("first_frame"), file("first_frame")],
        {},
        {
            "media": [
                f"reference-to-video takes no video, but {REFERENCES}; video goes with video-edit.",
                "first_frame may occur 1 time.",
            ]
        },
    ),
    "two clips": (
        "image-to-video",
        [file("first_clip"), file("first_clip")],
        {},
        {"media": ["first_clip may occur 1 time."]},
    ),
    "two voices of their own": (
        "reference-to-video",
        [file("reference_image"), file("reference_voice"), file("reference_voice")],
        {},
        {"media": ["reference_voice may occur 1 time."]},
    ),
    "two videos": ("video-edit", [file("video"), file("video")], {}, {"media": ["video may occur 1 time."]}),
    "a last frame alone": (
        "image-to-video",
        [file("last_frame")],
        {},
        {"media": ["image-to-video wants first_frame or first_clip."]},
    ),
    "nothing to refer to": (
        "reference-to-video",
        [file("first_frame")],
        {},
        {"media": ["reference-to-video wants reference_image or reference_video."]},
    ),
    "nothing to edit": ("video-edit", [], {}, {"media": ["video-edit wants video."]}),
    "a voice in a frame": ("image-to-video", [file("first_frame", VOICE)], {}, {"media": [INSIDE]}),
    "a voice in an edit": ("video-edit", [file("video"), file("reference_image", VOICE)], {}, {"media": [INSIDE]}),
    "a voice in a voice": (
        "reference-to-video",
        [file("reference_image"), file("reference_voice", VOICE)],
        {},
        {"media": [INSIDE]},
    ),
    "a ratio beside a frame": ("image-to-video", [file("first_frame")], {"ratio": "16:9"}, {"ratio": [SHAPE]}),
    "a ratio beside a frame among references": (
        "reference-to-video",
        [file("reference_image"), file("first_frame")],
        {"ratio": "16:9"},
        {"ratio": [SHAPE]},
    ),
    "no length": ("text-to-video", [], {"duration": 0}, {"duration": [SECONDS]}),
    "a second": ("text-to-video", [], {"duration": 1}, {"duration": [SECONDS]}),
    "a second of an edit": ("video-edit", [file("video")], {"duration": 1}, {"duration": [SECONDS]}),
    "the sound of a text": ("text-to-video", [], {"audio_setting": "auto"}, {"audio_setting": [SOUND]}),
}


@pytest.mark.parametrize("name", AGAINST_ITS_MODE)
def test_what_no_gateway_could_make_of_a_mode_is_told(name: str) -> None:
    mode, media, said, found = AGAINST_ITS_MODE[name]
    assert faults({"mode": mode, "prompt": "p", "media": media, **said}) == found


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
    "shot_type": ("two", "Must be one of: single, multi"),
    "notify_url": ("ftp://host/x", "Not a URL that can be used; send https://host/path without a user name."),
    "on_unconfirmed": ("retry", "Must be one of: wait, resubmit"),
    "start_within_s": (59, "greater than or equal to 60"),
    "provider": ([], "a list of names in order of preference"),
    "media": ({}, "Not a valid list"),
    "metadata": ([], "Not a valid mapping type"),
    "batch": ("", "Send 1 to 100 visible characters"),
}


@pytest.mark.parametrize("field", ANYTHING)
def test_a_bad_field_is_named_with_what_is_allowed(field: str) -> None:
    value, said = ANYTHING[field]
    found = faults({"prompt": "A fox", field: value})
    assert list(found) == [field]
    assert said in found[field][0]


@pytest.mark.parametrize("name", ["x" * 101, " a", "a ", "a\nb", "a\0", "a\u202eb", "/", "a/b", ".", ".."])
def test_a_batch_is_called_what_can_be_a_part_of_a_path(name: str) -> None:
    assert list(faults({"prompt": "p", "batch": name})) == ["batch"]


@pytest.mark.parametrize("name", ["scenes.jsonl", "scene 12", "日本.jsonl", "...", "a%2Fb", "?x#y", "x" * 100])
def test_a_batch_may_be_called_like_a_file(name: str) -> None:
    assert load_request({"prompt": "p", "batch": name}).batch == name


@pytest.mark.parametrize("value", ["5", 5.5, True])
@pytest.mark.parametrize("field", ["duration", "seed"])
def test_numbers_are_whole_and_no_strings(field: str, value: Any) -> None:
    assert list(faults({"prompt": "p", field: value})) == [field]


def test_all_faults_are_told_together_those_of_fields_and_those_of_the_mode() -> None:
    assert set(faults({"resolution": "4k", "seed": -1})) == {"prompt", "resolution", "seed"}
    body = {"mode": "video-edit", "duration": 1, "seed": -1, "ratio": "2:1", "media": [file("first_frame")]}
    assert set(faults(body)) == {"duration", "seed", "ratio", "media"}


def test_a_field_with_a_fault_is_not_blamed_for_its_mode_as_well() -> None:
    assert set(faults({"mode": "image", "media": []})) == {"mode"}
    half = {"mode": "image-to-video", "prompt": "p", "ratio": "1:1", "media": [FRAME, {"type": "last_frame"}]}
    assert set(faults(half)) == {"media.1.url", "ratio"}
    assert set(faults({"mode": "image-to-video", "prompt": "p", "media": "none"})) == {"media"}
    many = {"mode": "reference-to-video", "prompt": "p", "media": [file("reference_image")] * 17}
    assert faults(many) == {"media": ["Longer than maximum length 16."]}


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u3000", "\u2003" * 5000])
def test_a_prompt_of_nothing_but_spaces_is_none(blank: str) -> None:
    assert faults({"prompt": blank}) == {"prompt": ["Holds nothing but spaces; say what is to be seen."]}
    assert load_request({"prompt": f"{blank[:9]}A fox{blank[:9]}"}).generation.prompt == f"{blank[:9]}A fox{blank[:9]}"


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
@pytest.mark.parametrize("character", ["x", "猫", "🦊", "\u0301"])
def test_a_text_may_have_5000_code_points(field: str, character: str) -> None:
    body = {"prompt": "p"} | {field: character * LONGEST_PROMPT}
    assert getattr(load_request(body).generation, field) == character * LONGEST_PROMPT
    assert list(faults({"prompt": "p"} | {field: character * (LONGEST_PROMPT + 1)})) == [field]


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
        "https://host:port/a",
        "https://host:0/a",
        "https://host:65536/a",
        " https://host/a",
        "\x00https://host/a",
        "\x1fhttps://host/a",
        "https://host/a b",
        "https://host/a\n",
        "https://ho\tst/a",
        "https://host/\u202ea",
        "https://host/\u3000",
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


@pytest.mark.parametrize("url", ["http://host:65535/ä?x=%20#y", "HTTPS://host/a", "https://" + "h" * 4088])
def test_a_url_is_kept_to_the_letter(url: str) -> None:
    request = load_request({"prompt": "p", "media": [{"type": "driving_audio", "url": url}]})
    assert request.generation.media == (Media("driving_audio", url),)


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert faults(body) == {"body": ["Invalid input type."]}


def test_metadata_is_bounded() -> None:
    many = {str(n): "x" for n in range(17)}
    assert "metadata" in faults({"prompt": "p", "metadata": many})
    assert faults({"prompt": "p", "metadata": {"k" * 65: "v"}})
    assert faults({"prompt": "p", "metadata": {"k": "v" * 513}})
