"""Reasons for a misfit that several gateways share. A module's `misfits` joins those that hold for it."""

from __future__ import annotations

from jobs.generation import Generation, Mode
from jobs.providers.base import Misfit


def long_negative_prompt(spec: Generation, longest: int) -> list[Misfit]:
    """Said here even where the gateway cuts in silence: a cut prompt asks for something else."""
    given = len(spec.negative_prompt or "")
    if given <= longest:
        return []
    return [Misfit("negative_prompt", f"{given} characters", f"at most {longest} characters")]


def watermark(spec: Generation) -> list[Misfit]:
    """For gateways that document no field for it; upstream's default is none."""
    return [Misfit("watermark", True, "false; no watermark can be asked for")] if spec.watermark else []


def audio_setting(spec: Generation) -> list[Misfit]:
    """It is about the sound of the video that is edited."""
    if spec.audio_setting is None or spec.mode is Mode.EDIT:
        return []
    return [Misfit("audio_setting", spec.audio_setting, f"only with {Mode.EDIT.value}")]


def driving_audio(spec: Generation, most: int = 1) -> list[Misfit]:
    """Every gateway drives a video with one sound at most; more would be dropped in silence."""
    given = len(media_urls(spec, "driving_audio"))
    return [Misfit("media", f"{given} driving_audio", f"at most {most}")] if given > most else []


def media_urls(spec: Generation, kind: str) -> list[str]:
    """The URLs of one media type, in the order given."""
    return [item.url for item in spec.media if item.type == kind]
