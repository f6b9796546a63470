"""deploy/Caddyfile at work: whom the proxy serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from caddy import shipped_proxy
from flask import Flask, request
from served import serve_app

from rushes.local.supervisor import Supervisor

ROOT = Path(__file__).parents[3]
PATH = "/webhooks/evolink/token"


@dataclass(frozen=True)
class Proxy:
    http: str
    https: str
    authority: Path

    def post(self, url: str, host: str | None = None, body: bytes | Iterable[bytes] = b"{}") -> requests.Response:
        headers = {"Host": host} if host else {}
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                url + PATH, data=body, headers=headers, verify=str(self.authority), allow_redirects=False, timeout=10
            )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    app = Flask("receiver")
    app.add_url_rule("/<path:path>", view_func=lambda path: request.get_data(), methods=["POST"])
    receiver = serve_app(app)
    folder = tmp_path_factory.mktemp("proxy")
    shipped = shipped_proxy(folder, receiver.url)
    found = Proxy(shipped.http, shipped.https, shipped.authority)

    def answers() -> bool:
        try:
            return found.post(found.https).ok
        except (requests.RequestException, OSError):
            return False

    with Supervisor() as supervisor:
        supervisor.start(shipped.process(answers))
        yield found
    receiver.close()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_is_not_ours_is_answered_with_421_and_led_nowhere(proxy: Proxy, scheme: str, host: str) -> None:
    answer = proxy.post(getattr(proxy, scheme), host)
    assert (answer.status_code, answer.content) == (421, b"")
    assert not {"Location", "Server", "Via"} & set(answer.headers)


def test_our_name_is_served_and_led_to_tls(proxy: Proxy) -> None:
    assert proxy.post(proxy.https).status_code == 200
    led = proxy.post(proxy.http)
    assert (led.status_code, led.headers["Location"]) == (308, f"https://localhost{PATH}")


def test_a_body_that_a_tunnel_sends_in_chunks_arrives_whole_up_to_the_limit(proxy: Proxy) -> None:
    parts = [b'{"id": "t-1", ', b" " * 65_000, b'"status": "processing"}']
    arrived = proxy.post(proxy.https, body=iter(parts))
    assert (arrived.status_code, arrived.content) == (200, b"".join(parts))
    assert proxy.post(proxy.https, body=iter([*parts, b" " * 1000])).status_code == 413
