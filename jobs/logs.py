"""Logs: one JSON line each, with times and ids. What opens a door is masked, wherever it stands: by its shape, and
where it is one of this installation's own secrets, by its value, whatever it looks like.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple, TextIO

import structlog

from jobs.visible import visible_json

# The token of a callback URL, the query of any URL (it may be signed), and keys. In JSON a slash may stand as `\/`.
SECRETS = [
    (re.compile(r"(/webhooks(?:\\?/[^/\\\s]+){3}\\?/)[^/\s\"'?]+"), r"\1…"),
    (re.compile(r"(https?:(?:\\?/){2}[^\s\"'?]+\?)[^\s\"']+"), r"\1…"),
    (re.compile(r"\b(Bearer\s+|rk_|sk-|afk_|whsec_)[A-Za-z0-9_.\-+/=]{6,}"), r"\1…"),
    (re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@"), r"\1…@"),
]
# What each of them needs. Most texts have none of it, and to look for that once takes a sixth of looking for all.
HINTS = r"/webhooks|:\\?/|Bearer|rk_|sk-|afk_|whsec_"


SHORTEST_SECRET = 6  # less would black out half of what is said


class _Own(NamedTuple):
    """This installation's secrets by their values, and these with the hints."""

    secrets: re.Pattern[str] | None
    hints: re.Pattern[str]


_own = _Own(None, re.compile(HINTS))


def mask(text: str) -> str:
    """The text without anything that opens a door."""
    if _own.hints.search(text) is None:
        return text
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text if _own.secrets is None else _own.secrets.sub("…", text)


def hide(secrets: Iterable[str]) -> None:
    """Mask these from now on, in this process. A gateway may quote a key of any shape, and a traceback a password."""
    global _own
    known = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)  # the whole before a part
    own = "|".join(map(re.escape, known))
    _own = _Own(re.compile(own), re.compile(f"{HINTS}|{own}")) if own else _Own(None, re.compile(HINTS))


def configure(level: str = "INFO") -> None:
    """Write structlog's lines and the libraries' in one shape to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_values,  # the last: what it passes on is written
    ]
    handler = logging.StreamHandler(sys.stderr)
    named = structlog.stdlib.LoggerFactory(ignore_frame_names=[__name__])
    to_json = structlog.processors.JSONRenderer(serializer=visible_json, default=str)
    structlog.configure(
        processors=[*shared, to_json],
        logger_factory=lambda *args: _Lines(named(*args).name, handler),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=to_json, foreign_pre_chain=shared, pass_foreign_args=False)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("celery.worker.strategy", "celery.app.trace", "celery.beat", "botocore", "urllib3", "kombu"):
        logging.getLogger(noisy).setLevel("WARNING")
    # What nobody caught is logged like everything else: Python itself would print its secrets as they are.
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_of_thread


@contextmanager
def together() -> Iterator[None]:
    """What this thread logs in here is written at once, at the end. Each write lets all other threads go first."""
    _held.lines = []
    try:
        yield
    finally:
        lines, _held.lines = _held.lines, None
        for handler, said in groupby(lines, itemgetter(0)):
            _write(handler, handler.terminator.join(line for _, line in said))


_held = threading.local()


class _Lines:
    """A module's logger of finished lines, which go straight to the handler's stream.

    By way of `logging`, as the libraries' own do, a line costs three times as much.
    """

    def __init__(self, name: str, handler: logging.StreamHandler[TextIO]) -> None:
        self.name, self._handler = name, handler

    def msg(self, line: str) -> None:
        held: list[tuple[logging.StreamHandler[TextIO], str]] | None = getattr(_held, "lines", None)
        if held is None:
            _write(self._handler, line)
        else:
            held.append((self._handler, line))

    debug = info = warning = error = critical = exception = msg


def _write(handler: logging.StreamHandler[TextIO], text: str) -> None:
    handler.acquire()
    try:
        handler.stream.write(text + handler.terminator)
        handler.flush()
    except (OSError, ValueError):  # a log on a full disk, or a terminal that has gone away, ends no work
        pass
    finally:
        handler.release()


def _mask_values(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {mask(str(key)): _masked(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_masked(inner) for inner in value]
    return mask(str(value))


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and issubclass(kind, Exception):
        logging.getLogger("uncaught").critical("uncaught", exc_info=(kind, error, trace))
    elif error is not None:
        sys.__excepthook__(kind, error, trace)


def _log_uncaught_of_thread(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
