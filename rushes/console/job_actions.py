"""What a person may do about a job: each a form, and a request to the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request, url_for
from flask.typing import ResponseReturnValue

from rushes.console import acts
from rushes.console.door import Door
from rushes.console.service import Reply

DONE = {
    "cancel": "Cancelled: nothing was bought.",
    "retry": "It is worked on again.",
    "accept": "The film is copied as it is, under your key's name.",
    "settle": "It is taken down.",
    "replay": "The callback counts as one that has just come: the gateway is asked again.",
    "resend": "The notice goes out once more.",
}
ON_ITS_WAY = "It is cancelled if no gateway accepts it."
ASKED_ABOUT = "The gateway is asked about the task; the order tells what it answers."


def add(routes: Blueprint, door: Door) -> None:
    """The forms of a job's page, by POST."""

    def done(job_id: str, name: str, ask: Callable[[], Reply], said: Callable[[Reply], str] | None = None) -> Response:
        return acts.done(door, ask, said or (lambda _: DONE[name]), url_for("console.job", job_id=job_id))

    @routes.post("/jobs/<job_id>/cancel")
    def cancel(job_id: str) -> ResponseReturnValue:
        def said(reply: Reply) -> str:
            return DONE["cancel"] if reply.status == 200 else ON_ITS_WAY

        return done(job_id, "cancel", lambda: g.service.post(f"/v1/jobs/{job_id}/cancel"), said)

    @routes.post("/jobs/<job_id>/retry")
    def retry(job_id: str) -> ResponseReturnValue:
        body = {"accept_double_charge": True} if request.form.get("accept_double_charge") else {}
        return done(job_id, "retry", lambda: g.service.post(f"/v1/jobs/{job_id}/retry", body))

    @routes.post("/jobs/<job_id>/accept")
    def accept(job_id: str) -> ResponseReturnValue:
        return done(job_id, "accept", lambda: g.service.post(f"/v1/jobs/{job_id}/video/accept"))

    @routes.post("/jobs/<job_id>/attempts/<int:number>/settle")
    def settle(job_id: str, number: int) -> ResponseReturnValue:
        path = f"/v1/jobs/{job_id}/attempts/{number}/settle"
        body = found_out(request.form)

        def said(reply: Reply) -> str:
            return ASKED_ABOUT if reply.status == 202 else DONE["settle"]

        return done(job_id, "settle", lambda: g.service.post(path, body), said)

    @routes.post("/jobs/<job_id>/callbacks/<callback_id>/replay")
    def replay(job_id: str, callback_id: str) -> ResponseReturnValue:
        return done(job_id, "replay", lambda: g.service.post(f"/v1/callbacks/{callback_id}/replay"))

    @routes.post("/jobs/<job_id>/notices/<notice_id>/resend")
    def resend(job_id: str, notice_id: str) -> ResponseReturnValue:
        return done(job_id, "resend", lambda: g.service.post(f"/v1/notices/{notice_id}/replay"))

    @routes.post("/jobs/<job_id>/notices/resend")
    def resend_failed(job_id: str) -> ResponseReturnValue:
        ask = partial(g.service.post, "/v1/notices/replay", {"job_id": job_id})
        return done(job_id, "resend", ask, resent)


def found_out(form: Mapping[str, str]) -> dict[str, Any]:
    """What a person says of an order, as the API takes it. Pure."""
    match form.get("found"):
        case "not_made":
            return {"made": False}
        case "charged":
            return {"charged": True}
        case "not_charged":
            return {"charged": False}
    return {"task_id": form.get("task_id", "").strip()}


def resent(reply: Reply) -> str:
    """How many notices go out once more."""
    many = reply.data["replayed"]
    return "1 notice goes out once more." if many == 1 else f"{many} notices go out once more."
