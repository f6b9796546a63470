"""A person at the console, without a browser: cookies, and forms as their pages bear them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

HTML = {"Accept": "text/html"}
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')


class Visitor:
    """Whoever opens the console of an app; signed in with a key, if one is given."""

    def __init__(self, app: Flask, key: str | None = None, address: str = "192.0.2.1"):
        self.client = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = address
        if key is not None:
            assert self.sign_in(key).status_code == 303

    def sign_in(self, key: str, **form: str) -> TestResponse:
        return self.client.post("/console/sign-in", data={"key": key, **form})

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, headers={**HTML, **options.pop("headers", {})}, **options)

    def text(self, path: str) -> str:
        """A page as it reads, markup and all; its text is unescaped."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_data(as_text=True)

    def token(self) -> str:
        found = TOKEN.search(self.text("/console/"))
        assert found is not None
        return found[1]

    def post(self, path: str, **form: str | list[str]) -> TestResponse:
        """A form that was sent from a page of ours."""
        return self.client.post(path, data={"csrf_token": self.token(), **form})

    def told(self, answer: TestResponse) -> str:
        """What the page says to which an action leads."""
        assert answer.status_code == 303, answer.get_data(as_text=True)
        page = self.text(answer.location)
        (note,) = re.findall(r"data-said>.*?<span>(.*?)</span>", page, re.DOTALL)
        return unescape(re.sub("<[^>]+>", "", note))

    def cookie(self, name: str = "rushes_console") -> Any:
        return self.client.get_cookie(name, path="/console/")
