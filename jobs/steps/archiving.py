"""Archiving: link to spool, proof, one conditional PUT. The object's appearance under the job's key is the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import structlog

from jobs import measures
from jobs.machine.case import Case
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import KEPT_ASIDE, Attempt
from jobs.machine.states import State
from jobs.machine.unproven_film import UnprovenFilm
from jobs.request.generation import Film
from jobs.steps import aside, object_metadata, ownership, reconciliation, sidecar, spooling
from jobs.steps.lease_keeper import LeaseKeeper
from jobs.steps.object_metadata import BadMetadata
from jobs.steps.ownership import Doubt, Undecided
from jobs.steps.resources import Resources
from jobs.steps.step import Work, at_work, if_due
from jobs.steps.stored_object import Look, met_object, stored_facts
from jobs.steps.transfer_trouble import trouble
from jobs.store import cases, leases
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Lease
from jobs.store.step_table import COPIES_AT_ONCE, RECONCILE, TRANSFER
from storage.bucket import StoredVideo
from storage.errors import BadVideo, BucketRefuses, Cancelled, ObjectExists, StorageError
from storage.proof.boxes import check_boxes
from storage.proof.probe import VideoFacts
from storage.publication import publish
from storage.spool import Spooled

log = structlog.get_logger()


@dataclass(frozen=True)
class _Proven:
    """Bytes that have been proven to play."""

    spooled: Spooled
    video: VideoFacts
    poster: bytes


def transfer(job_id: str, resources: Resources) -> None:
    """Copy a due archiving job's video.

    For a job that a callback calls finished, and where a person has named the task of another order or a callback tells
    of one, or of another task of this one: ask first, then copy at once.
    """
    lease_s = resources.settings.transfer_lease_s
    with resources.database.read() as db:
        case, now = found = cases.find(db, resources.database, job_id)
    is_told_more = case.is_named or case.has_news_of_others or ownership.asks(case, resources, now)
    if case.job.state in COPIES_AT_ONCE or is_told_more:
        step = TRANSFER if case.job.state is State.ARCHIVING else RECONCILE
        with at_work(if_due(found, step, resources), resources, keep_for=State.ARCHIVING) as asked:
            reconciliation.ask(asked, resources, lease_s=lease_s)
        with at_work(None, resources, lease=asked.kept) as work:
            _copy_under(work, resources)
        return
    with at_work(if_due(found, TRANSFER, resources), resources) as work:
        if work.found is not None:
            with resources.database.write() as db:
                now, holder = resources.database.clock(db), resources.new_lease_holder()
                work.lease = leases.claim(db, work.found.case, holder=holder, lease_s=lease_s, now=now)
        _copy_under(work, resources)


def _copy_under(work: Work, resources: Resources) -> None:
    if work.lease is not None:
        work.facts = _copy(work.lease, resources)


def _copy(lease: Lease, resources: Resources) -> Facts:
    """One try at copying, from the HEAD that finds an earlier try's object to the PUT that ends it."""
    case, keeper = lease.case, LeaseKeeper(lease, resources)
    if case.current is None or case.current.task_id is None:
        return Facts()  # its task was given back to its true owner since
    try:
        try:
            facts = _copied(lease, resources, keeper)
        except ObjectExists:
            facts = met_object(case, resources, keeper)
        if facts.took_s is not None and (size := facts.video.get("bytes")):
            told = {"job": case.job.id, "provider": case.current.provider}
            log.info("video_stored", **told, bytes=size, seconds=round(facts.took_s, 3))
            _count_stored(case, case.current.provider, size, facts.took_s, resources)
        return facts
    except (Cancelled, Undecided) as e:
        log.info("transfer_stopped", job=case.job.id, reason=str(e))
        return Facts()
    except (StorageError, DatabaseUnavailable) as e:
        tell = log.error if isinstance(e, BucketRefuses) else log.warning
        tell("transfer_trouble", job=case.job.id, error=type(e).__name__, reason=str(e))
        resources.database.tallies.count(measures.TRANSFER_FAILURES, case.current.provider, type(e).__name__)
        return trouble(case, e, resources)


def _count_stored(case: Case, provider: str, size: int, took_s: float, resources: Resources) -> None:
    tallies, dies_at = resources.database.tallies, case.job.link_dies_at
    tallies.observe(measures.TRANSFER_S, took_s, provider)
    tallies.count(measures.TRANSFER_BYTES, provider, by=size)
    if dies_at is not None:  # the row was written when its lease was taken, just before the try began
        tallies.observe(measures.TRANSFER_LIFE_S, (dies_at - case.job.updated_at).total_seconds(), provider)


def _copied(lease: Lease, resources: Resources, keeper: LeaseKeeper) -> Facts:
    """Raises ObjectExists, StorageError, DatabaseUnavailable."""
    case, attempt = lease.case, lease.case.current
    assert attempt is not None
    unread = tuple(callback.id for callback in case.unread if callback.attempt == case.job.attempt)
    ownership.end_contests(case, resources)
    doubt, accepted = ownership.doubt(case, resources), attempt.accepted_film
    if doubt is not None:
        film = None if accepted else _keep_aside(lease, resources, keeper)
        if film is None or not ownership.is_ours(film, doubt, resources):
            return replace(_is_kept(doubt, resources), read=unread)
    look = Look(case, resources)

    def keep_going() -> None:
        look()  # once the link is asked for: the thread that downloads is another
        keeper.keep_going()

    if accepted is not None or case.job.troubles or case.job.holder_deaths:
        look()  # it may have been put by an earlier try, and then nothing is fetched
    if accepted is not None:
        facts = _put_accepted(case, accepted, resources, keeper)
    else:
        with _proven(lease, resources, keep_going, must_be_whole=not attempt.is_by_hearsay) as proven:
            if ownership.is_denied(_film(proven), attempt, resources):
                keeper.push()  # without our lease nothing may be put
                _put_aside(case, proven, resources, keeper)
                ownership.reject(Doubt(attempt), resources)
                return replace(_is_kept(Doubt(attempt), resources), read=unread)
            facts = _put(case, proven, resources, keeper.keep_putting)
    return replace(facts, read=unread, took_s=resources.monotonic() - keeper.began)


def _keep_aside(lease: Lease, resources: Resources, keeper: LeaseKeeper) -> Film | None:
    """A task that may be another job's: its film is kept, before its link dies, where neither of them has its own.

    None: a stranger's object stands there, which says nothing of a film.
    """
    case, attempt = lease.case, lease.case.current
    assert attempt is not None
    key = aside.contested(attempt, resources)
    stored = resources.bucket.head(key)
    if stored is not None:
        with suppress(BadMetadata):
            return object_metadata.film(stored)
        return None
    with _proven(lease, resources, keeper.keep_going) as proven:
        keeper.push()
        _put_aside(case, proven, resources, keeper)
        return _film(proven)


def _put_aside(case: Case, proven: _Proven, resources: Resources, keeper: LeaseKeeper) -> None:
    key = aside.contested(case.attempts[case.job.attempt], resources)
    metadata = object_metadata.write(case, proven.spooled.sha256, proven.video)
    aside.put(key, proven.spooled, metadata, resources, keeper.keep_going)


def _film(proven: _Proven) -> Film:
    return Film(proven.video.duration_s, proven.video.width, proven.video.height)


def _is_kept(doubt: Doubt, resources: Resources) -> Facts:
    """It waits; history says once for whom."""
    attempt, accepted = doubt.bearer, doubt.bearer.accepted_film
    key = aside.unproven(accepted, resources) if accepted else aside.contested(attempt, resources)
    said = {"key": key, "may_be_of": [each.job_id for each in doubt.others]}
    notes = (Note(KEPT_ASIDE, attempt.number, said),) if attempt.last_word != KEPT_ASIDE else ()
    return Facts({attempt.number: {"last_word": KEPT_ASIDE}}, notes=notes)


@contextmanager
def _proven(
    lease: Lease, resources: Resources, keep_going: Callable[[], None], *, must_be_whole: bool = False
) -> Iterator[_Proven]:
    """The job's bytes in the spool, proven; the spool is closed at the end. Raises Refused of what is not proven.

    `must_be_whole`: as long as was ordered, or half of it; of a film that may be another order's that says nothing.
    """
    with spooling.fetch(lease.case, resources, keep_going) as spooled:
        try:
            proven = _prove(spooled, resources)
            if must_be_whole:
                _require_whole(lease.case, proven.video)
        except BadVideo as e:
            raise aside.refuse(lease.case, spooled, e, resources, keep_going) from e
        yield proven


def _prove(spooled: Spooled, resources: Resources) -> _Proven:
    """Raises BadVideo."""
    check_boxes(spooled.file, spooled.bytes)
    return _Proven(spooled, *resources.prober.probe(spooled.file))


def _require_whole(case: Case, video: VideoFacts) -> None:
    """Raises BadVideo for a film of less than half the length that was ordered. Any other is archived, and told."""
    ordered = case.job.ordered
    if ordered is not None and not ordered.is_whole(video.duration_s):
        lasts = f"it lasts {video.duration_s:g} s, and {ordered.ordered_s} s were ordered"
        raise BadVideo(f"not whole: {lasts}")


def _put_accepted(case: Case, film: UnprovenFilm, resources: Resources, keeper: LeaseKeeper) -> Facts:
    """Copy what a person has taken in place of the proof, under their mark. What can be known of it is written too."""
    attempt, key = case.attempts[case.job.attempt], aside.unproven(film, resources)
    if resources.bucket.head(key) is None:
        return _gone(attempt, film)
    with spooling.fetch_aside(key, resources, keeper.keep_going) as spooled:
        if spooled.sha256 != film.sha256:
            return _gone(attempt, film)
        video, poster = None, None
        with suppress(BadVideo):
            video, poster = resources.prober.probe(spooled.file)
        keeper.push()
        metadata = object_metadata.write(case, spooled.sha256, video, accepted_by=attempt.accepted_by)
        return _put_all(case, spooled, metadata, poster, resources, keeper.keep_putting)


def _gone(attempt: Attempt, film: UnprovenFilm) -> Facts:
    changes, notes = aside.gone(attempt, film)
    return Facts({attempt.number: changes}, notes=notes)


def _put(case: Case, proven: _Proven, resources: Resources, keep_going: Callable[[], None]) -> Facts:
    metadata = object_metadata.write(case, proven.spooled.sha256, proven.video)
    return _put_all(case, proven.spooled, metadata, proven.poster, resources, keep_going)


def _put_all(
    case: Case,
    spooled: Spooled,
    metadata: dict[str, str],
    poster: bytes | None,
    resources: Resources,
    keep_going: Callable[[], None],
) -> Facts:
    """The video of a case, and what stands beside it."""
    key, said = case.job.archive_key, sidecar.write(case, metadata)
    publish(resources.bucket, key, spooled, poster=poster, sidecar=said, metadata=metadata, keep_going=keep_going)
    return stored_facts(case, StoredVideo(key, spooled.bytes, metadata), resources)
