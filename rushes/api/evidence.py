"""A job's evidence over HTTP: all rows of it, what the bucket shows, and a checksum over the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import g
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from jobs.errors import UnknownJob
from jobs.machine.rows import Job
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.reports import evidence
from jobs.reports.evidence import Look
from jobs.settings import Settings
from jobs.store.database import Database
from rushes.api.edge.answers import answer
from rushes.api.edge.parser import StrictBlueprint
from rushes.api.edge.problems import MEDIA_TYPE, ProblemSchema
from rushes.api.schemas.evidence import EvidenceSchema
from rushes.api.schemas.parameters import JOB_ID
from storage.bucket import Bucket
from storage.errors import BucketUnavailable


@dataclass(frozen=True)
class EvidenceApi:
    """What this view works with. `bucket`: as our processes reach it."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database
    bucket: Bucket


def blueprint(api: EvidenceApi) -> Blueprint:
    """`/v1/jobs/<job_id>/evidence`."""
    about = "All that proves an order, for a dispute"
    routes = StrictBlueprint("evidence", __name__, url_prefix="/v1/jobs", description=about)

    @routes.get("/<job_id>/evidence")
    @routes.response(200, EvidenceSchema)
    @routes.alt_response(404, schema=ProblemSchema, content_type=MEDIA_TYPE, description="unknown_job")
    def show(job_id: str) -> ResponseReturnValue:
        """All that proves a job's orders, in one document.

        Requests as they were sent, answers, callbacks with headers and bytes, history, notices, what the bucket shows
        of the video now, and a SHA-256 over the whole. Secrets are masked; what is not kept any more is named.
        """
        if not JOB_ID.fullmatch(job_id):
            raise UnknownJob(f"No job {job_id!r}; ids look like job_01K8Z3V0QWERTYUIOPASDFGHJK.")
        with api.database.read() as db:
            rows = evidence.read(db, job_id, now=api.database.clock(db))
        look = _look(rows.case.job, api.bucket)
        return answer(evidence.document(rows, look, api.settings, api.providers, api_key_id=g.api_key_id))

    return routes


def _look(job: Job, bucket: Bucket) -> Look | None:
    """The video's object, where there is to be one. A bucket that does not answer keeps no evidence back."""
    if job.state is not State.ARCHIVED:
        return None
    try:
        return Look(bucket.head_with_checksum(job.archive_key))
    except BucketUnavailable as e:
        return Look(reason=f"not looked at: {e}")
