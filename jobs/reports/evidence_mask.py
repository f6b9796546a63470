"""What opens a door, hidden wherever it stands in a job's evidence, raw bodies included."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jobs import callback_urls, logs
from jobs.machine.case import Case
from jobs.machine.rows import Attempt
from jobs.settings import Settings

SHORTEST_PATH = 8  # of a notify_url; a shorter one, such as /hook, opens no door
# What no other pattern finds, such as a token by a key that is no longer in use, in a text that escapes its slashes.
TOKEN = re.compile(r"\b[\w-]{1,16}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_.-])")


class _Made(str):
    """A text that was made of what is masked."""


class Mask:
    """Hides what opens a door: by its shape, by the values of this installation's secrets, and by this job's own."""

    def __init__(self, case: Case, settings: Settings) -> None:
        own = {_token(settings, kid, attempt) for kid in settings.callback_keys for attempt in case.attempts.values()}
        path = urlsplit(case.job.notify_url or "")
        own |= {text for text in (path.path.strip("/"), path.query) if len(text) >= SHORTEST_PATH}
        known = sorted({*own, *_long(settings.secrets)}, key=len, reverse=True)
        self._own = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        text = TOKEN.sub("…", logs.mask(text))
        return text if self._own is None else self._own.sub("…", text)

    def body(self, body: bytes) -> dict[str, Any]:
        """Bytes, with the SHA-256 that they have unmasked; as text too where they are UTF-8."""
        is_text = True
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text, is_text = body.decode("latin-1"), False  # each byte is a character, and … is none of them
        masked = self.text(text)
        shown = masked.encode() if is_text else masked.replace("…", "...").encode("latin-1")
        return {
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "masked": masked != text,
            "base64": _Made(base64.b64encode(shown).decode()),
            "text": masked if is_text else None,
        }

    def everywhere(self, value: Any) -> Any:
        """A JSON value with every text in it masked."""
        if isinstance(value, str):
            return str(value) if isinstance(value, _Made) else self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self.everywhere(inner) for name, inner in value.items()}
        return [self.everywhere(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _token(settings: Settings, kid: str, attempt: Attempt) -> str:
    keys = {kid: settings.callback_keys[kid]}
    return callback_urls.mint("", keys, attempt.provider, attempt.job_id, attempt.number).rpartition("/")[2]


def _long(secrets: Iterable[str]) -> set[str]:
    return {secret for secret in secrets if len(secret) >= logs.SHORTEST_SECRET}
