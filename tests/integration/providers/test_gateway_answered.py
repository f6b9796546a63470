"""A whole answer is an answer, whatever it says and however it is framed."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from gateway_servers import KEY, LONG_S, OK, SUBMIT, Serve, account, answer, answer_and_close, submit

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.client import Answered, ProviderClient, json_body


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_whole_answer_is_answered_and_the_request_was_whole(
    serve: Serve, client: ProviderClient, scheme: str
) -> None:
    server = serve(answer(OK), tls=scheme == "https")
    outcome = client.send(
        AIVIDEOAPI, account(server, scheme), SUBMIT, deadline_s=LONG_S, extra_headers={"Idempotency-Key": "k1"}
    )
    assert isinstance(outcome, Answered)
    assert (outcome.status, outcome.body, outcome.headers["Content-Type"]) == (200, b'{"code":200}', "application/json")
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    assert json.loads(body) == SUBMIT.body
    lines = head.split("\r\n")
    assert lines[0] == "POST /v1/videos/generations HTTP/1.1"
    assert {
        f"Host: localhost:{server.port}",
        f"Authorization: Bearer {KEY}",
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Type: application/json",
        "Idempotency-Key: k1",
    } <= set(lines)


def test_the_path_of_the_base_url_comes_first(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(OK))
    submit(client, account(server, path="/gateway/"))
    assert server.requests[0].startswith(b"POST /gateway/v1/videos/generations HTTP/1.1\r\n")


def test_an_error_status_is_an_answer_with_its_headers(serve: Serve, client: ProviderClient) -> None:
    server = serve(answer(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"))
    outcome = submit(client, account(server))
    assert (outcome.status, outcome.headers["Retry-After"]) == (429, "7")


def test_a_redirect_is_an_answer_and_is_not_followed(serve: Serve, client: ProviderClient) -> None:
    elsewhere = serve(answer(OK))
    target = f"https://localhost:{elsewhere.port}/".encode()
    server = serve(answer(b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\nContent-Length: 0\r\n\r\n"))
    assert submit(client, account(server)).status == 302
    assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b'5\r\n{"a":\r\n', b"2\r\n1}\r\n0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'),
        (
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n",
            b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        ),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a"', b":1}"),
    ],
    ids=["chunked", "after 100 Continue", "after 102 and 103", "ended by the connection"],
)
def test_other_shapes_of_a_whole_answer_are_read(
    serve: Serve, client: ProviderClient, pieces: tuple[bytes, ...]
) -> None:
    outcome = submit(client, account(serve(answer_and_close(*pieces))))
    assert isinstance(outcome, Answered)
    assert json_body(outcome.body) == {"a": 1}


def test_the_next_address_is_tried_when_the_first_refuses(serve: Serve, ca_file: str) -> None:
    server = serve(answer(OK))

    def two(host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

    assert isinstance(submit(ProviderClient(ca_file=ca_file, look_up=two), account(server)), Answered)


def test_proxies_of_the_environment_are_not_used(
    serve: Serve, client: ProviderClient, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    assert isinstance(submit(client, account(serve(answer(OK)))), Answered)
