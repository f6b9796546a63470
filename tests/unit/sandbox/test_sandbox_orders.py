"""What each gateway makes of a request: the media it uses, what it drops and cuts in silence, what it will not take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sandbox_bench import Bench

from sandbox.fields import Invalid
from sandbox.gateway import Refused
from sandbox.gateways import GATEWAYS
from sandbox.gateways.apiframe import EDITS
from sandbox.tasks import Order

SAMPLES = Path(__file__).parents[2] / "samples"
EXAMPLES = sorted(SAMPLES.glob("*/request_*.json"))

A, B, C, V, W, S = (f"https://x.example/{name}" for name in ("a.png", "b.png", "c.png", "v.mp4", "w.mp4", "s.mp3"))


def read(gateway: str, body: Mapping[str, Any], path: str | None = None) -> Order:
    submits = GATEWAYS[gateway].submits
    if gateway == "apiframe" and body["model"] in EDITS:
        path = "/v2/videos/edit"
    return submits[path or next(iter(submits))](body, False)


def refusal(gateway: str, body: Mapping[str, Any]) -> str:
    """What is said of a body that is refused."""
    with pytest.raises((Invalid, Refused)) as refused:
        read(gateway, body)
    return str(refused.value)


def aivideoapi(model: str, **given: Any) -> dict[str, Any]:
    return {"model": f"wan-2.7-{model}", "input": {"prompt": "p", **given}}


def apiframe(model: str, params: str, **given: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "p", params: given}


def easyrouter(model: str, *media: tuple[str, str], **given: Any) -> dict[str, Any]:
    metadata = given.pop("metadata", {})
    if media:
        metadata = {**metadata, "input": {"media": [{"type": kind, "url": url} for kind, url in media]}}
    return {"model": f"wan2.7-{model}", "prompt": "p", "metadata": metadata, **given}


def gravitex(model: str, *media: Mapping[str, str], **parameters: Any) -> dict[str, Any]:
    names = {"t2v": "wan2.7-t2v-2026-04-25", "i2v": "wan2.7-i2v-2026-04-25"}
    asked = {"prompt": "p", "media": list(media)} if media else {"prompt": "p"}
    return {"model": names.get(model, f"wan2.7-{model}"), "prompt": "p"} | {
        "metadata": {"input": asked, "parameters": parameters}
    }


def evolink(model: str, **given: Any) -> dict[str, Any]:
    return {"model": f"wan2.7-{model}", "prompt": "p", **given}


def item(kind: str, url: str, **more: str) -> dict[str, str]:
    return {"type": kind, "url": url, **more}


@pytest.mark.parametrize("sample", EXAMPLES, ids=[f"{each.parent.name}-{each.stem}" for each in EXAMPLES])
def test_every_example_of_a_page_is_taken(sample: Path) -> None:
    told = json.loads(sample.read_text(encoding="utf-8"))
    path, body = (told["path"], told["body"]) if set(told) == {"path", "body"} else (None, told)
    order = read(sample.parent.name, body, path)
    assert order.model == body["model"]
    assert order.failure is None


def test_every_gateway_has_examples() -> None:
    assert {each.parent.name for each in EXAMPLES} == set(GATEWAYS)


@pytest.mark.parametrize(
    ("gateway", "body", "media"),
    [
        ("aivideoapi", aivideoapi("text-to-video"), []),
        ("aivideoapi", aivideoapi("text-to-video", audio_urls=[S, A]), [("driving_audio", S)]),
        (
            "aivideoapi",
            aivideoapi("image-to-video", image_urls=[A, B], first_clip_url=V, audio_urls=[S]),
            [("first_frame", A), ("last_frame", B), ("first_clip", V), ("driving_audio", S)],
        ),
        (
            "aivideoapi",
            aivideoapi("reference-to-video", image_urls=[A, B], video_urls=[V], first_frame_url=C, audio_urls=[S, S]),
            [
                ("first_frame", C),
                ("reference_image", A),
                ("reference_image", B),
                ("reference_video", V),
                ("reference_voice", S),
            ],
        ),
        (
            "aivideoapi",
            aivideoapi("video-edit", video_urls=[V], image_urls=[A, B]),
            [("video", V), ("reference_image", A)],
        ),
        (
            "apiframe",
            apiframe("wan-2.7", "wan27Params", image=A, last_frame=B, audio=S),
            [("first_frame", A), ("last_frame", B), ("driving_audio", S)],
        ),
        (
            "apiframe",
            apiframe("wan-2.7", "wan27Params", first_clip=V, last_frame=B),
            [("last_frame", B), ("first_clip", V)],
        ),
        (
            "apiframe",
            apiframe("wan-2.7-r2v", "wan27R2vParams", reference_images=[A, B], reference_videos=[V]),
            [("reference_image", A), ("reference_image", B), ("reference_video", V)],
        ),
        (
            "apiframe",
            apiframe("wan-2.7-videoedit", "wan27VideoeditParams", video=V, reference_image=A),
            [("video", V), ("reference_image", A)],
        ),
        ("easyrouter", easyrouter("i2v", input_reference=A), [("first_frame", A)]),
        ("easyrouter", easyrouter("i2v", ("first_frame", A)), [("first_frame", A)]),
        (
            "easyrouter",
            easyrouter("r2v", ("reference_video", V), ("reference_image", A)),
            [("reference_video", V), ("reference_image", A)],
        ),
        ("easyrouter", easyrouter("videoedit", images=[V, A]), [("video", V), ("reference_image", A)]),
        (
            "easyrouter",
            easyrouter("videoedit", ("reference_image", B), ("video", W), images=[V, A]),
            [("reference_image", B), ("video", W)],
        ),
        ("gravitex", gravitex("t2v"), []),
        (
            "gravitex",
            gravitex("i2v", item("first_frame", A), item("driving_audio", S)),
            [("first_frame", A), ("driving_audio", S)],
        ),
        ("gravitex", gravitex("i2v", item("first_clip", V)), [("first_clip", V)]),
        (
            "gravitex",
            gravitex("r2v", item("reference_video", V, reference_voice=S), item("first_frame", A)),
            [("reference_video", V), ("reference_voice", S), ("first_frame", A)],
        ),
        ("evolink", evolink("text-to-video", audio_urls=[S]), [("driving_audio", S)]),
        (
            "evolink",
            evolink("image-to-video", generation_mode="first_last_frame", image_start=A, image_end=B, audio_urls=[S]),
            [("first_frame", A), ("last_frame", B), ("driving_audio", S)],
        ),
        (
            "evolink",
            evolink("image-to-video", video_urls=[V], image_end=B),
            [("last_frame", B), ("first_clip", V)],
        ),
        (
            "evolink",
            evolink("reference-video", image_urls=[A], video_urls=[V], image_start=C, audio_urls=[S, S, B]),
            [
                ("first_frame", C),
                ("reference_image", A),
                ("reference_video", V),
                ("reference_voice", S),
                ("reference_voice", S),
            ],
        ),
        (
            "evolink",
            evolink("reference-video", image_urls=[A], model_params={"voice_bindings": [{"image": 1, "voice": S}]}),
            [("reference_image", A), ("reference_voice", S)],
        ),
        (
            "evolink",
            evolink("video-edit", video_urls=[V], image_urls=[A, B]),
            [("video", V), ("reference_image", A), ("reference_image", B)],
        ),
    ],
)
def test_an_order_holds_the_media_that_the_gateway_uses(
    gateway: str, body: dict[str, Any], media: list[tuple[str, str]]
) -> None:
    order = read(gateway, body)
    assert list(order.media) == media
    assert order.failure is None


@pytest.mark.parametrize(
    ("gateway", "body", "fault"),
    [
        ("aivideoapi", aivideoapi("video-edit", video_urls=[V], duration=1), "0 or between 2 and 10"),
        ("aivideoapi", aivideoapi("image-to-video", image_urls=[A], aspect_ratio="1:1"), "aspect_ratio"),
        ("aivideoapi", aivideoapi("reference-to-video", image_urls=[A], duration=11), "duration"),
        ("aivideoapi", aivideoapi("reference-to-video", image_urls=[A] * 3, video_urls=[V] * 3), "1 to 5"),
        ("aivideoapi", aivideoapi("reference-to-video", first_frame_url=A), "1 to 5"),
        ("apiframe", apiframe("wan-2.7", "wan27Params", image=A, aspect_ratio="1:1"), "aspect_ratio"),
        ("apiframe", apiframe("wan-2.7-r2v", "wan27R2vParams", reference_images=[A] * 6), "reference_images"),
        ("easyrouter", easyrouter("t2v", ("first_frame", A)), "metadata.input.media"),
        ("easyrouter", easyrouter("i2v", input_reference=A, metadata={"ratio": "1:1"}), "metadata.ratio"),
        ("easyrouter", easyrouter("videoedit", images=[V], metadata={"ratio": "1:1"}), "metadata.ratio"),
        ("easyrouter", easyrouter("i2v", ("last_frame", A)), "metadata.input.media[0].type"),
        ("easyrouter", easyrouter("i2v", ("first_frame", A), input_reference=A), "exactly 1"),
        ("easyrouter", easyrouter("r2v", *[("reference_image", A)] * 10), "1 to 9"),
        ("easyrouter", easyrouter("r2v", ("reference_image", A), ("reference_video", V), duration=11), "duration"),
        ("easyrouter", easyrouter("videoedit", ("video", V), ("video", W)), "1 video"),
        ("easyrouter", easyrouter("videoedit", images=[V, A, A, A, A]), "images"),
        (
            "easyrouter",
            easyrouter("r2v", metadata={"input": {"media": [item("reference_image", A, reference_voice=S)]}}),
            "reference_voice",
        ),
        ("easyrouter", easyrouter("t2v", metadata={"prompt_extend": "yes"}), "metadata.prompt_extend"),
        ("easyrouter", {"model": ["wan2.7-t2v"], "prompt": "p"}, "unknown model"),
        ("gravitex", gravitex("i2v", item("first_frame", A), item("first_clip", V)), "no known set"),
        ("gravitex", gravitex("i2v", item("first_frame", A), ratio="1:1"), "ratio"),
        ("gravitex", gravitex("i2v", item("first_frame", A, reference_voice=S)), "reference_voice"),
        ("gravitex", gravitex("r2v", item("first_frame", A, reference_voice=S)), "reference_voice"),
        ("gravitex", gravitex("r2v", item("reference_video", V), duration=11), "2 and 10"),
        ("gravitex", gravitex("r2v", {"type": "reference_image", "url": "a.png"}), "media[0].url"),
        ("gravitex", {"model": {}, "prompt": "p"}, "model"),
        ("evolink", evolink("reference-video", video_urls=[V], duration=11), "2 and 10"),
        ("evolink", evolink("reference-video", image_start=A), "1 to 5"),
        ("evolink", evolink("reference-video", image_urls=[A], model_params={"voices": []}), "voices"),
        ("evolink", evolink("video-edit", video_urls=[V], duration=1), "0 or between 2 and 10"),
        ("evolink", evolink("image-to-video", image_end=B), "generation_mode"),
        ("evolink", evolink("text-to-video", seed=float("inf")), "seed"),
        ("evolink", {"model": None}, "model"),
    ],
)
def test_a_rule_of_the_page_is_kept(gateway: str, body: dict[str, Any], fault: str) -> None:
    assert fault in refusal(gateway, body)


@pytest.mark.parametrize(
    ("gateway", "body", "said"),
    [
        ("aivideoapi", {"input": {"prompt": "p"}}, "'model' is required."),
        ("easyrouter", {"model": "wan2.7-t2v"}, "prompt is required"),
        ("easyrouter", easyrouter("videoedit", images=[]), "images is required for videoedit"),
        ("easyrouter", easyrouter("videoedit"), "images is required for videoedit"),
        ("easyrouter", easyrouter("t3v"), "unknown model: wan2.7-t3v"),
    ],
)
def test_a_refusal_that_a_page_quotes_is_said_in_its_words(
    bench: Bench, gateway: str, body: dict[str, Any], said: str
) -> None:
    answer = bench.ask(gateway, next(iter(GATEWAYS[gateway].submits)), body)
    assert answer.status_code == 400
    assert answer.json.get("error", answer.json)["message"] == said


@pytest.mark.parametrize(
    ("gateway", "body", "seconds"),
    [
        ("easyrouter", easyrouter("r2v", ("reference_image", A), duration=15), 15),
        ("easyrouter", easyrouter("videoedit", images=[V], duration=60), 5),
        ("gravitex", gravitex("r2v", item("reference_image", A), duration=15), 15),
        ("evolink", evolink("reference-video", image_urls=[A], duration=15), 15),
        ("evolink", evolink("video-edit", video_urls=[V], duration=10, aspect_ratio="1:1"), 10),
        ("aivideoapi", aivideoapi("video-edit", video_urls=[V], duration=0), 5),
    ],
)
def test_a_length_that_the_page_allows_is_taken(gateway: str, body: dict[str, Any], seconds: int) -> None:
    assert read(gateway, body).duration == seconds


@pytest.mark.parametrize(
    ("gateway", "led", "free"),
    [
        (
            "aivideoapi",
            aivideoapi("reference-to-video", image_urls=[A], first_frame_url=B, aspect_ratio="1:1"),
            aivideoapi("reference-to-video", image_urls=[A], aspect_ratio="1:1"),
        ),
        (
            "gravitex",
            gravitex("r2v", item("reference_image", A), item("first_frame", B), ratio="1:1"),
            gravitex("r2v", item("reference_image", A), ratio="1:1"),
        ),
    ],
)
def test_a_first_frame_overrules_the_ratio_of_a_reference_order(
    gateway: str, led: dict[str, Any], free: dict[str, Any]
) -> None:
    assert (read(gateway, led).ratio, read(gateway, free).ratio) == ("16:9", "1:1")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (easyrouter("i2v"), "first-frame image"),
        (easyrouter("r2v", ("reference_video", V)), "at least 1 reference_image"),
        (easyrouter("videoedit", images=[A, V]), "missing source video"),
        (easyrouter("videoedit", images=[V, W]), "missing source video"),
        (easyrouter("videoedit", ("reference_image", A)), "missing source video"),
    ],
)
def test_easyrouter_finds_missing_media_only_when_it_has_taken_the_task(
    bench: Bench, body: dict[str, Any], reason: str
) -> None:
    answer = bench.ask("easyrouter", "/v1/video/generations", body)
    assert answer.status_code == 200, answer.text
    bench.pass_time(30)
    data = bench.report("easyrouter", answer.json["task_id"])["data"]
    assert data["status"] == "FAILURE"
    assert reason in data["fail_reason"]
    (kept,) = bench.control("tasks")["tasks"]
    assert kept["charged"] == kept["refunded"] > 0


def test_easyrouter_reads_the_kind_of_an_image_off_its_path_and_not_off_its_query() -> None:
    signed = "https://x.example/v.MOV?name=a.png"
    assert read("easyrouter", easyrouter("videoedit", images=[signed])).media == (("video", signed),)


@pytest.mark.parametrize(
    ("gateway", "body", "kept"),
    [
        ("aivideoapi", aivideoapi("text-to-video", negative_prompt="n" * 500), "n" * 500),
        ("apiframe", apiframe("wan-2.7", "wan27Params", negative_prompt="n" * 2500), "n" * 2500),
        ("easyrouter", easyrouter("t2v", metadata={"negative_prompt": "n" * 500}), "n" * 500),
        ("evolink", evolink("text-to-video", negative_prompt="n" * 501), "n" * 500),
        ("evolink", evolink("text-to-video"), None),
    ],
)
def test_an_order_holds_the_negative_prompt_as_the_gateway_keeps_it(
    gateway: str, body: dict[str, Any], kept: str | None
) -> None:
    assert read(gateway, body).negative_prompt == kept


def test_gravitex_takes_the_negative_prompt_beside_the_other() -> None:
    body = gravitex("t2v")
    body["metadata"]["input"]["negative_prompt"] = "blur"
    assert read("gravitex", body).negative_prompt == "blur"


def test_apiframe_counts_text_as_javascript_does_and_the_others_count_characters() -> None:
    fox = "\N{FOX FACE}"
    assert read("apiframe", {"model": "wan-2.7", "prompt": fox * 2500}).prompt == fox * 2500
    assert "got 5002" in refusal("apiframe", {"model": "wan-2.7", "prompt": fox * 2501})
    assert "got 2501" in refusal("apiframe", apiframe("wan-2.7", "wan27Params", negative_prompt="n" + fox * 1250))
    assert read("aivideoapi", aivideoapi("text-to-video", prompt=fox * 5000)).prompt == fox * 5000
    assert read("evolink", evolink("text-to-video", prompt=fox * 5001)).prompt == fox * 5000


def test_the_control_endpoint_shows_what_the_gateway_made_of_the_request(bench: Bench) -> None:
    body = evolink("video-edit", video_urls=[V], image_urls=[A], negative_prompt="n" * 600)
    assert bench.ask("evolink", "/v1/videos/generations", body).status_code == 200
    (kept,) = bench.control("tasks")["tasks"]
    assert kept["media"] == [{"type": "video", "url": V}, {"type": "reference_image", "url": A}]
    assert (kept["prompt"], kept["negative_prompt"]) == ("p", "n" * 500)


def test_a_body_that_is_not_called_json_is_not_read_as_json(bench: Bench) -> None:
    key = {"Authorization": "Bearer sk-sandbox"}
    answer = bench.client.post("/evolink/v1/videos/generations", data=json.dumps(evolink("text-to-video")), headers=key)
    assert answer.status_code == 400
    assert "Content-Type" in answer.text
