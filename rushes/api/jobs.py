"""Jobs over HTTP: check, keep, answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from sqlalchemy.engine import Connection

from jobs.errors import UnknownJob, UnknownOrder
from jobs.intake import accepting, changes, new_jobs, settling
from jobs.intake.new_jobs import Quote
from jobs.machine.case import Case
from jobs.machine.job_json import has_poster, job_json
from jobs.machine.order_json import order_json
from jobs.machine.rows import Job, Settled
from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.reports import listing, queue_position
from jobs.reports.listing import Filters, Place
from jobs.request.schema import RequestSchema
from jobs.store import cases, history
from jobs.store.core import Core
from jobs.store.database import Database
from rushes.api.edge import cursors, idempotency_key, long_polls
from rushes.api.edge.answers import answer, page
from rushes.api.edge.long_polls import Waits
from rushes.api.edge.parser import StrictBlueprint, read_json
from rushes.api.edge.problems import MEDIA_TYPE, NotArchived, ProblemSchema
from rushes.api.schemas.jobs import EventListSchema, JobListSchema, JobSchema, QuoteSchema
from rushes.api.schemas.orders import OrderSchema
from rushes.api.schemas.parameters import (
    JOB_ID,
    ORDER_NUMBER,
    ListQuerySchema,
    QuoteQuerySchema,
    RetrySchema,
    SettleSchema,
    VideoQuerySchema,
    WaitQuerySchema,
)
from storage.bucket import Bucket
from storage.keys import VIDEO, poster_key

LINK_LIFE_S = 3600
WAIT_AGAIN_S = 1  # until a wait may be tried again that found too many others


@dataclass(frozen=True)
class JobsApi:
    """What these views work with."""

    core: Core
    database: Database
    bucket: Bucket
    waits: Waits


def blueprint(api: JobsApi) -> Blueprint:
    """`/v1/jobs` and what belongs to a job."""
    about = "Requests for videos, and what became of them"
    routes = StrictBlueprint("jobs", __name__, url_prefix="/v1/jobs", description=about)
    unknown = {"status_code": 404, "schema": ProblemSchema, "content_type": MEDIA_TYPE, "description": "unknown_job"}

    @routes.post("")
    @routes.arguments(QuoteQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.doc(requestBody={"required": True, "content": {"application/json": {"schema": RequestSchema}}})
    @routes.response(202, JobSchema, description="Kept; it will be worked on.")
    @routes.alt_response(200, schema=QuoteSchema, description="With dry_run=true: nothing was kept, nothing was sent.")
    def create(query: Mapping[str, Any]) -> ResponseReturnValue:
        """Ask for a video.

        With `Idempotency-Key`, the same key and body give the same job however often they come.
        With `dry_run=true`, say where the request would go now and what it would cost, and whether the key has made its
        job already, and do nothing.
        """
        body = read_json(request)  # intake reads it by its schema, for every face
        body = {} if body is None else body
        sent = request.headers.get(idempotency_key.NAME)
        key, quoted = (None, None) if sent is None else idempotency_key.read(sent)
        whose = {"api_key_id": g.api_key_id, "idempotency_key": key, "formerly_kept_as": quoted}
        if query["dry_run"]:
            return answer(_quoted(new_jobs.quote(body, api.core, **whose)))
        case, replayed = new_jobs.create(body, api.core, **whose)
        headers = {"Location": f"/v1/jobs/{case.job.id}"}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        return answer(_shown(case), 202, headers)

    @routes.get("")
    @routes.arguments(ListQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, JobListSchema)
    def list_(query: Mapping[str, Any]) -> ResponseReturnValue:
        """The newest jobs first, a page at a time.

        Entries of a job's metadata filter too: `metadata.scene=12`. What is searched for in prompts and metadata, or a
        gateway's or a mode's jobs, may be rare: then a page holds fewer jobs than it could, or none, and `has_more`
        tells that the search goes on.
        """
        after = _read_cursor(query) if "cursor" in query else None
        with api.database.read() as db:
            places, last = listing.page(db, _filters(query), after=after, limit=query["limit"])
            found = [job_json(case) for case in cases.read_shown(db, [place.id for place in places])]
        return page(found, last and cursors.write(last.created_at.isoformat(), last.id, of=query))

    @routes.get("/<job_id>")
    @routes.arguments(WaitQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(200, JobSchema)
    @routes.alt_response(304, description="With If-None-Match: it has not changed.")
    @routes.alt_response(**unknown)
    def show(query: Mapping[str, Any], job_id: str) -> ResponseReturnValue:
        """One job.

        With `wait=30` the answer comes once the job has ended and no task that a person named is being asked about, or
        once one that a person named was refused, after 30 seconds at the latest. With `If-None-Match` as well, it comes
        once the job has changed, and is 304 if it has not.
        """
        case, position = _look(api, job_id)
        headers: dict[str, str] = {}
        if query["wait"] and not _wait(api, case, query["wait"]):
            headers["Retry-After"] = str(WAIT_AGAIN_S)
        elif query["wait"]:
            case, position = _look(api, job_id)
        etag = long_polls.seen(case).etag
        headers["ETag"] = f'W/"{etag}"'
        if request.if_none_match.contains_weak(etag):
            return "", 304, headers
        return answer(_shown(case, position), headers=headers)

    @routes.get("/<job_id>/events")
    @routes.response(200, EventListSchema)
    @routes.alt_response(**unknown)
    def events(job_id: str) -> ResponseReturnValue:
        """A job's history, oldest first."""
        with api.database.read() as db:
            _case(db, job_id)
            lines = history.of_job(db, job_id)
        shown = ("event", "attempt", "from_state", "to_state", "detail")
        return answer({"data": [{"at": iso(line["at"]), **{k: line[k] for k in shown}} for line in lines]})

    @routes.get("/<job_id>/video")
    @routes.arguments(VideoQuerySchema, location="query", as_kwargs=False, unknown=None)
    @routes.response(302, description="To a presigned link that lives for an hour.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="not_archived")
    @routes.alt_response(**unknown)
    def video(query: Mapping[str, Any], job_id: str) -> ResponseReturnValue:
        """The archived video."""
        job = _archived(api, job_id)
        name = f"{job.id}{VIDEO}" if query["download"] else None
        return redirect(api.bucket.link(job.archive_key, expires_s=LINK_LIFE_S, filename=name), 302)

    @routes.get("/<job_id>/poster")
    @routes.response(302, description="To a presigned link that lives for an hour.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="not_archived")
    @routes.alt_response(**unknown)
    def poster(job_id: str) -> ResponseReturnValue:
        """The archived video's first frame, as a JPEG; there is none of an accepted film that shows none."""
        job = _archived(api, job_id)
        if not has_poster(job):
            raise NotArchived("The film was accepted as it is, and no frame of it could be read: there is no poster.")
        return redirect(api.bucket.link(poster_key(job.archive_key), expires_s=LINK_LIFE_S), 302)

    @routes.post("/<job_id>/video/accept")
    @routes.response(202, JobSchema, description="It is copied; `accepted_by` names your key once it is archived.")
    @routes.alt_response(200, schema=JobSchema, description="It is archived so already; nothing has changed.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="nothing_kept")
    @routes.alt_response(**unknown)
    def accept(job_id: str) -> ResponseReturnValue:
        """Archive a film that the proof refused, as it is, under your name in place of the proof.

        Of a job that is archiving or has failed: `attempts[].unproven` tells what is kept aside. A film that plays and
        comes first is archived instead, and `accepted_by` stays null.
        """
        case = accepting.accept(_known(job_id), api.core, api_key_id=g.api_key_id)
        return answer(_shown(case), 200 if case.job.state is State.ARCHIVED else 202)

    @routes.post("/<job_id>/cancel")
    @routes.response(200, JobSchema, description="Cancelled: nothing was bought.")
    @routes.alt_response(202, schema=JobSchema, description="On its way: cancelled if no gateway accepts.")
    @routes.alt_response(409, schema=ProblemSchema, content_type=MEDIA_TYPE, description="too_late")
    @routes.alt_response(**unknown)
    def cancel(job_id: str) -> ResponseReturnValue:
        """Cancel a job that no gateway has accepted yet. What has been accepted is paid, and will be archived."""
        case = changes.cancel(_known(job_id), api.core, api_key_id=g.api_key_id)
        return answer(_shown(case), 200 if case.job.state is State.CANCELLED else 202)

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
        case = changes.retry(_known(job_id), api.core, accept_double_charge=accept, api_key_id=g.api_key_id)
        return answer(_shown(case), 202)

    @routes.get("/<job_id>/attempts/<number>")
    @routes.response(200, OrderSchema)
    @routes.alt_response(**{**unknown, "description": "unknown_job or unknown_order"})
    def order(job_id: str, number: str) -> ResponseReturnValue:
        """One order: what was sent to the gateway, and what became of it. What signs links is left out."""
        wanted = _numbered(number)
        with api.database.read() as db:
            found = _case(db, job_id).attempts.get(wanted)
        if found is None:
            raise UnknownOrder(f"{job_id} has no order {number}.")
        return answer(order_json(found))

    @routes.post("/<job_id>/attempts/<number>/settle")
    @routes.arguments(SettleSchema, location="json", as_kwargs=False, error_status_code=422)
    @routes.response(200, JobSchema, description="It is taken down.")
    @routes.alt_response(
        202, schema=JobSchema, description="With task_id: it is asked about; `named` tells the answer."
    )
    @routes.alt_response(
        409,
        schema=ProblemSchema,
        content_type=MEDIA_TYPE,
        description="under_way, task_known, task_taken, not_lost or not_closed; nothing has changed",
    )
    @routes.alt_response(**{**unknown, "description": "unknown_job or unknown_order"})
    def settle(body: Mapping[str, Any], job_id: str, number: str) -> ResponseReturnValue:
        """Say what a person found out about an order: its task, that it was not made, or whether it was charged.

        A task is asked about, and believed if the gateway knows it and it fits. What the gateway says later outweighs
        a person's word.
        """
        order, who = (_known(job_id), _numbered(number)), g.api_key_id
        if "task_id" in body:
            case = settling.name_task(*order, body["task_id"], api.core, api_key_id=who)
        else:
            case = settling.settle(*order, _said(body), api.core, api_key_id=who)
        return answer(_shown(case), 202 if case.attempts[order[1]].is_named else 200)

    return routes


def _shown(case: Case, position: int | None = None) -> dict[str, Any]:
    """A job by itself: its inputs' links whole for a key that may order."""
    return job_json(case, position, whole_links=g.may_order)


def _said(body: Mapping[str, Any]) -> Settled:
    if "made" in body:
        return Settled.NOT_MADE
    return Settled.CHARGED if body["charged"] else Settled.NOT_CHARGED


def _filters(query: Mapping[str, Any]) -> Filters:
    names = (
        "provider",
        "mode",
        "created_after",
        "created_before",
        "batch",
        "prompt",
        "metadata",
        "overdue",
        "needs_person",
    )
    states = tuple(State(name) for name in query["state"])
    return Filters(states=states, **{name: query[name] for name in names if name in query})


def _look(api: JobsApi, job_id: str) -> tuple[Case, int | None]:
    """A job as it stands, and its place in line. Raises UnknownJob."""
    with api.database.read() as db:
        case = _case(db, job_id)
        return case, queue_position.position(db, case.job)


def _wait(api: JobsApi, case: Case, timeout_s: float) -> bool:
    """Wait for the job's end, or with If-None-Match for a change. False: too many others wait. Holds no connection."""
    now, job_id = long_polls.seen(case), case.job.id
    if request.if_none_match:
        if not request.if_none_match.contains_weak(now.etag):
            return True
        return api.waits.until_changed(job_id, now, timeout_s=timeout_s)
    return now.rests or api.waits.until_at_rest(job_id, now, timeout_s=timeout_s)


def _quoted(quote: Quote) -> dict[str, Any]:
    """A quote as the answer to whoever asks without buying."""
    choice = quote.choice
    told, chosen, waits = choice.as_json(), choice.chosen, None
    for each in told["considered"]:
        if "obstacle" in each:
            each["obstacle"]["holds_up"] = quote.held_up.get(each["provider"], 0)
    if chosen is None and (first := choice.wait):
        waits = {"provider": first.provider, "code": first.code, "reason": first.reason, "seconds": first.wait_s}
        waits |= {"position": quote.position, "start_by": iso(quote.start_by)}
    price = asdict(chosen.estimate) if chosen and chosen.estimate else None
    return {
        "dry_run": True,
        "made": quote.made,
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


def _numbered(number: str) -> int:
    """Raises UnknownOrder for what no order's number can be."""
    if not ORDER_NUMBER.fullmatch(number):
        raise UnknownOrder(f"No order {number!r}; they are numbered from 1, as in `attempts`.")
    return int(number)


def _case(db: Connection, job_id: str) -> Case:
    """A job without its callbacks. Raises UnknownJob."""
    found = cases.read_shown(db, [_known(job_id)])
    if not found:
        raise UnknownJob(f"No job {job_id}.")
    return found[0]


def _archived(api: JobsApi, job_id: str) -> Job:
    """Raises UnknownJob, NotArchived."""
    with api.database.read() as db:
        job = _case(db, job_id).job
    if job.state is not State.ARCHIVED:
        raise NotArchived(f"The job is {job.state}; its video is there once it is archived.")
    return job


def _read_cursor(query: Mapping[str, Any]) -> Place:
    try:
        at, job_id = cursors.read(query["cursor"], of=query)
        created_at = datetime.fromisoformat(at).astimezone(UTC)
        if not JOB_ID.fullmatch(job_id):
            raise ValueError
    except (ValueError, OverflowError):
        raise cursors.wrong() from None
    return Place(created_at, job_id)
