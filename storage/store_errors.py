"""botocore's errors in our words: what was asked, the store's code, and its own text."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from storage.errors import BucketRefuses, BucketUnavailable

LONGEST_TEXT, LONGEST_CODE = 300, 100
HIDDEN = "…"
# Of those below 500. 307 is a new bucket's whose name has not come round yet, which takes a while.
TRY_AGAIN = frozenset({307, 408, 409, 412, 425, 429})
FOR_GOOD = frozenset({501, 507})  # of those from 500 on: not implemented, no room
# Refusals by their status, that another try may not meet: a body that was altered or cut off on the way.
PASSING = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"})
UNABLE = (NoCredentialsError, PartialCredentialsError, ParamValidationError)  # nothing was sent, nor would be


def told(
    what: str,
    error: ClientError | BotoCoreError | OSError,
    secrets: Collection[str],
    kind: type[BucketUnavailable] | None = None,
) -> BucketUnavailable:
    """The error to raise, with none of `secrets` in its words. `kind`: another than the answer calls for."""
    kind = kind or (BucketRefuses if _is_refusal(error) else BucketUnavailable)
    if not isinstance(error, ClientError):
        code = type(error).__name__
        return kind(f"{what}: {code}{_where(error)}", code=code)
    said = error.response.get("Error", {})
    return _worded(kind, what, status_of(error), str(said.get("Code") or ""), str(said.get("Message") or ""), secrets)


def told_of_link(what: str, status: int, body: str, secrets: Collection[str]) -> BucketUnavailable:
    """What the store answers to who follows a link, which is XML if it is the store that answers."""
    code, text = (_element(name, body) for name in ("Code", "Message"))
    return _worded(BucketRefuses, what, status, code, text, secrets)


def _worded(
    kind: type[BucketUnavailable], what: str, status: int | None, code: str, text: str, secrets: Collection[str]
) -> BucketUnavailable:
    code, text = _clean(code, secrets, LONGEST_CODE), _clean(text, secrets, LONGEST_TEXT)
    known = " ".join(dict.fromkeys(str(part) for part in (status, code) if part))
    return kind(f"{what}: {known}{f' ({text})' if text else ''}", status=status, code=code)


def _element(name: str, body: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", body)
    return html.unescape(found[1]) if found else ""


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a store's answer; None of what is no answer."""
    if not isinstance(error, ClientError):
        return None
    status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _where(error: BotoCoreError | OSError) -> str:
    """Which host or file an error is about: that may be another than the store, where a role's keys come from."""
    if isinstance(error, OSError):
        return f" ({error.filename})" if error.filename else ""
    host = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", ""))).hostname
    return f" ({host})" if host else ""


def _is_refusal(error: ClientError | BotoCoreError | OSError) -> bool:
    if not isinstance(error, ClientError):
        return isinstance(error, UNABLE)
    code: Any = error.response.get("Error", {}).get("Code")
    status = status_of(error) or 0
    return code not in PASSING and (status in FOR_GOOD or (300 <= status < 500 and status not in TRY_AGAIN))


def _clean(text: str, secrets: Collection[str], most: int) -> str:
    """One line for people: a store may quote what it was sent."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else f"{line[:most]}…"
