"""Where a proxy is the only way out, nothing starts that could pay for a video and never fetch it."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from served import Served

from jobs.broker import working_app
from jobs.errors import NoWayOut
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.way_out import require_direct
from jobs.worker import process
from rushes.doctor import links
from storage.outbound import trust, ways

GATEWAY = "api.evolink.ai"
LINKS = PROVIDERS["evolink"].link_hosts
MIRROR = "api-eu.evolink.ai"
TWO = PROVIDERS["apiframe"].link_hosts
OTHERS = ("easyrouter.io", *PROVIDERS["easyrouter"].link_hosts)
KEY = {"RUSHES_S3_BUCKET": "videos", "RUSHES_EVOLINK_API_KEY": "sk-test"}


class Internet:
    """Hosts that speak TLS, on this machine: reached directly, or by a proxy's CONNECT, or not at all."""

    def __init__(self, authority: trustme.CA) -> None:
        self.trusted, self.strange = (context_of(each) for each in (authority, trustme.CA()))
        # By host, whose certificate is shown; None: the connection is taken, and cut once TLS names the host.
        self.directly: dict[str, ssl.SSLContext | None] = {}
        self.by_proxy: dict[str, ssl.SSLContext | None] = dict.fromkeys((GATEWAY, *LINKS), self.trusted)
        self.asked: set[tuple[str, str | None]] = set()
        self.status = "404 Not Found"  # that of all answers by the proxy
        outer = self

        class Proxy(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                host = self.path.rpartition(":")[0]
                outer.asked.add((host, self.headers["Proxy-Authorization"]))
                self.send_response(200 if host in outer.by_proxy else 502)
                self.end_headers()
                if host in outer.by_proxy:
                    answer(self.connection, outer.by_proxy[host], outer.status)
                self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        self._served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Proxy))
        self.port, self.close = int(self._served.url.rpartition(":")[2]), self._served.close

    def open(self, *hosts: str) -> None:
        """Let this machine reach them."""
        self.directly.update(dict.fromkeys(hosts, self.trusted))

    def connect(self, host: str) -> socket.socket:
        """One end of a connection to a host. Raises as the resolver does where nothing is reached directly."""
        if host not in self.directly:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        ours, theirs = socket.socketpair()
        ours.settimeout(5)
        threading.Thread(target=answer, args=(theirs, self.directly[host]), daemon=True).start()
        return ours


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(GATEWAY, *LINKS, MIRROR, *TWO, *OTHERS).configure_cert(context)
    return context


def answer(connection: socket.socket, context: ssl.SSLContext | None, status: str = "404 Not Found") -> None:
    with connection, contextlib.suppress(OSError):
        if context is None:
            connection.recv(65536)
            return
        with context.wrap_socket(connection, server_side=True) as inner:
            if inner.recv(4096):
                inner.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.fixture(autouse=True)
def internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Internet]:
    """At first nothing is reached directly, and no proxy is named."""
    for name in (*ways.VARIABLES, "NO_PROXY", "no_proxy", *trust.VARIABLES):
        monkeypatch.delenv(name, raising=False)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    real, one = socket.create_connection, Internet(authority)

    def connect(place: Any, *args: Any, **more: Any) -> socket.socket:
        return real(place, *args, **more) if place[0] == "127.0.0.1" else one.connect(place[0])

    monkeypatch.setattr(socket, "create_connection", connect)
    yield one
    one.close()


@pytest.fixture
def proxy(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """The same, where the environment names the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{internet.port}")
    return internet


@pytest.mark.parametrize("variable", ways.VARIABLES)
@pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://me:p%40ss@127.0.0.1:{}/"])
def test_a_proxy_that_is_the_only_way_is_refused_by_the_variable_that_names_it(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, form.format(internet.port))
    with pytest.raises(NoWayOut, match=rf"{GATEWAY}.* by the proxy of {variable} alone"):
        require_direct(load(KEY))
    login = "Basic bWU6cEBzcw==" if "me:" in form else None
    assert internet.asked == {(GATEWAY, login), *((host, login) for host in LINKS)}
    [finding] = links.proxy(load(KEY))
    assert finding.verdict == "fail"


def test_a_gateway_that_is_open_is_not_enough_where_its_links_are_not(proxy: Internet) -> None:
    proxy.open(GATEWAY)
    with pytest.raises(NoWayOut, match=rf"links \({LINKS[0]}\)"):
        require_direct(load(KEY))
    proxy.open(*LINKS)
    require_direct(load(KEY))
    [finding] = links.proxy(load(KEY))
    assert finding.verdict == "ok"


def test_links_of_one_gateway_that_are_reached_say_nothing_of_anothers(proxy: Internet) -> None:
    """Any job may go to either."""
    proxy.by_proxy.update(dict.fromkeys(OTHERS, proxy.trusted))
    proxy.open(GATEWAY, *LINKS, OTHERS[0])
    both = {**KEY, "RUSHES_EASYROUTER_API_KEY": "sk-test"}
    with pytest.raises(NoWayOut, match=rf"links \({OTHERS[-1]}\)"):
        require_direct(load(both))
    proxy.open(*OTHERS)
    require_direct(load(both))


def test_a_base_url_of_ones_own_says_nothing_of_where_links_lead(
    proxy: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = {**KEY, "RUSHES_EVOLINK_BASE_URL": f"https://{MIRROR}"}
    proxy.open(GATEWAY, MIRROR)
    with pytest.raises(NoWayOut, match=rf"links \({LINKS[0]}\)"):
        require_direct(load(mirrored))
    monkeypatch.setattr(socket, "getaddrinfo", leading_to(None))
    [finding] = links.look(load(mirrored).accounts["evolink"], load(mirrored))
    assert (finding.verdict, LINKS[0] in finding.found) == ("warn", True)


@pytest.mark.parametrize("shown", ["nothing", "strange"])
def test_a_connection_that_ends_at_the_handshake_is_no_way(proxy: Internet, shown: str) -> None:
    """As by firewalls that decide by the name in it, by sidecars that take every connection, and by those that read."""
    proxy.open(GATEWAY)
    proxy.directly.update(dict.fromkeys(LINKS, proxy.strange if shown == "strange" else None))
    with pytest.raises(NoWayOut, match=rf"links \({LINKS[0]}\)"):
        require_direct(load(KEY))
    proxy.by_proxy = dict.fromkeys(LINKS)  # the proxy cuts it too: there is no way at all, be it for a while
    require_direct(load(KEY))


def test_a_proxy_that_reads_along_is_the_only_way_too(proxy: Internet) -> None:
    proxy.by_proxy = dict.fromkeys(LINKS, proxy.strange)
    proxy.open(GATEWAY)
    with pytest.raises(NoWayOut, match=rf"links \({LINKS[0]}\)"):
        require_direct(load(KEY))


def test_of_a_proxy_that_we_do_not_speak_with_no_single_host_is_believed(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link's host that has moved away would keep everybody from starting for ever."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{internet.port}")
    with pytest.raises(NoWayOut, match=GATEWAY):
        require_direct(load(KEY))
    internet.open(GATEWAY)
    require_direct(load(KEY))


def test_a_network_that_is_down_is_no_reason_to_refuse_the_start(
    proxy: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = "503 Service Unavailable"  # as one that reads along says so itself, inside the tunnel
    require_direct(load(KEY))
    proxy.by_proxy.clear()
    require_direct(load(KEY))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    require_direct(load(KEY))


def test_nothing_is_asked_where_no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection was tried"))
    require_direct(load(KEY))


def test_a_stand_in_needs_no_way_out(proxy: Internet) -> None:
    elsewhere = {**KEY, "RUSHES_EVOLINK_BASE_URL": f"http://127.0.0.1:{proxy.port}/evolink"}
    for why in ({"RUSHES_STAND_INS": "evolink"}, {"RUSHES_ALLOW_PRIVATE_ADDRESSES": "1"}):
        require_direct(load({**elsewhere, **why}))
    assert proxy.asked == set()


class Started(Exception):
    """It went on to build its parts."""


@pytest.mark.parametrize(
    ("role", "ends"), [("worker", NoWayOut), ("transfer", NoWayOut), ("notify", Started), ("sweep", Started)]
)
def test_who_neither_orders_nor_fetches_starts_without_a_way_out(
    proxy: Internet, monkeypatch: pytest.MonkeyPatch, role: str, ends: type[Exception]
) -> None:
    def build(*_: object) -> None:
        raise Started

    monkeypatch.setattr("jobs.worker.process.worker_resources", build)
    settings = load(KEY)
    with pytest.raises(ends):
        process.start(settings, working_app(settings), role, unfit=pytest.fail)


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


def test_the_doctor_goes_to_each_host_of_a_gateways_links(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(connection: Any, *_: object) -> socket.socket:
        if connection.host not in internet.directly:
            raise ConnectionRefusedError
        return internet.connect(connection.host)

    monkeypatch.setattr(socket, "getaddrinfo", leading_to("93.184.215.14"))
    monkeypatch.setattr("storage.outbound.connections._open", connect)
    settings = load({"RUSHES_S3_BUCKET": "videos", "RUSHES_APIFRAME_API_KEY": "sk-test"})
    internet.open(TWO[0])
    [finding] = links.look(settings.accounts["apiframe"], settings)
    assert (finding.verdict, finding.found) == ("fail", f"{TWO[1]}: connection refused")
    internet.open(*TWO)
    [finding] = links.look(settings.accounts["apiframe"], settings)
    assert (finding.verdict, finding.found) == ("ok", f"{TWO[0]} and {TWO[1]} answer")


IN_A_NAMESPACE = ["unshare", "--net", sys.executable]
RUN = """
import http.server, os, ssl, subprocess, sys, threading, trustme
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
trustme.CA().issue_cert("anybody").configure_cert(context)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        context.wrap_socket(self.connection, server_side=True)
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
    """A real network without any way out but the proxy: loopback alone, and a proxy that answers for everybody."""
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
