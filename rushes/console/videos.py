"""The videos: a gallery of posters, a player for each, and several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request
from flask.typing import ResponseReturnValue

from jobs.machine.states import State
from rushes.api.schemas.parameters import JOB_ID
from rushes.console import filters
from rushes.console.door import Door
from rushes.console.service import Refused
from rushes.console.words import read, spent

PAGE = "24"
# Side by side: to one host browsers open six connections at once, and a film that waits for one would hold up the rest.
MOST = 6


def add(routes: Blueprint, door: Door) -> None:
    """`/console/videos`, and what opens from there."""

    @routes.get("/videos")
    def videos() -> ResponseReturnValue:
        found = filters.listed(PAGE, state=State.ARCHIVED)
        return render_template("console/videos.html", said=door.said(), jobs=found.jobs, **found.shown), found.status

    @routes.get("/videos/<job_id>")
    def player(job_id: str) -> ResponseReturnValue:
        """One video by itself; the gallery shows it in its place."""
        job = g.service.get(f"/v1/jobs/{job_id}")
        copied = copies(job_id, door.origin())
        return render_template("console/player.html", said=door.said(), job=_told(job), copies=copied)

    @routes.get("/videos/<job_id>/download")
    def download(job_id: str) -> Response:
        """To the video, by a fresh link that browsers save."""
        reply = g.service.ask("GET", f"/v1/jobs/{job_id}/video", query={"download": "true"})
        return redirect(reply.location, 302)  # type: ignore[return-value] # it is a Flask response

    @routes.get("/videos/compare")
    def compare() -> ResponseReturnValue:
        """Several films, in step."""
        ids = chosen(request.args.getlist("ids"))
        films = [(job_id, _job_or_none(job_id)) for job_id in ids[:MOST]]
        left_out = len(ids) - len(films)
        return render_template("console/compare.html", said=door.said(), films=films, most=MOST, left_out=left_out)


def chosen(asked: Sequence[str]) -> list[str]:
    """The ids that an address names, each once: with commas, or given several times. Pure."""
    return list(dict.fromkeys(job_id for text in asked for job_id in text.split(",") if job_id))


def copies(job_id: str, origin: str) -> dict[str, str]:
    """What leads others to a video, by its name on the button: a page, a command, a program. Pure."""
    video = f"{origin}/v1/jobs/{job_id}/video"
    return {
        "link": f"{origin}/console/videos/{job_id}",
        "curl": f'curl -fL -H "Authorization: Bearer $RUSHES_API_KEY" -o {job_id}.mp4 {video}',
        "Python": "from rushes_client import Client\n\n"
        f'with Client("{origin}") as rushes:  # the key is that of RUSHES_API_KEY\n'
        f'    rushes.download("{job_id}", "{job_id}.mp4")\n',
    }


def _told(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job, with what its facts add up to."""
    took_s = (read(job["ended_at"]) - read(job["created_at"])).total_seconds() if job["ended_at"] else None
    return {**job, "spent": spent(dict(job)), "took_s": took_s}


def _job_or_none(job_id: str) -> dict[str, Any] | None:
    """None for what there is not; what is no id never becomes a part of an address of the API."""
    if not JOB_ID.fullmatch(job_id):
        return None
    try:
        return _told(g.service.get(f"/v1/jobs/{job_id}"))
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return None
