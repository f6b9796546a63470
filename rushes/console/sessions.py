"""Who is signed in: a signed cookie that names an API key by its id, and ends by itself.

The cookie holds no key, and opens nothing but the console: its path is `/console/`. Whether the key that it names is
live is asked at every request, so a revoked key ends its sessions. The signature is made with all secrets of the
installation, which every web process is told alike: no setting of its own, and who reads the database alone can sign
nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

COOKIE = "rushes_console"
SAID = "rushes_console_said"  # what the page after an action tells of it
IDLE_S = 12 * 3600
LONGEST_S = 7 * 86400
RENEWED_AFTER_S = 60  # a cookie younger than this is not written anew


@dataclass(frozen=True)
class Session:
    """A sign-in. Times are seconds since 1970; `token`: unlike any other session's."""

    key_id: str
    token: str
    began: int
    seen: int


class Sessions:
    """Writes and reads what the cookies hold."""

    def __init__(self, installation_secrets: Collection[str], *, clock: Callable[[], float] = time.time):
        # An installation without any secret has one process, whose end ends its sessions.
        said = "\n".join(sorted(installation_secrets)) or secrets.token_hex(32)
        secret = hmac.digest(said.encode(), b"rushes.console", hashlib.sha256)
        self._session, self._said = (URLSafeSerializer(secret, salt=name) for name in (COOKIE, SAID))
        self._csrf = hmac.digest(secret, b"csrf", hashlib.sha256)
        self._clock = clock

    def begin(self, key_id: str) -> Session:
        now = int(self._clock())
        return Session(key_id, secrets.token_urlsafe(18), now, now)

    def renewed(self, session: Session) -> Session | None:
        """The session, seen just now; None: it was seen so lately that nothing need be written."""
        now = int(self._clock())
        return replace(session, seen=now) if now - session.seen >= RENEWED_AFTER_S else None

    def write(self, session: Session) -> str:
        return self._session.dumps([session.key_id, session.token, session.began, session.seen])

    def read(self, cookie: str | None) -> Session | None:
        """None for a cookie that is not ours, or whose session has ended."""
        try:
            key_id, token, began, seen = self._session.loads(cookie or "")
            session = Session(str(key_id), str(token), int(began), int(seen))
        except (BadSignature, ValueError, TypeError):
            return None
        now = self._clock()
        is_over = now - session.seen > IDLE_S or now - session.began > LONGEST_S
        return None if is_over else session

    def csrf_token(self, session: Session) -> str:
        """What each form of the session's pages bears, and no page of another site can know."""
        return hmac.new(self._csrf, session.token.encode(), hashlib.sha256).hexdigest()

    def is_csrf_token(self, session: Session, sent: str) -> bool:
        return hmac.compare_digest(self.csrf_token(session), sent)

    def write_said(self, said: dict[str, Any]) -> str:
        return self._said.dumps(said)

    def read_said(self, cookie: str | None) -> dict[str, Any] | None:
        try:
            said: dict[str, Any] = self._said.loads(cookie or "")
        except BadSignature:
            return None
        return said
