"""The API's reference for people, at /docs: Swagger UI from its package, with nothing from outside.

The package's own page starts itself from a script in the page, which our policy forbids; so the page is ours.
"""

from __future__ import annotations

from importlib.resources import files

from flask import Blueprint, Response, abort, redirect
from flask.typing import ResponseReturnValue

from rushes.api.edge.auth import wants_pages

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Swagger UI sets styles in its elements, and has its pictures in its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Rushes: the HTTP API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
# Not the path alone: where the page was opened with the key in its address, a browser would refuse to fetch it.
START = """SwaggerUIBundle({
  url: location.origin + "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
});
"""


def start_page() -> Blueprint:
    """The service's own address: it leads a browser to the console, and a program to the reference."""
    routes = Blueprint("start", __name__)

    @routes.get("/")
    def start() -> ResponseReturnValue:
        answer = redirect("/console/" if wants_pages() else "/docs", code=303)
        answer.vary.add("Accept")
        return answer

    return routes


def blueprint() -> Blueprint:
    """`/docs` and what it is made of."""
    routes = Blueprint("docs", __name__, url_prefix="/docs")
    folder = files("flask_swagger_ui") / "dist"

    @routes.get("")
    def page() -> Response:
        return Response(PAGE, mimetype="text/html")

    @routes.get("/start.js")
    def start() -> Response:
        return Response(START, mimetype="text/javascript")

    @routes.get("/<name>")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            abort(404)
        kept = {"Cache-Control": "private, max-age=3600"}  # they are the same for everybody, and two megabytes
        return Response((folder / name).read_bytes(), headers=kept, mimetype=ASSETS[name])

    @routes.after_request
    def allow_own_assets(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = POLICY
        return answer

    return routes
