"""EvoLink: its answers. What it takes stands in evolink_requests.py.

Sources: its page (evolink.txt); what that copy lost, and the errors: protocols.md, section 5; credits:
https://docs.evolink.ai/en/api-manual/account-management/get-credits.
"""

from __future__ import annotations

import json
import string
from decimal import Decimal
from random import Random

from sandbox.fields import Invalid
from sandbox.gateway import Callback, Gateway, Glance, JsonObject, Query, Refused, Sight, bearer, number, per_second
from sandbox.gateways.evolink_requests import read
from sandbox.tasks import Failure, Phase, Task

WORDS = {
    Phase.QUEUED: "pending",
    Phase.RUNNING: "processing",
    Phase.FINISHED: "completed",
    Phase.FAILED: "failed",
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large_error",
    429: "rate_limit_error",
    500: "internal_server_error",
    502: "upstream_error",
    503: "service_unavailable_error",
}
MESSAGES = {
    401: "Invalid API key",
    402: "Insufficient quota, please top up",
    404: "Task not found or expired",
    429: "Too many requests",
}
HINTS = {429: "retry after 60 seconds", 503: "retry after 30 seconds"}


def report(task: Task, sight: Sight) -> JsonObject:
    """The body of GET /v1/tasks/{task_id}; the callback's body is the same one. No time of completion."""
    body = _task(task, sight.word, sight.progress)
    if sight.link:
        body["results"] = [sight.link]
    if sight.phase is Phase.FAILED and task.failure:
        body["error"] = {"code": task.failure.code, "message": task.failure.message}
    return body


def refuse(refused: Refused) -> JsonObject:
    """An error body; the code is the status where no word is documented."""
    error: JsonObject = {
        "code": refused.code if refused.code is not None else refused.status,
        "message": refused.message or MESSAGES.get(refused.status, "Request failed"),
        "type": TYPES.get(refused.status, "internal_server_error"),
        **refused.more,
    }
    if refused.status in HINTS:
        error["fallback_suggestion"] = HINTS[refused.status]
    return {"error": error}


def _task(task: Task, word: str, progress: int) -> JsonObject:
    running = word in (WORDS[Phase.QUEUED], WORDS[Phase.RUNNING])
    return {
        "created": int(task.accepted_at),
        "id": task.id,
        "model": task.order.model,
        "object": "video.generation.task",
        "progress": progress,
        "status": word,
        "type": "video",
        "task_info": {"can_cancel": running, "estimated_time": 120, "video_duration": task.order.duration},
        "usage": {
            "billing_rule": "per_second",
            "credits_reserved": number(task.charged),
            "user_group": "default",
        },
    }


def _invalid(invalid: Invalid) -> Refused:
    path, message = invalid.faults[0]
    return Refused(400, f"{path or 'body'} {message}", "invalid_request", param=path)


def _no_such_task(task_id: str) -> Refused:
    if not task_id.startswith("task-unified-"):
        return Refused(400, "Task ID must start with task-unified-", "invalid_task_id", param="task_id")
    return Refused(404)


def _balance(glance: Glance) -> JsonObject:
    """One key, without a limit of its own: what it has used, all of the account has."""
    left, used = number(glance.credits), number(glance.used)
    key = {"remaining_credits": left, "unlimited_credits": True, "used_credits": used}
    account = {"remaining_credits": left, "used_credits": used}
    return {"data": {"token": key, "user": account}, "message": "", "success": True}


def _new_id(random: Random, now: float) -> str:
    return f"task-unified-{int(now)}-{''.join(random.choices(string.ascii_lowercase + string.digits, k=8))}"


EVOLINK = Gateway(
    name="evolink",
    api_key="sk-sandbox",
    credits=Decimal(1_000_000),
    read_key=bearer,
    submits={"/v1/videos/generations": read},
    queries={"/v1/tasks/": Query(WORDS, report)},
    pages={"/v1/credits": _balance},
    # $0.086 and $0.144 a second (protocols.md 5.5), at 1,000 credits to the dollar.
    price=per_second({"720p": "86", "1080p": "144"}),
    new_id=_new_id,
    accept=lambda task, word: _task(task, word, 0),
    refuse=refuse,
    # Its older pages give the status for a code, and its newer ones a word.
    refusals=(*((status, status) for status in TYPES), (400, "invalid_request"), (400, "invalid_task_id")),
    refuse_invalid=_invalid,
    no_such_task=_no_such_task,
    callback=Callback(lambda task, sight, event: ({}, json.dumps(report(task, sight)).encode()), waits_s=(1, 2, 4)),
    fails_for_good=Failure("content_policy_violation", "The request was refused by the content policy."),
    fails_for_now=Failure("service_error", "The service failed, please try again later."),
)
