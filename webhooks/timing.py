"""How long requests took, by route: counted for each answer, whatever it says."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from jobs import measures
from jobs.measures import status_class
from jobs.tallies import Tallies

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE, OTHER = "none", "other"  # a caller may make up paths and methods; these are no names for a number


def install(app: Flask, tallies: Tallies) -> None:
    """Install this first, so that what other hooks of a request do is in its time."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else NO_ROUTE
        method = request.method if request.method in METHODS else OTHER
        took_s = time.perf_counter() - g.began
        tallies.observe(measures.HTTP_S, took_s, method, route, status_class(response.status_code))
        return response
