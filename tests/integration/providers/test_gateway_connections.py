"""Submits never share a connection; queries do."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gateway_servers import KEY, LONG_S, OK, QUERY, SHORT_S, SUBMIT, Serve, account, answer, answer_and_close, submit

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.base import Request
from jobs.providers.client import Account, Answered, Lost, ProviderClient


def test_two_submits_use_two_connections(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(OK))
    for _ in range(2):
        assert isinstance(submit(client, account(server)), Answered)
    assert server.connections == 2


def test_queries_share_one_connection(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(OK))
    for _ in range(3):
        assert isinstance(client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S), Answered)
    assert (server.connections, len(server.requests)) == (1, 3)
    assert server.requests[0].startswith(b"GET /v1/tasks/t1 HTTP/1.1\r\n")


def test_a_submit_never_takes_a_querys_connection(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(OK))
    client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S)
    submit(client, account(server))
    assert server.connections == 2


def test_a_query_over_a_connection_that_went_stale_is_asked_once_more(serve: Serve, client: ProviderClient) -> None:
    def answer_once(sock: socket.socket, server: Any) -> None:
        server.read_request(sock)
        sock.sendall(OK)
        server.read_request(sock)  # and closes without an answer to the second

    server = serve(answer_once)
    for _ in range(2):
        assert isinstance(client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S), Answered)
    assert server.connections == 2
    assert len(server.requests) == 3


def test_a_fresh_query_that_is_lost_is_not_asked_again(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer_and_close())
    assert isinstance(client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S), Lost)
    assert server.connections == 1


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_deadline_holds_on_a_kept_connection(serve: Serve, client: ProviderClient, scheme: str) -> None:
    def answer_once(sock: socket.socket, server: Any) -> None:
        server.read_request(sock)
        sock.sendall(OK)
        server.read_request(sock)
        while not server.stopping.wait(0.02):
            sock.sendall(b"H")

    server = serve(answer_once, tls=scheme == "https")
    to = account(server, scheme)
    assert isinstance(client.ask(AIVIDEOAPI, to, QUERY, deadline_s=LONG_S), Answered)
    started = time.monotonic()
    assert isinstance(client.ask(AIVIDEOAPI, to, QUERY, deadline_s=SHORT_S), Lost)
    assert time.monotonic() - started < LONG_S / 4
    assert server.connections == 1


def test_a_connection_the_server_wants_closed_is_not_kept(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer_and_close(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)))
    for _ in range(2):
        assert isinstance(client.ask(AIVIDEOAPI, account(server), QUERY, deadline_s=LONG_S), Answered)
    assert server.connections == 2


def test_many_threads_may_ask_at_once_and_each_gets_its_own_answer(serve: Serve, client: ProviderClient) -> None:
    def echo(sock: socket.socket, server: Any) -> None:
        while request := server.read_request(sock):
            path = request.split(b" ")[1]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    to = account(serve(echo))

    def ask(n: int) -> bool:
        outcome = client.ask(AIVIDEOAPI, to, Request("GET", f"/v1/tasks/t{n}"), deadline_s=LONG_S)
        return isinstance(outcome, Answered) and outcome.body == f"/v1/tasks/t{n}".encode()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(100)))


def test_only_a_get_is_asked(client: ProviderClient) -> None:
    with pytest.raises(ValueError, match="use send"):
        client.ask(AIVIDEOAPI, Account("aivideoapi", "https://h", KEY), SUBMIT, deadline_s=1)


def test_a_key_of_one_gateway_never_goes_to_another(client: ProviderClient) -> None:
    with pytest.raises(ValueError, match="must not go to aivideoapi"):
        client.send(AIVIDEOAPI, Account("evolink", "https://h", KEY), SUBMIT, deadline_s=1)
