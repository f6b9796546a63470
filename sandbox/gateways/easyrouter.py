"""EasyRouter: its answers. What it takes stands in easyrouter_requests.py.

Source: its page (easyrouter.txt); the shapes of 401 and of an unknown task from protocols.md, section 3.4.
"""

from __future__ import annotations

import string
import uuid
from decimal import Decimal
from random import Random

from sandbox.fields import Invalid
from sandbox.gateway import Gateway, JsonObject, Query, Refused, Sight, bearer, number
from sandbox.gateways.easyrouter_requests import read
from sandbox.tasks import Failure, Order, Phase, Task

WORDS = {
    Phase.QUEUED: "QUEUED",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.FINISHED: "SUCCESS",
    Phase.FAILED: "FAILURE",
}
OPENAI_WORDS = {
    Phase.QUEUED: "queued",
    Phase.RUNNING: "in_progress",
    Phase.FINISHED: "completed",
    Phase.FAILED: "failed",
}
UPSTREAM_WORDS = {
    Phase.QUEUED: "PENDING",
    Phase.RUNNING: "RUNNING",
    Phase.FINISHED: "SUCCEEDED",
    Phase.FAILED: "FAILED",
}
UPSTREAM = ("fail_to_fetch_task", "upstream error")  # with whatever status upstream had
# The page gives the words for 400 and 402; the others are stand-ins in its manner.
CODES = {
    400: ("invalid_request", "invalid request"),
    401: ("invalid_api_key", "API Key invalid or expired"),
    402: ("insufficient_user_quota", "insufficient user quota"),
    403: ("model_not_allowed", "API Key has no access to this model"),
    429: ("rate_limit_exceeded", "too many requests"),
    500: UPSTREAM,
    502: UPSTREAM,
    503: UPSTREAM,
}
ACTIONS = {
    "text-to-video": "textGenerate",
    "image-to-video": "generate",
    "reference-to-video": "referenceGenerate",
    "video-edit": "videoEdit",
}
QUOTA_PER_SECOND = Decimal("0.10") * 500_000  # section 6: modelPrice x QuotaPerUnit, groupRatio 1
RESOLUTION_RATIO = {"720p": Decimal("1.0"), "1080p": Decimal("1.5")}


def price(order: Order) -> Decimal:
    """In quota units, 500,000 to the dollar (section 6)."""
    return (QUOTA_PER_SECOND * order.duration * RESOLUTION_RATIO[order.resolution]).normalize()


def report(task: Task, sight: Sight) -> JsonObject:
    """The wrapped body of GET /v1/video/generations/{task_id} (section 2.2)."""
    started = sight.phase is not Phase.QUEUED
    ended = int(task.ended_at) if task.ended_at is not None else 0
    failed = sight.phase is Phase.FAILED
    start = int(task.started_at()) if started else 0
    # Its record of a task begins as NOT_START, before upstream's queue has it.
    unborn = sight.word == WORDS[Phase.QUEUED] and sight.now < (task.accepted_at + task.started_at()) / 2
    data: JsonObject = {
        "id": task.number,
        "task_id": task.id,
        "platform": "17",
        "user_id": 3,
        "group": "default",
        "channel_id": 18,
        "quota": number(task.charged),
        "action": ACTIONS[task.order.mode],
        "status": "NOT_START" if unborn else sight.word,
        "fail_reason": _reason(task) if failed else "",
        "submit_time": int(task.accepted_at),
        "start_time": start,
        "finish_time": ended,
        "created_at": int(task.accepted_at),
        "updated_at": ended or int(sight.now),
        # A failed task is at 100% too.
        "progress": "100%" if ended else f"{sight.progress}%",
        "properties": {"input": "", "upstream_model_name": task.order.model, "origin_model_name": task.order.model},
        "data": _upstream(task, sight),
    }
    if sight.link:
        data["result_url"] = sight.link
    return {"code": "success", "message": "", "data": data}


def openai_report(task: Task, sight: Sight) -> JsonObject:
    """The flat body of GET /v1/videos/{task_id} (section 5.2)."""
    body: JsonObject = {
        "id": task.id,
        "object": "video",
        "model": task.order.model,
        "status": sight.word,
        "progress": 100 if task.ended_at is not None else sight.progress,
        "created_at": int(task.accepted_at),
    }
    if task.ended_at is not None:
        body["completed_at"] = int(task.ended_at)
    if sight.link:
        body["metadata"] = {"url": sight.link}
    if sight.phase is Phase.FAILED and task.failure:
        body["error"] = {"message": _reason(task), "code": str(task.failure.code)}
    return body


def refuse(refused: Refused) -> JsonObject:
    """Its task routes' error body; its key check answers in OpenAI's shape."""
    code, message = CODES.get(refused.status, UPSTREAM)
    code, message = str(refused.code or code), refused.message or message
    if refused.status in (401, 403):
        return {"error": {"message": message, "type": "new_api_error", "code": code}}
    return {"code": code, "message": message, "data": None}


def _upstream(task: Task, sight: Sight) -> JsonObject:
    """The raw upstream answer that `data.data` carries."""
    own = uuid.uuid5(uuid.NAMESPACE_OID, task.id)
    output: JsonObject = {"task_id": str(own), "task_status": UPSTREAM_WORDS[sight.phase]}
    body: JsonObject = {"output": output, "request_id": str(uuid.uuid5(own, "request"))}
    if sight.link:
        output["video_url"] = sight.link
        body["usage"] = {"video_duration": task.order.duration, "video_ratio": task.order.ratio, "video_count": 1}
    return body


def _reason(task: Task) -> str:
    return f"{task.failure.code}: {task.failure.message}" if task.failure else ""


def _invalid(invalid: Invalid) -> Refused:
    path, message = invalid.faults[0]
    return Refused(400, f"{path} {message}")


def _new_id(random: Random, now: float) -> str:
    return "task_" + "".join(random.choices(string.ascii_letters + string.digits, k=20))


def _accept(task: Task, word: str) -> JsonObject:
    return {
        "id": task.id,
        "task_id": task.id,
        "object": "video",
        "model": task.order.model,
        "status": "queued",
        "progress": 0,
        "created_at": int(task.accepted_at),
    }


EASYROUTER = Gateway(
    name="easyrouter",
    api_key="sk-sandbox",
    credits=Decimal(500_000_000),
    read_key=bearer,
    submits={"/v1/video/generations": read, "/v1/videos": read},
    queries={"/v1/video/generations/": Query(WORDS, report), "/v1/videos/": Query(OPENAI_WORDS, openai_report)},
    price=price,
    new_id=_new_id,
    accept=_accept,
    refuse=refuse,
    refusals=(
        *((status, code) for status, (code, _) in CODES.items()),
        (400, "task_not_exist"),
        (400, "ali_api_error"),
    ),
    refuse_invalid=_invalid,
    no_such_task=lambda task_id: Refused(400, "task_not_exist", "task_not_exist"),
    fails_for_good=Failure("DataInspectionFailed", "input data may contain inappropriate content"),
    fails_for_now=Failure("InternalError", "the upstream service is busy, please try again"),
)
