"""A case: a job and all that stands beside it, which is what every decision looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.machine.callbacks import Hearsay, KeptCallback
from jobs.machine.rows import Attempt, Job


@dataclass(frozen=True)
class Case:
    """All that a decision looks at: a job, its attempts by number, its callbacks in order of arrival, and hearsay."""

    job: Job
    attempts: Mapping[int, Attempt]
    callbacks: tuple[KeptCallback, ...]
    hearsay: tuple[Hearsay, ...] = ()

    @property
    def current(self) -> Attempt | None:
        return self.attempts.get(self.job.attempt)

    @property
    def unread(self) -> tuple[KeptCallback, ...]:
        return tuple(callback for callback in self.callbacks if callback.read_at is None)

    @property
    def is_named(self) -> bool:
        """Whether a gateway is to be asked about a task that a person named."""
        return any(attempt.is_named for attempt in self.attempts.values())

    @property
    def strange(self) -> tuple[Hearsay, ...]:
        """What callbacks tell of orders that no row knows, or knows elsewhere, or as not made, until that is judged."""
        unread = {(x.attempt, x.provider, x.task_id) for x in self.unread}
        told = (x for x in self.hearsay if not self.knows(x.attempt, x.provider))
        return tuple(x for x in told if not x.asks or (x.attempt, x.provider, x.task_id) in unread)

    @property
    def has_news(self) -> bool:
        """Whether there is something to ask about before anything else is done.

        A callback, an order that no row knows, or what a person named.
        """
        return bool(self.unread) or bool(self.strange) or self.is_named

    @property
    def has_news_of_others(self) -> bool:
        """Whether a callback tells of another order than the current one, and nobody has read it."""
        return bool(self.strange) or any(callback.attempt != self.job.attempt for callback in self.unread)

    @property
    def is_told_more(self) -> bool:
        """Whether callbacks have told of anything beside the tasks that its orders have, or others lay claim to one."""
        had = {(x.number, x.provider, x.task_id) for x in self.attempts.values() if not x.made_nothing}
        return any(x.is_contested or (x.attempt, x.provider, x.task_id) not in had for x in self.hearsay)

    def heard(self, number: int) -> list[Hearsay]:
        """What may be an attempt's task by hearsay, and nobody has rejected.

        What a person named is not among these: it is asked about before them, at a pace of its own, until its gateway
        has said that it knows no such task. Nor is the task that it has, and what was told under another gateway's URL.
        """
        attempt = self.attempts[number]
        known = {*attempt.rejected_task_ids, attempt.task_id}
        known |= {attempt.named_task_id} if attempt.is_named else set()
        told = (x for x in self.hearsay if x.attempt == number and self.knows(number, x.provider))
        return [x for x in told if x.task_id not in known]

    def knows(self, number: int, provider: str) -> bool:
        """Whether a row bears this number, of an order at this gateway that may have made something."""
        attempt = self.attempts.get(number)
        return attempt is not None and attempt.provider == provider and not attempt.made_nothing

    def is_undecided(self, number: int) -> bool:
        """Whether an order and another one lay claim to the same task, or two tasks may be its own."""
        attempt = self.attempts[number]
        is_waited_for = attempt.task_id is None or not attempt.can_still_deliver
        is_claimed = attempt.hears and any(each.is_contested for each in self.heard(number))
        return attempt.contested or (is_claimed and is_waited_for)

    def may_be_known(self, number: int) -> bool:
        """Whether there is a task to ask about that may be an attempt's."""
        attempt = self.attempts[number]
        return attempt.task_id is not None or attempt.is_named or bool(self.heard(number))

    def heard_at(self, number: int) -> datetime | None:
        """When the next question about an attempt's hearsay is due."""
        attempt = self.attempts[number]
        if attempt.task_id is not None and not attempt.hears:
            return None
        return min((x.ask_at for x in self.heard(number)), default=None)
