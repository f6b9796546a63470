"""A gateway on loopback whose tasks go wrong as the first word of their prompt says.

It has EvoLink's paths, and takes orders wherever EasyRouter and GravitexAI send theirs. `log` tells what it was asked.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from kit.films import film

BOM = b"\xef\xbb\xbf"
GENERATION_S = 1
NOT_FOUND = {"error": {"code": "task_not_found", "message": "no such task", "type": "not_found_error"}}
NO_QUOTA = {  # as EasyRouter and GravitexAI say that the credit is used up
    "code": "insufficient_user_quota",
    "message": "预扣费额度失败, 用户剩余额度: ＄0.100000, 需要预扣费额度: ＄0.440000",
    "data": None,
}


class Task(NamedTuple):
    fault: str
    ordered_at: float


class Gateway:
    """Listens from the moment it is made until the script ends. `url` is its base URL."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, str | None]] = []
        self.tasks: dict[str, Task] = {}
        self.film = film()
        handler = type("Handler", (_Handler,), {"gateway": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, order: dict[str, Any]) -> tuple[int, bytes]:
        fault = order["prompt"].split()[0]
        self.log.append(("order", fault, order.get("callback_url")))
        if fault == "noquota":
            return 403, _json(NO_QUOTA)
        number = len(self.tasks)
        task_id = f"任务-{number}" if fault == "nonascii" else f"task-{number}-{fault}"
        self.tasks[task_id] = Task(fault, time.monotonic())
        taken = _json({"id": task_id, "task_id": task_id, "status": "pending", "progress": 0})
        return 200, BOM + taken if fault == "bom" else taken

    def tell(self, task_id: str) -> tuple[int, bytes]:
        task = self.tasks.get(task_id)
        if task is None or task.fault == "gone":
            return 404, _json(NOT_FOUND)
        if task.fault == "stuck" or time.monotonic() < task.ordered_at + GENERATION_S:
            return 200, _json({"id": task_id, "status": "processing", "progress": 50})
        if task.fault == "unknownword":
            return 200, _json({"id": task_id, "status": "UNKNOWN"})
        done = {"id": task_id, "status": "completed", "progress": 100}
        return 200, _json({**done, "results": self._results(task_id, task.fault)})

    def _results(self, task_id: str, fault: str) -> list[Any]:
        link = f"{self.url}/film/v.mp4?Expires=1&Signature=a%2Bb"
        odd: dict[str, list[Any]] = {
            "nolink": [],
            "newline": [f"{link}\n"],
            "space": [f"{self.url}/film/a b.mp4?Expires=1"],
            "relative": [f"/film/{task_id}"],
            "objects": [{"url": link}],
            "needskey": [f"{self.url}/film/needs-key"],
        }
        return odd.get(fault, [link])


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


class _Handler(BaseHTTPRequestHandler):
    gateway: Gateway
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*self.gateway.take(order))

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if not path.startswith("/film"):
            self._answer(*self.gateway.tell(path.rpartition("/")[2]))
            return
        key = self.headers.get("Authorization")
        self.gateway.log.append(("film", path, key))
        if "needs-key" in path and not key:
            self._answer(401, _json({"error": {"message": "no token"}}))
        else:
            self._answer(200, self.gateway.film, "video/mp4")

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
