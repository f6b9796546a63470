"""What the five gateways answer, each in its own words: an order taken, a task that is made, and one that is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jobs.providers.client import Answered


def ok(body: Any, status: int = 200) -> Answered:
    """An answer with this JSON."""
    return Answered(status, {}, json.dumps(body).encode())


NOT_FOUND = ok({"error": {"type": "not_found_error", "message": "no such task"}}, 404)

# The answer that takes an order, of a task id.
SUBMIT: dict[str, Callable[[str], Answered]] = {
    "evolink": lambda task: ok({"id": task, "status": "pending"}),
    "aivideoapi": lambda task: ok({"code": 200, "msg": "ok", "data": {"taskId": task}}),
    "apiframe": lambda task: ok({"jobId": task, "status": "QUEUED"}, 202),
    "easyrouter": lambda task: ok({"id": task, "task_id": task, "status": "queued"}),
    "gravitex": lambda task: ok({"task_id": task, "status": "submitted"}),
}

RUNNING = {
    **dict.fromkeys(("evolink", "aivideoapi"), "processing"),
    "apiframe": "PROCESSING",
    "easyrouter": "IN_PROGRESS",
    "gravitex": "in_progress",
}

DONE = {
    **dict.fromkeys(("evolink", "aivideoapi"), "completed"),
    "apiframe": "COMPLETED",
    "easyrouter": "SUCCESS",
    "gravitex": "succeeded",
}


def report(provider: str, task: str, word: str, link: str | None = None, **more: Any) -> Answered:
    """The answer to a query: a status word, a link if there is one, and `more` beside them."""
    links = [] if link is None else [link]
    named: dict[str, dict[str, Any]] = {
        "evolink": {"id": task, "results": links},
        "aivideoapi": {"id": task, "output": {"urls": links}},
        "apiframe": {"id": task, "result": {"videoUrl": link} if links else None},
        "easyrouter": {"task_id": task, "result_url": link},
        "gravitex": {"task_id": task, "url": link},
    }
    body = {"status": word, **named[provider], **more}
    return ok({"code": "success", "message": "", "data": body} if provider == "easyrouter" else body)
