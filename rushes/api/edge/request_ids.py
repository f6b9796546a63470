"""One id per request, the caller's own if it sends one: on every answer, in every problem and line of the log."""

from __future__ import annotations

import random
import re

from flask import Flask, Response, g, request
from structlog import contextvars

HEADER, IN_WSGI = "X-Request-Id", "HTTP_X_REQUEST_ID"
OURS = r"[A-Za-z0-9._-]{1,64}"
_TAKEN = re.compile(OURS)


def install(app: Flask) -> None:
    """Give each request its id before anything else looks at it."""

    @app.before_request
    def begin() -> None:
        sent = request.environ.get(IN_WSGI, "")
        g.request_id = sent if _TAKEN.fullmatch(sent) else _new()
        contextvars.clear_contextvars()  # the thread served others before
        contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(answer: Response) -> Response:
        if (request_id := current()) is not None:
            answer.headers.add(HEADER, request_id)
        return answer


def current() -> str | None:
    """The id of the request that is being answered; None for one that was refused before it was looked at."""
    request_id: str | None = g.get("request_id")
    return request_id


def _new() -> str:
    """Unlike others, which is all that it need be: the kernel's random bytes would cost more than the whole id."""
    return f"{random.getrandbits(96):024x}"
