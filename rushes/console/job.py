"""One job: what it is, what it cost, and one timeline of everything that happened."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, redirect, render_template
from flask.typing import ResponseReturnValue

from rushes.console import offers, timeline
from rushes.console.door import Door
from rushes.console.service import Refused
from rushes.console.words import spent

MOST = "100"  # of a job's callbacks and notices
TRIES_SHOWN = 20  # notices whose tries are read


def add(routes: Blueprint, door: Door) -> None:
    """`/console/jobs/<id>`, and the files and bodies that it shows."""

    @routes.get("/jobs/<job_id>")
    def job(job_id: str) -> ResponseReturnValue:
        found = g.service.get(f"/v1/jobs/{job_id}")
        events = g.service.get(f"/v1/jobs/{job_id}/events")["data"]
        callbacks = g.service.get("/v1/callbacks", {"job_id": job_id, "limit": MOST})["data"]
        notices = g.service.get("/v1/notices", {"job_id": job_id, "limit": MOST})["data"]
        told = [g.service.get(f"/v1/notices/{each['id']}") for each in notices[:TRIES_SHOWN]]
        return render_template(
            "console/job.html",
            said=door.said(),
            job=found,
            spent=spent(found),
            offers=offers.offers(found) if g.visitor.may_order else [],
            entries=timeline.entries(found, events, callbacks, told),
        )

    @routes.get("/jobs/<job_id>/attempts/<int:number>")
    def order(job_id: str, number: int) -> ResponseReturnValue:
        """What was sent of an order, and what was answered; the timeline unfolds it."""
        return render_template("console/order.html", order=or_gone(f"/v1/jobs/{job_id}/attempts/{number}"))

    @routes.get("/callbacks/<callback_id>/body")
    def callback_body(callback_id: str) -> ResponseReturnValue:
        """What a callback said; the timeline unfolds it."""
        return render_template("console/callback_body.html", callback=or_gone(f"/v1/callbacks/{callback_id}"))

    @routes.get("/jobs/<job_id>/<any(video, poster):what>")
    def film(job_id: str, what: str) -> Response:
        """To the video, or its first frame, by a fresh link."""
        reply = g.service.ask("GET", f"/v1/jobs/{job_id}/{what}")
        return redirect(reply.location, 302)  # type: ignore[return-value] # it is a Flask response


def or_gone(path: str) -> dict[str, Any] | None:
    """None for what was pruned."""
    try:
        found: dict[str, Any] = g.service.get(path)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return None
    return found
