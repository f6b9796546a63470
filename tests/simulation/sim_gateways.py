"""The gateways' side of the world: who ordered what under which key, what becomes of it, and what they call back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sim_dialects import DIALECTS, Seen
from sim_outages import Outages
from sim_world import BEGIN, World

KEY_LIFE_S = 7_200  # of an idempotency key
LINKS = "https://files."
CREDITS = 34.0
ODD_COSTS = (math.inf, -math.inf, 1e300, 100 * CREDITS, -1, str(CREDITS), True)
SIZE, OTHER_SIZE = (1280, 720), (720, 1280)
ELSEWHERE = "elsewhere"  # instead of a job: of another installation
CALLBACK_TRIES_S = (0, 1, 2, 4)
Owner = tuple[str, int]  # a job's id and an attempt's number


@dataclass
class Task:
    """An order that a gateway took. `owner` is whose it is in truth."""

    provider: str
    id: str
    key: str
    owner: Owner
    callback_url: str | None
    model: str
    at: float
    ends_at: float | None
    verdict: str  # finished, failed or retryable
    length_s: float  # of its film
    size: tuple[int, int]  # the same, in pixels
    life_s: float  # from its end on; its link's too
    reversed_at: float | None = None
    forgotten_at: float | None = None
    link_from: float = 0.0  # before that its link is not told, though it is called finished
    odd_cost: Any = (
        None  # what stands for it in reports whose other values are odd as well; None: they are as documented
    )
    links: int = 0  # links that died before their time, for each of which there was a fresh one
    links_forbidden: int = 0  # how many of those the guard never lets us follow
    takes: int = 1  # how many films of other bytes its link has served
    last_told: str | None = None  # the state that the last answer to a query named, in words that a page has
    told: set[str] = field(default_factory=set)  # the states that answers to our queries, and submits, have named

    def state(self, now: float) -> str:
        if self.ends_at is None or now < self.ends_at:
            return "queued" if now < self.at + 5 else "running"
        return "finished" if self.reversed_at is not None and now >= self.reversed_at else self.verdict

    @property
    def made_at(self) -> float | None:
        """When its video is made, and paid for; None: never."""
        return self.ends_at if self.verdict == "finished" else self.reversed_at

    def gone_at(self) -> float:
        """When task and link are gone. One that never ends is there for ever."""
        if self.forgotten_at is not None:
            return self.forgotten_at
        ended_at = self.made_at or self.ends_at
        return math.inf if ended_at is None else ended_at + self.life_s + 60


def _length_s(body: Mapping[str, Any]) -> float:
    """The length that a submit asks for, wherever its gateway wants that to be said."""
    if "duration" in body:
        return float(body["duration"])
    return next(filter(None, (_length_s(each) for each in body.values() if isinstance(each, Mapping))), 0.0)


@dataclass
class Order:
    """A POST that left: to whom, for which attempt, when, and the task that came of it, if one did."""

    provider: str
    owner: Owner
    at: float
    clock_off_s: float  # of the database's clock, when it left
    key: str | None  # the idempotency key
    task: Task | None = None
    slow_s: float = 0.0  # how much later than usual its answer comes


class Gateways:
    """All of them. `call_back` posts a callback to our receiver."""

    def __init__(self, world: World, call_back: Callable[[str, bytes, Mapping[str, str], float], None]) -> None:
        self.world = world
        self.orders: list[Order] = []
        self.tasks: dict[tuple[str, str], Task] = {}
        self.by_key: dict[tuple[str, str, str], Task] = {}
        self.misled: set[tuple[Owner, str]] = set()  # whose callback URL was given another's task id
        self.unconfirmed: Callable[[], set[Owner]] = set
        fate = world.fate
        self._outages = Outages(fate, list(DIALECTS))
        self.clock_off_s = {
            name: fate.between(-900, 900) if fate.strikes("gateway_clock_off") else 0.0 for name in DIALECTS
        }
        self._call_back = call_back

    def illness(self, provider: str) -> str | None:
        """What ails a gateway now; None: it is well."""
        return self._outages.illness(provider, self.world.now)

    def take(self, order: Order, key: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """A submit that arrived."""
        provider, dialect, world, fate = order.provider, DIALECTS[order.provider], self.world, self.world.fate
        if order.key is not None:
            known = self.by_key.get((provider, key, order.key))
            if known is not None and world.now < known.at + KEY_LIFE_S:
                order.task = known
                return 202, dialect.accepted(self.seen(known))
        if fate.strikes("refused_request"):
            return dialect.refused_request
        if fate.strikes("refused_key"):
            return fate.one_of(dialect.refused_key)
        task = order.task = self._make(order, key, body, dialect.callback_field)
        self.tasks[provider, task.id] = task
        if order.key is not None:
            self.by_key[provider, key, order.key] = task
        world.tell("gateway takes", task.id, task.verdict, "ends", task.ends_at and round(task.ends_at))
        if task.callback_url and fate.strikes("callback_of_another"):
            self._mislead(order, task)
        if task.callback_url and fate.strikes("task_elsewhere"):
            self._tell_of_elsewhere(order, task)
        if task.callback_url and fate.strikes("callback_odd"):
            self._post(task, self.seen(task, "running"), fate.between(1, 3600))
        if task.callback_url and fate.strikes("ids_made_up"):
            for number in range(1 + int(fate.random.random() * 12)):
                made_up = replace(self.seen(task, "running"), id=f"made-up-{number}")
                self._post(task, made_up, fate.between(0, 600))
        if task.callback_url and task.ends_at is not None:
            world.at(task.ends_at, lambda: self._announce(task))
            if task.reversed_at is not None:
                world.at(task.reversed_at, lambda: self._announce(task))
        return 202, dialect.accepted(self.seen(task))

    def tell(self, provider: str, task_id: str, key: str) -> tuple[int, Any]:
        """A query's answer."""
        dialect, task, now = DIALECTS[provider], self.tasks.get((provider, task_id)), self.world.now
        is_shown = task is not None and (task.key == key or self.world.fate.shows_to_all_keys)
        if task is None or not is_shown or now >= task.gone_at():
            return dialect.unknown_task
        if task.forgotten_at is None and self.world.fate.strikes("task_forgotten"):
            task.forgotten_at = now
            return dialect.unknown_task
        seen = self.seen(task)
        task.told.add(seen.state)
        task.last_told = seen.state
        if self.world.fate.strikes("unknown_word"):
            task.last_told = None
            return 200, _reworded(dialect.report(seen))
        report = dialect.report(seen)
        return 200, _odd(report, task.odd_cost) if task.odd_cost is not None else report

    def seen(self, task: Task, state: str | None = None) -> Seen:
        now, off = self.world.now, BEGIN.timestamp() + self.clock_off_s[task.provider]
        state = state or task.state(now)
        return Seen(
            id=task.id,
            state=state,
            model=task.model,
            created_at=task.at + off,
            ended_at=None if task.ends_at is None else task.ends_at + off,
            link=self.link(task) if state == "finished" and now >= task.link_from else None,
            credits=CREDITS,
        )

    def link(self, task: Task) -> str:
        return f"{LINKS}{task.provider}.example/{task.id}.mp4?n={task.links}"

    def find(self, url: str) -> tuple[Task, int]:
        """The task whose link this is, and the link's number."""
        host, _, rest = url.removeprefix(LINKS).partition("/")
        task_id, _, number = rest.partition(".mp4?n=")
        return self.tasks[host.removesuffix(".example"), task_id], int(number)

    def _make(self, order: Order, key: str, body: Mapping[str, Any], callback_field: str) -> Task:
        fate, now = self.world.fate, self.world.now
        early = fate.strikes("callback_early")
        takes_s = 0.2 if early else fate.between(30, 500)
        if fate.strikes("task_slow"):
            takes_s = fate.between(1800, 6000)
        verdict = "finished"
        if fate.strikes("task_failed"):
            verdict = "failed"
        elif fate.strikes("task_failed_retryable"):
            verdict = "retryable"
        ends_at = None if fate.strikes("task_stuck") else now + takes_s
        reversed_at = None
        if verdict != "finished" and ends_at is not None and fate.strikes("verdict_reversed"):
            reversed_at = ends_at + fate.between(1, 1200)
        link_from = 0.0
        if ends_at is not None and fate.strikes("link_missing"):
            link_from = ends_at + fate.between(60, fate.life_s) if fate.chance(0.5) else math.inf
        task_id = f"{order.provider}-{len(self.tasks) + 1}"
        return Task(
            order.provider,
            task_id,
            key,
            order.owner,
            body.get(callback_field) if callback_field else None,
            body["model"],
            now,
            ends_at,
            verdict,
            _length_s(body),
            SIZE,
            fate.life_s,
            reversed_at,
            link_from=link_from,
            odd_cost=fate.one_of(ODD_COSTS) if fate.strikes("odd_values") else None,
        )

    def _announce(self, task: Task) -> None:
        """Call back, as far as fate lets it."""
        fate = self.world.fate
        if task.forgotten_at is not None:
            return
        delay = 0.0
        if fate.strikes("callback_late"):
            delay = fate.between(60, 7000) if fate.chance(0.5) else fate.between(1, 60)
        if fate.strikes("callback_odd"):
            self._send_odd(task)
        if fate.strikes("callback_of_another"):
            self._send_another(task)
        if not fate.strikes("callback_lost"):
            self._post(task, self.seen(task), delay)
        if fate.strikes("callback_twice"):
            self._post(
                task,
                replace(self.seen(task), credits=fate.one_of((CREDITS, CREDITS + 1))),
                delay + fate.between(0, 900),
            )

    def _send_odd(self, task: Task) -> None:
        fate = self.world.fate
        url, delay = task.callback_url or "", fate.between(0, 60)
        if fate.chance(0.5):
            body = fate.one_of((b"<html>502</html>", b'{"status": 7}', b"{", b"[]", b'{"status": "completed"}'))
            self._call_back(url, body, {}, delay)
        else:  # a genuine token, and a lie: whoever holds the URL can say this
            self._post(task, self.seen(task, fate.one_of(("finished", "failed", "running"))), delay)

    def _send_another(self, task: Task) -> None:
        others = [t for t in self.tasks.values() if t.provider == task.provider and t.owner != task.owner]
        if not others:
            return
        other = self.world.fate.one_of(others)
        self.misled.add((task.owner, other.id))
        self._post(task, self.seen(other, "finished"), self.world.fate.between(0, 5))

    def _tell_of_elsewhere(self, order: Order, task: Task) -> None:
        """Whoever has the order's callback URL tells of a task that another installation has made with the same key."""
        own, number = self.world.fate.own, len(self.tasks) + 1
        other = replace(
            task,
            id=f"{order.provider}-{ELSEWHERE}-{number}",
            owner=(ELSEWHERE, number),
            ends_at=self.world.now + own.uniform(1, 600),
            verdict=own.choice(("finished", "finished", "failed", "retryable")),
            length_s=own.choice((task.length_s, task.length_s, 0.5)),
            size=own.choice((SIZE, SIZE, OTHER_SIZE)),
            reversed_at=None,
            link_from=0.0,
            odd_cost=None,
            told=set(),
        )
        self.tasks[order.provider, other.id] = other
        self.misled.add((order.owner, other.id))
        self._post(other, self.seen(other, "finished"), own.uniform(0, 600))

    def _mislead(self, order: Order, task: Task) -> None:
        """While a submit waits for its answer, its task is announced under the URL of another order."""
        others = [t for t in self.tasks.values() if t.provider == task.provider and t.owner[0] != task.owner[0]]
        waiting = [t for t in others if t.owner in self.unconfirmed()]
        if waiting:
            other, fate = self.world.fate.one_of(waiting), self.world.fate
            self.misled.add((other.owner, task.id))
            order.slow_s = fate.between(15, 55)
            if fate.chance(0.5):
                task.ends_at = self.world.now + 0.05  # before whoever is misled can ask
            self._post(other, self.seen(task, "finished"), 0.0)

    def _post(self, task: Task, seen: Seen, delay: float) -> None:
        dialect = DIALECTS[task.provider]
        assert dialect.callback is not None
        assert task.callback_url is not None
        body = json.dumps(dialect.callback(seen)).encode()
        self._call_back(task.callback_url, body, dialect.sign(task.key, body), delay)


def _odd(value: Any, cost: Any) -> Any:
    """The same report, with what gateways, proxies and their databases have been seen to make of values."""
    if isinstance(value, dict):
        return {name: _odd(inner, cost) for name, inner in value.items()}
    if isinstance(value, list):
        return [_odd(inner, cost) for inner in value]
    if value == CREDITS:
        return cost
    if isinstance(value, str) and value.startswith(LINKS):
        return f"\r\n\t {value} \n"
    return f"{value}\0\ud800" if isinstance(value, str) and " " in value else value


def _reworded(body: Any) -> Any:
    """The same report under a status word that no page has."""
    if isinstance(body, dict):
        return {k: "DREAMING" if k == "status" else _reworded(v) if k == "data" else v for k, v in body.items()}
    return body
