"""An exhaustive model of the mechanism: one job, two workers, a sweep, a gateway, callbacks, every fault at any moment.

Explicit-state breadth-first search. Judgement is not modelled: `jobs.decisions.decide`, the table behind it and
`jobs.planning.next_number` themselves are asked. What is modelled is who reads, writes, sends and rings when. Time
is abstract: an alarm is none, now or later; a lease has run out or not; an attempt is young, old enough for a resubmit,
or past its life. A version is compared through `fresh`: nobody has raised it since this worker read the row. That a
hold runs out under a living worker is the same as that worker sleeping for long; it acts on as a zombie.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from judgement import Judgement, judge, next_number, settle, what_it_says

from jobs.machine.rows import AttemptOutcome as A
from jobs.machine.states import ENDED, Event, State, next_state

SETTLED = (A.DELIVERED, A.UNDELIVERED)
WITHOUT_VIDEO = (A.FAILED, A.EXPIRED, A.NOT_MADE)
WORKERS = ("A", "B")
DEAD = "†"
UNREAD = ("new", "tried")


class Try(NamedTuple):
    """A row of `attempts`; its callback ("", new, tried: a trouble postponed it, read); what the gateway has."""

    outcome: str = A.OPEN.value
    sent: bool = False
    task: bool = False
    lost: bool = False
    age: int = 0
    callback: str = ""
    gateway: str = ""  # running, finished, failed
    posts: int = 0
    denied: bool = False  # a person has called it not made: whoever does accepts what may follow


class Facts(NamedTuple):
    """What a step has learnt: words by attempt number, callbacks it may call read, whether it met a trouble."""

    words: tuple[tuple[int, str], ...] = ()
    read: tuple[int, ...] = ()
    trouble: bool = False


class Worker(NamedTuple):
    """`doing` is what comes next: look (has read a due row), mark, send, ask, copy, put, conclude, write."""

    doing: str = "idle"
    facts: Facts = Facts()
    plan: Judgement | None = None
    keep: bool = False  # runs as jobs.transfer: keeps its lease when the job arrives in archiving


class World(NamedTuple):
    state: State = State.QUEUED
    current: int = 0
    alarm: str = "now"
    holder: str = ""
    over: bool = False  # the lease has run out
    tries: tuple[Try, ...] = ()
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    bell: bool = False
    stored: int = 0  # the attempt whose video stands in the bucket
    bad: str = ""


class Step(NamedTuple):
    label: str
    kind: str  # "": what happens when nothing goes wrong; fault; time: an attempt grows old
    world: World


@dataclass(frozen=True)
class Mechanism:
    """The protections, each of which a variant may lack, and the surroundings."""

    version_compared: bool = True  # by finish_step
    alarm_and_lease_apart: bool = True  # two columns
    frees_own_lease_only: bool = True  # finish_step compares the holder
    claim_sees_lease: bool = True
    holder_rings: bool = True  # Core.ring_for
    lost_lease_facts_kept: bool = True  # store.bring_facts
    lose_believes_sending_at: bool = True
    silent_unless_marked: bool = True  # posting.post: a worker that may not send says nothing of the attempt
    settle_sees_lease: bool = True  # a person's "not made" is refused while a step holds the job
    late_callback_wakes: bool = True  # keeping.Desk.wake
    settles: bool = False  # a person calls an order whose answer was lost not made, rightly or wrongly
    attempts: int = 1  # a job that would need another comes too late to be started
    resubmit: bool = False
    beat: bool = True
    answers_lost: bool = True
    workers_fail: bool = True  # they die, or sleep past their lease
    oldest: int = 2  # 0: nothing grows old, 1: old enough for a resubmit, 2: past its life
    slow_queries: bool = True  # False: a query is answered in the moment of its claim


def start(m: Mechanism) -> World:
    return _ring(World(), m)


def unread(world: World) -> bool:
    return any(t.callback in UNREAD for t in world.tries)


def held(world: World, m: Mechanism) -> bool:
    """jobs.store.leases: `held_until > now`. With one column for both, the alarm is the lease."""
    return bool(world.holder) and not world.over if m.alarm_and_lease_apart else world.alarm != "now"


def due(world: World, m: Mechanism) -> bool:
    """jobs.store.due."""
    return world.alarm == "now" and not held(world, m)


def steps(w: World, m: Mechanism) -> Iterator[Step]:
    """Everything that may happen next."""
    for i, name in enumerate(WORKERS):
        yield from _worker(w, i, name, m)
        if m.workers_fail and w.workers[i].doing != "idle":
            gone = w._replace(holder=DEAD) if w.holder == name else w
            yield Step(f"{name} dies", "fault", _put(gone, i, Worker()))
    yield from _gateway(w, m)
    yield from _person(w, m) if m.settles else ()
    if w.alarm == "later" and m.beat and (m.alarm_and_lease_apart or not w.holder):
        yield Step("the alarm rings", "", w._replace(alarm="now"))
    if w.holder and not w.over and m.workers_fail:
        out = w._replace(over=True, alarm=w.alarm if m.alarm_and_lease_apart else "now")
        yield Step(f"the lease of {w.holder} runs out", "" if w.holder == DEAD else "fault", out)
    for n, t in enumerate(w.tries, 1):
        if t.age < m.oldest and t.sent and m.beat and (w.over or not w.holder):  # no lease lasts as long
            older = w._replace(tries=_with(w.tries, n, t._replace(age=t.age + 1 if m.resubmit else 2)))
            yield Step(f"attempt {n} grows old", "time", older)


def _gateway(w: World, m: Mechanism) -> Iterator[Step]:
    for n, t in enumerate(w.tries, 1):
        if t.gateway == "running":
            for end in ("finished", "failed"):
                yield Step(f"gateway: {n} {end}", "", w._replace(tries=_with(w.tries, n, t._replace(gateway=end))))
        if t.gateway and (m.beat or t.gateway != "running"):
            yield Step(f"the callback of {n} comes", "", _keep_callback(w, n, m))


def _person(w: World, m: Mechanism) -> Iterator[Step]:
    """jobs.intake.settling.settle: an order whose answer was lost was not made, says somebody."""
    if held(w, m) and m.settle_sees_lease:
        return
    for n, t in enumerate(w.tries, 1):
        is_lost = t.outcome in (A.OPEN, A.EXPIRED) and t.sent and not t.task
        if is_lost and not (w.state is State.SUBMITTING and n == w.current):
            denied = w._replace(tries=_with(w.tries, n, t._replace(denied=True)))
            yield Step(f"a person calls {n} not made", "fault", _freed(denied, _settled(w, n, m), m))


def _settled(w: World, n: int, m: Mechanism) -> Judgement:
    late = next_number(w.current, _rows(w)) > m.attempts
    return settle(w.state, w.current, _rows(w), n, late, m.resubmit)


def _keep_callback(w: World, n: int, m: Mechanism) -> World:
    """jobs.store.keeping.keep: kept once, as news; the same again rings once more if the first is unread."""
    t = w.tries[n - 1]
    if not t.callback:
        if w.alarm == "none" and t.outcome in WITHOUT_VIDEO and t.age < 2 and m.late_callback_wakes:
            w = w._replace(alarm="now")
        w = _news(w._replace(tries=_with(w.tries, n, t._replace(callback="new"))))
    return w if t.callback == "read" or w.alarm == "none" else _ring(w, m)


def _news(w: World) -> World:
    """jobs.store.leases.bring_news: alarm to now, version + 1, where the alarm is not NULL; never the lease."""
    return w if w.alarm == "none" else _moved(w._replace(alarm="now"))


def _worker(w: World, i: int, name: str, m: Mechanism) -> Iterator[Step]:
    me = w.workers[i]
    ours = w.holder == name
    if me.doing == "idle":
        # A task begins: jobs.steps.due_case. A message for a row that is held or not due is spent for nothing.
        if (w.bell or m.beat) and due(w, m):
            yield Step(f"{name} looks", "", _put(w, i, Worker("look"))._replace(bell=False))
        elif w.bell:
            yield Step(f"{name} looks in vain", "", w._replace(bell=False))
    elif me.doing == "look":
        yield from _begin(w, i, name, m)
    elif me.doing == "mark":  # jobs.store.mark_sending: our lease, and not run out
        if ours and not w.over:
            t = w.tries[w.current - 1]._replace(sent=True)
            marked = _moved(w._replace(tries=_with(w.tries, w.current, t)), i)
            yield Step(f"{name} marks {w.current} as sending", "", _put(marked, i, me._replace(doing="send")))
        else:
            said = () if m.silent_unless_marked else ((_number(me), "not_sent"),)
            yield Step(f"{name} may not send", "", _put(w, i, _learnt(me, *said, trouble=True)))
    elif me.doing == "send":
        yield from _send(w, i, name, m)
    elif me.doing == "ask":
        yield from _ask(w, i, name, m)
    elif me.doing in ("copy", "put"):
        yield from _copy(w, i, name, m)
    elif me.doing == "conclude":
        yield _conclude(w, i, name, m)
    elif me.doing == "write":
        assert me.plan is not None
        yield _write(w, i, name, me.plan, m)


def _begin(w: World, i: int, name: str, m: Mechanism) -> Iterator[Step]:
    """The step that the row asks for (step_table.wake), as far as its claim or its unleased write."""
    if held(w, m) and m.claim_sees_lease:
        yield Step(f"{name} comes too late to claim", "", _put(w, i, Worker()))
        return
    if w.state is State.QUEUED and not unread(w):
        verdict = _judge(w, Facts(), m)
        if verdict.state is State.QUEUED:  # jobs.submission._claim
            n = next_number(w.current, _rows(w))
            # The attempt's row is written afresh; what the gateway has of an earlier POST under its number stays.
            fresh = w.tries[n - 1]._replace(**Try()._asdict() | _theirs(w.tries[n - 1])) if n <= len(w.tries) else Try()
            tries = _with(w.tries, n, fresh)
            state = next_state(w.state, Event.CLAIM)
            claimed = _hold(w._replace(state=state, current=n, tries=tries), i, name, m)
            yield Step(f"{name} claims attempt {n}", "", _put(claimed, i, Worker("mark", facts=Facts(((n, ""),)))))
            return
        yield Step(f"{name} moves the queued job", "", _unleased(w, i, verdict, m))
    elif w.state is State.SUBMITTING:  # jobs.submission.lose
        believed = w if m.lose_believes_sending_at else _never_sent(w)
        verdict = _judge(believed, Facts(), m)
        yield Step(f"{name} finds the submit's worker lost", "", _unleased(believed, i, verdict, m))
    elif w.state is State.ARCHIVING:  # jobs.archiving._claim
        yield Step(f"{name} claims the transfer", "", _put(_hold(w, i, name, m), i, _copying(w)))
    else:  # jobs.reconcile.ask, for jobs.reconcile or for jobs.transfer
        seen = tuple(n for n, t in enumerate(w.tries, 1) if t.callback in UNREAD)
        for keep in (False, True) if w.state in (State.GENERATING, State.UNCONFIRMED) else (False,):
            asking = Worker("ask", facts=Facts(read=seen), keep=keep)
            claimed = _put(_hold(w, i, name, m), i, asking)
            if m.slow_queries:
                yield Step(f"{name} claims to ask", "", claimed)
            else:
                yield from _ask(claimed, i, name, m)


def _hold(w: World, i: int, name: str, m: Mechanism) -> World:
    """jobs.store.leases.claim: our lease, version + 1; the alarm stays (one column for both: it becomes the lease)."""
    bad = f"{name} took the lease of {w.holder}, which had not run out" if w.holder and not w.over else w.bad
    alarm = w.alarm if m.alarm_and_lease_apart else "later"
    return _moved(w._replace(holder=name, over=False, alarm=alarm, bad=bad), i)


def _unleased(w: World, i: int, verdict: Judgement, m: Mechanism) -> World:
    """jobs.steps.step.move_unleased: version and no lease compared; then Core.ring_for."""
    return _put(_freed(w, verdict, m), i, Worker())


def _freed(w: World, verdict: Judgement, m: Mechanism) -> World:
    bad = f"the lease of {w.holder}, which had not run out, was freed" if w.holder and not w.over else w.bad
    return _ring_for(_moved(_apply(w._replace(bad=bad), verdict, ())._replace(holder="", over=False)), m)


def _send(w: World, i: int, name: str, m: Mechanism) -> Iterator[Step]:
    """posting.post after its mark: nothing goes out after a sleep (SEND_WITHIN_S is far below the lease)."""
    me, n = w.workers[i], _number(w.workers[i])
    slept = w.holder != name or w.over
    if slept or m.workers_fail:
        yield Step(
            f"{name} sends nothing", "" if slept else "fault", _put(w, i, _learnt(me, (n, "not_sent"), trouble=True))
        )
    if slept:
        return
    t = w.tries[n - 1]
    bad = w.bad
    others = [x for k, x in enumerate(w.tries, 1) if k != n and not x.denied]
    if not m.resubmit and any(x.gateway in ("running", "finished") for x in others):
        bad = f"attempt {n} is sent while another may make the video"
    taken = w._replace(tries=_with(w.tries, n, t._replace(gateway="running", posts=t.posts + 1)), bad=bad)
    left = w._replace(tries=_with(w.tries, n, t._replace(posts=t.posts + 1)), bad=bad)
    yield Step(f"{name} POSTs {n}: accepted", "", _put(taken, i, _learnt(me, (n, "accepted"))))
    yield Step(f"{name} POSTs {n}: refused for now", "", _put(left, i, _learnt(me, (n, "refused"))))
    yield Step(f"{name} POSTs {n}: refused for good", "", _put(left, i, _learnt(me, (n, "rejected"))))
    if m.answers_lost:
        yield Step(f"{name} POSTs {n}: taken, answer lost", "fault", _put(taken, i, _learnt(me, (n, "lost"))))
        yield Step(f"{name} POSTs {n}: not taken, answer lost", "fault", _put(left, i, _learnt(me, (n, "lost"))))


def _ask(w: World, i: int, name: str, m: Mechanism) -> Iterator[Step]:
    """jobs.steps.reconciliation._round: inquiries and learn. Callbacks are read that were there at the claim."""
    me = w.workers[i]
    news = me.facts.read
    words = []
    for n, t in enumerate(w.tries, 1):
        if t.outcome not in SETTLED and (t.outcome == A.OPEN or n in news) and (t.task or t.callback):
            said = "adopted" if t.gateway == "running" and not t.task else t.gateway
            words.append((n, said if t.age < 2 else "gone"))
    yield Step(
        f"{name} asks: {words}", "", _put(w, i, me._replace(doing="conclude", facts=Facts(tuple(words), me.facts.read)))
    )
    if m.answers_lost and words:
        yield Step(
            f"{name} asks in vain", "fault", _put(w, i, me._replace(doing="conclude", facts=Facts(trouble=True)))
        )


def _copy(w: World, i: int, name: str, m: Mechanism) -> Iterator[Step]:
    """jobs.steps.archiving._copy: HEAD, fetch and proof, push of the lease, one conditional PUT."""
    me, n = w.workers[i], _number(w.workers[i])
    if w.stored:
        yield Step(f"{name} finds the object", "", _put(w, i, _learnt(me, (w.stored, "stored"))))
    elif me.doing == "put":
        there = w._replace(stored=n)
        yield Step(f"{name} puts the object", "", _put(there, i, _learnt(me, (n, "stored"))))
        if m.answers_lost:
            yield Step(f"{name} puts it, answer lost", "fault", _put(there, i, _learnt(me, trouble=True)))
    elif w.tries[n - 1].age == 2:
        yield Step(f"{name} finds the link dead", "", _put(w, i, _learnt(me, (n, "undelivered"), trouble=True)))
    else:
        if w.holder == name:  # jobs.store.push_hold: the holder alone is compared, the version stays
            yield Step(f"{name} pushes its hold", "", _put(w._replace(over=False), i, me._replace(doing="put")))
        else:
            yield Step(
                f"{name} has lost its hold and stops", "", _put(w, i, me._replace(doing="conclude", facts=Facts()))
            )
        if m.answers_lost:
            yield Step(f"{name} cannot fetch", "fault", _put(w, i, _learnt(me, trouble=True)))


def _conclude(w: World, i: int, name: str, m: Mechanism) -> Step:
    """jobs.steps.step._conclude_once: decide on the row as it stands and write, or bring the facts as news.

    With the version compared, a write that would come too late is given up and decided again: reading and writing act
    as one step. Without, they are two, and anything may happen in between.
    """
    me = w.workers[i]
    if w.holder != name and m.frees_own_lease_only:
        brought = _ring_for(_bring_facts(w, me.facts), m) if m.lost_lease_facts_kept else w
        return Step(f"{name} has lost its hold", "", _put(_remembered(brought, me), i, Worker()))
    plan = _judge(w, me.facts, m)
    if m.version_compared:
        return _write(w, i, name, plan, m)
    return Step(f"{name} decides", "", _put(w, i, me._replace(doing="write", plan=plan)))


def _write(w: World, i: int, name: str, plan: Judgement, m: Mechanism) -> Step:
    """jobs.store.leases.finish_step: lets go of the lease, sets the alarm; then Core.ring_for."""
    me = w.workers[i]
    if m.frees_own_lease_only and w.holder != name:
        return Step(f"{name} finds its hold gone", "", _put(w, i, me._replace(doing="conclude", plan=None)))
    bad = f"{name} freed the lease of {w.holder}" if w.holder not in ("", name) else w.bad
    done = _moved(_apply(w._replace(bad=bad), plan, [n for n, _ in me.facts.words]), i)
    if me.keep and plan.state is State.ARCHIVING:
        return Step(f"{name} writes, and goes on to copy", "", _put(done, i, _copying(done)))
    free = _remembered(done._replace(holder="", over=False), me)
    return Step(f"{name} writes: {plan.state}", "", _put(_ring_for(free, m) if m.holder_rings else free, i, Worker()))


def _judge(w: World, facts: Facts, m: Mechanism) -> Judgement:
    late = w.state is State.QUEUED and next_number(w.current, _rows(w)) > m.attempts
    return judge(w.state, w.current, _rows(w), facts, late, m.resubmit)


def _rows(w: World) -> tuple[tuple[object, ...], ...]:
    return tuple(t[:6] for t in w.tries)


def _apply(w: World, plan: Judgement, asked: Collection[int]) -> World:
    """jobs.store.leases._write: the columns that the plan names, and no others. `asked`: of whom there is an answer."""
    tries, bad = w.tries, w.bad
    for n, changes in plan.changes:
        if dict(changes).get("outcome") == A.EXPIRED and tries[n - 1].task and n not in asked:
            bad = f"attempt {n} was given up, and nobody had asked about its task"
        tries = _with(tries, n, tries[n - 1]._replace(**dict(changes)))
    for callbacks, mark in ((plan.read, "read"), (plan.postponed, "tried")):
        for n in callbacks:
            tries = _with(tries, n, tries[n - 1]._replace(callback=mark))
    if w.state in (State.ARCHIVED, State.CANCELLED) and plan.state is not w.state:
        bad = f"a job left {w.state}"
    return w._replace(state=plan.state, current=plan.current, alarm=plan.alarm, tries=tries, bad=bad)


def _bring_facts(w: World, facts: Facts) -> World:
    """late_facts.bring_facts: a closed attempt keeps its word, but for a new task id and for a finished video."""
    for n, word in facts.words:
        t, changes = w.tries[n - 1], dict(what_it_says(word))
        if t.outcome == A.OPEN:
            pass
        elif changes.get("task") and not t.task:
            if t.outcome == A.DELIVERED:
                continue
            changes["outcome"] = A.OPEN.value
            w = w._replace(alarm="now" if w.alarm == "none" else w.alarm)
        elif word == "finished" and t.outcome in WITHOUT_VIDEO:
            w = w._replace(alarm="now" if w.alarm == "none" else w.alarm)
        else:
            continue
        w = w._replace(tries=_with(w.tries, n, t._replace(**changes)))
    return _news(w)


def _ring_for(w: World, m: Mechanism) -> World:
    """Core.ring_for."""
    return _ring(w, m) if due(w, m) else w


def _ring(w: World, m: Mechanism) -> World:
    """A message waits. While the sweep runs, a due row may be rung for at any time, and no message needs to be kept."""
    return w if m.beat else w._replace(bell=True)


def _remembered(w: World, me: Worker) -> World:
    """What a gateway has answered to a POST stands on the row once the step is over."""
    forgotten = [n for n, word in me.facts.words if word == "accepted" and not w.tries[n - 1].task]
    return w._replace(bad=f"the acceptance of attempt {forgotten[0]} was forgotten") if forgotten else w


def _copying(w: World) -> Worker:
    seen = (w.current,) if w.tries[w.current - 1].callback in UNREAD else ()
    return Worker("copy", facts=Facts(((w.current, ""),), seen))


def _number(me: Worker) -> int:
    return me.facts.words[0][0]


def _learnt(me: Worker, *words: tuple[int, str], trouble: bool = False) -> Worker:
    read = me.facts.read if me.doing == "put" and words else ()
    return me._replace(doing="conclude", facts=Facts(words, read, trouble))


def _never_sent(w: World) -> World:
    return w._replace(tries=_with(w.tries, w.current, w.tries[w.current - 1]._replace(sent=False)))


def _theirs(t: Try) -> dict[str, object]:
    return {"callback": t.callback, "gateway": t.gateway, "posts": t.posts}


def _with(tries: tuple[Try, ...], n: int, t: Try) -> tuple[Try, ...]:
    return (*tries[: n - 1], t, *tries[n:])


def _put(w: World, i: int, worker: Worker) -> World:
    return w._replace(workers=(worker, w.workers[1]) if i == 0 else (w.workers[0], worker))


def _moved(w: World, by: int | None = None) -> World:
    """version + 1: a claim that rests on an older one will fail, so it is given up here and now."""
    return w._replace(workers=tuple(Worker() if x.doing == "look" and i != by else x for i, x in enumerate(w.workers)))


def wrong(w: World, m: Mechanism) -> str:
    """What must never be, where it is."""
    if w.bad:
        return w.bad
    for n, t in enumerate(w.tries, 1):
        if t.posts > 1:
            return f"attempt {n} was POSTed twice"
        if t.gateway and t.outcome in (A.NOT_SENT, A.REFUSED, "rejected"):
            return f"attempt {n} stands as {t.outcome}, and the gateway has it"
        if t.callback == "new" and w.alarm == "later" and not w.holder:
            return f"news of attempt {n} was overwritten unread"
    if w.alarm == "none" and (w.state not in ENDED or any(t.outcome == A.OPEN for t in w.tries)):
        return f"a {w.state} job that is owed something has no alarm"
    if w.state is State.ARCHIVED and not w.stored:
        return "archived, and there is no object"
    if not m.beat and not w.bell and due(w, m) and all(x.doing == "idle" for x in w.workers):
        return "the row is due, and nobody will look at it"
    return ""
