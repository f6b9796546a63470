"""Films that are kept beside the archive, where no listing and no audit takes them for archived.

Two kinds: one that was proven and waits for whose it is (`ownership`), and bytes that begin like a film and were
refused by the proof. The latter are kept because our opinion may be wrong, and the film was paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Note
from jobs.machine.rows import KEPT_ASIDE, Attempt
from jobs.machine.unproven_film import UnprovenFilm
from jobs.steps import store_refusals
from jobs.steps.resources import Resources
from storage.bucket import ASIDE_TYPE
from storage.errors import BadVideo, BucketRefuses, BucketUnavailable, ObjectExists
from storage.keys import UNPROVEN, aside_key, unproven_key
from storage.spool import Spooled

NOT_KEPT = "not_kept"
MOST_OF_AN_ORDER = 3  # contents: a link that serves other bytes at each try must not fill the bucket

log = structlog.get_logger()


class Refused(BadVideo):
    """The proof refused a film. It is kept aside now; else `why_not` says why: there is no room, or a store's word."""

    def __init__(
        self, reason: str, spooled: Spooled, why_not: str | None, of_store: BucketUnavailable | None = None
    ) -> None:
        super().__init__(reason)
        self.sha256, self.bytes, self.why_not = spooled.sha256, spooled.bytes, why_not
        self.refusal = of_store if isinstance(of_store, BucketRefuses) else None
        self.lacks_room = why_not is not None and of_store is None


def contested(attempt: Attempt, resources: Resources) -> str:
    """The key of a film that waits for whose it is."""
    return aside_key(resources.bucket.config.prefix, attempt.provider, attempt.task_id or "")


def unproven(film: UnprovenFilm, resources: Resources) -> str:
    """The key of bytes that the proof refused."""
    return unproven_key(resources.bucket.config.prefix, film.sha256)


def put(
    key: str, spooled: Spooled, metadata: Mapping[str, str], resources: Resources, keep_going: Callable[[], None]
) -> None:
    """Keep a film there, as no video; nothing happens where one stands. Raises BucketUnavailable."""
    with suppress(ObjectExists):
        resources.bucket.put_video(key, spooled, metadata, keep_going, content_type=ASIDE_TYPE)


def refuse(
    case: Case, spooled: Spooled, error: BadVideo, resources: Resources, keep_going: Callable[[], None]
) -> Refused:
    """Keep what the proof has just refused, once per content and while there is room; what to raise of it."""
    attempt = case.current
    assert attempt is not None
    of_store = None
    try:
        why_not = _keep(attempt, spooled, resources, keep_going)
    except BucketUnavailable as e:
        why_not, of_store = str(e), e
    reason = str(error)[:1000]
    if why_not is not None and not attempt.unproven_films:
        reason += f"; it could not be kept aside: {why_not}"
    refused = Refused(reason, spooled, why_not, of_store)
    if why_not is not None:
        tell = log.error if refused.refusal or refused.lacks_room else log.warning
        tell("film_not_kept", job=case.job.id, sha256=spooled.sha256, bytes=spooled.bytes, reason=why_not)
    return refused


def _keep(attempt: Attempt, spooled: Spooled, resources: Resources, keep_going: Callable[[], None]) -> str | None:
    """Why it is not kept; None: it is. Needs no lease, as all put the same there. Raises BucketUnavailable."""
    bucket, key = resources.bucket, unproven_key(resources.bucket.config.prefix, spooled.sha256)
    if bucket.head(key) is not None:
        return None
    others = [each for each in attempt.unproven_films if each.sha256 != spooled.sha256]
    if len(others) >= MOST_OF_AN_ORDER:
        return f"{MOST_OF_AN_ORDER} other films of this order are kept"
    held = sum(each.bytes for each in bucket.listing(f"{bucket.config.prefix}{UNPROVEN}"))
    if held + spooled.bytes > resources.settings.max_unproven_bytes:
        return f"{held} bytes are kept, and RUSHES_MAX_UNPROVEN_BYTES is {resources.settings.max_unproven_bytes}"
    put(key, spooled, {"rushes-sha256": spooled.sha256}, resources, keep_going)
    return None


def learnt(
    attempt: Attempt, error: Exception, word: str, resources: Resources, now: datetime
) -> tuple[AttemptChanges, tuple[Note, ...]]:
    """What is written of a film that was refused; nothing of any other trouble. `word`: the order's last one, now."""
    if not isinstance(error, Refused):
        return {}, ()
    if error.why_not is not None:
        if attempt.last_word == word:
            return {}, ()
        why = {"reason": error.why_not, **store_refusals.mends(error.refusal, resources.bucket.config.rules)}
        return {}, (Note(NOT_KEPT, attempt.number, why),)
    film = UnprovenFilm(attempt.task_id or "", error.sha256, error.bytes, str(error), now)
    if any(each.sha256 == film.sha256 for each in attempt.unproven_films):
        return {}, ()
    said: dict[str, Any] = {"key": unproven(film, resources), "bytes": film.bytes, "reason": film.reason}
    kept = [*attempt.unproven_films, film]
    return {"unproven": [each.as_json() for each in kept]}, (Note(KEPT_ASIDE, attempt.number, said),)


def gone(attempt: Attempt, film: UnprovenFilm) -> tuple[AttemptChanges, tuple[Note, ...]]:
    """What a person has taken is no longer there: it is forgotten, and the tries for better bytes go on."""
    left = [each.as_json() for each in attempt.unproven_films if each != film]
    changes: AttemptChanges = {"unproven": left, "accepted_sha256": None, "accepted_by": None}
    note = Note(NOT_KEPT, attempt.number, {"reason": f"{film.sha256} is no longer kept aside"})
    return changes, (note,)
