"""Requests drawn by Hypothesis: of every mode, as clients send them and as load_request reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, reject
from hypothesis import strategies as st

from jobs.errors import BadRequest
from jobs.request.generation import LARGEST_SEED, RATIOS, Generation, Mode
from jobs.request.schema import MEDIA, load_request

RELAXED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

_short = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
# What every gateway can be asked in most of its range; and what a few of them cannot.
TAME: dict[str, st.SearchStrategy[Any]] = {
    "resolution": st.sampled_from(["720p", "1080p"]),
    "ratio": st.sampled_from(RATIOS),
    "duration": st.integers(2, 10),
    "seed": st.integers(1, LARGEST_SEED),
    "negative_prompt": _short,
}
WILD: dict[str, st.SearchStrategy[Any]] = {
    "duration": st.sampled_from([11, 15]),
    "seed": st.just(0),
    "negative_prompt": st.sampled_from(["猫" * 500, "猫" * 501, "🦊" * 1250, "🦊" * 1251, "猫" * 2501]),
    "prompt": st.sampled_from(["🦊" * 2501, "🦊" * 2500, "猫" * 5000]),
    "prompt_extend": st.just(False),
    "watermark": st.just(True),
    "shot_type": st.sampled_from(["single", "multi"]),
}
WILD_EDIT = WILD | {"prompt": st.none() | WILD["prompt"], "audio_setting": st.sampled_from(["auto", "origin"])}


@st.composite
def media(draw: st.DrawFn, mode: Mode) -> list[dict[str, str]]:
    """Files that the mode may take, in any order, some references with voices."""
    kinds: list[str] = []
    if mode in (Mode.TEXT, Mode.IMAGE):
        kinds = sorted(draw(st.sets(st.sampled_from(sorted(MEDIA[mode].most)), min_size=int(mode is Mode.IMAGE))))
    elif mode is Mode.REFERENCE:
        kinds += ["reference_image"] * draw(st.sampled_from([1, 1, 2, 2, 5, 6, 10, 0]))
        kinds += ["reference_video"] * draw(st.sampled_from([0, 0, 0, 1, 1, 5, 6]))
        kinds += draw(st.sampled_from([[], [], [], ["first_frame"], ["reference_voice"]]))
    else:
        kinds = ["video"] + ["reference_image"] * draw(st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5]))
    kinds = draw(st.permutations(kinds))
    speaking = draw(st.sampled_from(["none", "none", "first", "any", "all"]))
    found, references = [], 0
    for number, kind in enumerate(kinds):
        item = {"type": kind, "url": f"https://media.example/{number}"}
        if mode is Mode.REFERENCE and kind in MEDIA[mode].leads:
            references += 1
            speaks = {"none": False, "first": references == 1, "any": draw(st.booleans()), "all": True}
            if speaks[speaking]:
                item["reference_voice"] = f"https://media.example/{number}-voice"
        found.append(item)
    return found


@st.composite
def generations(draw: st.DrawFn, mode: Mode) -> Generation:
    """A request of this mode as clients send it and as load_request reads it."""
    body: dict[str, Any] = {"mode": mode.value, "prompt": draw(_short), "media": draw(media(mode))}
    body |= draw(st.fixed_dictionaries({}, optional=TAME))
    wild = WILD_EDIT if mode is Mode.EDIT else WILD
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        name = draw(st.sampled_from(sorted(wild)))
        body[name] = draw(wild[name])
    framed = mode is Mode.IMAGE or any(item["type"] == "first_frame" for item in body["media"])
    if framed or (mode is Mode.EDIT and draw(st.booleans())):
        body.pop("ratio", None)
    if mode is Mode.EDIT and draw(st.booleans()):
        body.pop("duration", None)
    try:
        return load_request(body).generation
    except BadRequest:
        reject()
