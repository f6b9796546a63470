"""The films under their links: who may see them, and the ways they can be served wrongly."""

from __future__ import annotations

import io
import secrets

from flask import Response, request, send_file

from sandbox import faults, links, wire
from sandbox.films import own_copy
from sandbox.production import FILM_PATIENCE_S, Production


def show(production: Production, pause: wire.Pause, token: str, name: str) -> Response:
    """Answer a request for a film: the film, a range of it, a store's refusal, or what a `serve` fault makes of it.

    Raises UnknownFault for a fault in the request's header that is none of a film's.
    """
    own = faults.read_header({}, faults.ANY, faults.FILM, request.headers.getlist(faults.HEADER))
    book = production.book
    now = book.now()
    task = book.by_link(token)
    expires, signature = request.args.get("Expires", ""), request.args.get("Signature", "")
    fault = links.fault_of(request.path, expires, signature, now, production.link_secret)
    if fault is None and (task is None or task.id != name):
        fault = "NoSuchKey"
    if fault is not None or task is None:
        fault = fault or "NoSuchKey"
        xml = links.error_xml(fault, request.host, secrets.token_hex(12).upper(), expires, now)
        return Response(xml, 404 if fault == "NoSuchKey" else 403, mimetype="application/xml")
    film = own_copy(task.film.result(FILM_PATIENCE_S), task.id)
    if request.method == "GET":
        task.link_hits.append(now)
        if own:
            return wire.bad_film(own[0].params["what"], film, own[0].params["bytes_per_s"], pause)
        if task.serve.get("hits", 0) > 0:
            task.serve["hits"] -= 1
            return wire.bad_film(task.serve["what"], film, task.serve["bytes_per_s"], pause)
    answer = send_file(io.BytesIO(film), "video/mp4", conditional=True, etag=token, last_modified=task.ended_at)
    del answer.headers["Date"]  # the server writes its own
    return answer
