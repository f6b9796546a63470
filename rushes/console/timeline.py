"""Everything that happened to a job, in one line of time: its history, callbacks, and notices with their tries. Pure.

A fact of the history is told in a sentence of ours; its details stand below it as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rushes.console.words import STATES, moment, size

Json = Mapping[str, Any]
# What histories tell → how it reads, where that is more than the word with spaces. Values in braces are the detail's.
EVENTS = {
    "create": "Asked for",
    "created": "Asked for",
    "claim": "A worker takes it to {provider}",
    "routed": "The route: {chosen}",
    "waiting": "It waits: {reason}",
    "accept": "The gateway has taken the order",
    "defer": "It goes back to the queue: nothing was accepted",
    "lose": "The answer to the order was lost: it may have been taken",
    "resent": "The order was sent again under its idempotency key",
    "refused": "The gateway refused the order",
    "answer_lost": "No answer came to the order",
    "late_answer": "The answer to the order came late",
    "finish": "The gateway says that the video is ready",
    "fail": "The gateway says that it failed",
    "fail_retryable": "The gateway says that it failed; it is tried again",
    "refuse": "No gateway of the route takes the request",
    "expire": "Its time is over",
    "give_up": "It was not started in time",
    "store": "The proven video is in the bucket",
    "cancel": "Cancelled",
    "cancel_requested": "Somebody asked to cancel it",
    "retry": "Tried again by request",
    "retry_transfer": "Copied again by request",
    "resubmit": "Ordered again at the client's risk",
    "settle": "A person said what became of order {attempt}",
    "settled": "A person said what became of order {attempt}",
    "gateway_said": "The gateway says: {word}",
    "overdue": "It takes longer than expected",
    "transfer_trouble": "Copying failed; it is tried again",
    "callback_replayed": "A callback was let count again",
    "notice_replayed": "A notice was sent again by request",
    "task_adopted": "Task {task_id} was told by a callback, and is its own",
    "task_rejected": "Task {task_id} is not its own",
    "accept_film": "A person took the film that the proof refused",
    "kept_aside": "The proof refused the film; it is kept aside",
    "other_length": "The film lasts {lasts_s} s; {ordered_s} s were ordered",
    "recall": "Another order turned out to be running",
    "prove": "Another order turned out to have made the video",
    "taken_up": "It was taken up again",
    "set_aside": "Workers died over it; it is set aside",
    "stand_by": "Nothing more is ordered while an order is open",
    "restore": "A backup was put back: an order may have been made",
}
WARNINGS = frozenset({"lose", "answer_lost", "overdue", "transfer_trouble", "task_rejected", "kept_aside", "set_aside"})
BAD = frozenset({"fail", "refuse", "refused", "expire", "give_up", "fail_retryable"})
GONE = "It was asked for. Its history is gone: what is old was pruned"
SIGNATURES = {"good": "its signature is genuine", "bad": "its signature is wrong", "none": "it bears no signature"}


@dataclass(frozen=True)
class Entry:
    """One line. `icon` and `tone` as of states; `order`: the attempt's number, to be unfolded; `id`: for its button."""

    at: str
    kind: str  # history, callback, notice or try
    icon: str
    tone: str
    text: str
    facts: Sequence[tuple[str, Any]] = ()
    route: Sequence[Json] = field(default_factory=tuple)
    order: int | None = None
    id: str | None = None
    state: str | None = None


def entries(job: Json, events: Sequence[Json], callbacks: Sequence[Json], notices: Sequence[Json]) -> list[Entry]:
    """All of it, oldest first."""
    found = [*map(_event, events), *map(_callback, callbacks)]
    if not events:
        found.append(Entry(job["created_at"], "history", "dot", "quiet", GONE))
    for notice in notices:
        found.extend(_notice(notice))
    return sorted(found, key=lambda entry: entry.at)


def _event(event: Json) -> Entry:
    name, detail, to = event["event"], dict(event["detail"]), event["to_state"]
    route = detail.pop("considered", ())
    values = {**detail, "attempt": event["attempt"], "chosen": detail.get("chosen") or "nobody just now"}
    look = STATES.get(to or "")
    icon, tone = (look.icon, look.tone) if look else ("dot", "quiet")
    tone = "warn" if name in WARNINGS else "bad" if name in BAD and to != "queued" else tone
    return Entry(
        at=event["at"],
        kind="history",
        icon=icon,
        tone=tone,
        text=_sentence(name, values),
        facts=[*_facts({k: v for k, v in detail.items() if f"{{{k}}}" not in EVENTS.get(name, "")}), *_speed(detail)],
        route=route,
        order=event["attempt"] if name == "claim" else None,
        state=to,
    )


def _sentence(name: str, values: Json) -> str:
    try:
        return EVENTS[name].format(**values)
    except KeyError:
        return name.replace("_", " ").capitalize()


def _callback(callback: Json) -> Entry:
    judged = ["it could be read" if callback["readable"] else "it could not be read"]
    if callback["signature"]:
        judged.append(SIGNATURES[callback["signature"]])
    facts = [("judged", "; ".join(judged)), ("answered with", callback["status"]), ("task", callback["task_id"])]
    facts.append(("acted on", moment(callback["read_at"]) if callback["read_at"] else "not yet"))
    is_well = callback["readable"] and callback["signature"] != "bad"
    tone = "live" if is_well else "warn"
    text = f"A callback came from {callback['provider']}, about order {callback['attempt']}"
    return Entry(callback["received_at"], "callback", "bell", tone, text, list(_shown(facts)), id=callback["id"])


def _notice(notice: Json) -> Iterator[Entry]:
    text = f"Notice {notice['sequence']} was written: {notice['type']}"
    facts = [
        ("to", notice["url"]),
        ("state", notice["state"]),
        ("next try", notice["next_try_at"] and moment(notice["next_try_at"])),
    ]
    tone = "bad" if notice["state"] == "failed" else "quiet"
    yield Entry(notice["created_at"], "notice", "mail", tone, text, list(_shown(facts)), id=notice["id"])
    for each in notice["history"]:
        is_taken = each["status"] is not None and 200 <= each["status"] < 300
        said = f"answered {each['status']}" if each["status"] is not None else "no answer"
        text = f"Notice {notice['sequence']}, try {each['number']}: {said}"
        facts = [("why", each["error"]), ("took", f"{each['took_s']:.2f} s")]
        yield Entry(each["at"], "try", "mail", "good" if is_taken else "warn", text, list(_shown(facts)))


def _facts(detail: Json) -> Iterator[tuple[str, Any]]:
    for name, value in _shown(detail.items()):
        called = "by key" if name == "api_key" else name.replace("_", " ")
        yield called, size(value) if name == "bytes" else moment(value) if name.endswith("_at") else value


def _speed(detail: Json) -> Iterator[tuple[str, str]]:
    """How fast a copy went, from the first byte that was fetched to the last one that was put."""
    if detail.get("bytes") and detail.get("seconds"):
        yield "speed", f"{size(round(detail['bytes'] / detail['seconds']))} a second"


def _shown(pairs: Any) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in pairs if value not in (None, "", [], {}))
