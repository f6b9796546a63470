"""A service that the command line can ask."""

from __future__ import annotations

import json
from typing import Any

import requests

DRY_RUN = "/v1/jobs?dry_run=true"  # where it is answered otherwise than an order


class Service(requests.Session):
    """A service that answers by method and path, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = {}
        self.asked: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        self.answers[method, path] = [(status, body, headers)]

    def then(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer so after the answers before; the last one stays."""
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> requests.Response:  # type: ignore[override]
        path = str(url).removeprefix("http://service")
        self.asked.append({"method": method, "path": path, **what})
        if (what.get("params") or {}).get("dry_run") and ("POST", DRY_RUN) in self.answers:
            path = DRY_RUN
        answers = self.answers[str(method), path]
        status, body, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        response = requests.Response()
        response.status_code, response.url = status, str(url)
        response.headers.update(headers)
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response._content_consumed = True  # type: ignore[attr-defined]  # as requests has it once a body is read
        return response
