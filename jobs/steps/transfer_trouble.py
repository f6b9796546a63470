"""What a try at archiving that failed says of its order: what history is told, and when it is the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import ACCEPTED, Attempt, AttemptOutcome
from jobs.steps import aside, store_refusals
from jobs.steps.aside import NOT_KEPT, Refused
from jobs.steps.resources import Resources
from jobs.steps.spooling import NoLink
from storage.errors import BadVideo, BucketRefuses, BucketUnavailable, LinkDead, LinkForbidden, SpoolFull, StorageError

# What a transfer that never succeeded is called once its link is dead, by the class of its last trouble.
END_CODES: dict[type[StorageError], str] = {
    BadVideo: "bad_video",
    Refused: "bad_video",
    LinkForbidden: "link_forbidden",
    BucketUnavailable: "bucket_unavailable",
    BucketRefuses: "bucket_unavailable",
    NoLink: "no_link",
    SpoolFull: "disk_full",
}
# With these the link's host, or the gateway, has said all that it has to say. After any other trouble of a link whose
# life is over it is tried for an hour.
ANSWERS = (LinkDead, LinkForbidden, BadVideo, NoLink)


def trouble(case: Case, error: Exception, resources: Resources) -> Facts:
    """Try again later; once the link must be dead and HEAD has found nothing, the transfer has failed."""
    attempt = case.current
    assert attempt is not None
    said: dict[str, Any] = {"error": type(error).__name__, "reason": str(error)[:1000]}
    said |= store_refusals.mends(error, resources.bucket.config.rules)
    word = _word(attempt, error)
    notes = (Note("transfer_trouble", attempt.number, said),) if attempt.last_word != word else ()
    with resources.database.read() as db:
        now = resources.database.clock(db)
    kept, noted = aside.learnt(attempt, error, word, resources, now)
    end = schedule.link_end(attempt, resources.settings, resources.providers)
    since = None if isinstance(error, ANSWERS) else schedule.unanswered_since(attempt, end, now)
    changes: AttemptChanges = {"last_word": word, "unanswered_since": since, **kept}
    is_over = now >= end and (since is None or schedule.is_tried_enough(since, end, now))
    if is_over and _is_absent(case, resources):
        changes |= {
            "outcome": AttemptOutcome.UNDELIVERED,
            "error_code": END_CODES.get(type(error), "link_expired"),  # type: ignore[arg-type]
            "error_message": f"{str(error)[:1000]}{_hint(case, changes, resources)}",
        }
    return Facts({attempt.number: changes}, notes=notes + noted, trouble=True)


def _word(attempt: Attempt, error: Exception) -> str:
    """The order's last word after a try that failed. That nothing of a refused film is kept outranks its fault."""
    refused = error if isinstance(error, Refused) else None
    is_lost = refused and (refused.refusal or (refused.lacks_room and not attempt.unproven_films))
    doing = ACCEPTED if attempt.accepted_film else NOT_KEPT if is_lost else "transfer"
    return f"{doing}:{type((refused and refused.refusal) or error).__name__}"


def _hint(case: Case, changes: AttemptChanges, resources: Resources) -> str:
    """What a person can do about a film that was refused, and until when."""
    attempt = case.attempts[case.job.attempt]
    film = replace(attempt, unproven=changes.get("unproven", attempt.unproven)).unproven_film
    if film is None:
        return ""
    until, command = film.kept_at + schedule.keeping(resources.settings), f"`rushes videos accept {case.job.id}`"
    return f" What was refused is kept aside until {until.date()}: {command} archives it as it is."


def _is_absent(case: Case, resources: Resources) -> bool:
    try:
        return resources.bucket.head(case.job.archive_key) is None
    except BucketUnavailable:
        return False
