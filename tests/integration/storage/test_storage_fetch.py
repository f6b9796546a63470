"""Links that misbehave, over real sockets. Every error, and all it is chained to, is searched for the link's secret."""

import gzip
import hashlib
import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import quote

import films
import pytest
import requests
from fetching import LIMITS, SECRET, SOON_S, Fetcher, readers, told
from misbehaving import Server, answering, chunked, head, sending

from storage import spool as spools
from storage.errors import (
    BadVideo,
    Cancelled,
    LinkDead,
    LinkUnavailable,
    SpoolFull,
)
from storage.outbound.connections import under
from storage.outbound.deadline import Deadline
from storage.proof.boxes import check_boxes

Serve = Callable[..., Server]
HASTE = replace(LIMITS, deadline_s=0.8)


# What arrives


@pytest.mark.parametrize("body", [films.film(), films.index_first(), films.fragmented()], ids=["end", "first", "frag"])
def test_a_film_arrives_whole_with_its_length_and_hash(fetch: Fetcher, serve: Serve, body: bytes) -> None:
    with fetch(serve(answering(body)).url()) as spooled:
        spooled.file.seek(0)
        assert spooled.file.read() == body
        assert spooled.bytes == len(body)
        assert spooled.sha256 == hashlib.sha256(body).hexdigest()
        check_boxes(spooled.file, spooled.bytes)


def test_a_chunked_film_and_one_ended_by_closing_arrive_whole_too(fetch: Fetcher, serve: Serve) -> None:
    body = films.film()
    for answer in (head(Transfer_Encoding="chunked") + chunked(body) + b"0\r\n\r\n", head() + body):
        with fetch(serve(sending(answer)).url()) as spooled:
            assert spooled.sha256 == hashlib.sha256(body).hexdigest()


def test_the_request_asks_for_the_bytes_as_they_are_on_a_connection_of_its_own(fetch: Fetcher, serve: Serve) -> None:
    server = serve(answering(films.film(), Set_Cookie="a=b"))
    for _ in range(2):
        fetch(server.url()).close()
    for request in server.requests:
        assert "Accept-Encoding: identity" in request
        assert "Connection: close" in request
        assert "Cookie" not in request


def test_what_a_server_says_in_between_is_passed_over(fetch: Fetcher, serve: Serve) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    whole = head(Content_Length=len(films.film())) + films.film()
    fetch(serve(sending(hints * 2 + whole)).url()).close()


def test_a_link_with_a_prompt_for_a_name_is_followed(fetch: Fetcher, serve: Serve) -> None:
    server = serve(answering(films.film()))
    name = "一只狐狸" * 2000
    fetch(server.url(f"/film.mp4?response-content-disposition=filename%3D{name}")).close()
    assert f"/film.mp4?response-content-disposition=filename%3D{quote(name)} HTTP" in server.requests[0]


# What is refused for its bytes


def test_a_page_is_refused_by_its_first_bytes_without_waiting_for_the_rest(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head(Content_Length=100_000, Content_Type="text/html") + b"<!doctype html><title>Sorry")
        server.stopping.wait(30)

    server = serve(talk)
    assert "text/html" in fetch.fails(BadVideo, server.url())
    server.stopping.set()


def test_an_empty_body_is_refused(fetch: Fetcher, serve: Serve) -> None:
    assert "empty body" in fetch.fails(BadVideo, serve(answering(b"")).url())
    assert "empty body" in fetch.fails(BadVideo, serve(sending(head())).url())


@pytest.mark.parametrize("said", ["aws-chunked", "utf-8", "binary", "none", "identity, aws-chunked", "gzip", "br"])
def test_a_film_is_a_film_whatever_its_content_encoding_says(fetch: Fetcher, serve: Serve, said: str) -> None:
    with fetch(serve(answering(films.film(), Content_Encoding=said)).url()) as spooled:
        assert spooled.sha256 == hashlib.sha256(films.film()).hexdigest()


PACKED = {
    "gzip": gzip.compress(films.film()),
    "zlib": zlib.compress(films.film()),
    "twice": gzip.compress(gzip.compress(films.film())),
    "in members": b"".join(gzip.compress(films.film()[at : at + 9000]) for at in range(0, len(films.film()), 9000)),
    "stray bytes": gzip.compress(films.film()) + bytes(512),
}


@pytest.mark.parametrize("framing", ["length", "chunks", "closing"])
@pytest.mark.parametrize("body", PACKED.values(), ids=PACKED)
def test_a_packed_film_is_unpacked_whether_its_head_says_so_or_not(
    fetch: Fetcher, serve: Serve, body: bytes, framing: str
) -> None:
    framed = {
        "length": head(Content_Encoding="gzip", Content_Length=len(body)) + body,
        "chunks": head(Transfer_Encoding="chunked") + chunked(body, 99) + b"0\r\n\r\n",
        "closing": head(Content_Encoding="br") + body,
    }
    with fetch(serve(sending(framed[framing])).url()) as spooled:
        assert spooled.sha256 == hashlib.sha256(films.film()).hexdigest()
        assert spooled.bytes == len(films.film())


def test_a_packed_film_that_breaks_off_is_spooled_as_far_as_it_came(fetch: Fetcher, serve: Serve) -> None:
    """So it is told as cut off by the proof, and can be kept aside, as one that was not packed."""
    with fetch(serve(answering(gzip.compress(films.film())[:-2000])).url()) as spooled:
        assert 1000 < spooled.bytes < len(films.film())
        with pytest.raises(BadVideo, match="cut off"):
            check_boxes(spooled.file, spooled.bytes)


def test_a_packed_body_is_unpacked_no_further_than_the_cap(fetch: Fetcher, serve: Serve) -> None:
    """Nor is one that is no film unpacked beyond its first bytes."""
    bomb = gzip.compress(films.film() + bytes(LIMITS.max_bytes))
    assert f"longer than {LIMITS.max_bytes} bytes" in fetch.fails(BadVideo, serve(answering(bomb)).url())
    bomb = gzip.compress(bytes(LIMITS.max_bytes))
    said = fetch.fails(BadVideo, serve(answering(bomb, Content_Encoding="gzip")).url())
    assert "is no MP4" in said
    assert "Content-Encoding gzip" in said


def test_what_comes_behind_a_packed_film_is_read_up_to_the_cap(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head() + gzip.compress(films.film()))
        while not server.stopping.is_set():
            connection.sendall(bytes(1 << 16))

    assert f"longer than {LIMITS.max_bytes} bytes" in fetch.fails(BadVideo, serve(talk).url())


def test_a_body_declared_too_large_is_refused_before_it_is_read(fetch: Fetcher, serve: Serve) -> None:
    answer = head(Content_Length=10 << 30) + films.film()
    assert "declares 10737418240 bytes" in fetch.fails(BadVideo, serve(sending(answer)).url())


@pytest.mark.parametrize("framing", ["closing", "chunks"])
def test_an_endless_body_is_refused_at_the_cap(fetch: Fetcher, serve: Serve, framing: str) -> None:
    piece = bytes(1 << 16)

    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head() if framing == "closing" else head(Transfer_Encoding="chunked"))
        start = films.film()
        connection.sendall(start if framing == "closing" else chunked(start))
        while not server.stopping.is_set():
            connection.sendall(piece if framing == "closing" else chunked(piece, len(piece)))

    assert f"longer than {LIMITS.max_bytes} bytes" in fetch.fails(BadVideo, serve(talk).url())


# What is cut


@pytest.mark.parametrize(
    "answer",
    [
        head(Content_Length=len(films.film())) + films.film()[:-1000],
        head(Content_Length=len(films.film())) + films.film()[:6],
        head(Transfer_Encoding="chunked") + chunked(films.film()),
        head(Transfer_Encoding="chunked") + chunked(films.film())[:-1000],
    ],
    ids=["length", "length, in the first box", "chunks, between two", "chunks, within one"],
)
def test_a_cut_that_http_can_see_means_try_later(fetch: Fetcher, serve: Serve, answer: bytes) -> None:
    assert "ended early" in fetch.fails(LinkUnavailable, serve(sending(answer)).url())


@pytest.mark.parametrize(
    "answer",
    [head() + films.film()[:-1000], head(Content_Length=len(films.film()) - 1000) + films.film()],
    ids=["ended by closing", "longer than its length"],
)
def test_a_cut_that_http_cannot_see_is_caught_by_the_boxes(fetch: Fetcher, serve: Serve, answer: bytes) -> None:
    with fetch(serve(sending(answer)).url()) as spooled, pytest.raises(BadVideo, match="cut off"):
        check_boxes(spooled.file, spooled.bytes)


def test_a_connection_reset_in_the_body_means_try_later(fetch: Fetcher, serve: Serve) -> None:
    def talk(_: Server, connection: socket.socket, target: str) -> None:
        connection.sendall(head(Content_Length=1 << 20) + films.film())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    fetch.fails(LinkUnavailable, serve(talk).url())


# What is slow


def test_a_dripped_body_is_a_stall(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head(Content_Length=1 << 20) + films.film()[:1000])
        server.drip(connection, bytes(1000), every_s=0.01)

    limits = replace(LIMITS, deadline_s=6, stall_bytes_per_s=64 << 10, stall_window_s=0.6)
    assert "stalled" in fetch.fails(LinkUnavailable, serve(talk).url(), limits)
    assert readers() == []


def test_a_steady_body_that_takes_too_long_in_all_meets_the_deadline(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head(Content_Length=1 << 30) + films.film())
        server.drip(connection, bytes(1000), every_s=0.01)

    limits = replace(HASTE, max_bytes=2 << 30)
    assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, serve(talk).url(), limits)


def test_dripped_headers_cannot_pass_the_deadline(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        server.drip(connection, b"X-More: and more\r\n", every_s=0.01)

    assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, serve(talk).url(), HASTE)


def test_a_dripped_tls_handshake_cannot_pass_the_deadline(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
        server.drip(connection, b"\x02", every_s=0.01)

    server = serve(talk, reads_head=False)
    assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, server.url(scheme="https"), HASTE)


def test_a_silent_server_meets_the_read_timeout(fetch: Fetcher, serve: Serve) -> None:
    server = serve(lambda server, connection, _: server.stopping.wait(30))
    limits = replace(LIMITS, read_s=0.3)
    assert "silent for too long" in fetch.fails(LinkUnavailable, server.url(), limits)
    server.stopping.set()


def test_a_name_that_takes_for_ever_to_resolve_cannot_pass_the_deadline(
    fetch: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("storage.download.Download.stop.__kwdefaults__", {"wait_s": 0.1})
    fetch.fails(LinkUnavailable, "http://films.example/a.mp4?Signature=topsecret", HASTE)
    release.set()
    for reader in readers():
        reader.join(5)


def test_a_body_that_only_the_deadline_has_ended_is_not_whole(fetch: Fetcher, serve: Serve) -> None:
    """Without a length it ends where the connection ends, and our own shutdown looks like that."""

    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head() + films.film())
        server.drip(connection, bytes(1000), every_s=0.01)

    assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, serve(talk).url(), HASTE)


def test_one_deadline_is_for_all_redirects_together(fetch: Fetcher, serve: Serve) -> None:
    def talk(server: Server, connection: socket.socket, target: str) -> None:
        server.stopping.wait(0.5)
        connection.sendall(head("302 Found", Location=f"{target}&again", Content_Length=0))

    assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, serve(talk).url(), HASTE)


def test_a_host_that_lets_nobody_in_cannot_pass_the_deadline(fetch: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor can the addresses that come after its first."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(2):  # the one place, and the one that Linux adds
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())] * 3
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        url = "http://films.example/a.mp4?Signature=topsecret"
        assert "not here after 0.8 s" in fetch.fails(LinkUnavailable, url, replace(HASTE, connect_s=SOON_S))


def test_once_the_time_is_over_no_address_is_tried(fetch: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: tried.append(address))
    with Deadline(LIMITS.deadline_s) as deadline, under(deadline):
        deadline.cut()
        with pytest.raises(requests.ConnectTimeout):
            fetch.session.get("http://127.0.0.1:9/film.mp4")
    assert tried == []


def test_a_cut_just_before_the_connecting_is_noticed_after_it(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(deadline: Deadline, _: socket.socket) -> None:
        deadline.cut()  # there is no connection yet that a shutdown could meet

    server = serve(answering(films.film()))
    monkeypatch.setattr(Deadline, "watch", cut)
    assert "not here" in fetch.fails(LinkUnavailable, server.url())
    assert server.requests == []


@pytest.mark.parametrize("kind", [threading.Timer, threading.Thread], ids=["to keep the time", "to read in"])
def test_without_a_thread_nothing_is_asked_for(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch, kind: type[threading.Thread]
) -> None:
    start = kind.start

    def refuse(thread: threading.Thread) -> None:
        if type(thread) is kind:
            raise RuntimeError("can't start new thread")
        start(thread)

    server = serve(answering(films.film()))
    with monkeypatch.context() as patch:
        patch.setattr(kind, "start", refuse)
        assert "no thread" in fetch.fails(LinkUnavailable, server.url())
    assert server.requests == []


# The caller has the last word


@pytest.mark.parametrize("flows", [True, False], ids=["while bytes flow", "while none do"])
def test_the_caller_is_asked_all_along_and_can_stop_it(fetch: Fetcher, serve: Serve, flows: bool) -> None:
    def talk(server: Server, connection: socket.socket, _: str) -> None:
        connection.sendall(head(Content_Length=1 << 30) + films.film())
        if flows:
            server.drip(connection, bytes(1000), every_s=0.01)
        server.stopping.wait(30)

    asked_at: list[float] = []
    caller = threading.current_thread()

    def keep_going() -> None:
        assert threading.current_thread() is caller
        asked_at.append(time.monotonic())
        if len(asked_at) == 4:
            raise Cancelled("told to")

    server = serve(talk)
    began = time.monotonic()
    with pytest.raises(Cancelled, match="told to"):
        fetch(server.url(), replace(LIMITS, max_bytes=2 << 30), keep_going)
    assert readers() == []
    times = [began, *asked_at, time.monotonic()]
    assert max(after - before for before, after in pairwise(times)) < 1
    server.stopping.set()


def test_the_caller_is_asked_at_once_of_a_film_that_takes_no_time_too(fetch: Fetcher, serve: Serve) -> None:
    asked: list[None] = []
    fetch(serve(answering(films.film())).url(), LIMITS, lambda: asked.append(None)).close()
    assert asked


def test_whatever_the_caller_raises_comes_out_unchanged(fetch: Fetcher, serve: Serve) -> None:
    def keep_going() -> None:
        raise KeyError("the hold is lost")

    server = serve(lambda server, connection, _: server.stopping.wait(30))
    with pytest.raises(KeyError, match="the hold is lost"):
        fetch(server.url(), LIMITS, keep_going)
    server.stopping.set()


# What the status says


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_dead_link_says_so_with_its_status(fetch: Fetcher, serve: Serve, status: int) -> None:
    server = serve(answering(b"<Error/>", f"{status} No"))
    with pytest.raises(LinkDead) as caught:
        fetch(server.url())
    assert caught.value.status == status
    assert "/film.mp4?…" in str(caught.value)
    assert SECRET not in told(caught.value)


def test_a_whole_film_is_whole_under_whatever_status_says_so(fetch: Fetcher, serve: Serve) -> None:
    body, size = films.film(), len(films.film())
    for server in (
        serve(answering(body, "203 Looked At")),
        serve(answering(body, "206 Partial Content", Content_Range=f"bytes 0-{size - 1}/{size}")),
    ):
        with fetch(server.url()) as spooled:
            assert spooled.bytes == size


@pytest.mark.parametrize(
    "part", ["bytes 0-99/10000", "bytes 1-9999/10000", "bytes 0-9999/*", "items 0-9999/10000", "0", ""]
)
def test_a_part_of_a_film_means_try_later(fetch: Fetcher, serve: Serve, part: str) -> None:
    server = serve(answering(films.film(), "206 Partial Content", Content_Range=part))
    assert "answered 206" in fetch.fails(LinkUnavailable, server.url())


@pytest.mark.parametrize("status", [204, 206, 304, 400, 408, 416, 429, 500, 502, 503])
def test_any_other_status_means_try_later(fetch: Fetcher, serve: Serve, status: int) -> None:
    server = serve(sending(head(f"{status} Other", Content_Length=0)))
    assert f"answered {status}" in fetch.fails(LinkUnavailable, server.url())


def test_nobody_there_means_try_later(fetch: Fetcher, serve: Serve) -> None:
    server = Server(answering(b""))
    server.close()
    assert "connection refused" in fetch.fails(LinkUnavailable, server.url())


def test_an_answer_that_is_not_http_means_try_later(fetch: Fetcher, serve: Serve) -> None:
    fetch.fails(LinkUnavailable, serve(sending(b"220 ready\r\n\r\n")).url())
    fetch.fails(LinkUnavailable, serve(sending(b"")).url())


def test_a_name_that_does_not_resolve_means_try_later(fetch: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = "http://films.example/a.mp4?Signature=topsecret"
    assert "does not resolve" in fetch.fails(LinkUnavailable, url)


# The disk


def test_no_room_for_the_declared_bytes_means_try_later(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools.os, "statvfs", lambda _: SimpleNamespace(f_bavail=spools.MARGIN_BYTES, f_frsize=1))
    fetch.fails(SpoolFull, serve(answering(films.film())).url())
