"""Hundreds of connections that begin a request and never end it, against the shipped settings of server and proxy."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from caddy import shipped_proxy
from plant import Plant
from whole_machine import until

from jobs import callback_urls
from jobs.settings import load
from rushes.local.supervisor import Supervisor
from webhooks.bodies import MOST_OF_ORDER

ROOT = Path(__file__).parents[2]
CADDY = Path(sys.executable).parent / "caddy"
HOSTILE = 200
JOB = "job_01K8Z3V0QWERTYUIOPASDFGHJK"
DELAY_S = 1.0


@dataclass(frozen=True)
class Edge:
    """Where callbacks arrive, and whom its certificate is trusted by."""

    url: str
    token_path: str
    authority: Path | None = None

    def connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        plain = socket.create_connection(("127.0.0.1", parts.port or 0), timeout=10)
        if self.authority is None:
            return plain
        return ssl.create_default_context(cafile=self.authority).wrap_socket(plain, server_hostname="localhost")

    def call_back(self, number: int) -> requests.Response:
        verify = str(self.authority) if self.authority else True
        with requests.Session() as session:
            session.trust_env = False
            body = {"id": f"t-{number}", "status": "processing"}
            return session.post(self.url + self.token_path, json=body, timeout=30, verify=verify)

    def slowest_s(self, numbers: Iterator[int]) -> float:
        """Of some honest callbacks, each of which is kept."""
        taken = []
        for number in itertools.islice(numbers, 4):
            began = time.monotonic()
            assert self.call_back(number).status_code == 200
            taken.append(time.monotonic() - began)
        return max(taken)


@pytest.fixture
def web(plant: Plant) -> Edge:
    """The Procfile's web process, with the server's settings as they are shipped."""
    return edge_of(plant, 1)


@pytest.fixture
def another(plant: Plant) -> Edge:
    """The same, for callbacks of another order."""
    return edge_of(plant, 2)


def edge_of(plant: Plant, attempt: int) -> Edge:
    keys = load(plant.environment_of("web")).callback_keys
    return Edge(plant.url, urlsplit(callback_urls.mint(plant.url, keys, "evolink", JOB, attempt)).path)


@pytest.fixture
def proxied(web: Edge, servers: Supervisor, tmp_path: Path) -> Iterator[Edge]:
    """The shipped Caddyfile before it."""
    proxy = shipped_proxy(tmp_path, web.url)
    edge = Edge(proxy.https, web.token_path, proxy.authority)
    servers.start(proxy.process(lambda: answers(edge)))
    yield edge
    servers.stop_one("caddy")


def answers(edge: Edge) -> bool:
    try:
        return edge.call_back(-1).status_code == 200
    except (requests.RequestException, OSError):
        return False


@contextlib.contextmanager
def hostile(edge: Edge, beginning: bytes, count: int = HOSTILE) -> Iterator[list[socket.socket]]:
    """Connections that have sent this much, and stay."""
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(count):
            held.append(stack.enter_context(edge.connect()))
            held[-1].sendall(beginning)
        yield held


def half_body(edge: Edge) -> bytes:
    head = f"POST {edge.token_path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: 60000\r\n\r\n".encode() + b'{"id": "' + b"a" * 30_000


def test_two_hundred_half_open_headers_do_not_delay_an_honest_callback(web: Edge) -> None:
    numbers = itertools.count()
    usual_s = web.slowest_s(numbers)
    with hostile(web, f"POST {web.token_path} HTTP/1.1\r\nHost: localhost\r\nX-More: ".encode()) as held:
        assert web.slowest_s(numbers) - usual_s < DELAY_S
        held[0].settimeout(20)
        assert held[0].recv(1000) == b""  # and the server ends them by itself


def test_two_hundred_half_bodies_under_bad_tokens_hold_nothing(web: Edge) -> None:
    numbers = itertools.count()
    usual_s = web.slowest_s(numbers)
    forged = Edge(web.url, web.token_path[:-4] + "AAAA")
    with hostile(web, half_body(forged)) as held:
        assert web.slowest_s(numbers) - usual_s < DELAY_S
        assert all(each.recv(12) == b"HTTP/1.1 404" for each in held[:20])


def chunked_head(edge: Edge) -> bytes:
    return f"POST {edge.token_path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def test_the_server_hands_on_a_body_without_a_length(web: Edge) -> None:
    told = b'{"id": "t-1", "status": "processing"}'
    with web.connect() as tunnel:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (told[:5], told[5:], b""))
        tunnel.sendall(chunked_head(web) + chunks)
        assert tunnel.recv(12) == b"HTTP/1.1 200"
    with web.connect() as endless:
        endless.sendall(chunked_head(web) + b"10001\r\n" + b" " * 0x10001)  # one byte over the limit, and no end
        assert endless.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize("head", [chunked_head, half_body])
def test_bodies_that_never_end_put_off_their_own_order_alone(
    web: Edge, another: Edge, head: Callable[[Edge], bytes]
) -> None:
    """Without the proxy, under good tokens: silent senders, and such as send a byte now and again."""
    numbers = itertools.count()
    with hostile(web, head(web), MOST_OF_ORDER) as held:
        until(lambda: web.call_back(0).status_code == 503)
        for each in held[::2]:
            each.sendall(b"1\r\n \r\n")
        assert another.slowest_s(numbers) < DELAY_S
        assert web.call_back(0).status_code == 503
    until(lambda: web.call_back(0).status_code == 200)
    assert web.slowest_s(numbers) < DELAY_S


def test_two_hundred_half_bodies_under_good_tokens_stop_at_the_proxy(proxied: Edge) -> None:
    numbers = itertools.count()
    usual_s = proxied.slowest_s(numbers)
    with hostile(proxied, half_body(proxied)):
        assert proxied.slowest_s(numbers) - usual_s < DELAY_S


def test_the_proxy_hands_on_callbacks_alone(proxied: Edge) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(proxied.authority)
        asked = {
            "callback": session.post(proxied.url + proxied.token_path, json={"id": "t", "status": "processing"}),
            "chunked": session.post(
                proxied.url + proxied.token_path, data=iter((b'{"id": "t", ', b'"status": "processing"}'))
            ),
            "too long in chunks": session.post(proxied.url + proxied.token_path, data=iter((b"x" * 35_000,) * 2)),
            "forged": session.post(proxied.url + proxied.token_path[:-4] + "AAAA", json={}),
            "too long": session.post(proxied.url + proxied.token_path, data=b"x" * 70_000),
            "get": session.get(proxied.url + proxied.token_path),
            "api": session.get(f"{proxied.url}/v1/jobs"),
            "ready": session.get(f"{proxied.url}/readyz"),
            "walk": session.get(f"{proxied.url}/webhooks/../readyz"),
        }
    statuses = {name: answer.status_code for name, answer in asked.items()}
    assert (statuses.pop("callback"), statuses.pop("chunked")) == (200, 200)
    assert (statuses.pop("too long"), statuses.pop("too long in chunks")) == (413, 413)
    assert set(statuses.values()) == {404}
    assert all("max-age=31536000" in answer.headers["Strict-Transport-Security"] for answer in asked.values())
    assert not any("Server" in answer.headers or "Via" in answer.headers for answer in asked.values())
