"""What fails before the first byte of the request is handed over was not sent: it may be sent again."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from typing import Any

import pytest
from gateway_servers import KEY, LONG_S, OK, QUERY, SHORT_S, SUBMIT, Serve, account, answer, reset, submit

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.client import Account, NotSent, ProviderClient
from jobs.providers.connection import PlainConnection, Resolver
from storage.outbound.deadline import Deadline, TooLate


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_refused_connection_is_not_sent(client: ProviderClient, closed_port: int, scheme: str) -> None:
    outcome = submit(client, Account("aivideoapi", f"{scheme}://localhost:{closed_port}", KEY))
    assert outcome == NotSent("ConnectionRefusedError: Connection refused")


def test_a_name_that_cannot_be_found_is_not_sent(ca_file: str) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client = ProviderClient(ca_file=ca_file, look_up=fail)
    to = Account("aivideoapi", "https://gateway.invalid", KEY)
    assert submit(client, to) == NotSent("gaierror: Name or service not known")
    assert client.resolve(to, timeout_s=1) == NotSent("look-up of gateway.invalid: gaierror: Name or service not known")


def test_a_look_up_that_hangs_is_not_sent_and_holds_one_thread_however_many_ask(ca_file: str) -> None:
    going_on = threading.Event()
    calls: list[str] = []

    def hang(host: str, *_: Any, **__: Any) -> Any:
        calls.append(host)
        going_on.wait(LONG_S)
        return []

    client = ProviderClient(ca_file=ca_file, look_up=hang)
    to = Account("aivideoapi", "https://gateway.invalid", KEY)
    started = time.monotonic()
    assert isinstance(submit(client, to, SHORT_S), NotSent)
    assert client.resolve(to, timeout_s=0.05) == NotSent("look-up of gateway.invalid: the time was over")
    assert time.monotonic() - started < LONG_S / 2
    assert calls == ["gateway.invalid"]
    going_on.set()


def test_a_name_that_works_resolves_to_no_complaint(client: ProviderClient) -> None:
    assert client.resolve(Account("aivideoapi", "https://localhost", KEY), timeout_s=LONG_S) is None


def test_an_untrusted_certificate_is_not_sent(serve: Serve) -> None:
    server = serve(answer(OK))
    outcome = submit(ProviderClient(allow_private=True), account(server))  # the public authorities
    assert isinstance(outcome, NotSent)
    assert "certificate is not trusted" in outcome.reason
    assert server.requests == []


def test_a_certificate_of_another_name_is_not_sent(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(OK))
    outcome = submit(client, Account("aivideoapi", f"https://127.0.0.1:{server.port}", KEY))
    assert isinstance(outcome, NotSent)
    assert server.requests == []


def test_a_server_that_closes_in_the_handshake_is_not_sent(serve: Serve, client: ProviderClient) -> None:
    server = serve(lambda sock, _: sock.recv(10) and None, tls=False)
    assert isinstance(submit(client, account(server)), NotSent)


def test_a_server_that_resets_in_the_handshake_is_not_sent(serve: Serve, client: ProviderClient) -> None:
    def handle(sock: socket.socket, server: Any) -> None:
        sock.recv(10)
        reset(sock)

    server = serve(handle, tls=False)
    assert isinstance(submit(client, account(server)), NotSent)


def test_a_server_that_speaks_no_tls_is_not_sent(serve: Serve, client: ProviderClient) -> None:
    server = serve(lambda sock, _: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), tls=False)
    assert isinstance(submit(client, account(server)), NotSent)


def test_a_handshake_that_hangs_is_not_sent_when_the_deadline_passes(silent: Any, client: ProviderClient) -> None:
    started = time.monotonic()
    assert submit(client, account(silent), SHORT_S) == NotSent("the time was over")
    assert SHORT_S * 0.9 <= time.monotonic() - started < LONG_S / 2


def test_a_handshake_that_drips_is_not_sent_when_the_deadline_passes(serve: Serve, client: ProviderClient) -> None:
    def drip_records(sock: socket.socket, server: Any) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a ServerHello that is long in coming
        while not server.stopping.wait(0.02):
            sock.sendall(b"\x03")

    started = time.monotonic()
    assert isinstance(submit(client, account(serve(drip_records, tls=False)), SHORT_S), NotSent)
    assert time.monotonic() - started < LONG_S / 2


@pytest.mark.parametrize(
    "base_url",
    ["http://localhost:1", "ftp://h", "https://", "nonsense", "https://h:port", "https://[", "https://a b", ""],
)
def test_only_https_is_spoken_unless_private_addresses_are_allowed(ca_file: str, base_url: str) -> None:
    client = ProviderClient(ca_file=ca_file)
    to = Account("aivideoapi", base_url, KEY)
    assert isinstance(submit(client, to), NotSent)
    assert client.resolve(to, timeout_s=1) is not None
    assert isinstance(client.ask(AIVIDEOAPI, to, QUERY, deadline_s=1), NotSent)


@pytest.mark.parametrize("key", ["sk-a\r\nX-Evil: 1", "sk-ключ"])
def test_a_key_that_no_header_can_hold_is_not_sent_and_not_told(serve: Serve, client: ProviderClient, key: str) -> None:
    server = serve(answer(OK))
    outcome = client.send(
        AIVIDEOAPI, Account("aivideoapi", f"https://localhost:{server.port}", key), SUBMIT, deadline_s=LONG_S
    )
    assert isinstance(outcome, NotSent)
    assert key not in outcome.reason
    assert "Evil" not in outcome.reason
    assert server.requests == []


def test_nothing_is_handed_over_once_the_time_is_over(serve: Serve) -> None:
    server = serve(answer(OK), tls=False)
    connection = PlainConnection("localhost", server.port)
    try:
        with Deadline(LONG_S) as deadline:
            connection.prepare(Resolver(), deadline)
            deadline.cut()
            with pytest.raises(TooLate):
                connection.request("POST", "/", b"{}")
            assert not connection.handed_over
    finally:
        connection.close()


def test_a_kept_connection_begins_each_exchange_with_nothing_handed_over(serve: Serve) -> None:
    server = serve(answer(OK), tls=False)
    connection = PlainConnection("localhost", server.port)
    try:
        with Deadline(LONG_S) as deadline:
            connection.prepare(Resolver(), deadline)
            connection.request("GET", "/")
            assert connection.handed_over
            connection.prepare(Resolver(), deadline)
            assert not connection.handed_over
    finally:
        connection.close()


def test_a_connection_without_a_socket_does_not_reconnect_by_itself(serve: Serve) -> None:
    server = serve(answer(OK), tls=False)
    connection = PlainConnection("localhost", server.port)
    with Deadline(LONG_S) as deadline:
        connection.prepare(Resolver(), deadline)
        connection.close()
        with pytest.raises(Exception, match=r"^$"):
            connection.request("POST", "/", b"{}")
        assert connection.sock is None
        assert not connection.handed_over


def test_without_a_thread_to_keep_the_time_nothing_is_sent(
    serve: Serve, client: ProviderClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer(OK))

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", refuse)
    unsent = NotSent("no thread to keep the time", ours=True)
    assert submit(client, account(server)) == unsent
    assert client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S) == unsent
    assert server.connections == 0


@pytest.mark.parametrize("number", ["ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL", "EMFILE", "ENOBUFS"])
def test_what_this_machine_lacks_is_told_as_its_own_trouble(
    client: ProviderClient, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    monkeypatch.setattr(socket.socket, "connect", refuse)
    outcome = submit(client, Account("aivideoapi", "https://localhost:9", KEY))
    assert isinstance(outcome, NotSent)
    assert outcome.ours


def test_a_base_url_that_is_none_is_our_own_trouble_and_a_refused_connection_is_not(
    client: ProviderClient, closed_port: int
) -> None:
    for url in ("ftp://localhost", "https://", "https://[x"):
        outcome = submit(client, Account("aivideoapi", url, KEY))
        assert isinstance(outcome, NotSent)
        assert outcome.ours
    refused = submit(client, Account("aivideoapi", f"https://localhost:{closed_port}", KEY))
    assert isinstance(refused, NotSent)
    assert not refused.ours
