"""The application: five gateways under their prefixes, the films, the control endpoints."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest, HTTPException

from sandbox import control, screening, wire
from sandbox.agenda import Agenda
from sandbox.callbacks import Courier, Post, in_a_thread, poster
from sandbox.faults import UnknownFault
from sandbox.films import Studio
from sandbox.gateway import Gateway, Glance, Query, Reader
from sandbox.gateways import GATEWAYS
from sandbox.menu import Menu
from sandbox.production import Production
from sandbox.reception import Films, Reception
from sandbox.settings import Config, Settings
from sandbox.tasks import Book


@dataclass(frozen=True)
class Sandbox:
    """The parts of a running application, at `app.extensions["sandbox"]`.

    `close` ends its threads and drops its temporary files.
    """

    book: Book
    agenda: Agenda
    close: Callable[[], None]


def create_app(
    config: Config,
    *,
    now: Callable[[], float] = time.time,
    films: Films | None = None,
    post: Post | None = None,
    pause: wire.Pause | None = None,
    start: bool = True,
) -> Flask:
    """The sandbox as a WSGI application.

    Tests give a clock and a `pause` of their own and `start=False`, then run the agenda themselves.
    """
    stopping = threading.Event()
    settings, menu, agenda = Settings(config.speed), Menu(), Agenda(now)
    book = Book(now, {name: gateway.credits for name, gateway in GATEWAYS.items()})
    courier = Courier(
        agenda, now, lambda: settings.speed, post or poster(config.ca_bundle), in_a_thread if start else _at_once
    )
    closers: list[Callable[[], Any]] = [stopping.set, agenda.stop]
    if films is None:
        folder = config.data_dir or Path(tempfile.mkdtemp(prefix="sandbox-"))
        films = studio = Studio(folder / "films")
        closers.append(studio.close)
        if config.data_dir is None:
            closers.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    production = Production(settings, book, agenda, courier, GATEWAYS)

    def wait(seconds: float) -> None:
        if stopping.wait(seconds):
            raise ConnectionAbortedError("the sandbox is stopping")

    pause = pause or wait
    reception = Reception(config, production, menu, films, pause)

    app = Flask("sandbox")
    app.json = _InOrder(app)
    for gateway in GATEWAYS.values():
        _add_gateway(app, reception, gateway)
    app.add_url_rule("/files/<token>/<name>.mp4", view_func=partial(screening.show, production, pause), endpoint="film")
    app.register_blueprint(control.blueprint(production, menu, courier))
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(UnknownFault, lambda unknown: _problem(BadRequest(str(unknown))))
    for stopped in (ConnectionAbortedError, CancelledError):
        app.register_error_handler(stopped, lambda _: wire.Cut(reset=False))

    closed = threading.Lock()

    def close() -> None:
        if closed.acquire(blocking=False):
            atexit.unregister(close)
            for each in closers:
                each()

    atexit.register(close)
    app.extensions["sandbox"] = Sandbox(book, agenda, close)
    if start:
        agenda.start()
    return app


def _add_gateway(app: Flask, reception: Reception, gateway: Gateway) -> None:
    """The gateway's documented paths, below its prefix."""

    def submit(read: Reader) -> Callable[[], Response]:
        return lambda: reception.submit(gateway, read)

    def query(form: Query) -> Callable[[str], Response]:
        return lambda task_id: reception.query(gateway, form, task_id)

    def page(write: Callable[[Glance], dict[str, Any]]) -> Callable[[], Response]:
        return lambda: reception.page(gateway, write)

    prefix = f"/{gateway.name}"
    for path, read in gateway.submits.items():
        app.add_url_rule(prefix + path, f"submit {prefix}{path}", submit(read), methods=["POST"])
    for path, form in gateway.queries.items():
        app.add_url_rule(f"{prefix}{path}<task_id>", f"query {prefix}{path}", query(form))
    for path, write in gateway.pages.items():
        app.add_url_rule(prefix + path, f"page {prefix}{path}", page(write))


def _at_once(call: Callable[[], object]) -> None:
    call()


class _InOrder(DefaultJSONProvider):
    sort_keys = False


def _problem(error: HTTPException) -> tuple[dict[str, Any], int]:
    return {"error": {"code": error.code, "message": error.description}}, error.code or 500
