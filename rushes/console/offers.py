"""What a job as it stands offers a person to do. Pure; the API has the last word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

FAILED = "failed"
BEFORE_ACCEPTANCE = frozenset({"queued", "submitting", "unconfirmed"})
CANCEL = "No gateway has accepted it: nothing is paid for a job that is cancelled in time."
COPY = "The video was made: its copying is tried again, and nothing is ordered."
RETRY = "It is ordered once more. Where an earlier order may have been charged, you must accept to pay twice."
TAKE_UP = "Workers died over it, and it was set aside."
ACCEPT = "The proof refused it: {reason}. It is archived as it is, under your key's name."
LOOK_FOR = "Look for the task at the gateway, by time and prompt, and say what you found."
WAS_CHARGED = "Look at the gateway's account, and say whether it was charged."


@dataclass(frozen=True)
class Offer:
    """A button, and what it says before it is pressed. `fields`: the form's own inputs, by `offer.html`.

    `at`: what its address names, the job and the order for one.
    """

    name: str
    label: str
    about: str
    at: Mapping[str, Any]
    fields: tuple[str, ...] = ()
    task_id: str | None = None  # that is likely the one to be named


def offers(job: Json) -> list[Offer]:
    """All of them, what is most likely wanted first."""
    return [*_of_job(job), *(offer for order in job["attempts"] for offer in _of_order(job, order))]


def _of_job(job: Json) -> Iterator[Offer]:
    orders, at = job["attempts"], {"job_id": job["id"]}
    if job["state"] in BEFORE_ACCEPTANCE and not job["cancel_requested"]:
        yield Offer("cancel", "Cancel", CANCEL, at)
    if job["state"] == FAILED and orders and orders[-1]["outcome"] == "undelivered":
        yield Offer("retry", "Copy again", COPY, at)
    elif job["state"] == FAILED:
        yield Offer("retry", "Retry", RETRY, at, ("accept_double_charge",))
    elif job["needs_person"] == "holder_died":
        yield Offer("retry", "Take up again", TAKE_UP, at)


def _of_order(job: Json, order: Json) -> Iterator[Offer]:
    number, film, is_lost = order["number"], order["unproven"], order["task_id"] is None
    if film and not film["accepted_by"] and job["state"] in (FAILED, "archiving"):
        yield Offer("accept", "Accept the film", ACCEPT.format(reason=film["reason"]), {"job_id": job["id"]})
    if order["outcome"] == "open" and is_lost and job["state"] != "submitting":
        yield settle(job["id"], number, ("task_id", "not_made"))
    elif order["outcome"] == "open" and job["needs_person"] == "contested_task":
        yield settle(job["id"], number, ("task_id",), order["task_id"])
    elif order["outcome"] != "open" and _is_money_open(job, order):
        asked = ("task_id", "not_made") if is_lost else ()
        yield settle(job["id"], number, (*asked, "charged", "not_charged"))


def _is_money_open(job: Json, order: Json) -> bool:
    """Whether somebody could say more of an order's money than the gateway has."""
    cost = order["cost"]
    is_told = cost["reported_usd"] is not None or cost["reported_credits"] is not None
    is_doubted = job["needs_person"] == "absurd_cost" and is_told
    return cost["standing"] == "uncertain" or order["outcome"] == "undelivered" or is_doubted


def settle(job_id: str, number: int, fields: tuple[str, ...], task_id: str | None = None) -> Offer:
    """Say what was found out about an order."""
    about = WAS_CHARGED if "not_charged" in fields else LOOK_FOR
    return Offer("settle", f"Settle order {number}", about, {"job_id": job_id, "number": number}, fields, task_id)
