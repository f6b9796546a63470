"""What a callback under a bad token costs, beside a bare Flask application's 404.

    python benchmarks/bad_token.py

Processor time of this process, both in one run, in turns. Fails above the limit, and when a bad token costs any SQL.
"""

from __future__ import annotations

import gc
import io
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from figures import tell
from flask import Flask

from jobs import callback_urls
from jobs.settings import load
from jobs.store import migrate
from jobs.store.database import Database
from webhooks.app import create_app

ROUNDS, CALLS = 40, 250
LIMIT_US = 50
KEY = "0123456789abcdef0123456789abcdef"
JOB = "job_01K8Z3V0QWERTYUIOPASDFGHJK"


def environ(path: str) -> dict[str, Any]:
    body = b'{"id": "t-1", "status": "completed"}'
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "rushes.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }


def asked(app: Callable[..., Iterable[bytes]], path: str) -> str:
    """One request through the whole application; the status that it answers."""
    said: list[str] = []
    b"".join(app(environ(path), lambda status, headers, _=None: said.append(status)))
    return said[0]


def cpu_us(app: Callable[..., Iterable[bytes]], path: str) -> float:
    """Processor time of one request, of many in a row."""
    before = time.process_time()
    for _ in range(CALLS):
        asked(app, path)
    return (time.process_time() - before) / CALLS * 1e6


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/rushes.db"
        database = Database(url)
        migrate.upgrade(database)
        database.close()
        receiver = create_app(
            load({"RUSHES_DATABASE_URL": url, "RUSHES_S3_BUCKET": "videos", "RUSHES_CALLBACK_KEYS": f"k1:{KEY}"})
        )
        bare = Flask("bare", static_folder=None)
        bare.post("/webhooks/<provider>/<job_id>/<attempt>/<token>")(lambda **_: "")
        statements: list[str] = []
        asks = threading.get_ident()  # another thread writes sums of what was counted, every so often

        def note(_: object, __: object, statement: str, *___: object) -> None:
            if threading.get_ident() == asks:
                statements.append(statement)

        sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
        # A forger knows the form of a token, and everything but the key.
        forged = callback_urls.mint("", {"k1": b"a key of somebody else's"}, "evolink", JOB, 1)
        assert asked(receiver, forged).startswith("404")
        assert asked(bare, "/nothing").startswith("404")
        gc.disable()
        both = [(cpu_us(receiver, forged), cpu_us(bare, "/nothing")) for _ in range(ROUNDS)]
        gc.enable()
        receiver.extensions["rushes.close"]()
    ours, theirs = (statistics.median(each) for each in zip(*both, strict=True))
    more = statistics.median(a - b for a, b in both)
    said = f"{ours:.0f} µs against {theirs:.0f} µs ({more:+.0f}), {len(statements)} SQL statements"
    is_held = more <= LIMIT_US and not statements
    what = "CPU of a callback under a bad token, against a bare Flask 404"
    return 0 if tell(what, said, f"{LIMIT_US} µs more, no SQL", is_held=is_held) else 1


if __name__ == "__main__":
    sys.exit(main())
