"""The world's time: a heap of what happens next, and the actors (greenlets) that work between two effects.

Nothing waits: time jumps to the next event. An actor gives way at every named point between two effects, and nowhere
else, so that whatever can happen between them does, in some run.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet
from sim_fate import Fate

from jobs.store.database import DatabaseUnavailable

BEGIN = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)  # orders pass midnight, where a new day's budget begins
LONGEST_S = 10 * 86_400
MOST_EVENTS = 60_000
MOST_EVENTS_A_JOB = 2_000  # of a fleet
EVENTS_A_SECOND = 4  # by which the clock was set back: jobs wait for what rows say, and are looked at meanwhile
# Where a death or a sleep shows little, and where actors pass most often.
DULL = frozenset({"before a read", "before a transaction", "before a doorbell"})
# Few runs come here at all; death strikes as if they came more often.
RARE = frozenset({"during a pause", "during the proof", "before the PUT", "after the PUT"})


class Died(BaseException):
    """Thrown into whatever a killed process was doing. Not an Exception: no handler of ours may survive it."""


class Violated(BaseException):
    """A rule does not hold. Not an Exception: a step must not be able to swallow it."""

    def __init__(self, rule: str, said: str) -> None:
        super().__init__(f"{rule}: {said}")
        self.rule, self.said = rule, said


class Process:
    """What dies as one: the actors at work in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.actors: set[Actor] = set()
        self.up = True
        self.is_new = False  # it has died since it was last given its parts


class Actor:
    """One thread of a process, at one piece of work."""

    def __init__(self, world: World, process: Process, about: str, work: Callable[[], Any]) -> None:
        self.world, self.process, self.about = world, process, about
        self.dead = self.done = self.failed = False
        self.accepted: tuple[tuple[str, int], str] | None = None  # an attempt whose task id it has just been told
        self.marked: tuple[str, int] | None = None  # the attempt whose POST it has said may leave
        self.left: dict[str, str] = {}  # when its last request to each gateway left, by the database's clock
        self.holders: set[str] = set()  # the leases that it has taken
        self.seen: set[int] = set()  # the callbacks that it had before it when it last took a lease
        self.asked: list[tuple[str, str, str, bool]] = []  # gateway, task and key of answered questions; if known there
        self._work = work
        self._greenlet = greenlet(self._run)
        process.actors.add(self)

    def resume(self) -> None:
        if self.done:
            return
        self.world.actor = self
        self._greenlet.switch()
        self.world.actor = None

    def _run(self) -> None:
        try:
            self._work()
            self.world.ended(self)
        except Died:
            pass
        except DatabaseUnavailable:  # a task that fails for this is an error in the log; its row is as due as before
            self.failed = True
            self.world.tell("gave up, as the database is away")
        except BaseException as e:
            self.world.broke(e)
        finally:
            self.done = True
            self.process.actors.discard(self)
            self.world.forget(self)


class World:
    """Time, the actors, and the story so far."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.now = 0.0
        self.actor: Actor | None = None
        self.story: list[tuple[float, str, str, tuple[Any, ...]]] = []
        self.points: Counter[str] = Counter()  # where processes died
        self.clock_off_s = 0.0  # of the database's clock
        self.clock_sets: list[tuple[float, float]] = []  # when it was set, and how far it has been off since
        self.set_back_s = 0.0  # by how much it was set back in all: for as long a row may wait for what it says
        self.worked = 0
        self._most_events = MOST_EVENTS + MOST_EVENTS_A_JOB * (fate.jobs or 0)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._broken: BaseException | None = None
        self.ended: Callable[[Actor], None] = lambda actor: None
        self._actors: set[Actor] = set()
        self._hub = getcurrent()

    def at(self, time: float, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (max(time, self.now), self._number, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + seconds, act)

    def start(self, process: Process, about: str, work: Callable[[], Any]) -> Actor:
        """Begin a piece of work; call from events only."""
        actor = Actor(self, process, about, work)
        self._actors.add(actor)
        actor.resume()
        return actor

    def effect(self, point: str, takes_s: float = 0.0) -> None:
        """The named point between two effects: others go on here, and here the worker may die or fall asleep."""
        actor = self.actor
        if actor is None:
            return
        if actor.dead:
            raise Died
        shows = point not in DULL or self.fate.chance(0.1)
        if shows and any(self.fate.strikes("worker_dies") for _ in range(4 if point in RARE else 1)):
            self.points[point] += 1
            self.tell("dies", point)
            self.kill(actor.process)
            raise Died
        if shows and self.fate.strikes("worker_sleeps"):
            takes_s += self.fate.between(3, 20) if self.fate.chance(0.3) else self.fate.between(30, 600)
            self.tell("sleeps", point, round(takes_s))
        self.at(self.now + takes_s + self.fate.random.random() * 0.02, actor.resume)
        self._hub.switch()
        if actor.dead:
            raise Died

    def kill(self, process: Process, *, for_s: float | None = None) -> None:
        """End a process as kill -9 does; it is started again some seconds later, or after as long as is said."""
        process.up, process.is_new = False, True
        for actor in list(process.actors):
            actor.dead = True
            if actor is not self.actor:
                self.at(self.now, actor.resume)
        self.after(for_s or self.fate.between(1, 60), lambda: setattr(process, "up", True))

    def forget(self, actor: Actor) -> None:
        self._actors.discard(actor)

    def close(self) -> None:
        """A run that was broken off leaves actors between two effects: they die there."""
        for actor in list(self._actors):
            actor.dead = True
            actor.resume()

    def broke(self, error: BaseException) -> None:
        """An actor ended with what nobody caught: this run is over."""
        self._broken = self._broken or error

    def run(self, next_look: Callable[[], float | None], look: Callable[[], None]) -> None:
        """Until nothing is left to happen. `look` is a round of the sweep, due at `next_look`."""
        while True:
            looking_at = next_look()
            if not self._events and looking_at is None:
                return
            if looking_at is not None and (not self._events or looking_at <= self._events[0][0]):
                self.now = max(self.now, looking_at)
                look()
            else:
                time, _, act = heapq.heappop(self._events)
                self.now = time
                act()
            self.worked += 1
            if self._broken is not None:
                raise self._broken
            if self.worked > self._most_events + EVENTS_A_SECOND * self.set_back_s or self.now > LONGEST_S:
                raise Violated("comes-to-rest", f"still at work after {self.worked} events, {self.now:.0f} s")

    def leaves(self, provider: str) -> None:
        """The actor's request to a gateway is on its way."""
        if self.actor is not None:
            self.actor.left[provider] = self.database_time().isoformat(timespec="microseconds")

    def database_time(self) -> datetime:
        return self.time_at(self.now)

    def time_at(self, moment: float) -> datetime:
        """What the database's clock, as it goes now, says of a moment of this world."""
        return BEGIN + timedelta(seconds=moment + self.clock_off_s)

    def set_clock(self, by_s: float) -> None:
        """Put the database's clock on, or back."""
        self.clock_off_s += by_s
        self.clock_sets.append((self.now, self.clock_off_s))
        self.set_back_s += max(0.0, -by_s)
        self.tell("clock set", round(self.clock_off_s))

    def tell(self, what: str, *details: Any) -> None:
        """A line of the story."""
        actor = self.actor
        who = f"{actor.process.name} {actor.about}" if actor else "world"
        self.story.append((self.now, who, what, details))
