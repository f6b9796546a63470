"""Jobs over HTTP: check, keep, answer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import g, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from sqlalchemy.engine import Connection

from jobs import intake, store, wishes
from jobs.database import Database
from jobs.errors import BadRequest, UnknownJob
from jobs.intake import Intake
from jobs.models import jobs
from jobs.records import Case
from jobs.request_schema import RequestSchema
from jobs.ringer import Ringer
from jobs.routing import Decision
from jobs.states import State, next_step
from jobs.view import job_view
from rushes.api.parser import StrictBlueprint
from rushes.api.problems import MEDIA_TYPE, NotArchived, ProblemSchema
from rushes.api.schemas import (
    EventListSchema,
    JobListSchema,
    JobSchema,
    ListQuerySchema,
    QuoteQuerySchema,
    QuoteSchema,
    RetrySchema,
)
from storage.bucket import Bucket

JOB_ID = re.compile(r"job_[0-9A-Z]{26}")
LINK_LIFE_S = 3600


@dataclass(frozen=True)
class JobsApi:
    """What these views work with."""

    intake: Intake
    database: Database
    ringer: Ringer
    bucket: Bucket


def blueprint(api: JobsApi) -> Blueprint:
    """`/v1/jobs` and what belongs to a job."""
    about = "Requests for videos, and what became of them"
    routes = StrictBlueprint("jobs", __name__, url_prefix="/v1/jobs", description=about)
    unknown = {"status_code": 404, "schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_job"}

    @routes.post("")
    @routes.arguments(QuoteQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.arguments(RequestSchema, location="json", as_kwargs=False, error_status_code=422)
    @routes.response(202, JobSchema, description="Kept; it will be worked on.")
    @routes.alt_response(200, schema=QuoteSchema, description="With dry_run=true: nothing was kept, nothing was sent.")
    def create(query: Mapping[str, Any], _: Any) -> ResponseReturnValue:
        """Ask for a video.

        With `Idempotency-Key`, the same key and body give the same job however often they come.
        With `dry_run=true`, say where the request would go now and what it would cost, and do nothing.
        """
        if query["dry_run"]:
            return jsonify(_quoted(intake.quote(request.get_json(), api.intake)))
        key = request.headers.get("Idempotency-Key")
        case, replayed = intake.create(request.get_json(), api.intake, api_key_id=g.api_key_id, idempotency_key=key)
        if not replayed:
            api.ringer.ring("jobs.submit", case.job.id)
        headers = {"Location": f"/v1/jobs/{case.job.id}"}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return job_view(case), 202, headers

    @routes.get("")
    @routes.arguments(ListQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, JobListSchema)
    def list_(query: Mapping[str, Any]) -> ResponseReturnValue:
        """The newest jobs first, a page at a time."""
        limit = query["limit"]
        newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
        page = sa.select(jobs.c.id, jobs.c.created_at).order_by(*newest).limit(limit + 1)
        if "state" in query:
            page = page.where(jobs.c.state == query["state"])
        if "cursor" in query:
            at, job_id = _read_cursor(query["cursor"])
            older = sa.or_(jobs.c.created_at < at, sa.and_(jobs.c.created_at == at, jobs.c.id < job_id))
            page = page.where(older)
        with api.database.read() as db:
            rows = db.execute(page).all()
            found = [job_view(case) for case in store.read_cases(db, [row.id for row in rows[:limit]])]
        more = len(rows) > limit
        cursor = _cursor(rows[limit - 1].created_at, rows[limit - 1].id) if more else None
        return {"data": found, "has_more": more, "next_cursor": cursor}

    @routes.get("/<job_id>")
    @routes.response(200, JobSchema)
    @routes.alt_response(**unknown)
    def show(job_id: str) -> ResponseReturnValue:
        """One job."""
        with api.database.read() as db:
            return job_view(_case(db, job_id))

    @routes.get("/<job_id>/events")
    @routes.response(200, EventListSchema)
    @routes.alt_response(**unknown)
    def events(job_id: str) -> ResponseReturnValue:
        """A job's history, oldest first."""
        with api.database.read() as db:
            _case(db, job_id)
            lines = store.history(db, job_id)
        shown = ("event", "attempt", "from_state", "to_state", "detail")
        return {"data": [{"at": line["at"].isoformat(), **{k: line[k] for k in shown}} for line in lines]}

    @routes.get("/<job_id>/video")
    @routes.response(302, description="To a presigned link that lives for an hour.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="not_archived")
    @routes.alt_response(**unknown)
    def video(job_id: str) -> ResponseReturnValue:
        """The archived video."""
        with api.database.read() as db:
            job = _case(db, job_id).job
        if job.state is not State.ARCHIVED:
            raise NotArchived(f"The job is {job.state}; its video is there once it is archived.")
        return redirect(api.bucket.link(job.archive_key, expires_s=LINK_LIFE_S), 302)

    @routes.post("/<job_id>/cancel")
    @routes.response(200, JobSchema, description="Cancelled: nothing was bought.")
    @routes.alt_response(202, schema=JobSchema, description="On its way: cancelled if no gateway accepts.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="too_late")
    @routes.alt_response(**unknown)
    def cancel(job_id: str) -> ResponseReturnValue:
        """Cancel a job that no gateway has accepted yet. What has been accepted is paid, and will be archived."""
        case = wishes.cancel(_known(job_id), api.intake)
        _ring(api.ringer, case)
        return job_view(case), 200 if case.job.state is State.CANCELLED else 202

    @routes.post("/<job_id>/retry")
    @routes.arguments(RetrySchema, location="json", as_kwargs=False, required=False, error_status_code=422)
    @routes.response(202, JobSchema, description="It is worked on again.")
    @routes.alt_response(
        409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="not_failed, may_be_paid or nothing_left"
    )
    @routes.alt_response(**unknown)
    def retry(body: Mapping[str, Any], job_id: str) -> ResponseReturnValue:
        """Try a failed job again: its copying if that failed, else with a new order."""
        accept = bool(body.get("accept_double_charge"))
        case = wishes.retry(_known(job_id), api.intake, accept_double_charge=accept)
        _ring(api.ringer, case)
        return job_view(case), 202

    return routes


def _ring(ringer: Ringer, case: Case) -> None:
    """Ring for what a wish has left due, and for the notice that it wrote."""
    job = case.job
    if job.alarm_at is not None:
        ringer.ring(next_step(job.state, unread=bool(case.unread)), job.id)
    if job.state is State.CANCELLED and job.notify_url:
        ringer.ring("webhooks.notify", job.id)


def _quoted(decision: Decision) -> dict[str, Any]:
    """A decision as the answer to whoever asks without buying."""
    told, chosen, waits = decision.as_json(), decision.chosen, None
    if chosen is None and (first := decision.wait):
        waits = {"provider": first.provider, "code": first.code, "reason": first.reason, "seconds": first.wait_s}
    price = asdict(chosen.estimate) if chosen and chosen.estimate else None
    return {
        "dry_run": True,
        "provider": told["chosen"],
        "price": price,
        "waits": waits,
        "considered": told["considered"],
    }


def _known(job_id: str) -> str:
    """Raises UnknownJob for what no job can be called; such an id never reaches the database."""
    if not JOB_ID.fullmatch(job_id):
        raise UnknownJob(f"No job {job_id!r}; ids look like job_01K8Z3V0QWERTYUIOPASDFGHJK.")
    return job_id


def _case(db: Connection, job_id: str) -> Case:
    """Raises UnknownJob."""
    return store.read_case(db, _known(job_id))


def _cursor(at: datetime, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {job_id}".encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, job_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        moment = datetime.fromisoformat(at).astimezone(UTC)
        if not JOB_ID.fullmatch(job_id):
            raise ValueError
    except (ValueError, OverflowError, binascii.Error, UnicodeDecodeError):
        raise BadRequest({"cursor": ["Not one of ours; send the `next_cursor` of the page before."]}) from None
    return moment, job_id
