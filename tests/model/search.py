"""The search: every state of the model, nearest first; and whether a good one can still be reached from each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from judgement import what_it_says
from model import WORKERS, Facts, Mechanism, Worker, World, start, steps, wrong

from jobs.machine.rows import AttemptOutcome as A
from jobs.machine.states import ENDED

Ways = dict[World, list[tuple[str, World]]]


@dataclass(frozen=True)
class Explored:
    """`wrong` and `path`: the first bad state and how it came about; empty if there is none."""

    came: dict[World, tuple[World, str] | None]
    wrong: str = ""
    path: str = ""


def explore(m: Mechanism) -> Explored:
    """Every state that can be reached, nearest first, up to the first bad one."""
    first = start(m)
    came: dict[World, tuple[World, str] | None] = {first: None}
    seen = {_alike(first)}
    queue = deque([first])
    while queue:
        w = queue.popleft()
        for label, _, after in steps(w, m):
            if (key := _alike(after)) not in seen:
                seen.add(key)
                came[after] = (w, label)
                if fault := wrong(after, m):
                    return Explored(came, fault, path_to(came, after))
                queue.append(after)
    return Explored(came)


def ways_into(explored: Explored, m: Mechanism) -> Ways:
    """From where, and by which kind of step, each state is reached."""
    ways: Ways = {}
    for w in explored.came:
        for _, kind, after in steps(w, m):
            if kind != "fault":
                ways.setdefault(_alike(after), []).append((kind, _alike(w)))
    return ways


def stuck(
    explored: Explored, ways: Ways, kinds: Collection[str], owed: Callable[[World], bool], paid: Callable[[World], bool]
) -> list[World]:
    """The states in which `owed` holds and from which steps of these kinds alone lead to none in which `paid` does."""
    good = {key for w in explored.came if paid(key := _alike(w))}
    queue = deque(good)
    while queue:
        for kind, w in ways.get(queue.popleft(), ()):
            if kind in kinds and w not in good:
                good.add(w)
                queue.append(w)
    return [w for w in explored.came if owed(w) and _alike(w) not in good]


def is_settled(w: World) -> bool:
    """Ended, every attempt has its last word, nobody works, nobody will."""
    at_rest = all(x.doing == "idle" for x in w.workers) and not w.holder
    return w.state in ENDED and w.alarm == "none" and at_rest and all(t.outcome != A.OPEN for t in w.tries)


def is_paid_for(w: World) -> bool:
    """A gateway makes or has made a video whose link lives."""
    return any(t.gateway in ("running", "finished") and t.age < 2 for t in w.tries)


def _alike(w: World) -> World:
    """One state for all that go on alike: the workers mirrored, or a lost lease's facts that nobody will look at."""
    a, b = (_brought(x, w.holder == name) for x, name in zip(w.workers, WORKERS, strict=True))
    if (a.doing, a.facts, a.keep, w.holder == "B") <= (b.doing, b.facts, b.keep, w.holder == "A"):
        return w._replace(workers=(a, b))
    return w._replace(workers=(b, a), holder={"A": "B", "B": "A"}.get(w.holder, w.holder))


def _brought(x: Worker, holds: bool) -> Worker:
    if holds or x.doing != "conclude":
        return x
    return Worker("conclude", facts=Facts(tuple((n, word) for n, word in x.facts.words if what_it_says(word))))


def path_to(came: dict[World, tuple[World, str] | None], w: World) -> str:
    """How a state came about, a line for each step: what happened, and the rows after it."""
    lines: list[str] = []
    while (last := came[w]) is not None:
        hold = f"{w.holder or '-'}{' (run out)' if w.holder and w.over else ''}"
        tries = "; ".join(
            f"{n}: {t.outcome}{' sent' if t.sent else ''}{' with task' if t.task else ''}"
            f"{' callback ' + t.callback if t.callback else ''}, gateway {t.gateway or 'has nothing'}"
            for n, t in enumerate(w.tries, 1)
        )
        lines.append(f"{last[1]:44} {w.state}, alarm {w.alarm}, holder {hold} | {tries}")
        w = last[0]
    return "\n".join(reversed(lines))
