"""The steps, a row each: what it is called, which rows it serves, where it queues, what runs it, and for how long.

Sweep, broker, tasks, watchdog and bootstrap read this table, and so do tests. Which rows a step serves is said twice,
side by side: whoever has a row in hand asks in Python, the sweep in SQL. `test_jobs_due.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from jobs.machine.rows import OF_ONE_POST
from jobs.machine.states import ENDED, State
from jobs.settings import Settings
from jobs.store.tables import attempts, hearsay, inbox, jobs

Role = Literal["worker", "transfer", "notify"]

# Where a finished task is copied under the lease that asked for it.
COPIES_AT_ONCE = frozenset({State.GENERATING, State.UNCONFIRMED})
# A callback may overtake the answer to our submit, which then has ended by the time that its doorbell is heard.
MAY_BE_FINISHED = COPIES_AT_ONCE | {State.SUBMITTING}


@dataclass(frozen=True)
class Step:
    """One kind of work on one row.

    `name`: the Celery task's. `queue`: the broker's list. `role`: the process whose slots it takes. `runs`: a function
    of (job id, Resources), by name, since processes that only ring must not import what they ring for. `limit_s`: twice
    what it may take by its own deadlines, in seconds; past it the watchdog ends the process.
    """

    name: str
    queue: str
    role: Role
    runs: str
    limit_s: Callable[[Settings], float]
    serves: Callable[[State, bool], bool]  # a due job's state, and whether somebody has named something to ask about
    rows: sa.ColumnElement[bool]  # the same in SQL


def _asking_s(settings: Settings) -> float:
    return settings.submit_deadline_s + 4 * settings.query_deadline_s  # several attempts, and one re-send


_is_unread = inbox.c.read_at.is_(None)
# `Attempt.is_named`, in SQL. By IS NULL PostgreSQL might go through all orders without a task, instead of those named.
_has_no_task = sa.func.coalesce(attempts.c.task_id, "") == ""
_is_named = sa.and_(attempts.c.named_task_id.is_not(None), attempts.c.named_refused.is_(None), _has_no_task)
REFUSED = (  # how many of a job's orders have a task that a person named and their gateway refused
    sa.select(sa.func.count(attempts.c.named_refused)).where(attempts.c.job_id == jobs.c.id).scalar_subquery()
)
_known = sa.exists().where(
    attempts.c.job_id == hearsay.c.job_id,
    attempts.c.number == hearsay.c.attempt,
    attempts.c.provider == hearsay.c.provider,
    attempts.c.outcome.not_in(OF_ONE_POST),
)
# `Case.strange`, in SQL, as far as no unread callback tells of it.
_is_strange = sa.and_(hearsay.c.asks == 0, ~_known)
# Where news of a job may stand, by its id: a callback, what a person named, what a callback told of.
OF_NEWS = ((inbox.c.job_id, _is_unread), (attempts.c.job_id, _is_named), (hearsay.c.job_id, _is_strange))
_unread, NAMED, _strange = (sa.exists().where(job_id == jobs.c.id, is_news) for job_id, is_news in OF_NEWS)
NEWS = sa.or_(_unread, NAMED, _strange)
_queued = jobs.c.state == State.QUEUED
# An ended job is due only while an attempt of it is open.
_ASKED = COPIES_AT_ONCE | ENDED

TRANSFER = Step(
    name="jobs.transfer",
    queue="rushes.transfer",
    role="transfer",
    runs="jobs.steps.archiving:transfer",
    limit_s=lambda s: 2 * (_asking_s(s) + 2 * s.transfer_deadline_s) + 60,
    serves=lambda state, news: state is State.ARCHIVING,
    rows=jobs.c.state == State.ARCHIVING,
)
LOSE = Step(  # due while submitting: its worker died
    name="jobs.lose",
    queue="rushes.reconcile",
    role="worker",
    runs="jobs.steps.submission:lose",
    limit_s=lambda s: 60,
    serves=lambda state, news: state is State.SUBMITTING,
    rows=jobs.c.state == State.SUBMITTING,
)
RECONCILE = Step(  # unread news comes before buying: it may show that the video is there already
    name="jobs.reconcile",
    queue="rushes.reconcile",
    role="worker",
    runs="jobs.steps.reconciliation:reconcile",
    limit_s=lambda s: 2 * _asking_s(s) + 60,
    serves=lambda state, news: state in _ASKED or (state is State.QUEUED and news),
    rows=sa.or_(jobs.c.state.in_(_ASKED), sa.and_(_queued, NEWS)),
)
SUBMIT = Step(
    name="jobs.submit",
    queue="rushes.submit",
    role="worker",
    runs="jobs.steps.submission:submit",
    # A gateway that cannot be reached may take its whole deadline, and so may the next one; and a lost order may be
    # sent again before.
    limit_s=lambda s: (
        2 * (max(1, len(s.accounts)) * (s.submit_deadline_s + s.query_deadline_s) + s.submit_deadline_s) + 60
    ),
    serves=lambda state, news: state is State.QUEUED and not news,
    rows=sa.and_(_queued, ~NEWS),
)
# Serves rows of `notices`, which have alarms and leases of their own; its doorbell names their job.
NOTIFY = Step(
    name="webhooks.notify",
    queue="rushes.notify",
    role="notify",
    runs="webhooks.delivery:notify",
    limit_s=lambda s: 10 * s.notice_deadline_s + 60,
    serves=lambda state, news: False,
    rows=sa.false(),
)

BESIDE = 4  # connections for what runs beside the steps: watchdog, sweep, tallies

# Most urgent first. A link that dies soon outranks an alarm that rang long ago.
OF_JOBS = (TRANSFER, LOSE, RECONCILE, SUBMIT)
STEPS = (*OF_JOBS, NOTIFY)
BY_NAME = {step.name: step for step in STEPS}


def wake(state: State, *, news: bool, says_finished: bool = False) -> Step:
    """The step whose doorbell a due job's row wants. `news`: as `Case.has_news`.

    `says_finished`: a callback says that the video is ready: a hint, which chooses the process that can copy at once.
    """
    wanted = next(step for step in OF_JOBS if step.serves(state, news))
    return TRANSFER if says_finished and state in MAY_BE_FINISHED else wanted


def slots(role: str, settings: Settings) -> int:
    """The threads of a process of this role."""
    by_role = {"worker": settings.worker_slots, "transfer": settings.transfer_slots, "notify": settings.notify_slots}
    return by_role.get(role, 1)


def connections(role: str, settings: Settings) -> int:
    """The most connections to the database that a process of this role has, and keeps once it has needed them."""
    return slots(role, settings) + BESIDE
