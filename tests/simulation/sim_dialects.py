"""What each gateway's JSON looks like: the documented samples, with a task's own values in their places."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True)
class Seen:
    """A task as its gateway tells of it now."""

    id: str
    state: str  # queued, running, finished, failed, retryable
    model: str
    created_at: float  # seconds since 1970, by the gateway's clock
    ended_at: float | None
    link: str | None
    credits: float


@dataclass(frozen=True)
class Dialect:
    accepted: Callable[[Seen], Any]
    report: Callable[[Seen], Any]
    refused_request: tuple[int, Any]
    refused_key: tuple[tuple[int, Any], ...]
    unknown_task: tuple[int, Any]
    key_header: str
    callback: Callable[[Seen], Any] | None = None
    callback_field: str = ""
    sign: Callable[[str, bytes], dict[str, str]] = lambda key, body: {}


@cache
def _text(provider: str, name: str) -> str:
    return (SAMPLES / provider / f"{name}.json").read_text()


def sample(provider: str, name: str) -> Any:
    return json.loads(_text(provider, name))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _apiframe(seen: Seen) -> Any:
    name = {"queued": "queued", "running": "processing", "finished": "completed"}.get(seen.state, "failed")
    body = sample("apiframe", f"query_{name}")
    body |= {"id": seen.id, "model": seen.model, "createdAt": _iso(seen.created_at)}
    if seen.state == "finished":
        body |= {"result": {"videoUrl": seen.link}, "creditCost": seen.credits, "completedAt": _iso(seen.ended_at or 0)}
    return body


def _apiframe_callback(seen: Seen) -> Any:
    body = sample("apiframe", "callback_completed" if seen.state == "finished" else "callback_failed")
    if seen.state == "finished":
        body |= {"result": {"videoUrl": seen.link}, "creditCost": seen.credits}
    return body | {"jobId": seen.id, "model": seen.model}


def _apiframe_signature(key: str, body: bytes) -> dict[str, str]:
    digest = hmac.new(hashlib.sha256(key.encode()).digest(), body, hashlib.sha256).hexdigest()
    return {"X-Webhook-Signature": f"sha256={digest}"}


def _evolink(seen: Seen) -> Any:
    name = {"queued": "pending", "running": "processing", "finished": "completed"}.get(seen.state, "failed")
    body = sample("evolink", f"query_{name}") | {"id": seen.id, "model": seen.model, "created": int(seen.created_at)}
    if seen.state == "finished":
        body["results"] = [seen.link]
    if seen.state == "retryable":
        body["error"] = {"code": "service_error", "message": "The service had a trouble of its own"}
    return body


def _easyrouter(seen: Seen) -> Any:
    name = {"queued": "not_start", "running": "in_progress", "finished": "success"}.get(seen.state, "failure")
    body = sample("easyrouter", f"query_{name}")
    task = body["data"] | {"task_id": seen.id, "submit_time": int(seen.created_at)}
    if seen.state == "finished":
        task |= {"result_url": seen.link, "finish_time": int(seen.ended_at or 0), "quota": seen.credits}
        task["data"]["output"]["video_url"] = seen.link  # the upstream's own report, which names it as well
    return body | {"data": task}


def _gravitex(seen: Seen) -> Any:
    name = {"queued": "queued", "running": "in_progress", "finished": "succeeded"}.get(seen.state, "failed")
    body = sample("gravitex", f"query_{name}") | {"task_id": seen.id}
    if seen.state == "finished":
        body["url"] = seen.link
    if seen.state == "retryable":
        body["error"] = {"code": 500, "message": "The service had a trouble of its own"}
    return body


def _aivideoapi(seen: Seen) -> Any:
    name = {"queued": "pending", "running": "processing", "finished": "completed"}.get(seen.state, "failed")
    body = sample("aivideoapi", f"query_{name}") | {"id": seen.id, "model": seen.model}
    body["created_at"] = int(seen.created_at)
    if seen.state == "finished":
        body |= {"output": {"urls": [seen.link]}, "completed_at": int(seen.ended_at or 0)}
    if seen.state == "failed":
        body["error"] = {"code": "invalid_request", "message": "The input contains prohibited content"}
    return body


def _aivideoapi_accepted(seen: Seen) -> Any:
    return sample("aivideoapi", "submit_accepted") | {"data": {"taskId": seen.id}}


def _aivideoapi_refusal(code: str) -> Any:
    return {"error": {"code": code, "message": code.replace("_", " "), "type": "api_error"}}


def of_nobody(provider: str, state: str, now: float) -> Any:
    """A report that does not say which task it is about."""
    body = DIALECTS[provider].report(Seen("", state, "wan", now, now, None, 0.0))
    task = body["data"] if provider == "easyrouter" else body
    for name in ("id", "task_id"):
        task.pop(name, None)
    return body


def _with(provider: str, *ids: str) -> Callable[[Seen], Any]:
    """An acceptance that names the task under these names."""

    def accepted(seen: Seen) -> Any:
        return sample(provider, "submit_accepted") | dict.fromkeys(ids, seen.id)

    return accepted


DIALECTS: dict[str, Dialect] = {
    "aivideoapi": Dialect(
        accepted=_aivideoapi_accepted,
        report=_aivideoapi,
        refused_request=(400, sample("aivideoapi", "refused_400")),
        refused_key=(
            (402, sample("aivideoapi", "refused_402")),
            (401, _aivideoapi_refusal("invalid_api_key")),
            (429, _aivideoapi_refusal("rate_limit_exceeded")),
        ),
        unknown_task=(404, _aivideoapi_refusal("task_not_found")),
        key_header="Authorization",
        callback=_aivideoapi,
        callback_field="callback_url",
    ),
    "apiframe": Dialect(
        accepted=_with("apiframe", "jobId"),
        report=_apiframe,
        refused_request=(400, sample("apiframe", "refused_400")),
        refused_key=((402, sample("apiframe", "refused_402")), (429, {"error": "Too many requests"})),
        unknown_task=(404, {"error": "Job not found"}),
        key_header="X-API-Key",
        callback=_apiframe_callback,
        callback_field="webhookUrl",
        sign=_apiframe_signature,
    ),
    "evolink": Dialect(
        accepted=_with("evolink", "id"),
        report=_evolink,
        refused_request=(400, sample("evolink", "refused_400")),
        refused_key=((402, sample("evolink", "refused_402")), (429, sample("evolink", "refused_429"))),
        unknown_task=(404, {"error": {"type": "not_found_error", "message": "Task not found", "code": "404"}}),
        key_header="Authorization",
        callback=_evolink,
        callback_field="callback_url",
    ),
    "easyrouter": Dialect(
        accepted=_with("easyrouter", "id", "task_id"),
        report=_easyrouter,
        refused_request=(400, sample("easyrouter", "refused_400")),
        refused_key=((402, sample("easyrouter", "refused_402")), (401, sample("easyrouter", "refused_401"))),
        unknown_task=(400, sample("easyrouter", "query_unknown_task")),
        key_header="Authorization",
    ),
    "gravitex": Dialect(
        accepted=_with("gravitex", "task_id"),
        report=_gravitex,
        refused_request=(400, sample("gravitex", "refused_400")),
        refused_key=((429, {"error": {"message": "Too many requests"}}),),
        unknown_task=(404, {"error": {"message": "Task not found"}}),
        key_header="Authorization",
    ),
}
