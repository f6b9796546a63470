"""Where a proxy is the only way out, nothing starts that could pay for a video and never fetch it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from served import Served

from jobs.errors import NoWayOut
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.way_out import require_direct
from rushes.doctor import links
from storage.outbound import ways

GATEWAY = "api.evolink.ai"
LINKS = PROVIDERS["evolink"].link_hosts
KEY = {"RUSHES_S3_BUCKET": "videos", "RUSHES_EVOLINK_API_KEY": "sk-test"}


class Proxy:
    """Connects to the hosts that it knows, as CONNECT asks for it, and refuses all others."""

    def __init__(self) -> None:
        self.knows: set[str] = {GATEWAY, *LINKS}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                host = self.path.rpartition(":")[0]
                outer.asked.append((host, self.headers["Proxy-Authorization"]))
                self.send_response(200 if host in outer.knows else 502)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.port, self.close = int(served.url.rpartition(":")[2]), served.close


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    one = Proxy()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The hosts of the internet that are reached without a proxy; at first none, and no proxy is named."""
    for name in (*ways.VARIABLES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    open_: set[str] = set()
    real = socket.create_connection

    def connect(place: Any, *args: Any, **more: Any) -> socket.socket:
        if place[0] == "127.0.0.1":
            return real(place, *args, **more)
        if place[0] in open_:
            return socket.socket()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", connect)
    return open_


@pytest.mark.parametrize("variable", ways.VARIABLES)
@pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://me:p%40ss@127.0.0.1:{}/"])
def test_a_proxy_that_is_the_only_way_is_refused_by_the_variable_that_names_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, form.format(proxy.port))
    with pytest.raises(NoWayOut, match=rf"{GATEWAY}.* by the proxy of {variable} alone"):
        require_direct(load(KEY))
    assert proxy.asked == [(GATEWAY, "Basic bWU6cEBzcw==" if "me:" in form else None)]
    [finding] = links.proxy(load(KEY))
    assert finding.verdict == "fail"


def test_a_gateway_that_is_open_is_not_enough_where_its_links_are_not(
    proxy: Proxy, directly: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    directly.add(GATEWAY)
    with pytest.raises(NoWayOut, match=rf"links \({LINKS[0]}\)"):
        require_direct(load(KEY))
    directly.update(LINKS)
    require_direct(load(KEY))
    [finding] = links.proxy(load(KEY))
    assert finding.verdict == "ok"


def test_a_network_that_is_down_is_no_reason_to_refuse_the_start(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    proxy.knows.clear()
    require_direct(load(KEY))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    require_direct(load(KEY))


def test_nothing_is_asked_where_no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection was tried"))
    require_direct(load(KEY))


def test_a_stand_in_on_this_machine_needs_no_way_out(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    require_direct(load({**KEY, "RUSHES_EVOLINK_BASE_URL": f"http://127.0.0.1:{proxy.port}/evolink"}))
    assert proxy.asked == []


def leading_to(address: str | None) -> Any:
    """A resolver's answer for every name."""

    def resolve(host: str, port: int, **_: object) -> list[object]:
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve


@pytest.mark.parametrize(
    ("address", "verdict", "said"),
    [
        (None, "warn", "its name does not resolve"),
        ("10.0.0.5", "fail", "not a public address"),
        ("93.184.215.14", "fail", "connection refused"),
    ],
)
def test_the_doctor_goes_where_links_lead_as_a_download_does(
    monkeypatch: pytest.MonkeyPatch, address: str | None, verdict: str, said: str
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", leading_to(address))
    monkeypatch.setattr("storage.outbound.connections._open", refuse)
    settings = load(KEY)
    [finding] = links.look(settings.accounts["evolink"], settings)
    assert (finding.check, finding.verdict) == ("evolink links", verdict)
    assert LINKS[0] in finding.found
    assert said in finding.found


IN_A_NAMESPACE = ["unshare", "--net", sys.executable]
RUN = """
import http.server, os, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{server.server_port}"
sys.exit(subprocess.run([sys.argv[1], "up", "--port", "18080", "--data-dir", sys.argv[2]], timeout=100).returncode)
"""


def may_part_networks() -> bool:
    try:
        return subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.prove
@pytest.mark.skipif(not may_part_networks(), reason="a network of its own needs root, unshare and ip")
def test_rushes_up_ends_with_a_sentence_in_a_network_that_only_a_proxy_leaves(tmp_path: Path) -> None:
    """A real network without any way out but the proxy: loopback alone, and a proxy that says yes to everything."""
    rushes = Path(sys.executable).parent / "rushes"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RUSHES_", "AWS_"))}
    done = subprocess.run(
        [*IN_A_NAMESPACE, "-c", RUN, str(rushes), str(tmp_path / "data")],
        env={**environ, "RUSHES_EVOLINK_API_KEY": "sk-test"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"the gateways ({GATEWAY}) can be reached from here by the proxy of HTTPS_PROXY alone" in done.stderr
