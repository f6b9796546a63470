"""Who may come in: sign-in with an API key, the session of each request, and what a form must prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from jobs.environment.callers import Network
from rushes.api.edge.wrong_keys import is_trusted
from rushes.console.service import Refused, Service
from rushes.console.sessions import COOKIE, LONGEST_S, SAID, Session, Sessions

# Pages that whoever is not signed in sees.
OPEN = frozenset({"console.sign_in", "console.enter", "console.static"})
PATH = "/console/"
WHY = {
    "revoked": "The key that you signed in with was revoked.",
    "ended": "Your session has ended; sign in again.",
}


class Forged(Exception):
    """A form that is not of our page, or of a session that has ended."""


@dataclass(frozen=True)
class Visitor:
    """Who is signed in, as templates know them."""

    key_id: str
    name: str
    scope: str
    csrf_token: str

    @property
    def may_order(self) -> bool:
        return self.scope != "read"

    @property
    def is_operator(self) -> bool:
        return self.scope == "admin"


@dataclass(frozen=True)
class Door:
    """Knows visitors by their cookies."""

    app: Flask
    sessions: Sessions
    trusted: tuple[Network, ...]

    def check(self) -> ResponseReturnValue | None:
        """Before each page: None lets it be seen. Raises Forged, Refused."""
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise Forged
        if request.endpoint in OPEN:
            return None
        session = self.sessions.read(request.cookies.get(COOKIE))
        if session is None:
            return self._to_sign_in(None)
        g.service = Service(self.app, key_id=session.key_id)
        try:
            own = g.service.get("/v1/key")
        except Refused as refusal:
            if refusal.status != 401:
                raise
            return self._to_sign_in("revoked")
        g.session = session
        g.visitor = Visitor(own["id"], own["name"], own["scope"], self.sessions.csrf_token(session))
        if request.method == "POST" and not self.sessions.is_csrf_token(session, request.form.get("csrf_token", "")):
            raise Forged
        return None

    def finish(self, answer: Response) -> Response:
        """After each page: a person who looks is still there; a page that renews itself tells nothing of them."""
        session: Session | None = g.get("session")
        is_live = "HX-Request" in request.headers
        if session is not None and not is_live and (renewed := self.sessions.renewed(session)) is not None:
            self._set(answer, COOKIE, self.sessions.write(renewed), LONGEST_S)
        if g.get("said") is not None:
            answer.delete_cookie(SAID, path=PATH)
        return answer

    def sign_in(self) -> ResponseReturnValue:
        """The page that asks for a key."""
        why = WHY.get(request.args.get("why", ""))
        return render_template("console/sign_in.html", said=why, next=request.args.get("next", ""))

    def enter(self) -> ResponseReturnValue:
        """Take a key, and begin a session."""
        try:
            own = Service(self.app, key=request.form.get("key", "").strip()).get("/v1/key")
        except Refused as refusal:
            page = render_template("console/sign_in.html", refused=refusal.detail, next=request.form.get("next", ""))
            return page, refusal.status
        answer = make_response(redirect(safe(request.form.get("next", "")), code=303))
        self._set(answer, COOKIE, self.sessions.write(self.sessions.begin(own["id"])), LONGEST_S)
        return answer

    def leave(self) -> ResponseReturnValue:
        """End the session in this browser."""
        answer = make_response(redirect(url_for("console.sign_in"), code=303))
        answer.delete_cookie(COOKIE, path=PATH)
        g.pop("session")
        return answer

    def say(self, answer: Any, said: Mapping[str, Any]) -> Response:
        """Have the next page tell what came of an action."""
        told = make_response(answer)
        self._set(told, SAID, self.sessions.write_said(dict(said)), 60)
        return told

    def said(self) -> dict[str, Any] | None:
        """What the action before this page came to; told once."""
        if "HX-Request" in request.headers:
            return None
        g.said = self.sessions.read_said(request.cookies.get(SAID))
        found: dict[str, Any] | None = g.said
        return found

    def origin(self) -> str:
        """Where the browser finds us, for addresses that are given away."""
        return f"{'https' if self._is_by_tls() else 'http'}://{request.host}"

    def _to_sign_in(self, why: str | None) -> ResponseReturnValue:
        if "HX-Request" in request.headers:  # a page that renews itself: it is led there as a whole
            return "", 401, {"HX-Redirect": url_for("console.sign_in", why=why or "ended")}
        if request.method != "GET":
            return redirect(url_for("console.sign_in", why=why or "ended"), code=303)
        path = request.full_path.rstrip("?")
        return redirect(url_for("console.sign_in", why=why, next=None if path == PATH else path), code=303)

    def _set(self, answer: Response, name: str, value: str, life_s: int) -> None:
        answer.set_cookie(
            name, value, max_age=life_s, path=PATH, httponly=True, samesite="Lax", secure=self._is_by_tls()
        )

    def _is_by_tls(self) -> bool:
        """Whether the browser speaks TLS, to us or to a proxy that is trusted."""
        said = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip()
        return request.is_secure or (said == "https" and is_trusted(request.remote_addr or "", self.trusted))


def safe(place: str, otherwise: str = PATH) -> str:
    """A page of the console, whatever a link to the sign-in, or a form, had put there."""
    is_ours = place.startswith(PATH) and "\\" not in place and place.isprintable()
    return place if is_ours else otherwise
