"""Receivers inside: open to notices where the operator lists them, closed to links, and never our own ports."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from served import Served
from workshop import Bells

from jobs.errors import BadRequest
from jobs.intake import new_jobs
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.store.core import Core
from jobs.store.database import Database
from storage.errors import LinkForbidden
from storage.fetch import FetchLimits, fetch_to_spool
from storage.outbound.guard import guarded_session
from webhooks import delivery
from webhooks.errors import NoticeRefused, NoticeUndelivered

VARIABLES = {
    "RUSHES_S3_BUCKET": "videos",
    "RUSHES_NOTICE_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RUSHES_EVOLINK_API_KEY": "sk-test",
}


@pytest.fixture
def installed(database: Database) -> Callable[..., Any]:
    """An installation in earnest, with these receivers open."""

    def install(hosts: str, **more: str) -> Any:
        settings = load({**VARIABLES, "RUSHES_NOTIFY_HOSTS": hosts, **more})
        return SimpleNamespace(session=None, settings=settings, database=database, bells=Bells())

    return install


class Receiver:
    """The receiving side; answers 204, or leads on to a place of its own."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.leads_on = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.hosts.append(self.headers["Host"])
                self.send_response(307 if outer.leads_on else 204)
                self.send_header("Location", outer.url("/elsewhere"))
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.port, self.close = int(served.url.rpartition(":")[2]), served.close

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to, one answer for each look-up; the last one stays."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: Any, *args: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **more)
        said = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(said, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def send(url: str, resources: Any) -> None:
    row: Any = {"id": "msg_1", "job_id": "job_1", "url": url, "body": {}, "tries": 0}
    delivery._send(row, resources)


def made_with(url: str, resources: Any) -> None:
    taking = Core(settings=resources.settings, providers=PROVIDERS, database=resources.database, ringer=resources.bells)
    body = {"prompt": "A red fox", "provider": "evolink", "duration": 2, "notify_url": url}
    new_jobs.create(body, taking, api_key_id="test")


def test_a_listed_receiver_is_told_by_plain_http_and_no_link_may_lead_there(
    installed: Any, receiver: Receiver, tmp_path: Path
) -> None:
    url = receiver.url("/hook")
    for hosts in (f"127.0.0.1:{receiver.port}", f"127.0.0.0/8:{receiver.port}", f"localhost:{receiver.port}"):
        resources = installed(hosts)
        named = url.replace("127.0.0.1", "localhost") if "localhost" in hosts else url
        made_with(named, resources)
        send(named, resources)
    assert len(receiver.hosts) == 3
    limits = FetchLimits(max_bytes=1000, deadline_s=5, stall_bytes_per_s=1, stall_window_s=5)
    kept: dict[str, Any] = {"folder": tmp_path, "limits": limits, "keep_going": lambda: None}
    with guarded_session(allow_private=False) as session, pytest.raises(LinkForbidden):
        fetch_to_spool(session, url.replace("http:", "https:"), allow_private=False, **kept)


def test_another_port_and_another_host_stay_closed(installed: Any, receiver: Receiver) -> None:
    for hosts in ("", "127.0.0.1", f"127.0.0.1:{receiver.port + 1}", f"127.0.0.2:{receiver.port}", "pipeline:80"):
        with pytest.raises(BadRequest, match="RUSHES_NOTIFY_HOSTS"):
            made_with(receiver.url("/hook"), installed(hosts))
        with pytest.raises(NoticeUndelivered, match="LinkForbidden"):
            send(receiver.url("/hook"), installed(hosts))
    assert receiver.hosts == []


def test_a_listed_name_is_looked_up_once_and_pinned(
    installed: Any, receiver: Receiver, names: dict[str, list[str]]
) -> None:
    names["pipeline"] = ["127.0.0.1", "169.254.169.254"]
    send(f"http://pipeline:{receiver.port}/hook", installed(f"pipeline:{receiver.port}"))
    assert receiver.hosts == [f"pipeline:{receiver.port}"]
    with pytest.raises(NoticeUndelivered, match="LinkForbidden"):  # and now it leads to a cloud's metadata
        send(f"http://pipeline:{receiver.port}/hook", installed(f"pipeline:{receiver.port},169.254.0.0/16"))


def test_the_ports_of_this_installation_stay_closed_whatever_is_listed(
    installed: Any, receiver: Receiver, names: dict[str, list[str]]
) -> None:
    port = receiver.port
    names |= {"pipeline": ["127.0.0.1"], "store": ["127.0.0.1"]}
    everything = f"pipeline:{port},store:{port},0.0.0.0/0:{port},[::/0]:{port},localhost:{port}"
    for own in (
        {"PORT": str(port)},
        {"PORT": str(port + 300)},  # as runners number the lines of a Procfile: that of notify, where web has the first
        {"RUSHES_S3_PUBLIC_ENDPOINT_URL": f"http://127.0.0.1:{port}"},
        {"RUSHES_DATABASE_URL": f"postgresql://u:p@/rushes?host=/run/db,store&port={port}"},
        {"RUSHES_DATABASE_URL": f"postgresql://u:p@/rushes?host=nowhere.invalid:1&host=store:{port}"},
        {"RUSHES_REDIS_URL": f"redis://:secret@127.0.0.1:{port}/0"},
        {"RUSHES_DATABASE_URL": f"postgresql://u:p@store:{port}/rushes"},
        {"RUSHES_S3_ENDPOINT_URL": f"http://store:{port}"},
        {"RUSHES_NOTIFY_CLOSED": f"{port}"},
        {"RUSHES_NOTIFY_CLOSED": "store"},
    ):
        resources = installed(everything, **own)
        for host in ("127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "pipeline", "store"):
            with pytest.raises(NoticeUndelivered, match="LinkForbidden"):
                send(f"http://{host}:{port}/hook", resources)
    assert receiver.hosts == []
    send(f"http://pipeline:{port}/hook", installed(everything))
    assert len(receiver.hosts) == 1


def test_a_receiver_behind_the_same_ingress_as_ourselves_is_open(
    installed: Any, receiver: Receiver, names: dict[str, list[str]]
) -> None:
    port = receiver.port
    names |= {"hooks": ["127.0.0.1"], "films": ["127.0.0.1"]}
    resources = installed(f"hooks:{port},films:{port}", RUSHES_S3_PUBLIC_ENDPOINT_URL=f"http://films:{port}")
    send(f"http://hooks:{port}/hook", resources)
    for host in ("films", "FILMS."):
        with pytest.raises(NoticeUndelivered, match="LinkForbidden"):
            send(f"http://{host}:{port}/hook", resources)
    assert len(receiver.hosts) == 1


def test_a_redirect_of_a_listed_receiver_is_not_followed(installed: Any, receiver: Receiver) -> None:
    receiver.leads_on = True
    with pytest.raises(NoticeRefused):
        send(receiver.url("/hook"), installed(f"127.0.0.1:{receiver.port}"))
    assert len(receiver.hosts) == 1
