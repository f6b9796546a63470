"""What must be true at the end of a run, when nothing is left to happen; and of every object that is archived."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sim_bucket import MARK, SimBucket, Stored, film, task_of
from sim_gateways import ELSEWHERE, SIZE, Owner, Task
from sim_words import check_answered

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED, State
from storage.keys import sidecar_key

if TYPE_CHECKING:
    from sim_rows import AttemptRow
    from sim_rules import JobRow, Rules

    from jobs.upkeep.audit import Report

PAID = {Standing.CHARGED, Standing.UNCERTAIN}
CLOCKS = ("clock_set_back", "clock_jumps")
ALIKE_S = 1  # a film that is longer or shorter by that shows nothing
LONGEST_STEP_S = 2_400  # from a step's last look at the bucket to its commit, with all that fate may put between


def check_object(rules: Rules, job: JobRow) -> None:
    """`archived`, just now or at the end."""
    bucket: SimBucket = rules.bucket
    stored = bucket.objects.get(job.archive_key)
    rules.check("archived-is-true", stored is not None, f"{job.id}: nothing stands at {job.archive_key}")
    assert stored is not None
    mark = check_mark(rules, job, stored)
    rules.check("archived-is-true", bucket.puts.get(job.archive_key) == 1, f"{job.id} was put more than once")
    whose = stored.metadata.get("rushes-job")
    rules.check("archived-is-true", whose == job.id, f"{job.id}: the object is {whose}'s")
    sha256 = hashlib.sha256(stored.content).hexdigest()
    rules.check("archived-is-true", sha256 == job.sha256, f"{job.id}: the object has other bytes than its row says")
    if mark is None:
        task = rules.gateways.tasks.get(task_of(stored.content))
        is_whole = task is not None and stored.content in _films(task)
        rules.check("archived-is-true", is_whole, f"{job.id}: the object is no whole film")
    else:
        task = next((t for t in rules.gateways.tasks.values() if _is_part_of(stored.content, t)), None)
    assert task is not None
    is_own = task.owner[0] == job.id or _cannot_be_told(rules, job, task)
    rules.check("archived-is-true", is_own, f"{job.id} holds the film of {task.owner}")


def check_mark(rules: Rules, job: JobRow, stored: Stored) -> str | None:
    """Who took the archived film in place of the proof."""
    bucket, mark = rules.bucket, stored.metadata.get(MARK)
    rules.check("proven-stays", job.archive_key not in bucket.replaced, f"{job.id}: a proven film was replaced")
    said = {mark, job.accepted_by, json.loads(bucket.small[sidecar_key(job.archive_key)])["accepted_by"]}
    rules.check("proven-or-accepted", len(said) == 1, f"{job.id} was accepted by {said}")
    is_taken = mark is None or hashlib.sha256(stored.content).hexdigest() in rules.taken[job.id]
    rules.check("proven-or-accepted", is_taken, f"{job.id} bears the mark of {mark}, who never took that film")
    return mark


def _is_part_of(content: bytes, task: Task) -> bool:
    """Whether these are bytes of the task's film, whole (of a length that nobody ordered) or cut."""
    return any(content in (each, each[:-5]) for each in _films(task))


def _films(task: Task) -> list[bytes]:
    return [film(task.provider, task.id, take) for take in range(task.takes)]


def _cannot_be_told(rules: Rules, job: JobRow, task: Task) -> bool:
    """Whether nothing shows that this film is another order's: a limit that the threat model names.

    A gateway's own callback, under this job's URL, named a task whose own order was never answered, and its film is
    like the one that was ordered here; or a person named it, and erred. Where the true owner has learnt of it, a person
    is asked to look.
    """
    misled = any(owner[0] == job.id and task_id == task.id for owner, task_id in rules.gateways.misled)
    owner = rules.attempts.get(task.owner)
    known = owner is not None and owner.task_id == task.id
    is_alike = is_like_what_was_asked(task, job)
    is_named = any(row.named_task_id == task.id for row in rules.rows.attempts_of[job.id].values())
    return misled and (is_alike or is_named) and (not known or job.flagged == "foreign_task")


def is_like_what_was_asked(task: Task, job: JobRow) -> bool:
    """Whether a task's film does not contradict what a job asked for."""
    return bool(abs(task.length_s - json.loads(job.request)["duration"]) <= ALIKE_S and task.size == SIZE)


def check_waited(rules: Rules, row: AttemptRow, now: str) -> None:
    """A job has just been archived by this order. Had its true owner been told of the task, both would have known."""
    task = rules.gateways.tasks.get((row.provider, row.task_id or ""))
    owner = rules.attempts.get(task.owner) if task is not None and task.owner[0] != row.job_id else None
    fate = rules.world.fate.struck
    waits = owner is not None and owner.is_open and owner.task_id is None and not any(fate[name] for name in CLOCKS)
    if not waits or row.task_id == row.named_task_id:
        return
    is_over = _waited_until(rules, rules.finished_at[row.owner]) <= datetime.fromisoformat(now)
    rules.check("doubted-waits", is_over, f"{row.owner} bears {row.task_id} of {task and task.owner}")


def check_rivals(rules: Rules, row: AttemptRow, now: str) -> None:
    """A job has just been archived by this order. Had callbacks told it of its own task as well?"""
    own = _own_task(rules, row.owner, row.provider)
    fate = rules.world.fate.struck
    if own is None or own.id == row.task_id or row.task_id == row.named_task_id or any(fate[name] for name in CLOCKS):
        return
    if _bears_a_lost_one(rules, row):  # both are its own, and only one can be archived
        return
    told = rules.database.rows(
        "SELECT heard_at FROM hearsay WHERE job_id = ? AND attempt = ? AND task_id = ?", *row.owner, own.id
    )
    # What is told while it is copied may be late.
    is_told = bool(told) and told[0][0] < rules.finished_at[row.owner] and own.id not in row.rejected_task_ids
    lives_on = own.told & {"queued", "running", "finished"} and not own.told & {"failed", "retryable"}
    is_over = datetime.fromisoformat(now) >= _waited_until(rules, rules.finished_at[row.owner])
    was_asked = rules.lives.was_asked(row.provider, own.id)
    is_decided = not is_told or is_over or (was_asked and not lives_on)
    rules.check("two-tasks-wait", is_decided, f"{row.owner} bears {row.task_id}, and was told of {own.id}")


def check_failure(rules: Rules, old: AttemptRow | None, row: AttemptRow, now: str) -> None:
    """An order's row has just become failed: if the task is another's, it has waited as a film does."""
    task = rules.gateways.tasks.get((row.provider, row.task_id or ""))
    if task is None or task.owner == row.owner:
        if _bears_a_lost_one(rules, row):  # its number was used again, of which nobody knows the task
            rules.misjudged.add(row.owner)
        return
    since = old.closed_at if old is not None and old.is_open else None
    waited = since is not None and datetime.fromisoformat(now) >= _waited_until(rules, since)
    fate = rules.world.fate.struck
    named = row.task_id == row.named_task_id or any(fate[name] for name in CLOCKS)
    rules.check("failure-waits", waited or named, f"{row.owner} is failed by {task.id} of {task.owner}")
    rules.misjudged.add(row.owner)


def _own_task(rules: Rules, owner: Owner, provider: str) -> Task | None:
    orders = [o for i, o in enumerate(rules.gateways.orders) if i not in rules.forgotten and o.owner == owner]
    return next((o.task for o in orders if o.task is not None and o.provider == provider), None)


def _waited_until(rules: Rules, heard_at: str) -> datetime:
    return datetime.fromisoformat(heard_at) + timedelta(seconds=rules.settings.unconfirmed_window_s)


def _bears_a_lost_one(rules: Rules, row: AttemptRow | None) -> bool:
    """Whether a row has the task of an order that the database lost in silence; its number was used again since."""
    lost = [order.task for order in rules.losses.orders if row is not None and order.owner == row.owner]
    return row is not None and any(task is not None and task.id == row.task_id for task in lost)


def check_odd(rules: Rules, row: AttemptRow) -> None:
    """An order's row has just been changed by a report that may hold odd values."""
    task = rules.gateways.tasks.get((row.provider, row.task_id or ""))
    if task is not None and row.is_open and row.finished_at is not None and task.link_from == 0:
        rules.check("oddity-harmless", row.link is not None, f"{row.owner} has no link, and {task.id} has told one")
    cost = row.reported_credits
    rules.check("oddity-harmless", cost is None or 0 <= cost < math.inf, f"{row.owner} is said to cost {cost}")


def check_own_id(rules: Rules, old: AttemptRow | None, row: AttemptRow) -> None:
    """An order's row has just been changed: what other orders were told of its task strikes it from none of them."""
    struck = set(json.loads(row.rejected_task_ids)) - set(json.loads(old.rejected_task_ids) if old else ())
    if not struck:
        return
    fate = rules.world.fate.struck
    seems_old = rules.gateways.clock_off_s[row.provider] or any(fate[name] for name in CLOCKS)
    # A backup that was put back forgets an order, and the next one bears its number: that one's task is younger, or the
    # same under its idempotency key.
    known = (order for number, order in enumerate(rules.gateways.orders) if number not in rules.forgotten)
    made = (o.task for o in known if o.owner == row.owner and o.task and o.provider == row.provider)
    own = {task.id for task in made if rules.is_young(task, row)}
    own -= {other.task_id for other in rules.rows.attempts_of[row.job_id].values()}  # of another order of its own job
    named_wrongly = fate["person_errs"]  # a person gave it to another order
    is_kept = seems_old or named_wrongly or not own & struck
    rules.check("own-id-kept", bool(is_kept), f"{row.owner} has struck its own task, of {struck}")


def check_nothing_left(rules: Rules, job: JobRow) -> None:
    """A transfer has failed for good. What a HEAD could have found must not be there."""
    stored, landed = rules.bucket.objects.get(job.archive_key), rules.bucket.landed.get(job.archive_key)
    there = stored is not None and stored.metadata.get("rushes-job") == job.id
    seen = landed is not None and landed < rules.world.now - LONGEST_STEP_S
    row = rules.attempts.get((job.id, job.attempt))
    same = row is not None and stored is not None and stored.metadata.get("rushes-task") == row.task_id
    rules.check("nothing-left-behind", not (there and seen and same), f"{job.id} fails beside its own video")


def check_audit(rules: Rules, report: Report) -> None:
    """Somebody has held the account, at any time."""
    wrong = []
    for found, _ in report.findings:
        landed_at = rules.bucket.landed.get(found.key or "", 0.0)
        is_late = found.code == "object_not_adopted" and landed_at > rules.given_up_at.get(found.key or "", landed_at)
        if found.code != "foreign_object" and not is_late:  # strangers leave such, and a PUT that took too long
            wrong.append(found)
    rules.check("balances", rules.was_restored or not wrong, f"the audit finds {wrong}")


def check_rest(rules: Rules, calm_at: float, bound_s: float, archiving: dict[str, Task]) -> None:
    """Nothing is left to happen: look at everything once more."""
    world = rules.world
    for job in rules.jobs.values():
        rules.check("comes-to-rest", job.state in ENDED, f"{job.id} is {job.state}, and nothing will happen any more")
        rules.check("comes-to-rest", job.alarm_at is None, f"{job.id} is {job.state}, with an alarm")
        if job.state == State.ARCHIVED:
            check_object(rules, job)
    rest_s = world.now - calm_at
    rules.check("comes-to-rest", rest_s <= bound_s, f"it took {rest_s:.0f} s after the last fault")
    for job_id, task in archiving.items():
        row = rules.jobs[job_id]
        if task.owner[0] == ELSEWHERE:  # its film may show that
            continue
        rules.check("keeps-trying", row.state == State.ARCHIVED, f"{job_id} is {row.state}; {task.id} could be fetched")
    for position, order in enumerate(rules.gateways.orders):
        task = order.task
        if task is None or task.made_at is None or position in rules.forgotten:
            continue
        attempt = rules.attempts.get(order.owner)
        if rules.told_ids.get(order.owner, ("", 0))[0] == task.id:
            rules.check_told(order.owner, task.id, attempt)
        if task.told & {"failed", "retryable"} and task.reversed_at is not None:
            continue  # it was called failed, and nobody owes it another look
        standing = attempt.standing if attempt else None
        if _bears_a_lost_one(rules, attempt):  # of two under one number the row has but one
            continue
        if order.owner in rules.misjudged or (attempt is not None and rules.words.excuse(attempt, task)):
            continue
        rules.check("money-known", standing in PAID, f"{order.owner} was paid for, and stands as {standing}")
        outcome = attempt.outcome if attempt else None
        rules.check("money-known", outcome != AttemptOutcome.OPEN, f"{order.owner} is still open")
    check_answered(rules)
    undelivered = rules.database.rows(
        "SELECT job_id, sequence FROM notices WHERE delivered_at IS NULL AND tries < 9"
        " AND (last_status IS NULL OR last_status <> 410)"
    )
    rules.check("told", not undelivered, f"notices {undelivered} were never delivered")
    numbers = rules.database.rows("SELECT job_id, count(*), max(sequence) FROM notices GROUP BY job_id")
    numbers = [row for row in numbers if row[0] not in rules.pruned]
    # After a restored backup numbers leap, so that what is told from then on outranks what nobody remembers.
    gaps = not rules.was_restored and any(n != last for _, n, last in numbers)
    rules.check("told", not gaps, f"notices have gaps: {numbers}")
