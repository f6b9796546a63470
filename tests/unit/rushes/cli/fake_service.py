"""A service that the command line can ask."""

from __future__ import annotations

import json
from typing import Any

import requests


class Service(requests.Session):
    """A service that answers by method and path, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.answers[method, path] = (status, body)

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> requests.Response:  # type: ignore[override]
        path = str(url).removeprefix("http://service")
        self.asked.append({"method": method, "path": path, **what})
        status, body = self.answers[str(method), path]
        response = requests.Response()
        response.status_code, response.url = status, str(url)
        response._content = json.dumps(body).encode()
        return response
