"""A replica that lagged takes the database's place: which orders it has lost, and what may be bought in spite of them.

Where nothing tells of a lost order the job is ordered once more; nobody can know better. Where its callback, or the
journal of whoever was answered, tells of it, no second one is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.machine.rows import AttemptOutcome
from jobs.providers.client import Account

if TYPE_CHECKING:
    from sim_gateways import Order, Owner, Task
    from sim_rows import AttemptRow
    from sim_rules import Rules

RULE = "lost-order-known"
CLOCKS = ("clock_set_back", "clock_jumps")
SETTLED = {AttemptOutcome.NOT_SENT, AttemptOutcome.REFUSED, AttemptOutcome.FAILED, AttemptOutcome.NOT_MADE}
SLEPT_S = 10  # between the word that a byte may leave and the byte
Key = tuple[str, str, str]  # a gateway, a task's id, and the key that it was asked about with


class Losses:
    """Knows the orders that the database has lost in silence, and what gateways have been asked about since."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.orders: list[Order] = []
        self.in_journal: Callable[[Task], bool] = lambda task: False
        self._asked: set[Key] = set()
        self._reported: set[Key] = set()

    def lost(self, orders: list[Order]) -> None:
        """The last commits are gone, and with them these orders."""
        self.orders += orders
        self._asked, self._reported = set(), set()

    def asked(self, provider: str, task_id: str, key: str, is_reported: bool) -> None:
        """A question has been answered to one who lived to hear it; `is_reported`: by what the task does."""
        self._asked.add((provider, task_id, key))
        if is_reported:
            self._reported.add((provider, task_id, key))

    def posted(self, order: Order) -> None:
        """A byte of an order leaves. One that its sender let leave before it slept, nothing can call back."""
        row = self._rules.attempts.get(order.owner)
        if row is not None and row.sending_at is not None and row.sending_at < self._before(SLEPT_S):
            return
        for first in self.orders:
            if first.owner[0] == order.owner[0] and first.task is not None:
                self._check(order, first, first.task)

    def _before(self, seconds: float) -> str:
        now = self._rules.world.database_time() - timedelta(seconds=seconds)
        return now.isoformat(timespec="microseconds")

    def _check(self, order: Order, first: Order, task: Task) -> None:
        rules, rows = self._rules, self._rules.rows.attempts_of[order.owner[0]]
        borne = [row for row in rows.values() if (row.provider, row.task_id) == (task.provider, task.id)]
        if borne:
            is_over = borne[0].outcome in SETTLED or self._is_chosen(order, borne[0].owner)
            rules.check(RULE, is_over, f"{order.owner} is sent, and {borne[0].owner} is {task.id}, {borne[0].outcome}")
            return
        at_number = rules.attempts.get(first.owner)
        if at_number is not None and first.owner != order.owner:  # another order bears its number by now
            return
        rules.check(RULE, not self.in_journal(task), f"{order.owner} is sent, and the journal tells of {task.id}")
        told = self._told(first, task, at_number.created_at if at_number else None)
        if told is None:
            return
        rules.check(RULE, not told, f"{order.owner} is sent before {task.id} was asked about, which a callback told")
        key = (task.provider, task.id, task.key)
        has_key = rules.lives.has_key(task.provider, Account(task.provider, "", task.key).fingerprint)
        if not has_key or rules.world.now >= task.gone_at() or self._seems_another(task):
            return
        rules.check(RULE, key in self._asked, f"{order.owner} is sent; {task.id} was never asked about with its key")
        rules.check(RULE, key not in self._reported, f"{order.owner} is sent; {task.provider} has told of {task.id}")

    def _told(self, first: Order, task: Task, claimed_at: str | None) -> bool | None:
        """Whether what tells of it waits to be judged; None: nothing did when the second order was claimed."""
        job_id, number = first.owner
        kept = self._rules.rows.callbacks_of[job_id].values()
        heard = self._rules.database.rows(
            "SELECT asks, heard_at FROM hearsay WHERE job_id = ? AND attempt = ? AND task_id = ? AND provider = ?",
            *(job_id, number, task.id, task.provider),
        )
        if not heard or (claimed_at is not None and heard[0][1] >= claimed_at):
            return None
        is_unread = any(x.read_at is None and (x.attempt, x.task_id) == (number, task.id) for x in kept)
        return is_unread or not heard[0][0]

    def _seems_another(self, task: Task) -> bool:
        """Whether something speaks against a task that its gateway knows: its age, or another order that bears it."""
        rules, fate = self._rules, self._rules.world.fate.struck
        borne = any((row.provider, row.task_id) == (task.provider, task.id) for row in rules.attempts.values())
        return bool(borne or rules.gateways.clock_off_s[task.provider] or any(fate[name] for name in CLOCKS))

    def _is_chosen(self, order: Order, first: Owner) -> bool:
        """Whether the client, or a person, took the risk of paying for both."""
        again = self._rules.chosen_again.get(order.owner[0], 0)
        return min(order.owner[1], first[1]) <= again or bool(self._rules.words.free & {order.owner, first})


def check_word_kept(rules: Rules, old: AttemptRow, row: AttemptRow) -> None:
    """A forgotten order's row has just been changed: no callback alone opens it, or wipes what a person said of it."""
    if old.origin == "ordered" or row.origin == "ordered" or row.task_id is not None or old.task_id is not None:
        return
    opened = old.outcome != AttemptOutcome.OPEN and row.outcome == AttemptOutcome.OPEN
    rules.check("no-strangers-order", not opened, f"{row.owner} was {old.outcome}, and is open without a task")
    unsaid = old.named_task_id is not None and row.named_task_id is None and row.settled is None
    rules.check("no-strangers-order", not unsaid, f"{old.named_task_id} is named for {row.owner} no more")
    struck = set(json.loads(old.rejected_task_ids)) - set(json.loads(row.rejected_task_ids))
    rules.check("no-strangers-order", not struck, f"{row.owner} has forgotten that {struck} are not its own")
