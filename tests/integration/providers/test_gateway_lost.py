"""What fails after the first byte is lost, whatever the exception: the gateway may have acted on it."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_servers import LONG_S, OK, SHORT_S, Serve, account, answer, answer_and_close, drip, reset, submit

from jobs.providers.client import Answered, Lost, ProviderClient


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("end", [lambda sock: None, reset], ids=["closes", "resets"])
def test_a_server_that_reads_the_request_and_goes_away_is_lost(
    serve: Serve, client: ProviderClient, scheme: str, end: Callable[[socket.socket], None]
) -> None:
    def handle(sock: socket.socket, server: Any) -> None:
        server.read_request(sock)
        end(sock)

    server = serve(handle, tls=scheme == "https")
    assert isinstance(submit(client, account(server, scheme)), Lost)
    assert len(server.requests) == 1  # and it was not sent again


@pytest.mark.parametrize("how", ["garbage", "closed without a word"])
def test_tls_that_breaks_after_the_request_was_read_is_lost_though_it_raises_a_tls_error(
    serve: Serve, client: ProviderClient, how: str
) -> None:
    def handle(sock: socket.socket, server: Any) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        server.read_request(sock)
        with socket.socket(fileno=sock.detach()) as raw:  # below TLS
            if how == "garbage":
                raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))

    server = serve(handle)
    outcome = submit(client, account(server))
    assert isinstance(outcome, Lost)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"HTTP/1.1 2",),
        (b"HTTP/1.1 200",),
        (b"HTTP/1.1 200 OK\r\nContent-Ty",),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",),
        (b"HTTP/1.1 402 Payment Required\r\n\r\n",),
        (OK[:-1],),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n',),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",),
        (b"not HTTP at all\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n{}",),
    ],
    ids=[
        "nothing",
        "half a status",
        "a status and no more",
        "half a header",
        "half a head",
        "a head without an end to its body",
        "a body one byte short",
        "chunks without the last",
        "an interim answer only",
        "another protocol",
        "two lengths",
        "an endless header",
        "headers without end",
    ],
)
def test_an_answer_that_is_not_whole_is_lost(serve: Serve, client: ProviderClient, pieces: tuple[bytes, ...]) -> None:
    assert isinstance(submit(client, account(serve(answer_and_close(*pieces)))), Lost)


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"", b""),
    ],
    ids=["head", "body", "chunks", "body without a length", "100 Continue for ever", "103 for ever", "silence"],
)
def test_an_answer_that_drips_past_the_deadline_is_lost_at_the_deadline(
    serve: Serve, client: ProviderClient, scheme: str, start: bytes, piece: bytes
) -> None:
    server = serve(drip(start, piece), tls=scheme == "https")
    started = time.monotonic()
    outcome = submit(client, account(server, scheme), SHORT_S)
    assert isinstance(outcome, Lost)
    assert SHORT_S * 0.9 <= time.monotonic() - started < LONG_S / 4
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1048577\r\n", b"Content-Length: 999999999999\r\n", b""],
    ids=["a byte too long", "huge", "unsaid"],
)
def test_an_answer_over_the_cap_is_lost(serve: Serve, client: ProviderClient, head: bytes) -> None:
    server = serve(answer_and_close(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b" " * 1_048_577))
    assert isinstance(submit(client, account(server)), Lost)


def test_an_answer_of_just_the_cap_is_answered(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", b" " * 1_048_576))
    assert isinstance(submit(client, account(server)), Answered)


def test_the_deadline_is_for_a_hanging_plain_server_too(silent: Any, client: ProviderClient) -> None:
    outcome = submit(client, account(silent, "http"), SHORT_S)
    assert outcome == Lost("sent, but no whole answer: the time was over")  # the kernel took the bytes
