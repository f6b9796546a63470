"""The object under a job's own key: the look for one, whose it is, and what the row says of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import structlog

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, JobChanges
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.steps import object_metadata, sidecar, spooling
from jobs.steps.lease_keeper import LeaseKeeper
from jobs.steps.object_metadata import BadMetadata, Said
from jobs.steps.resources import Resources
from storage.bucket import StoredVideo
from storage.errors import BadVideo, ObjectExists
from storage.keys import poster_key, sidecar_key
from storage.publication import POSTER_TYPE, SIDECAR_TYPE

log = structlog.get_logger()


class Look:
    """Asks the bucket, at the first call alone, whether an object stands at the job's key.

    Raises ObjectExists where one does, and BucketUnavailable.
    """

    def __init__(self, case: Case, resources: Resources):
        self._key, self._bucket, self._is_free = case.job.archive_key, resources.bucket, False

    def __call__(self) -> None:
        if not self._is_free and self._bucket.head(self._key) is not None:
            raise ObjectExists(f"{self._key} is taken")
        self._is_free = True


def met_object(case: Case, resources: Resources, keeper: LeaseKeeper) -> Facts:
    """Somebody put an object first: ours, by a try whose answer was lost or by another worker, or a stranger's.

    Raises StorageError.
    """
    stored = resources.bucket.head(case.job.archive_key)
    return Facts(trouble=True) if stored is None else _adopt(case, stored, resources, keeper)


def _adopt(case: Case, stored: StoredVideo, resources: Resources, keeper: LeaseKeeper) -> Facts:
    """An object at our key. One that bears our job id was proven, or accepted, before it was visible.

    Raises StorageError.
    """
    try:
        said = object_metadata.read(stored)
        if said.job_id == case.job.id and _maker(case, said) is not None:
            if said.accepted_by is not None or case.attempts[case.job.attempt].accepted_film is not None:
                _put_beside(case, stored, resources, keeper.keep_going)
            return stored_facts(case, stored, resources)
    except BadMetadata as e:
        log.warning("object_is_a_strangers", job=case.job.id, key=stored.key, reason=str(e))
    conflict: AttemptChanges = {
        "outcome": AttemptOutcome.UNDELIVERED,
        "error_code": "key_conflict",
        "error_message": f"Another object stands at {stored.key}; nothing was overwritten.",
    }
    return Facts({case.job.attempt: conflict})


def _put_beside(case: Case, stored: StoredVideo, resources: Resources, keep_going: Callable[[], None]) -> None:
    """Sidecar and poster of a video anew: beside it may stand those of a try that came too late, of another film."""
    resources.bucket.put_small(sidecar_key(stored.key), sidecar.write(case, stored.metadata), SIDECAR_TYPE)
    with suppress(BadVideo), spooling.fetch_aside(stored.key, resources, keep_going) as spooled:
        _, poster = resources.prober.probe(spooled.file)
        resources.bucket.put_small(poster_key(stored.key), poster, POSTER_TYPE)


def _maker(case: Case, said: Said) -> int | None:
    """The order whose task an object was made from. None: a task that its order has since had to give back."""
    number = object_metadata.bearer(case, said)
    if number is not None:
        return number
    at_number = case.attempts.get(said.attempt)
    if at_number is None:
        return case.job.attempt
    return at_number.number if at_number.task_id == said.task_id else None


def stored_facts(case: Case, stored: StoredVideo, resources: Resources) -> Facts:
    """The row's facts, from the object's own metadata; the row takes the order that made it. Raises BadMetadata."""
    number = _maker(case, object_metadata.read(stored)) or case.job.attempt
    video: JobChanges = {"bucket": resources.bucket.config.bucket, **object_metadata.video_columns(stored)}
    return Facts(
        {number: {"outcome": AttemptOutcome.DELIVERED, "standing": Standing.CHARGED}},
        notes=_other_length(case, number, video["duration_s"]),
        video={"attempt": number, **video},
    )


def _other_length(case: Case, number: int, lasts_s: float | None) -> tuple[Note, ...]:
    """What history says of a film that is not as long as was ordered; None: it does not show its length."""
    ordered = case.job.ordered
    if ordered is None or lasts_s is None or ordered.is_as_long(lasts_s):
        return ()
    return (Note("other_length", number, {"lasts_s": lasts_s, "ordered_s": ordered.ordered_s}),)
