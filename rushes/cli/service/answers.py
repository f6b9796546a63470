"""What the service answers when it refuses, as failures of a command: its own words, our exit status, and a hint."""

from __future__ import annotations

from typing import Any

import requests

from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure

STATUSES = {
    401: failures.AUTH,
    403: failures.AUTH,
    404: failures.NOT_FOUND,
    400: failures.USAGE,
    422: failures.USAGE,
    429: failures.RATE_LIMITED,
    503: failures.UNREACHABLE,
}
SHOWN = "`rushes jobs show {id}` tells what is known of its orders"
# By the problem's code; {id} is the job's, where the path has one.
HINTS = {
    "no_api_key": "the operator sets the key that the message names",
    "no_balance": "`rushes costs` tells what our account has",
    "asked_lately": "try again in a few seconds",
    "unknown_provider": "`rushes providers` shows what there is",
    "unknown_batch": "`rushes jobs list --json` tells each job's batch",
    "unknown_notice": "`rushes notices list` shows what there is",
    "unknown_callback": "`rushes callbacks list` shows what there is",
    "too_late": "`rushes jobs show {id}` tells what became of it, and of the money",
    "not_failed": "`rushes jobs watch {id}` follows it",
    "may_be_paid": "look for the task at the gateway, and say what you find: `rushes jobs settle {id}`;"
    " `rushes jobs retry {id} --accept-double-charge` orders once more",
    "nothing_left": "`rushes jobs show {id}` tells who refused it and why; change the request, and submit it anew",
    "nothing_kept": "`rushes jobs show {id}` tells what became of it; `rushes attention` lists what can be accepted",
    "unknown_order": SHOWN,
    "under_way": "try again in a moment; `rushes jobs watch {id}` follows it",
    **dict.fromkeys(("task_known", "task_taken", "not_lost", "not_closed"), SHOWN),
    "not_archived": "`rushes jobs watch {id}` waits for it",
}
HINTS_BY_STATUS = {
    401: "set RUSHES_API_KEY; `rushes keys create NAME` makes a key",
    404: "`rushes jobs list` shows what there is",
    429: "try again later",
}


def refused(answer: requests.Response) -> Failure:
    """An answer that is no success, in its own words (problem+json)."""
    problem = _problem(answer)
    said = problem.get("detail") or problem.get("title") or f"the service answered {answer.status_code}"
    errors = problem.get("errors")
    if isinstance(errors, dict) and errors:
        said = "\n".join(f"{name}: {' '.join(map(str, lines))}" for name, lines in errors.items())
    code = STATUSES.get(answer.status_code, failures.FAILED)
    return Failure(str(said), code, hint="; ".join(_hints(answer, problem)) or None)


def wait_of(answer: requests.Response) -> float | None:
    """Seconds until the service wants to be asked again; None: it does not say."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _problem(answer: requests.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _hints(answer: requests.Response, problem: dict[str, Any]) -> list[str]:
    path = str(problem.get("instance", ""))
    job_id = next((part for part in path.split("/") if part.startswith("job_")), "ID")
    hint = HINTS.get(str(problem.get("code"))) or HINTS_BY_STATUS.get(answer.status_code)
    request_id = problem.get("request_id") or answer.headers.get("X-Request-Id")
    found = [hint.format(id=job_id)] if hint else []
    return [*found, f"request id: {request_id}"] if request_id else found
