"""One run: a seed becomes a world, a service in it, and people around it; rules hold or one is violated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import structlog
from sim_database import SimSqlite
from sim_fate import Fate
from sim_people import People
from sim_rules import RULES
from sim_service import House, Service
from sim_truths import check_audit, check_rest
from sim_world import Violated, World

from jobs.settings import Settings
from jobs.upkeep import audit

WAITS_S = 8 * 3600  # between the lives of task and link of two attempts


class Story(list[tuple[float, str, str, tuple[Any, ...]]]):
    """What happened: virtual time, who, what, and its details; lines when it is printed."""

    def __str__(self) -> str:
        return "\n".join(
            f"{at:10.2f}  {who:<22} {what} {' '.join(str(each) for each in details)}".rstrip()
            for at, who, what, details in self
        )


@dataclass
class Run:
    """What came of a seed."""

    seed: int
    violation: Violated | None
    story: Story
    faults: Counter[str]
    points: Counter[str]
    moves: Counter[Any]
    virtual_s: float
    events: int

    @property
    def report(self) -> str:
        """For whoever has to find out why: the story, the rule, and how to see it again."""
        if self.violation is None:
            return f"Seed {self.seed} ends well after {self.virtual_s:.0f} virtual seconds."
        rule = self.violation.rule
        said = f"Seed {self.seed} breaks the rule {rule}: {RULES.get(rule, '')}.\n{self.violation.said}"
        return f"{self.story}\n\n{said}\nAgain: make simulate SEED={self.seed}"


@cache
def in_memory() -> House:
    return House(SimSqlite())


def simulate(
    seed: int, only: Collection[str] = (), *, fleet: bool = False, crowded: bool = False, house: House | None = None
) -> Run:
    """Run one seed to its rest, or to the first rule that does not hold.

    `only`: with no faults but these. `fleet`: with hundreds of jobs, as some seeds have by themselves. `crowded`: all
    jobs at one gateway. `house`: where else than in memory.
    """
    fate = Fate(seed, only, fleet=fleet, crowded=crowded)
    world = World(fate)
    house = house or in_memory()
    service = Service(world, house, _settings(fate, house.settings))
    people = People(world, service)
    service.after_commit = people.after_commit
    violation = None
    with _numbered_ids(), _logs_into(world), patch("jobs.upkeep.audit.ThreadPoolExecutor", _OneByOne):
        try:
            world.run(service.next_look, service.look)
            check_rest(service.rules, people.calm_at, WAITS_S + 4 * fate.life_s + world.set_back_s, people.archiving)
            check_audit(service.rules, audit.audit(service.resources(service.processes["operator"])))
        except Violated as e:
            violation = e
        finally:
            fate.calm = True
            world.close()
    moves = service.rules.moves
    return Run(seed, violation, Story(world.story), fate.struck, world.points, moves, world.now, world.worked)


def _settings(fate: Fate, common: Settings) -> Settings:
    """Room, budgets, lives, patience and a public URL differ between runs."""
    terms = dict(common.terms)
    if fate.chance(0.3):
        terms["evolink"] = replace(terms["evolink"], daily_usd=0.4 * max(1, (fate.jobs or 0) // 10))
    return replace(
        common,
        terms=terms,
        max_in_flight=fate.one_of((20, 50, 200) if fate.jobs else (1, 2, 50)),
        max_unconfirmed=fate.one_of((1, 2, 5)),
        max_attempts=fate.one_of((1, 2, 2, 3)),
        unconfirmed_window_s=fate.one_of((300, 900, 3600)),
        resubmit_after_s=fate.one_of((120, 900)),
        worker_slots=16 if fate.jobs else common.worker_slots,
        life_s=fate.life_s,
        public_url=common.public_url if fate.chance(0.85) else None,
    )


@contextmanager
def _numbered_ids() -> Iterator[None]:
    """ULIDs hold the time and chance of this machine; here ids are numbers, in the same alphabet and length."""
    count = 0

    def number() -> str:
        nonlocal count
        count += 1
        return f"{count:026d}"

    with patch("jobs.intake.new_jobs.ULID", number), patch("jobs.store.notices.ULID", number):
        yield


class _OneByOne:
    """Instead of threads, of which a world has one."""

    def __init__(self, threads: int) -> None: ...

    def __enter__(self) -> _OneByOne:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(work, items)


@contextmanager
def _logs_into(world: World) -> Iterator[None]:
    """Errors that the code logs become lines of the story; all else it logs is not wanted here."""

    def keep(_: Any, __: str, event: dict[str, Any]) -> Any:
        world.tell("log", {k: v for k, v in event.items() if k != "exc_info"})
        raise structlog.DropEvent

    before = structlog.get_config()
    trace = structlog.processors.format_exc_info
    structlog.configure(
        processors=[trace, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    try:
        yield
    finally:
        structlog.configure(**before)
