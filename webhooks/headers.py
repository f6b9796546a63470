"""What every answer says to browsers, whoever gives it. HSTS is the proxy's: it is the one that speaks TLS."""

from __future__ import annotations

from flask import Flask, Response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Nothing that is answered here is a page of its own; a view that shows one says so itself.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    # Answers tell of jobs and lead to signed links: no cache on the way may keep them.
    "Cache-Control": "no-store",
}


def install(app: Flask) -> None:
    """Put the headers on every answer, refusals and failures included, unless its view has set them."""

    @app.after_request
    def add(answer: Response) -> Response:
        given = {name.lower() for name, _ in answer.headers}
        answer.headers.extend([(name, value) for name, value in HEADERS.items() if name.lower() not in given])
        return answer
