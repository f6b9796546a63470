"""The service as the console asks it: the HTTP API, inside this process, under the key of the session.

There is no other way for a page to learn or to do anything. So a page can do what its key can, is counted and refused
as its key is, and what it did stands in histories under that key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from rushes.api.edge import request_ids
from rushes.api.edge.auth import ASKED_FOR

Query = Mapping[str, str | list[str]]
# Of the browser's request, for the limit of wrong keys, which goes by address.
PASSED_ON = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")


class Refused(Exception):
    """The API refused. Its words are for people: `detail` says what to do."""

    def __init__(self, status: int, problem: Mapping[str, Any]):
        self.status, self.code = status, str(problem.get("code", ""))
        self.title = str(problem.get("title", "The service refused."))
        self.errors: dict[str, list[str]] = dict(problem.get("errors") or {})
        self.detail = str(problem.get("detail") or "")
        super().__init__(f"{self.title} {self.detail}".strip())


@dataclass(frozen=True)
class Reply:
    """What the API answered with success. `data`: its JSON; None of an answer that is something else."""

    status: int
    data: Any
    body: bytes
    headers: Headers

    @property
    def location(self) -> str | None:
        """Of a redirect."""
        return self.headers.get("Location")


@dataclass(frozen=True)
class Service:
    """The API, asked for one key: the one with this id, or the one that somebody sent."""

    app: Flask
    key_id: str | None = None
    key: str | None = field(default=None, repr=False)

    def get(self, path: str, query: Query | None = None) -> Any:
        """What is answered. Raises Refused."""
        return self.ask("GET", path, query=query).data

    def post(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Raises Refused."""
        return self.ask("POST", path, body=body, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request. Raises Refused."""
        sent = {request_ids.HEADER: request_ids.current() or "", **(headers or {})}
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        builder = EnvironBuilder(
            path=path,
            method=method,
            query_string=urlencode(query or {}, doseq=True),
            json=body,
            headers=list(sent.items()),
            environ_base={name: request.environ[name] for name in PASSED_ON if name in request.environ},
        )
        environ = builder.get_environ()
        builder.close()
        if self.key_id is not None:
            environ[ASKED_FOR] = self.key_id
        # A context of its own, so that what the API notes of its request does not become the page's.
        with self.app.app_context(), self.app.request_context(environ):
            answer = self.app.full_dispatch_request()
            data = answer.get_json(force=True, silent=True)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, data if isinstance(data, dict) else {})
        return Reply(answer.status_code, data, answer.get_data(), answer.headers)
