"""One signed POST to a receiver of notices, as Standard Webhooks has it, and under our guard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests
from standardwebhooks import Webhook

from jobs.providers.refusals import retry_after_s
from jobs.settings import Settings
from storage.errors import LinkForbidden
from storage.outbound.connections import under
from storage.outbound.deadline import Deadline, NoThread
from storage.outbound.guard import check_url, guarded_session
from webhooks.errors import NoticeRefused, NoticeUndelivered

LATE = "no answer in time"


def post(
    notice_id: str, url: str, body: Mapping[str, Any], now: datetime, settings: Settings, session: requests.Session
) -> int:
    """Send a notice, and give the status of the answer. `session`: the guarded one for links.

    Raises NoticeRefused, NoticeUndelivered.
    """
    if not settings.notice_secrets:
        raise NoticeUndelivered("nothing to sign it with: set RUSHES_NOTICE_SECRETS")
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "content-type": "application/json",
        "user-agent": "Rushes",
        "webhook-id": notice_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(notice_id, now, text) for secret in settings.notice_secrets),
    }
    try:
        with Deadline(settings.notice_deadline_s) as deadline:
            status, told = _post(url, text, headers, deadline, settings, session)
    except NoThread as e:
        raise NoticeUndelivered(str(e)) from e
    if not 200 <= status < 300:
        raise NoticeRefused(status, retry_after_s(told, now))
    return status


def _post(
    url: str, text: str, headers: dict[str, str], deadline: Deadline, settings: Settings, session: requests.Session
) -> tuple[int, dict[str, str]]:
    """The status of the answer, and its headers by lower-case names. Raises NoticeUndelivered."""
    deadline_s = settings.notice_deadline_s
    try:
        check_url(url, **_guard(settings))
        with (
            under(deadline),
            _allowed(settings, session) as allowed,
            allowed.post(
                url,
                data=text.encode(),
                headers=headers,
                timeout=(deadline_s / 3, deadline_s),
                allow_redirects=False,
                stream=True,  # what it answers beside the status is not read
            ) as answer,
        ):
            status, told = answer.status_code, {name.lower(): value for name, value in answer.headers.items()}
    except (requests.RequestException, LinkForbidden, OSError) as e:
        raise NoticeUndelivered(LATE if deadline.passed else type(e).__name__) from e
    if deadline.passed:  # http.client takes a head that our cut has ended for a whole one
        raise NoticeUndelivered(LATE)
    return status, told


def _guard(settings: Settings) -> dict[str, Any]:
    return {"allow_private": settings.allow_private_addresses, "receivers": settings.notice_receivers}


@contextmanager
def _allowed(settings: Settings, session: requests.Session) -> Iterator[requests.Session]:
    """The one for links, unless receivers inside are open: these are for notices alone."""
    if not settings.notice_receivers.is_any:
        yield session
        return
    with guarded_session(**_guard(settings)) as own:
        yield own
