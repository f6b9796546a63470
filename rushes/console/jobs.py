"""The list of jobs: what the address asks for, a page at a time."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from rushes.console import filters
from rushes.console.door import Door
from rushes.console.words import spent

PAGE = "50"


def add(routes: Blueprint, door: Door) -> None:
    """`/console/jobs`."""

    @routes.get("/jobs")
    def jobs() -> ResponseReturnValue:
        found = filters.listed(PAGE)
        rows = [{**job, "spent": spent(job)} for job in found.jobs]
        return render_template("console/jobs.html", said=door.said(), jobs=rows, **found.shown), found.status
