"""A sandbox without sockets, threads or real time: Flask's test client, a clock that is set, films that are ready."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.app import Sandbox
from sandbox.callbacks import Parcel
from sandbox.films import Recipe

START = 1_800_000_000.0
CALLBACK = "https://rushes.example/cb"
FAULT = "X-Sandbox-Fault"


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        """What waits on purpose takes no real time."""
        self.now += seconds


@dataclass
class ReadyFilms:
    path: Path
    recipes: list[Recipe] = field(default_factory=list)

    def order(self, recipe: Recipe) -> Future[Path]:
        self.recipes.append(recipe)
        film: Future[Path] = Future()
        film.set_result(self.path)
        return film


@dataclass
class Receiver:
    """Takes callbacks; answers the statuses given, then 200."""

    statuses: list[int] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def __call__(self, parcel: Parcel) -> int:
        self.parcels.append(parcel)
        return self.statuses.pop(0) if self.statuses else 200


@dataclass
class Bench:
    client: FlaskClient
    sandbox: Sandbox
    clock: Clock
    films: ReadyFilms
    receiver: Receiver

    def ask(self, gateway: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """A POST where there is a body, else a GET, with the gateway's own key."""
        key = {"X-API-Key": "afk_sandbox"} if gateway == "apiframe" else {"Authorization": "Bearer sk-sandbox"}
        url = f"/{gateway}{path}"
        if body is None:
            return self.client.get(url, headers={**key, **headers})
        return self.client.post(url, json=body, headers={**key, **headers})

    def control(self, path: str, body: Any = None) -> Any:
        answer = (
            self.client.get(f"/control/{path}") if body is None else self.client.post(f"/control/{path}", json=body)
        )
        assert answer.status_code == 200, answer.text
        return answer.json

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.sandbox.agenda.run_due()

    def submit(self, gateway: str, callback: bool = True, fault: str = "", **changes: Any) -> str:
        """An accepted text-to-video task's id; `fault` goes into the header."""
        path, body = TEXT_TO_VIDEO[gateway]
        if callback and gateway in CALLBACK_FIELD:
            body = {**body, CALLBACK_FIELD[gateway]: CALLBACK}
        answer = self.ask(gateway, path, {**body, **changes}, **{FAULT: fault})
        assert answer.status_code in (200, 202), answer.text
        return task_id_of(gateway, answer.json)

    def report(self, gateway: str, task_id: str, fault: str = "") -> Any:
        answer = self.ask(gateway, QUERY[gateway] + task_id, **{FAULT: fault})
        assert answer.status_code == 200, answer.text
        return answer.json


TEXT_TO_VIDEO: dict[str, tuple[str, dict[str, Any]]] = {
    "aivideoapi": (
        "/v1/videos/generations",
        {"model": "wan-2.7-text-to-video", "input": {"prompt": "a fox", "duration": 4, "resolution": "720p"}},
    ),
    "apiframe": (
        "/v2/videos/generate",
        {"model": "wan-2.7", "prompt": "a fox", "wan27Params": {"duration": 4, "resolution": "720p"}},
    ),
    "easyrouter": (
        "/v1/video/generations",
        {"model": "wan2.7-t2v", "prompt": "a fox", "duration": 4, "metadata": {"ratio": "16:9"}},
    ),
    "gravitex": (
        "/v1/video/generations",
        {
            "model": "wan2.7-t2v-2026-04-25",
            "prompt": "a fox",
            "duration": 4,
            "metadata": {"input": {"prompt": "a fox"}, "parameters": {"resolution": "720P", "duration": 4}},
        },
    ),
    "evolink": ("/v1/videos/generations", {"model": "wan2.7-text-to-video", "prompt": "a fox", "duration": 4}),
}
QUERY = {
    "aivideoapi": "/v1/tasks/",
    "apiframe": "/v2/jobs/",
    "easyrouter": "/v1/video/generations/",
    "gravitex": "/v1/video/generations/",
    "evolink": "/v1/tasks/",
}
CALLBACK_FIELD = {"aivideoapi": "callback_url", "apiframe": "webhookUrl", "evolink": "callback_url"}


def task_id_of(gateway: str, body: Any) -> str:
    return str(
        body["data"]["taskId"] if gateway == "aivideoapi" else body.get("jobId") or body.get("task_id") or body["id"]
    )


def link_of(gateway: str, report: Any) -> str:
    return str(
        {
            "aivideoapi": lambda: report["output"]["urls"][0],
            "apiframe": lambda: report["result"]["videoUrl"],
            "easyrouter": lambda: report["data"]["result_url"],
            "gravitex": lambda: report["url"],
            "evolink": lambda: report["results"][0],
        }[gateway]()
    )


def status_of(gateway: str, report: Any) -> str:
    return str(report["data"]["status"] if gateway == "easyrouter" else report["status"])
