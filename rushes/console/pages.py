"""The console as a blueprint: every page and action by its address, and what holds of all of them."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, g, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from jobs.settings import Settings
from rushes.console import (
    attention,
    bulk,
    callbacks,
    files,
    gateways,
    job,
    job_actions,
    jobs,
    keys,
    money,
    new,
    notices,
    overview,
    videos,
    words,
)
from rushes.console.door import Door, Forged
from rushes.console.service import Refused
from rushes.console.sessions import Sessions
from storage.bucket import Bucket
from storage.errors import BucketUnavailable

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{films}; media-src{films} 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Beside those of all answers. Links lead to gateways and buckets, which need not know where from.
HEADERS = {"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"}
# Each adds its addresses.
PAGES = (overview, jobs, bulk, new, job, job_actions, videos, attention, gateways, money, callbacks, notices, keys)
ID = re.compile(r"\w+", re.ASCII)
OF_PATHS = frozenset({"console.static", "console.nothing"})
# What the menu shows: a page's name, and its endpoint.
MENU = [
    ("Overview", "console.overview"),
    ("Jobs", "console.jobs"),
    ("Videos", "console.videos"),
    ("New", "console.new"),
    ("Attention", "console.attention"),
    ("Gateways", "console.gateways"),
    ("Money", "console.money"),
    ("Callbacks", "console.callbacks"),
    ("Notices", "console.notices"),
    ("Keys", "console.keys"),
]


class Films:
    """Where videos and posters lie, as a policy names it."""

    def __init__(self, bucket: Bucket):
        self._bucket, self._origin = bucket, ""

    @property
    def origin(self) -> str:
        """Nothing where no link can be made just now."""
        if not self._origin:
            with contextlib.suppress(BucketUnavailable):
                parts = urlsplit(self._bucket.link("film", expires_s=1))
                self._origin = f" {parts.scheme}://{parts.netloc}"
        return self._origin


def blueprint(app: Flask, settings: Settings, bucket: Bucket) -> Blueprint:
    """`/console/`. `bucket`: as those who follow links reach it; pages may show its films."""
    films = Films(bucket)
    door = Door(app, Sessions(settings.secrets), settings.trusted_proxies)
    routes = Blueprint("console", __name__, url_prefix="/console", template_folder="templates")
    routes.before_request(_known_ids_alone)
    routes.before_request(door.check)
    routes.after_request(door.finish)
    words.install(routes)

    @routes.context_processor
    def shared() -> dict[str, object]:
        return {"visitor": g.get("visitor"), "menu": MENU, "file": files.address, "missing": files.missing()}

    @routes.after_request
    def harden(answer: Response) -> Response:
        answer.headers.extend(HEADERS)
        answer.headers["Content-Security-Policy"] = POLICY.format(films=films.origin)
        return answer

    @routes.errorhandler(Refused)
    def refused(refusal: Refused) -> ResponseReturnValue:
        return render_template("console/refused.html", refusal=refusal), refusal.status

    @routes.errorhandler(Forged)
    def forged(_: Forged) -> ResponseReturnValue:
        problem = {"title": "Nothing was done.", "detail": "The form is out of date: go back, and try again."}
        said = Refused(403, problem)
        return render_template("console/refused.html", refusal=said), 403

    @routes.errorhandler(HTTPException)
    def failed(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        detail = "There is no such page." if status == 404 else "Try again; the log says more."
        said = Refused(status, {"title": error.name, "detail": detail})
        return render_template("console/refused.html", refusal=said), status

    routes.add_url_rule("/sign-in", "sign_in", door.sign_in)
    routes.add_url_rule("/sign-in", "enter", door.enter, methods=["POST"])
    routes.add_url_rule("/sign-out", "leave", door.leave, methods=["POST"])
    routes.add_url_rule("/static/<path:name>", "static", files.served)
    for page in PAGES:
        page.add(routes, door)

    @routes.route("/<path:path>")
    def nothing(path: str) -> ResponseReturnValue:
        abort(404, path)

    return routes


def _known_ids_alone() -> None:
    """No id in an address can become another address of the API."""
    if request.endpoint in OF_PATHS:
        return
    if not all(ID.fullmatch(str(part)) for part in (request.view_args or {}).values()):
        abort(404)
