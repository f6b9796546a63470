"""Where a link leads: redirects, addresses, names that change their mind, certificates."""

import io
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import films
import pytest
import requests
import trustme
from fetching import LIMITS, SECRET, Fetcher, told
from misbehaving import Server, answering, head

from storage.errors import LinkForbidden, LinkUnavailable
from storage.fetch import Spooled, fetch_to_spool
from storage.outbound import translators
from storage.outbound.guard import guarded_session

Serve = Callable[..., Server]
FILM = films.film()

# Redirects


def hops(count: int) -> Callable[[Server, socket.socket, str], None]:
    """/3 leads to /2, and so on; /0 is the film."""

    def talk(_: Server, connection: socket.socket, target: str) -> None:
        left = int(target.strip("/").partition("?")[0] or count)
        body = films.film()
        if left:
            connection.sendall(head("302 Found", Location=f"/{left - 1}?Signature={SECRET}", Content_Length=0))
        else:
            connection.sendall(head(Content_Length=len(body)) + body)

    return talk


def test_three_redirects_are_followed(fetch: Fetcher, serve: Serve) -> None:
    server = serve(hops(3))
    fetch(server.url("/3?Signature=topsecret")).close()
    assert len(server.requests) == 4


SIGNED = "/a%7Eb/../c//d.mp4?sig=ab%2bcd~%7E&x=[1]|{2}^`&bad=%zz&end=%"


@pytest.mark.parametrize("target", [SIGNED, "/film.mp4?", '/视 1.mp4?n="a"'])
def test_a_link_and_what_it_redirects_to_go_out_byte_for_byte(fetch: Fetcher, serve: Serve, target: str) -> None:
    def talk(server: Server, connection: socket.socket, asked: str) -> None:
        first = len(server.requests) == 1
        answer = head("307 Redirect", Location="HERE", Content_Length=0) if first else head(Content_Length=len(FILM))
        connection.sendall(answer.replace(b"HERE", target.encode()) + (b"" if first else FILM))

    server = serve(talk)
    fetch(server.url(target)).close()
    wanted = target if target.isascii() else "/%E8%A7%86%201.mp4?n=%22a%22"
    assert [request.split()[1] for request in server.requests] == [wanted, wanted]


def test_a_fourth_redirect_is_forbidden(fetch: Fetcher, serve: Serve) -> None:
    server = serve(hops(4))
    assert "more than 3 redirects" in fetch.fails(LinkForbidden, server.url("/4?Signature=topsecret"))
    assert len(server.requests) == 4


def test_a_redirect_to_nowhere_means_try_later(fetch: Fetcher, serve: Serve) -> None:
    fetch.fails(LinkUnavailable, serve(answering(b"", "302 Found")).url())


class Redirecting(requests.adapters.BaseAdapter):
    """Stands in for a public host that sends us elsewhere; real ones cannot be had in a test."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 302, request, request.url or ""
        response.headers["Location"] = self.target
        response.raw = io.BytesIO()
        return response

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1/?Signature=topsecret",
        "http://127.0.0.1/?Signature=topsecret",
        "https://169.254.169.254/latest?Signature=topsecret",
        "https://inner.example/?Signature=topsecret",
        "//inner.example/?Signature=topsecret",
        "https://films.example:8443/?Signature=topsecret",
        "https://user:topsecret@inner.example/",
        "file:///etc/passwd",
        "ftp://films.example/",
    ],
)
def test_a_redirect_into_the_inside_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    answers = {"inner.example": "10.0.0.5"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [info(answers[host], port)])
    with guarded_session(allow_private=False) as session:
        session.mount("https://films.example/", Redirecting(target))
        with pytest.raises(LinkForbidden) as caught:
            guarded_fetch(session, "https://films.example/a?Signature=topsecret", tmp_path)
    assert SECRET not in told(caught.value)


# Addresses


def info(address: str, port: int) -> tuple[object, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if ":" in address else (address, port)


def guarded_fetch(session: requests.Session, url: str, folder: Path) -> Spooled:
    return fetch_to_spool(session, url, folder=folder, limits=LIMITS, allow_private=False, keep_going=lambda: None)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.215.14", "127.0.0.1"],
        ["93.184.215.14", "::ffff:127.0.0.1"],
        ["::127.0.0.1"],
        ["::ffff:0:127.0.0.1"],
        ["fec0::1"],
        ["3ffe::1"],
        ["168.63.129.16"],
        ["192.175.48.1"],
        ["192.31.196.1"],
        ["192.0.0.192"],
        ["fe80::1%lo"],
    ],
    ids=lambda addresses: "+".join(addresses),
)
def test_a_name_is_forbidden_when_any_of_its_addresses_is_not_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [info(each, port) for each in addresses])
    monkeypatch.setattr("storage.outbound.connections._open", lambda *_: pytest.fail("a connection was tried"))
    with guarded_session(allow_private=False) as session, pytest.raises(LinkForbidden, match="not a public address"):
        guarded_fetch(session, "https://films.example/a?Signature=topsecret", tmp_path)


def test_a_name_that_changes_its_mind_is_resolved_once_and_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])
    asked: list[str] = []
    connected: list[object] = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [info(next(answers), port)]

    def refuse(*arguments: object) -> socket.socket:
        connected.append(arguments[-1])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("storage.outbound.connections._open", refuse)
    with guarded_session(allow_private=False) as session, pytest.raises(LinkUnavailable, match="connection refused"):
        guarded_fetch(session, "http://films.example/a?Signature=topsecret", tmp_path)
    assert asked == ["films.example"]
    assert connected == [("93.184.215.14", 443)]  # asked over https, although the link said http


@pytest.mark.parametrize(
    ("prefix", "leads_to", "is_forbidden"),
    [  # one of the operator's own looks like any other address of the internet, or of a private network
        (None, "64:ff9b::5db8:d70e", False),
        (None, "64:ff9b::a00:5", True),
        ("2a00:1098:2b::", "2a00:1098:2b::a00:5", True),
        ("2a00:1098:2b::", "2a00:1098:2b::5db8:d70e", False),
        ("2a00:1098:2b::", "2606:4700::1111", False),
        ("fd00:64::", "fd00:64::5db8:d70e", False),
        ("fd00:64::", "fd00:65::5db8:d70e", True),
        (None, "fd00:64::5db8:d70e", True),
    ],
)
def test_in_a_network_that_translates_a_name_is_judged_by_what_its_addresses_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str | None, leads_to: str, is_forbidden: bool
) -> None:
    """As its resolver answers there: every name leads under the translators' prefix (RFC 7050)."""

    def resolve(host: str, port: int, **_: object) -> list[object]:
        if host != translators.WELL_KNOWN_NAME:
            return [info(leads_to, port)]
        if prefix is None:
            raise socket.gaierror
        return [info(f"{prefix}c000:aa", port), info(f"{prefix}c000:ab", port)]

    def refuse(*_: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr(translators, "_kept", None)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("storage.outbound.connections._open", refuse)
    expected, said = (LinkForbidden, "not a public") if is_forbidden else (LinkUnavailable, "connection refused")
    with guarded_session(allow_private=False) as session, pytest.raises(expected, match=said):
        guarded_fetch(session, "https://films.example/a?Signature=topsecret", tmp_path)


def test_the_next_address_is_tried_when_one_does_not_answer(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answering(films.film()))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, **_: [info("127.0.0.9", port), info("127.0.0.1", port)]
    )
    fetch(server.url(host="films.example")).close()
    assert f"Host: films.example:{server.port}" in server.requests[0]


def test_a_pinned_connection_still_proves_the_name_by_its_certificate(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("films.example").configure_cert(tls)
    server = serve(answering(films.film()), tls=tls)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [info("127.0.0.1", port)])

    untrusted = fetch.fails(LinkUnavailable, server.url(host="films.example", scheme="https"))
    assert "certificate is not trusted" in untrusted
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    fetch.session = guarded_session(allow_private=True)
    fetch(server.url(host="films.example", scheme="https")).close()
    fetch.fails(LinkUnavailable, server.url(host="other.example", scheme="https"))


def test_the_proxy_and_password_files_of_the_machine_are_ignored(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server, proxy = serve(answering(films.film())), serve(answering(b"proxied"))
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password topsecret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", proxy.url("/"))
    monkeypatch.setenv("http_proxy", proxy.url("/"))
    fetch(server.url()).close()
    assert proxy.requests == []
    assert "Authorization" not in server.requests[0]
