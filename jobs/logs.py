"""Logs: one JSON line each, with times and ids. Tokens, keys and signed queries are masked, wherever they stand."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# The token of a callback URL, the query of any URL (it may be signed), and keys.
SECRETS = [
    (re.compile(r"(/webhooks/[^/\s]+/[^/\s]+/\d+/)[^/\s\"'?]+"), r"\1…"),
    (re.compile(r"(https?://[^\s\"'?]+\?)[^\s\"']+"), r"\1…"),
    (re.compile(r"\b(Bearer\s+|rk_|sk-|afk_|whsec_)[A-Za-z0-9_.\-+/=]{6,}"), r"\1…"),
    (re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@"), r"\1…@"),
]


def mask(text: str) -> str:
    """The text without anything that opens a door."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure(level: str = "INFO") -> None:
    """Send structlog's and the libraries' lines through one formatter to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_values,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processor=structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        foreign_pre_chain=shared[1:],
        pass_foreign_args=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("celery.worker.strategy", "celery.app.trace", "celery.beat", "botocore", "urllib3", "kombu"):
        logging.getLogger(noisy).setLevel("WARNING")


def _mask_values(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}
