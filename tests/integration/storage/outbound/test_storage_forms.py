"""The table of address forms against result links and every hop of theirs: nobody connects."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import requests
from address_forms import ADDRESSES, URLS
from fetching import LIMITS, SECRET, told
from test_storage_redirects import Redirecting, guarded_fetch, info

from storage.errors import LinkForbidden
from storage.outbound.guard import guarded_session


@pytest.fixture(autouse=True)
def nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.outbound.connections._open", lambda *_: pytest.fail("a connection was tried"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_result_link_in_any_of_the_forms_is_forbidden_before_a_look_up(tmp_path: Path, scheme: str) -> None:
    links = [f"{scheme}{url.removeprefix('https')}" for url in URLS if scheme == "https" or not url.endswith(":80/a")]
    with guarded_session(allow_private=False) as session:
        for url in links:
            with pytest.raises(LinkForbidden) as caught:
                guarded_fetch(session, f"{url}?Signature={SECRET}", tmp_path)
            assert SECRET not in told(caught.value), url


class Hops(Redirecting):
    """A public host that redirects to itself some times, and then to the inside."""

    def __init__(self, target: str, hops: int) -> None:
        super().__init__(target)
        self.left = hops

    def send(self, request: requests.PreparedRequest, *arguments: object, **more: object) -> requests.Response:
        answer = super().send(request, *arguments, **more)
        if self.left:
            self.left -= 1
            answer.headers["Location"] = f"/again?Signature={SECRET}"
        return answer


@pytest.mark.parametrize("hop", range(LIMITS.redirects))
def test_each_hop_of_a_redirect_is_judged_by_the_whole_table(tmp_path: Path, hop: int) -> None:
    for url in URLS:
        with guarded_session(allow_private=False) as session:
            session.mount("https://films.example/", Hops(f"{url}?Signature={SECRET}", hop))
            with pytest.raises(LinkForbidden) as caught:
                guarded_fetch(session, "https://films.example/a", tmp_path)
        assert SECRET not in told(caught.value), url


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("beside", [[], ["93.184.215.14"]], ids=["alone", "beside a public one"])
def test_a_name_behind_which_any_of_the_addresses_stands_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, beside: list[str]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [info(a, port) for a in (*beside, address)])
    with guarded_session(allow_private=False) as session:
        session.mount("https://hop.example/", Redirecting("https://films.example/a"))
        for link in ("https://films.example/a", "https://hop.example/a"):
            with pytest.raises(LinkForbidden, match="not a public address"):
                guarded_fetch(session, link, tmp_path)
