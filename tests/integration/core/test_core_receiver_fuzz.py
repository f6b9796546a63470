"""Bodies that nobody would send, under good tokens of every gateway: the receiver's own statuses, and no other."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from drawn_bodies import ANYTHING, samples, spoilt, written
from flask import Flask
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from proving import drawn

from jobs import callback_urls
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.store.database import Database
from webhooks.receiver import Receiver, blueprint

KEY = "0123456789abcdef0123456789abcdef"
STATUSES = {200, 400, 404, 413}
CALM = settings(
    max_examples=drawn(80),
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Silent:
    """A ringer that nobody hears."""

    def ring(self, task: str, *job_ids: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int:
        return 0


@pytest.fixture
def receiver(database: Database) -> Any:
    variables = {"RUSHES_S3_BUCKET": "videos", "RUSHES_CALLBACK_KEYS": f"k1:{KEY}", "RUSHES_MAX_INBOX_ROWS": "1000000"}
    app = Flask("receiver", static_folder=None)
    app.register_blueprint(blueprint(Receiver(load(variables), PROVIDERS, database, Silent())))
    return app.test_client()


def path_of(provider: str) -> str:
    return urlsplit(callback_urls.mint("http://x", {"k1": KEY.encode()}, provider, "job_1", 1)).path


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_no_body_under_a_good_token_is_an_internal_error(receiver: Any, provider: str) -> None:
    path = path_of(provider)

    @CALM
    @given(
        st.one_of(
            written(spoilt(samples(provider, "callback_*"))),
            st.binary(max_size=200),
            ANYTHING.map(lambda v: json.dumps(v).encode()),
        )
    )
    @example(b"[" * 60_000)
    @example(b'{"a":' * 10_000 + b"1" + b"}" * 10_000)
    @example(b'{"n": ' + b"9" * 60_000 + b"}")
    @example(b'{"n": 1e999}')
    @example(b'{"n": -Infinity}')
    @example(b'{"id": "t", "id": "t"}')
    @example(b'{"id": "\\u0000", "status": "completed"}')
    @example(b'{"id": "\\ud800", "status": "completed"}')
    @example(b"\xff\xfe{\x00}\x00")
    @example(b"\xef\xbb\xbf{}")
    @example(b"\x1f\x8b\x08\x00")
    @example(b" " * 65_536)
    @example(b"x" * 65_537)
    def send(body: bytes) -> None:
        kind = "application/json; charset=utf-16" if len(body) % 2 else "application/json"
        answer = receiver.post(path, data=body, content_type=kind)
        assert answer.status_code in STATUSES
        assert answer.get_data() == b""

    send()


PIECE = st.one_of(
    st.text(max_size=30), st.sampled_from(["evolink", "job_1", "1", "k1." + "A" * 43, "k1", "k1.é", "..", "%00"])
)


def test_no_path_or_header_is_an_internal_error(receiver: Any) -> None:
    @settings(CALM, max_examples=drawn(300))
    @given(st.tuples(PIECE, PIECE, PIECE, PIECE), st.sampled_from(["5", "-1", "", "x", "99999999999", "1e3", "٣"]))
    def send(pieces: tuple[str, ...], length: str) -> None:
        path = "/webhooks/" + "/".join(pieces)
        environ = {"CONTENT_LENGTH": length, "HTTP_CONTENT_ENCODING": "gzip"}
        answer = receiver.post(path, data=b"{}", environ_overrides=environ)
        assert answer.status_code in {404, 405, 308, 413}, (path, length)

    send()
