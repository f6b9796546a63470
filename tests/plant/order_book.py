"""The history checker: what was ordered, what the gateways sold, what our rows say, and what the bucket holds."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from jobs.machine.case import Case
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED, TRANSITIONS, Event, State
from jobs.store import cases, history
from storage.keys import poster_key, sidecar_key

if TYPE_CHECKING:
    from plant import Plant

LOOKING_FOR_S = 60


@dataclass
class Order:
    """What a pipeline asked for, and the job it was told. None: no answer came."""

    prompt: str
    body: dict[str, Any]
    idempotency_key: str
    job_id: str | None = None
    may_pay_twice: bool = False
    answers: list[int | str] = field(default_factory=list)


class OrderBook:
    """A pipeline that writes down every order it makes, and holds everybody to it."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.orders: list[Order] = []
        self.strangers: set[str] = set()  # keys where a test has put an object of its own
        # Where answer and callback are lost both, or nothing was sent that may have been: a day's wait.
        self.unconfirmed_may_wait = False
        self._heard = 0

    def order(self, provider: str | list[str] = "evolink", **more: Any) -> str:
        """An order that must be taken at once; its job's id."""
        order = self.write(provider, **more)
        self.send(order)
        assert order.job_id is not None, order.answers
        return order.job_id

    def write(self, provider: str | list[str] = "evolink", *, may_pay_twice: bool = False, **more: Any) -> Order:
        """An order that is still to be sent; its prompt tells its tasks from all others."""
        prompt = f"A red fox runs through snow, take {secrets.token_hex(6)}"
        body = {"prompt": prompt, "resolution": "720p", "duration": 2, "provider": provider, **more}
        if may_pay_twice:
            body["on_unconfirmed"] = "resubmit"
        self.orders.append(Order(prompt, body, secrets.token_hex(8), may_pay_twice=may_pay_twice))
        return self.orders[-1]

    def send(self, order: Order, timeout_s: float = 20, *, at: str = "web") -> None:
        """One try, at this web process. What comes of it stands in `answers`; an acceptance gives the job's id."""
        headers = {"Authorization": f"Bearer {self._plant.key}", "Idempotency-Key": order.idempotency_key}
        try:
            there = f"{self._plant.url_of(at)}/v1/jobs"
            answer = requests.post(there, json=order.body, headers=headers, timeout=timeout_s)
        except requests.RequestException as e:
            order.answers.append(type(e).__name__)
            return
        order.answers.append(answer.status_code)
        if answer.status_code == 202:
            assert order.job_id in (None, answer.json()["id"]), "the same key gave two jobs"
            order.job_id = answer.json()["id"]

    def insist(self, order: Order, within_s: float = 30, *, at: str = "web") -> str:
        """Send under the same key until it is taken, as a pipeline does that minds its orders."""
        end = time.monotonic() + within_s
        while order.job_id is None:
            assert time.monotonic() < end, order.answers
            self.send(order, at=at)
            if order.job_id is None:
                time.sleep(0.1)  # a pipeline's own pause between two tries
        return order.job_id

    def in_background(self, *orders: Order) -> threading.Thread:
        """Send each once, one after the other, beside the test."""
        thread = threading.Thread(target=lambda: [self.send(order) for order in orders], daemon=True)
        thread.start()
        return thread

    def case(self, job_id: str) -> Case:
        with self._plant.database.read() as db:
            return cases.read_case(db, job_id)

    def cases(self, job_ids: Iterable[str]) -> list[Case]:
        with self._plant.database.read() as db:
            return cases.read_cases(db, list(job_ids))

    def state(self, job_id: str) -> State:
        return self.case(job_id).job.state

    def history(self, job_id: str) -> list[str]:
        with self._plant.database.read() as db:
            return [line["event"] for line in history.of_job(db, job_id)]

    def sold(self, job_id: str) -> list[dict[str, Any]]:
        """The tasks that gateways have made of a job's order."""
        [order] = [order for order in self.orders if order.job_id == job_id]
        return self._plant.stand_ins.tasks(order.prompt)

    def await_state(self, job_id: str, *states: State, within_s: float = LOOKING_FOR_S) -> Case:
        """Wait until the job is in one of these states."""

        def arrived() -> Case | None:
            case = self.case(job_id)
            return case if case.job.state in states else None

        found: Case = self._plant.await_(arrived, lambda: f"{states}; {self._standing([job_id])}", within_s)
        return found

    def await_sold(self, job_id: str) -> dict[str, Any]:
        """Wait until a gateway has taken the order; its task."""
        task: dict[str, Any] = self._plant.await_(lambda: self.sold(job_id), f"a task of {job_id}")[0]
        return task

    def await_ended(self, *job_ids: str, within_s: float = LOOKING_FOR_S) -> list[Case]:
        """Wait until these jobs, or all that were ordered, have ended."""
        wanted = job_ids or tuple(order.job_id for order in self.orders if order.job_id)

        def left() -> list[str]:
            return [case.job.id for case in self.cases(wanted) if case.job.state not in ENDED]

        self._plant.await_(lambda: not left(), lambda: self._standing(left()), within_s)
        return [self.case(job_id) for job_id in wanted]

    def await_archived(self, *job_ids: str, within_s: float = LOOKING_FOR_S) -> list[Case]:
        """Wait until they have ended, and see that all of them are in the archive."""
        cases = self.await_ended(*job_ids, within_s=within_s)
        states = Counter(case.job.state for case in cases)
        assert set(states) == {State.ARCHIVED}, self._standing(
            [c.job.id for c in cases if c.job.state is not State.ARCHIVED]
        )
        return cases

    def check(self) -> None:
        """Hold everybody to every order. Call it when all jobs have ended."""
        _, wrongs = self.audit()
        assert wrongs == [], "\n".join(wrongs)

    def audit(self) -> tuple[Counter[str], list[str]]:
        """What became of all orders, and whatever should not have become of one."""
        account: Counter[str] = Counter(orders=len(self.orders))
        wrongs: list[str] = []
        objects = self._plant.objects()
        sold = self._plant.stand_ins.tasks()
        of_prompt: dict[str, list[dict[str, Any]]] = {}
        for task in sold:
            of_prompt.setdefault(task["prompt"], []).append(task)
        cases = {case.job.request["prompt"]: case for case in self.cases(self.job_ids())}
        for order in self.orders:
            tasks, case = of_prompt.get(order.prompt, []), cases.get(order.prompt)
            paid = [task for task in tasks if task["charged"] > task["refunded"]]
            account["sold"] += len(tasks)
            account["paid"] += len(paid)
            if len(paid) > 1 and not order.may_pay_twice:
                account["paid_twice"] += 1
                wrongs.append(f"paid {len(paid)} times: {order} {paid}")
            if case is None:
                if order.job_id is not None or tasks:
                    account["lost"] += 1
                    wrongs.append(f"lost: {order}, sold {tasks}")
                continue
            if order.job_id not in (None, case.job.id):
                wrongs.append(f"two jobs of one order: {order}, {case.job.id}")
            while wrong := self._wrongs_of(case, tasks, objects):
                again = self.case(case.job.id)
                if again.job.version == case.job.version:
                    break
                case, objects = again, self._plant.objects()  # it has moved on under our eyes
                cases[order.prompt] = case
            account[_line(case)] += 1
            wrongs += [f"{case.job.id}: {each}" for each in wrong]
        ours = {case.job.archive_key for case in cases.values() if case.job.state is State.ARCHIVED}
        wrongs += [f"an object without an archived job: {key}" for key in objects.keys() - ours - self.strangers]
        return account, wrongs

    def told_secrets(self, *secrets_of_ours: str) -> list[str]:
        """Lines that our processes have printed since the last look and that hold a secret."""
        lines, self._heard = self._plant.lines[self._heard :], len(self._plant.lines)
        tokens = [task["request"] for task in self._plant.stand_ins.tasks() if isinstance(task["request"], Mapping)]
        found = {word for body in tokens for value in body.values() for word in _tokens(value)}
        words = {*found, *secrets_of_ours, self._plant.key}
        return [line for line in lines if any(word in line for word in words)]

    def forget(self) -> None:
        """A new test begins."""
        self.orders.clear()
        self.strangers.clear()

    def _wrongs_of(self, case: Case, tasks: list[dict[str, Any]], objects: Mapping[str, int]) -> list[str]:
        job, wrongs = case.job, []
        ids = {attempt.task_id for attempt in case.attempts.values()}
        unsure = any(attempt.standing is Standing.UNCERTAIN for attempt in case.attempts.values())
        if unknown := [task["task_id"] for task in tasks if task["task_id"] not in ids and not unsure]:
            wrongs.append(f"sold without our knowing: {unknown}")
        wrongs += self._no_path(job.id, job.state)
        if job.state is State.UNCONFIRMED and self.unconfirmed_may_wait:
            return wrongs
        if job.state not in ENDED:
            return [*wrongs, f"has not ended: {job.state}"]
        open_still = any(attempt.outcome is AttemptOutcome.OPEN for attempt in case.attempts.values())
        if job.alarm_at is not None and not open_still:
            wrongs.append("an alarm that will never be answered")
        if job.state is State.ARCHIVED:
            wrongs += self._not_archived(case, tasks, objects)
        return wrongs

    def _no_path(self, job_id: str, state: State) -> list[str]:
        """What keeps a history from being a path through the table of moves to the present state."""
        with self._plant.database.read() as db:
            lines = [line for line in history.of_job(db, job_id) if line["to_state"] is not None]
        at, wrongs = State.QUEUED, []
        for line in lines:
            legal = TRANSITIONS[at].get(Event(line["event"])) if line["event"] in set(Event) else None
            if line["from_state"] not in (None, at) or (line["from_state"] is not None and legal != line["to_state"]):
                wrongs.append(f"{line['event']} from {line['from_state']} to {line['to_state']} while {at}")
            at = State(line["to_state"])
        return wrongs if at is state else [*wrongs, f"its history ends in {at}, its row says {state}"]

    def _not_archived(self, case: Case, tasks: list[dict[str, Any]], objects: Mapping[str, int]) -> list[str]:
        job, bucket, wrongs = case.job, self._plant.bucket, []
        if objects.get(job.archive_key) != job.bytes:
            return [f"{objects.get(job.archive_key)} bytes in the bucket, {job.bytes} in the row"]
        stored = bucket.head(job.archive_key)
        digest = hashlib.sha256(b"".join(bucket.open(job.archive_key))).hexdigest()
        if stored is None or digest != job.sha256 or stored.metadata["rushes-sha256"] != digest:
            wrongs.append("the object is not what its row says")
        elif stored.metadata["rushes-job"] != job.id:
            wrongs.append("the object bears another job's name")
        if stored and stored.metadata["rushes-task"] not in {task["task_id"] for task in tasks}:
            wrongs.append("the object is of a task that was never sold to us")
        wrongs += [f"{key(job.archive_key)} is missing" for key in (poster_key, sidecar_key)
                   if bucket.head(key(job.archive_key)) is None]  # fmt: skip
        if self.history(job.id).count("store") != 1:
            wrongs.append("stored more than once")
        return wrongs

    def job_ids(self) -> list[str]:
        """Every job there is: an order whose answer was lost may have made one."""
        with self._plant.database.read() as db:
            return [row[0] for row in db.exec_driver_sql("SELECT id FROM jobs")]

    def _standing(self, job_ids: Iterable[str]) -> str:
        return str([(c.job.id, c.job.state, c.job.provider, c.job.error_code, self.history(c.job.id)[-6:])
                    for c in self.cases(job_ids)])  # fmt: skip


def _line(case: Case) -> str:
    """The line of the account that a job stands in."""
    job, attempt = case.job, case.current
    if job.state is State.UNCONFIRMED or job.error_code == "submit_unconfirmed":
        return "unconfirmed"
    if job.state is State.FAILED and attempt is not None and attempt.outcome is AttemptOutcome.FAILED:
        return "failed by verdict"
    return str(job.state) if job.state is not State.FAILED else f"failed: {job.error_code}"


def _tokens(value: Any) -> list[str]:
    """The secret parts of callback URLs in a task's request."""
    text = str(value)
    return [text.rpartition("/")[2]] if "/webhooks/" in text else []
