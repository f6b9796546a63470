"""What a gateway is to the sandbox: tables and pure functions. The asking and answering is the reception's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from werkzeug.datastructures import Headers

from sandbox.fields import Invalid
from sandbox.tasks import Failure, Order, Phase, Task

JsonObject = dict[str, Any]


class Refused(Exception):
    """A request the gateway turns down. `code` None stands for the gateway's usual code of that status."""

    def __init__(self, status: int, message: str = "", code: str | int | None = None, **more: Any) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.message, self.code, self.more = status, message, code, more


@dataclass(frozen=True)
class Sight:
    """What one report shows of a task: the clock and phase, the gateway's word for it, the link once finished."""

    now: float
    phase: Phase
    word: str
    progress: int
    link: str | None = None
    callback: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class Glance:
    """What a page other than submit and query may look at."""

    args: Mapping[str, str]
    credits: Decimal
    tasks: list[Task]
    look: Callable[[Task], Sight]

    @property
    def used(self) -> Decimal:
        """What the tasks were charged, without what came back."""
        return sum((task.charged - task.refunded for task in self.tasks), Decimal(0))


@dataclass(frozen=True)
class Callback:
    """How a gateway calls back.

    `waits_s` before each retry after a failed try; `write` gives the headers and body of an event.
    """

    write: Callable[[Task, Sight, str], tuple[dict[str, str], bytes]]
    waits_s: tuple[float, ...] = ()
    timeout_s: float = 10.0


Reader = Callable[[Any, bool], Order]
Reporter = Callable[[Task, Sight], JsonObject]


@dataclass(frozen=True)
class Query:
    """One form of the status answer: its words for the phases and its shape."""

    words: Mapping[Phase, str]
    report: Reporter


@dataclass(frozen=True)
class Gateway:
    """One gateway.

    Paths are below its prefix; a query's path ends in the task id. Money is in the gateway's own unit. `refusals` are
    the statuses it refuses with, each with its code: None where it gives none; the usual one of a status comes first.
    """

    name: str
    api_key: str
    credits: Decimal
    read_key: Callable[[Headers], str | None]
    submits: Mapping[str, Reader]
    queries: Mapping[str, Query]
    price: Callable[[Order], Decimal]
    new_id: Callable[[Random, float], str]
    accept: Callable[[Task, str], JsonObject]
    refuse: Callable[[Refused], JsonObject]
    refusals: tuple[tuple[int, str | int | None], ...]
    refuse_invalid: Callable[[Invalid], Refused]
    no_such_task: Callable[[str], Refused]
    fails_for_good: Failure
    fails_for_now: Failure
    accept_status: int = 200
    no_credit: Callable[[Decimal, Decimal], Refused] = field(default=lambda price, balance: Refused(402))
    callback: Callback | None = None
    idempotent: bool = False
    tasks_expire: bool = False
    pages: Mapping[str, Callable[[Glance], JsonObject]] = field(default_factory=dict)
    headers: Callable[[], dict[str, str]] = field(default=dict)


def bearer(headers: Headers) -> str | None:
    """The key of an `Authorization: Bearer` header."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" else None


def per_second(rates: Mapping[str, str]) -> Callable[[Order], Decimal]:
    """A price by the second; `rates` by resolution."""
    return lambda order: Decimal(rates[order.resolution]) * order.duration


def number(amount: Decimal) -> int | float:
    """An amount of money as a JSON number, whole where it is whole."""
    return int(amount) if amount == int(amount) else float(amount)


def tasks_own_seed(task: Task) -> int:
    """The seed asked for, or one that stays the task's own."""
    return task.order.seed if task.order.seed is not None else task.number * 7919
