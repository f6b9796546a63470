"""Which order a person means, and waiting until a gateway was asked about the task that they named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rushes.cli.service.api import Api
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure

MAY_BE_LOST = frozenset({"open", "expired", "not_made"})
WITHOUT_LAST_WORD = frozenset({"open", "not_sent"})


def order_meant(job: Mapping[str, Any], number: int | None, *, about_money: bool) -> int:
    """The number that was given, else that of the only order of which a person could know more than the service.

    Raises Failure where none, or more than one, could be meant.
    """
    orders = job["attempts"]
    if number is not None:
        return number
    if not orders:
        raise Failure(f"{job['id']} has not been ordered yet", failures.NOT_FOUND)
    is_open_to_it = _is_doubtful if about_money else _may_be_lost
    found = [order["number"] for order in orders if is_open_to_it(order)]
    if len(found) > 1:
        several = ", ".join(map(str, found))
        hint = f"`rushes jobs show {job['id']}` shows them"
        raise Failure(f"say which order: --attempt with one of {several}", failures.USAGE, hint=hint)
    return int(found[0] if found else job["attempt"])  # the service says why it takes no word about that one


def _may_be_lost(order: Mapping[str, Any]) -> bool:
    return order["task_id"] is None and order["outcome"] in MAY_BE_LOST


def _is_doubtful(order: Mapping[str, Any]) -> bool:
    return order["outcome"] not in WITHOUT_LAST_WORD and order["cost"]["standing"] == "uncertain"


def answered(api: Api, job: dict[str, Any], number: int, task_id: str, *, timeout_s: float | None) -> dict[str, Any]:
    """The job once the task that was named for its order was believed. Raises Failure if not, or when time is up."""

    def is_answered(now: Mapping[str, Any]) -> bool:
        return bool(_named(now, number, task_id)["state"] != "asking")

    gateway = _order(job, number)["provider"]
    if not is_answered(job):
        output.note(f"{job['id']}  {gateway} is asked about {task_id}")
    try:
        for changed in api.watch(job["id"], timeout_s=timeout_s, is_over=is_answered):
            job = changed
    except Failure as failure:
        if failure.code != failures.TIMED_OUT:
            raise
        hint = f"it is asked on: `rushes jobs show {job['id']}`"
        said = f"{gateway} has not said what {task_id} is after {timeout_s:g} s"
        raise Failure(said, failures.TIMED_OUT, hint=hint) from failure
    named = _named(job, number, task_id)
    if named["state"] != "believed":
        hint = "look by time and prompt; --not-made says that there is none"
        raise Failure(f"{task_id} is not the task of order {number}: {named['reason']}", hint=hint)
    return job


def words(job: Mapping[str, Any], number: int) -> str:
    """How an order stands that was just settled, and its job."""
    order = _order(job, number)
    task = f" as task {order['task_id']}" if order["task_id"] else ""
    return f"{order['outcome']}{task}, its money {order['cost']['standing']}; the job is {job['state']}"


def _named(job: Mapping[str, Any], number: int, task_id: str) -> Mapping[str, Any]:
    """What came of a name; somebody else may have said something else since."""
    named = _order(job, number)["named"]
    if named is None or named["task_id"] != task_id:
        return {"state": "taken back", "reason": "somebody has said otherwise since"}
    found: Mapping[str, Any] = named
    return found


def _order(job: Mapping[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = next(order for order in job["attempts"] if order["number"] == number)
    return found
