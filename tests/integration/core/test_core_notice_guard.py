"""A pipeline's `notify_url` passes the guard twice: when the job is made, and when the notice is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from address_forms import ADDRESSES, URLS
from workshop import Bells

from jobs.errors import BadRequest
from jobs.intake import new_jobs
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from jobs.store.core import Core
from jobs.store.database import Database
from storage.outbound.guard import guarded_session
from webhooks import delivery
from webhooks.errors import NoticeUndelivered

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def public(database: Database) -> Iterator[Any]:
    """What sends notices in an installation as it runs in earnest: no private addresses."""
    variables = {"RUSHES_S3_BUCKET": "videos", "RUSHES_NOTICE_SECRETS": SECRET, "RUSHES_EVOLINK_API_KEY": "sk-test"}
    with guarded_session(allow_private=False) as session:
        yield SimpleNamespace(settings=load(variables), session=session, database=database, bells=Bells())


@pytest.fixture(autouse=True)
def nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.outbound.connections._open", lambda *_: pytest.fail("a connection was tried"))


def send(url: str, resources: Any) -> None:
    row: Any = {"id": "msg_1", "job_id": "job_1", "url": url, "body": {}, "tries": 0}
    delivery._send(row, resources)


def info(address: str, port: int) -> tuple[object, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if ":" in address else (address, port)


def test_no_job_is_made_with_a_notify_url_in_any_of_the_forms(public: Any) -> None:
    taking = Core(settings=public.settings, providers=PROVIDERS, database=public.database, ringer=public.bells)
    body = {"prompt": "A red fox", "provider": "evolink", "duration": 2}
    for url in URLS:
        with pytest.raises(BadRequest) as caught:
            new_jobs.create({**body, "notify_url": url}, taking, api_key_id="test")
        assert set(caught.value.fields) == {"notify_url"}, url


def test_no_notice_is_sent_to_any_of_the_forms(public: Any) -> None:
    for url in URLS:  # rows from before a rule, or from a hand in the database
        with pytest.raises(NoticeUndelivered, match="LinkForbidden"):
            send(url, public)


def test_no_notice_is_sent_to_a_name_that_leads_inside(public: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ADDRESSES:
        answer = [info("93.184.215.14", 443), info(address, 443)]
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", lambda *_, said=answer, **__: said)
            with pytest.raises(NoticeUndelivered, match="LinkForbidden"):
                send("https://pipeline.example/hook", public)


def test_a_name_that_changes_its_mind_is_looked_up_once_and_pinned(
    public: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1"])
    looked_up, connected = [], []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        looked_up.append(host)
        return [info(next(answers), port)]

    def refuse(*arguments: object) -> socket.socket:
        connected.append(arguments[-1])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("storage.outbound.connections._open", refuse)
    with pytest.raises(NoticeUndelivered):
        send("https://pipeline.example/hook", public)
    assert (looked_up, connected) == (["pipeline.example"], [("93.184.215.14", 443)])


def test_what_a_notice_met_is_not_told_to_the_one_who_named_the_address(
    public: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a notify_url would be a way to look at ports and answers of the inside."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [info("10.0.0.5", port)])
    with pytest.raises(NoticeUndelivered) as caught:
        send("https://pipeline.example/hook", public)
    assert str(caught.value) == "LinkForbidden"
