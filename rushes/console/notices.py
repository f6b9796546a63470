"""Notices: what pipelines were told, what became of it, and telling them again."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rushes.console import acts, lists
from rushes.console.door import Door
from rushes.console.job import or_gone
from rushes.console.job_actions import resent

FILTERS = ("state", "type", "job_id")
# What a notice's state looks like: an icon, and a tone.
STATES = {"waiting": ("queue", "live"), "delivered": ("check", "good"), "failed": ("cross", "bad")}
TYPES = ("job.archived", "job.failed", "job.cancelled", "job.overdue", "job.unconfirmed")


def add(routes: Blueprint, door: Door) -> None:
    """`/console/notices`, and its form."""

    @routes.get("/notices")
    def notices() -> ResponseReturnValue:
        listed = lists.read("/v1/notices", FILTERS)
        page = render_template(
            "console/notices.html",
            said=door.said(),
            listed=listed,
            asked=request.args,
            states=STATES,
            types=TYPES,
        )
        return page, listed.status

    @routes.get("/notices/<notice_id>")
    def notice(notice_id: str) -> ResponseReturnValue:
        """What a notice says, and each of its tries; the list unfolds it."""
        return render_template("console/notice.html", notice=or_gone(f"/v1/notices/{notice_id}"))

    @routes.post("/notices/resend")
    def resend_all_failed() -> ResponseReturnValue:
        ask = partial(g.service.post, "/v1/notices/replay")
        return acts.done(door, ask, resent, url_for("console.notices"))
