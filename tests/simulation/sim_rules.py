"""What must hold after every commit, and at every POST: each rule by its name, which docs and failures use.

The rules read the tables with SQL of their own and compare them with the row before and with the world's truth; they
share no code with the steps but the table of transitions and the enums.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sim_aside import Aside
from sim_database import SimDatabase
from sim_dialects import DIALECTS
from sim_gateways import KEY_LIFE_S, Gateways, Order, Owner, Task
from sim_lives import Lives, check_end, check_in_time
from sim_losses import Losses, check_word_kept
from sim_risks import Risks
from sim_rows import AttemptRow, CallbackRow, Changes, JobRow, Rows
from sim_truths import (
    check_failure,
    check_nothing_left,
    check_object,
    check_odd,
    check_own_id,
    check_rivals,
    check_waited,
    is_like_what_was_asked,
)
from sim_waits import Waits
from sim_words import SAID, Words, check_heard, check_taken
from sim_world import BEGIN, Actor, Violated, World

from jobs.intake.accepting import ACCEPT_FILM
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED, TRANSITIONS, Event, State
from jobs.settings import Settings
from jobs.store.history import PRUNED

RULES = {
    "accepted-kept": "no accepted job disappears",
    "version-raised": "every change of a job's row raises its version",
    "lease-respected": "nobody takes or frees a lease that another has and that has not run out",
    "final-states": "`archived` and `cancelled` are never left; `failed` only by prove, retry and retry_transfer",
    "history-is-a-path": "a job's history is a path of the table, and ends where the job is",
    "alarmed": "every job that is owed something has an alarm that will ring",
    "cancelled-is-free": "a job is cancelled only while none of its orders may be made, has been, or is asked about",
    "served": "once the faults have stopped, a due row is served",
    "news-kept": "no news is overwritten: unread news wants the job at once, and nobody reads what he has not seen",
    "news-first": "no byte of a new order is let leave while news of its job is unread",
    "marked-first": "no byte leaves before a committed row says that it may",
    "one-post": "at most one POST per attempt, but for re-sends under a key that the gateway still honours",
    "no-blind-second": "no second order while an earlier one may have been taken, unless the client chose it",
    "failure-waits": "a task's failure that callbacks alone have told waits for as long as for a lost answer",
    "two-tasks-wait": "of two tasks that an order was told, none is archived while the other one lives",
    "unsent-is-true": "an attempt that says not sent, or refused, has no task at any gateway",
    "verdict-is-true": "a gateway's verdict on a row is what the gateway answered to our own query",
    "own-task": "a task id on an attempt's row is that attempt's own order, and no other takes a proven one's place",
    "link-of-task": "the link on an attempt's row is one of its own task's, told of that task",
    "forged-moves-nothing": "a callback without a genuine token changes no row",
    "standing": "every attempt has the one standing that its outcome allows",
    "money-adds-up": "a gateway's spending of a day is the sum of its attempts' reservations",
    "room-kept": "a claim never exceeds the room at a gateway, nor the budget of its day",
    "few-at-risk": "of a key's orders at most five are on their way, also again, or lost; one a rest more",
    "probed-by-one": "while a lane rests no order goes, also not again, and after its rest one alone until its answer",
    "rest-kept": "nothing that left before a rest began ends or lengthens it",
    "oddity-harmless": "of odd values in a good answer none is kept that is no amount, and no link is passed over",
    "doubted-waits": "a film that another order's lost answer may have been about waits for as long as for that answer",
    "undecided-waits": "no job is archived while another one lays claim to its task",
    "own-id-kept": "no order's true task is struck from those that may be its own, unless it seems older than it",
    "heard-of": "an order is given up only after the tasks that its callbacks told of were asked about",
    "no-strangers-order": "an order that no row knew is recognised, or a guess at one corrected, only if it was made",
    "lost-order-known": "no second order is made where a callback or the journal tells of one that the database lost",
    "asked-again": "a gateway that was silent is asked again, once a minute, while jobs wait for it",
    "nobody-blamed": "where several gateways are out of reach and none has answered since, none of them is called ill",
    "not-stranded": "no job stays queued for long while a gateway of its route is well and has room",
    "waits-truly": "a queued job that is held by news says which gateway is asked, and no other job says so",
    "no-step-raises": "no step ends in an exception of our own",
    "answer-kept": "what a worker is told of a task id stands in the journal until its attempt's row has it",
    "nothing-left-behind": "no transfer is called failed while its own video stands in the bucket",
    "archived-is-true": "`archived` means: the object is there, whole, once, and this job's",
    "proven-or-accepted": "what is archived plays, or a person took these very bytes, and row and object say who",
    "proven-stays": "an accepted film never takes the place of a proven one",
    "money-known": "every task that was paid for stands charged or uncertain on its attempt's row",
    "comes-to-rest": "once the faults stop, every job ends within a bounded time, and nothing stays to be done",
    "keeps-trying": "a video that can still be fetched once the faults stop is archived",
    "settled-unheld": "an order is called not made only while nobody holds its job",
    "late-word": "a callback for an order that is over without a video wakes its job while task and link can live",
    "word-outweighed": "a person's word about the money yields to what the gateway says anew, and to nothing else",
    "ends-in-time": "nothing is generating for longer than its task and a link can live, and an hour",
    "asked-before-the-end": "a task is given up once its gateway has answered after its life, or has not for an hour",
    "finished-is-paid": "a task that its gateway last called finished is not given up as one of which nobody knows",
    "named-answered": "a task that a person named is believed or refused in the end",
    "balances": "an audit finds nothing but strangers' objects, late ones, and what a backup forgot, at all times",
    "aside-for-deaths": "a job is set aside after three deaths of its holders in a row, and for an hour at most",
    "told": "every notice is delivered once the faults stop, in the end",
}

S, A = State, AttemptOutcome
LEAVES_FAILED = {Event.PROVE, Event.RETRY, Event.RETRY_TRANSFER}
STANDINGS: dict[str, set[str]] = {
    A.OPEN: {Standing.NONE, Standing.HELD, Standing.UNCERTAIN},
    A.NOT_SENT: {Standing.NONE},
    A.REFUSED: {Standing.NONE},
    A.FAILED: {Standing.REFUNDED, Standing.UNCERTAIN},
    A.FINISHED: {Standing.CHARGED},
    A.DELIVERED: {Standing.CHARGED},
    A.UNDELIVERED: {Standing.CHARGED},
    A.EXPIRED: {Standing.UNCERTAIN, Standing.NONE},  # the second: of an order that was only suspected
    A.NOT_MADE: {Standing.NONE},
}
NEVER_TAKEN = {A.NOT_SENT, A.REFUSED}
SETTLED = {A.NOT_SENT, A.REFUSED, A.FAILED, A.NOT_MADE}  # an order that is over without a video
ASKS = {S.UNCONFIRMED, S.GENERATING}
TOLERANCE = timedelta(minutes=5, seconds=1)
LONGEST_NOTICE_PAUSE_S = 86_400 * 0.05 * 1.1  # the last of the timetable, in runs, with its jitter
SERVED_WITHIN_S = 900  # a lease that ran on when the faults stopped, a sleep, and a round of the sweep


LINES = "SELECT id, job_id, event, attempt, from_state, to_state, detail FROM events WHERE id > ? ORDER BY id"


class Rules:
    """Looks after every commit. `moves` counts the transitions that were taken, for the coverage of a run."""

    def __init__(self, world: World, database: SimDatabase, settings: Settings) -> None:
        self.world, self.database, self.settings = world, database, settings
        self.gateways: Gateways
        self.rows = Rows(database)
        self.accepted: set[str] = set()
        self.failed_now: list[str] = []  # jobs that have just failed, for whoever watches
        self.moves: Counter[tuple[State, Event]] = Counter()
        self.chosen_again: dict[str, int] = {}  # per job: up to which attempt the client chose to order again
        self.was_restored = False
        self.pruned: set[str] = set()  # jobs whose histories and notices are gone
        self.is_ordered_again = False  # a job has just been queued once more, with an order that may have been taken
        self.accepts: set[str] = set()  # jobs whose clients have said that they may be paid twice
        self.on_way_now: list[str] = []  # jobs that have just become submitting or unconfirmed
        self.queued_again_now: list[str] = []  # jobs that have just been queued anew
        self.contested_now: list[str] = []  # jobs that say that another lays claim to their task
        self.refused_now: list[str] = []  # jobs of which the proof has just refused a film
        self.taken: dict[str, set[str]] = defaultdict(set)  # by job: the SHA-256 of films that people have accepted
        self.asked_now: list[str] = []  # unconfirmed jobs that a step has just taken
        # The task ids that answers to POSTs have brought to a worker, and when.
        self.told_ids: dict[Owner, tuple[str, float]] = {}
        self.borne_since: dict[Owner, float] = {}  # the task that an order's row has
        self.finished_at: dict[Owner, str] = {}  # when orders were heard to have finished
        self.given_up_at: dict[str, float] = {}  # when transfers failed for good, by the video's key
        self.in_journal: Callable[[Owner], bool] = lambda owner: False
        self.forgotten: set[int] = set()  # orders (by position) that a restored backup does not know
        self.misjudged: set[Owner] = set()  # orders that another's failed task was believed of, in the end
        self.words = Words()
        self.excused: set[int] = set()  # those among them that may have been bought a second time
        self._line = 0
        self.risks = Risks(world, self.rows, settings)
        self.lives = Lives(world)
        self.losses = Losses(self)
        self.waits = Waits(world, self.rows, settings)
        self.aside = Aside(self.check)

    @property
    def jobs(self) -> dict[str, JobRow]:
        return self.rows.jobs

    @property
    def attempts(self) -> dict[Owner, AttemptRow]:
        return self.rows.attempts

    def unconfirmed(self) -> set[Owner]:
        return {(job.id, job.attempt) for job in self.jobs.values() if job.state == S.UNCONFIRMED}

    def check(self, rule: str, holds: bool, said: str) -> None:
        if not holds:
            raise Violated(rule, said)

    def committed(self) -> None:
        """After every commit that changed something."""
        now = self.world.database_time().isoformat(timespec="microseconds")
        changes = self.rows.read_changes()
        before = {change.row.id: change.old for change in changes.jobs}
        self._moved(self.database.rows(LINES, self._line))
        for old_attempt, attempt in changes.attempts:
            if attempt is not None:
                self._attempt_changed(old_attempt, attempt, now)
                job_before = before.get(attempt.job_id, self.jobs.get(attempt.job_id))
                check_taken(self, old_attempt, attempt, job_before, now)
                check_end(self, old_attempt, attempt, now)
        for old, job in changes.jobs:
            self.check("accepted-kept", job is not None or old.id not in self.accepted, f"{old} is gone")
            if old is not None and job is not None:
                self._job_changed(old, job, now)
            if job is not None:
                self.waits.changed(old, job)
                self._claimed(old, job)
        for old_callback, callback in changes.callbacks:
            self._callback_changed(old_callback, callback, before, now)
        touched = [*before, *(c.row.job_id for c in changes.attempts), *(c.row.job_id for c in changes.callbacks)]
        for job_id in dict.fromkeys(touched):
            if job_id in self.jobs:
                self._alarmed(self.jobs[job_id], now)
        self._money(changes)
        self.risks.committed(changes)
        self.waits.committed({change.row.key for change in (*changes.attempts, *changes.lanes)})

    def restored(self, taken_at: float, *, is_told: bool) -> None:
        """A backup was put back: what stands there is the past that everything is now compared with.

        Of what was ordered since, nothing is known. A job that was live then is still not to be bought twice, nor one
        that had failed: its client may have tried it again. Where the service is not told of it, an order is as good as
        never made, until something tells of it.
        """
        self.was_restored = True
        lost = {i for i, order in enumerate(self.gateways.orders) if order.at > taken_at}
        self.forgotten |= lost
        if not is_told:
            self.excused |= lost
            self.losses.lost([self.gateways.orders[i] for i in sorted(lost)])
        self.rows.read_all()
        self.aside.restored(dict(self.database.rows("SELECT id, holder_deaths FROM jobs")))
        self.risks.restored()
        self.lives.restored(taken_at)
        # What an answer said may be lost with the row: the journal lets go of it once that is written.
        lost_ids = {owner for owner, at in self.borne_since.items() if at > taken_at and not self.in_journal(owner)}
        told_ids = {owner: told for owner, told in self.told_ids.items() if told[1] <= taken_at}
        self.told_ids = {owner: told for owner, told in told_ids.items() if owner not in lost_ids}
        self._line = self.database.rows("SELECT coalesce(max(id), 0) FROM events")[0][0]
        self.accepted &= self.jobs.keys()
        may_order = {job.id for job in self.jobs.values() if job.state not in (S.ARCHIVED, S.CANCELLED)}
        self.excused |= {i for i in self.forgotten if self.gateways.orders[i].owner[0] not in may_order}
        self.failed_now = [job.id for job in self.jobs.values() if job.state == S.FAILED]  # their clients look again

    def posted(self, order: Order) -> None:
        """A byte of an order leaves."""
        job_id, number = order.owner
        self._heard(self.world.actor)  # a sweep in place asks and orders in one
        self.losses.posted(order)
        known = [o for i, o in enumerate(self.gateways.orders) if i not in self.excused and o.owner[0] == job_id]
        again = [o for o in known if o.owner[1] == number]
        if again and order.key is not None:
            self.check("one-post", order.key == again[0].key, f"{order.owner} under two keys")
            first = again[0]
            age = order.at - first.at
            if not self._was_of_the_future(first):  # a clock that was set back has made it younger, which nothing shows
                age += min(0.0, order.clock_off_s - first.clock_off_s)
            self.check("one-post", age < KEY_LIFE_S, f"{order.owner} is sent again {age:.0f} s after the first time")
        else:
            self.check("one-post", not again, f"{order.owner} is sent to {order.provider} a second time")
        for other in known:
            # Whoever chose to order again after an attempt accepts that one and whatever comes after it.
            if other.owner[1] == number or min(number, other.owner[1]) <= self.chosen_again.get(job_id, 0):
                continue
            if self.words.free & {order.owner, other.owner}:  # a person has taken that risk
                continue
            row = self.attempts.get(other.owner)
            is_settled = row is not None and row.outcome in SETTLED
            if again and row is not None and self._may_order_beside(job_id, row):
                continue
            if row is not None and row.outcome == A.FAILED and other.owner not in self.misjudged:
                made = {each.task.id for each in known if each.owner == other.owner and each.task}  # by a re-send
                is_settled = row.task_id in made
            said = f"{row.outcome} by {row.task_id}" if row else "unknown"
            self.check("no-blind-second", is_settled, f"{order.owner} is sent while {other.owner} is {said}")

    def _was_of_the_future(self, order: Order) -> bool:
        """Whether the clock was ever set back behind the time at which this order left."""
        left_at = order.at + order.clock_off_s
        return any(at > order.at and left_at > at + off for at, off in self.world.clock_sets)

    def _may_order_beside(self, job_id: str, row: AttemptRow) -> bool:
        """Whether the client said that another order may follow this one, and its time has come."""
        wait = timedelta(seconds=self.settings.resubmit_after_s)
        is_chosen = self.jobs[job_id].on_unconfirmed == "resubmit" and row.outcome == A.OPEN and row.lost_at is not None
        return is_chosen and datetime.fromisoformat(row.lost_at or "") + wait <= self.world.database_time()

    def ended(self, actor: Actor) -> None:
        """An actor has done its work, and was not killed at it."""
        self._heard(actor)
        if actor.accepted is None or actor.dead:
            return
        owner, task_id = actor.accepted
        if not self.in_journal(owner):
            self.check_told(owner, task_id, self.attempts.get(owner))

    def _heard(self, actor: Actor | None) -> None:
        for question in () if actor is None or actor.dead else actor.asked:
            self.losses.asked(*question)

    def check_told(self, owner: Owner, task_id: str, row: AttemptRow | None) -> None:
        """An attempt's row has the task id that the answer to its POST brought."""
        written = row is not None and (row.task_id == task_id or task_id in row.rejected_task_ids)
        foreign = row is not None and row.outcome == A.DELIVERED  # a person is asked to look
        self.check("answer-kept", written or foreign, f"{owner} is {task_id}, and its row does not say so: {row}")

    def served(self, calm_at: float) -> None:
        """At a look of the sweep, some time after the last fault."""
        if self.world.now < calm_at + SERVED_WITHIN_S:
            return
        long_ago = _later(self.world.database_time().isoformat(timespec="microseconds"), -SERVED_WITHIN_S)
        for job in self.jobs.values():
            waits = job.alarm_at is not None and max(job.alarm_at, job.leased_until or "") < long_ago
            self.check("served", not waits, f"{job.id} is {job.state}, due since {job.alarm_at}")
            check_in_time(self, job, self.world.time_at(calm_at), self.world.database_time())
        latest = _later(self.world.database_time().isoformat(timespec="microseconds"), LONGEST_NOTICE_PAUSE_S)
        asleep = self.database.rows("SELECT id, alarm_at FROM notices WHERE alarm_at > ?", latest)
        self.check("served", not asleep, f"notices {asleep} sleep for longer than their timetable has")

    def forged(self, writes_before: int, status: int) -> None:
        self.check("forged-moves-nothing", status == 404, f"answered {status}")
        self.check("forged-moves-nothing", self.database.writes == writes_before, "a row has changed")

    def _moved(self, lines: list[tuple[Any, ...]]) -> None:
        for number, job_id, event, attempt, before, after, detail in lines:
            self._line = number
            self.world.tell(f"history: {event}", job_id[-2:], attempt, *([f"{before} -> {after}"] if after else []))
            if event == "step_raised":
                raise Violated("no-step-raises", f"{job_id}: {detail}")
            if event == Event.SETTLE and self.words.hear(
                (job_id, attempt), detail, self.attempts.get((job_id, attempt))
            ):
                self._ordered_again(job_id)
            if event == ACCEPT_FILM:
                self.taken[job_id].add(json.loads(detail)["sha256"])
            if event == PRUNED:
                self.pruned.add(job_id)
            if not after or event in ("created", "rebuilt", PRUNED):
                continue
            state, move = State(before), Event(event)
            if state is S.FAILED:
                self.check("final-states", move in LEAVES_FAILED, f"{job_id} leaves failed by {event}")
            self.check("final-states", state not in (S.ARCHIVED, S.CANCELLED), f"{job_id} leaves {state} by {event}")
            self.check("history-is-a-path", TRANSITIONS[state].get(move) == after, f"{before} {event} {after}")
            self.moves[state, move] += 1
            if self._is_chosen(move, job_id):
                self.chosen_again[job_id] = max((n for j, n in self.attempts if j == job_id), default=0)
                self._ordered_again(job_id)

    def _ordered_again(self, job_id: str) -> None:
        """Somebody has decided that the job may be ordered once more, whatever is forgotten of it."""
        self.is_ordered_again = True
        self.excused |= {i for i, o in enumerate(self.gateways.orders) if i in self.forgotten and o.owner[0] == job_id}

    def _is_chosen(self, move: Event, job_id: str) -> bool:
        """Whether by this move the client takes the risk of paying twice."""
        if move is Event.RETRY:
            return job_id in self.accepts
        return move is Event.RESUBMIT and self.jobs[job_id].on_unconfirmed == "resubmit"

    def _job_changed(self, old: JobRow, job: JobRow, now: str) -> None:
        if old._replace(leased_until=job.leased_until) != job:
            self.check("version-raised", job.version > old.version, f"{old} became {job}")
        is_aside = self.aside.changed(old, job, now)
        if old.state != job.state:
            self._path(job)
            if job.state == S.FAILED:
                self.failed_now.append(job.id)
                if old.state == S.ARCHIVING:
                    check_nothing_left(self, job)
                    self.given_up_at[job.archive_key] = self.world.now
            if job.state in (S.SUBMITTING, S.UNCONFIRMED):
                self.on_way_now.append(job.id)
            if job.state == S.QUEUED:
                self.queued_again_now.append(job.id)
            if job.state == S.ARCHIVED:
                check_object(self, job)
                undecided = self.attempts[job.id, job.attempt].contested
                self.check("undecided-waits", not undecided, f"{job.id} is archived, and its task is contested")
                check_waited(self, self.attempts[job.id, job.attempt], now)
                check_rivals(self, self.attempts[job.id, job.attempt], now)
            if job.state == S.CANCELLED:
                mine = self.rows.attempts_of[job.id].values()
                open_ones = [a.owner for a in mine if a.is_open or a.outcome == A.FINISHED]
                self.check("cancelled-is-free", not open_ones, f"{job.id} is cancelled beside {open_ones}")
                asked = self.rows.has_unread(job.id) or any(a.is_asked_about for a in mine)
                self.check("cancelled-is-free", not asked, f"{job.id} is cancelled, and there is news of it")
        if old.lease_holder is not None and job.lease_holder is None and job.troubles == 0 and job.state in ASKS:
            unread = self.rows.has_unread(job.id)
            calm = unread and job.updated_at <= _later(now) and not is_aside
            waits = job.alarm_at is None or job.alarm_at > _later(now)
            self.check("news-kept", not (calm and waits), f"{job.id} has unread news, and is left until {job.alarm_at}")
        if old.lease_holder is not None and job.lease_holder != old.lease_holder and self.world.actor is not None:
            assert old.leased_until is not None
            mine = old.lease_holder in self.world.actor.holders
            over = old.leased_until <= now or old.updated_at > _later(now)
            self.check(
                "lease-respected",
                mine or over,
                f"{old.id}: {old.lease_holder} has it until {old.leased_until}, at {now}",
            )
        if job.flagged == "contested_task" and old.flagged != job.flagged:
            self.contested_now.append(job.id)
        self.check("no-step-raises", job.flagged != "raises", f"{job.id} is set aside")

    def _claimed(self, old: JobRow | None, job: JobRow) -> None:
        """Whoever takes a lease, or writes and keeps it, has the callbacks that are there before it."""
        actor = self.world.actor
        if actor is None or job.lease_holder is None:
            return
        is_taken = old is None or old.lease_holder != job.lease_holder
        if is_taken:
            actor.holders.add(job.lease_holder)
            if job.state == S.SUBMITTING:
                self.risks.claimed(self.attempts[job.id, job.attempt])
            elif job.state == S.UNCONFIRMED:
                self.asked_now.append(job.id)
        if is_taken or (job.lease_holder in actor.holders and old is not None and old.version != job.version):
            actor.seen = set(self.rows.callbacks_of[job.id])

    def _path(self, job: JobRow) -> None:
        told = self.database.rows("SELECT id, to_state FROM events WHERE job_id = ?", job.id)
        for (packed,) in self.database.rows("SELECT lines FROM histories WHERE job_id = ?", job.id):
            told += [(line[0], line[5]) for line in json.loads(zlib.decompress(packed))]
        numbers = [number for number, _ in told]
        self.check(
            "history-is-a-path", len(numbers) == len(set(numbers)), f"{job.id}: a line stands twice in {numbers}"
        )
        last = [state for _, state in sorted(told) if state is not None][-1:]
        self.check("history-is-a-path", last == [job.state], f"{job.id} is {job.state}, not {last}")

    def _attempt_changed(self, old: AttemptRow | None, row: AttemptRow, now: str) -> None:
        actor, owner = self.world.actor, row.owner
        if row.unproven and (old is None or old.unproven != row.unproven):
            self.refused_now.append(row.job_id)
        if actor is not None and row.sends > (old.sends if old else 0):
            actor.marked = owner
            # Else a row is made of an order that none knew, or knew as not made.
            if old is not None and row.lost_at is not None and row.origin == old.origin:
                self.risks.resent(row)
            overtaken = self.jobs[row.job_id].state == S.SUBMITTING and self.rows.has_unread(row.job_id)
            self.check("news-first", not overtaken, f"{owner} is let leave before news of its job is read")
        allowed = {SAID[row.settled]} if row.settled else STANDINGS[row.outcome]
        self.check("standing", row.standing in allowed, f"{owner} is {row.outcome} and {row.standing}")
        if row.outcome == A.EXPIRED and row.standing == Standing.NONE and row.settled is None:
            self.check("standing", row.origin != "ordered", f"{owner} was sent, expired, and stands as free")
        if row.outcome != A.OPEN and row.standing in (Standing.NONE, Standing.REFUNDED):
            self.check("standing", row.reserved_micro_usd == 0, f"{owner} is free, and still takes of its budget")
        if row.task_id and (old is None or old.task_id != row.task_id):
            self.borne_since[owner] = self.world.now
            task = self.gateways.tasks.get((row.provider, row.task_id))
            self.check("own-task", task is not None, f"{owner} bears {row.task_id}, which no gateway made")
            assert task is not None
            excused = row.adopted and self._is_misled(task, row) and self.is_young(task, row)
            excused = excused or self._has_next_number(task, row)
            self.check("own-task", task.owner == owner or excused, f"{owner} bears {row.task_id} of {task.owner}")
        # What a person named is no proof: the gateway's later word outweighs theirs.
        if old is not None and old.task_id is not None and not old.adopted and old.task_id != old.named_task_id:
            self.check("own-task", row.task_id == old.task_id, f"{owner} bore {old.task_id}, and has it no more: {row}")
        if row.link is not None:
            linked, _ = self.gateways.find(row.link)
            self.check(
                "link-of-task", linked.id == row.task_id, f"{owner} is {row.task_id}, with a link of {linked.id}"
            )
        check_odd(self, row)
        check_own_id(self, old, row)
        if old is not None:
            check_word_kept(self, old, row)
        if old.provider != row.provider if old is not None and row.origin != "ordered" else row.origin == "called_back":
            made = [o for o in self.gateways.orders if o.owner == owner and o.provider == row.provider]
            misled = [t for o, t in self.gateways.misled if o == owner and (row.provider, t) in self.gateways.tasks]
            by_journal = any(o.owner[0] == row.job_id and o.provider == row.provider for o in self.losses.orders)
            made_or_misled = made or misled or by_journal
            self.check("no-strangers-order", bool(made_or_misled), f"{owner} at {row.provider} was never made")
        if old is None or old.outcome != row.outcome:
            self._verdict(owner, row)
            if row.outcome == A.FAILED:
                check_failure(self, old, row, now)
            if row.outcome == A.FINISHED and row.closed_at is not None:
                self.finished_at[owner] = row.closed_at

    def _verdict(self, owner: Owner, row: AttemptRow) -> None:
        if row.outcome in NEVER_TAKEN:
            taken = [o.task.id for o in self._orders(owner) if o.task is not None and o.provider == row.provider]
            self.check("unsent-is-true", not taken, f"{owner} is {row.outcome}, and there is {taken}")
        if row.outcome in (A.FAILED, A.FINISHED):
            task = self.gateways.tasks.get((row.provider, row.task_id or ""))
            told = task.told if task else set()
            said = {"finished"} if row.outcome == A.FINISHED else {"failed", "retryable"}
            self.check("verdict-is-true", bool(told & said), f"{owner} is {row.outcome}; {row.task_id} said {told}")

    def is_young(self, task: Task, row: AttemptRow) -> bool:
        """Whether nothing speaks against a task that a gateway's callback named: it is no older than the order."""
        made = BEGIN + timedelta(seconds=task.at + self.gateways.clock_off_s[task.provider])
        tells = DIALECTS[task.provider].callback is not None  # those that call back tell when
        return not tells or bool(row.age_unknown) or made >= datetime.fromisoformat(row.created_at) - TOLERANCE

    def _is_misled(self, task: Task, row: AttemptRow) -> bool:
        """Whether a callback told this order of another's task, or one whose film then showed it to be like ours."""
        told = {owner for owner, task_id in self.gateways.misled if task_id == task.id}
        return row.owner in told or (bool(told) and is_like_what_was_asked(task, self.jobs[row.job_id]))

    def _has_next_number(self, task: Task, row: AttemptRow) -> bool:
        """Whether it is an order that the database lost, and that its journal told: another one bears its number."""
        lost = [o.task for i, o in enumerate(self.gateways.orders) if i in self.forgotten]
        return row.origin == "forgotten" and task in lost and task.owner[0] == row.job_id

    def _orders(self, owner: Owner) -> list[Order]:
        return [o for i, o in enumerate(self.gateways.orders) if o.owner == owner and i not in self.forgotten]

    def _callback_changed(
        self, old: CallbackRow | None, callback: CallbackRow | None, before: dict[str, JobRow | None], now: str
    ) -> None:
        if callback is None:
            return
        if old is None:
            self._callback_kept(callback, before.get(callback.job_id, self.jobs.get(callback.job_id)), now)
        elif callback.read_at and old.read_at is None:
            self._callback_read(callback)

    def _callback_kept(self, callback: CallbackRow, old: JobRow | None, now: str) -> None:
        job = self.jobs.get(callback.job_id)
        if job is None or old is None or old.alarm_at is None:
            if job is not None and old is not None:
                check_heard(self, callback, job, now)
            return
        woken = job.alarm_at is not None and job.alarm_at <= now and job.version > old.version
        self.check("news-kept", woken, f"callback {callback.id} is kept, and {job.id} is not told")

    def _callback_read(self, callback: CallbackRow) -> None:
        actor = self.world.actor
        seen = actor is not None and callback.id in actor.seen
        self.check("news-kept", seen, f"callback {callback.id} of {callback.job_id} is read by one who never saw it")

    def _alarmed(self, job: JobRow, now: str) -> None:
        mine = self.rows.attempts_of[job.id].values()
        owed = job.state not in ENDED or any(a.is_open for a in mine)
        owed = owed or (job.state == S.FAILED and any(a.outcome == A.FINISHED for a in mine))
        owed = owed or any(a.is_asked_about for a in mine)
        if not owed:
            return
        self.check("alarmed", job.alarm_at is not None, f"{job.id} is {job.state}, and nothing will wake it")
        assert job.alarm_at is not None
        # What was written before the clock was set back is waited for by as much longer.
        latest = (
            _later(now, 2 * self.settings.life_s + 3_600 + self.world.set_back_s)
            if job.updated_at <= _later(now)
            else "9"
        )
        self.check("alarmed", job.alarm_at <= latest, f"{job.id} sleeps until {job.alarm_at}, at {now}")
        if self.rows.has_unread(job.id) and job.updated_at <= _later(now) and not job.is_aside:
            # At once, but for a pause after troubles of our own, and for a lease, whose holder will decide.
            wait_s = max(self.settings.retry_longest_s, 900) * 1.2
            self.check("news-kept", job.alarm_at <= _later(now, wait_s), f"{job.id} has unread news, at {now}: {job}")

    def _money(self, changes: Changes) -> None:
        rows = [*changes.attempts, *changes.spending]
        for key in dict.fromkeys((row.provider, row.day) for change in rows for row in change if row is not None):
            kept, wanted = self.rows.spent.get(key), self.rows.reserved[key]
            micro_usd = kept.micro_usd if kept else 0
            self.check("money-adds-up", micro_usd == wanted, f"{key}: {micro_usd}, not {wanted}")


def _later(now: str, seconds: float = 5) -> str:
    return (datetime.fromisoformat(now) + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
