"""Wrong keys, by where they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_api_limits import SHAPE

from jobs.settings import load
from rushes.api.edge import wrong_keys
from rushes.api.edge.wrong_keys import MOST_A_MINUTE, PLACES, TooManyWrongKeys, WrongKeys, source_of
from rushes.local.valkey import Valkey

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def one_long_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "WINDOW_S", 10**9)


def wrong(api: FlaskClient, address: str = "192.0.2.1", **headers: str) -> Any:
    client = api.application.test_client()
    sent = {"Authorization": "Bearer rk_wrong", **headers}
    return client.get("/v1/jobs", headers=sent, environ_base={"REMOTE_ADDR": address})


def is_limited(keys: WrongKeys, source: str) -> bool:
    try:
        keys.note(source)
    except TooManyWrongKeys:
        return True
    return False


def test_beyond_the_limit_a_source_is_told_to_wait_and_a_right_key_is_taken_all_the_same(api: FlaskClient) -> None:
    assert {wrong(api).status_code for _ in range(MOST_A_MINUTE)} == {401}
    refused = wrong(api)
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (429, "too_many_wrong_keys")
    assert int(refused.headers["Retry-After"]) > 0
    assert wrong(api, "192.0.2.2").status_code == 401
    right = api.get("/v1/jobs", environ_base={**api.environ_base, "REMOTE_ADDR": "192.0.2.1"})
    assert right.status_code == 200
    assert SHAPE.fullmatch(right.headers["RateLimit"])
    assert api.application.test_client().get("/v1/jobs").status_code == 401  # no key is no wrong one


def test_nobody_chooses_their_source_and_a_trusted_proxy_names_it(make_api: Callable[..., FlaskClient]) -> None:
    api = make_api()
    faked = [wrong(api, "192.0.2.50", **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(MOST_A_MINUTE + 1)]
    assert [answer.status_code for answer in faked][-2:] == [401, 429]
    behind = make_api(TRUSTED_PROXIES="192.0.2.1, 10.0.0.0/8")
    for n in range(MOST_A_MINUTE):
        wrong(behind, **{"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7, 10.1.1.1"})
    assert wrong(behind, **{"X-Forwarded-For": "198.51.100.7"}).status_code == 429
    assert wrong(behind, **{"X-Forwarded-For": "198.51.100.8"}).status_code == 401


@pytest.mark.parametrize(
    ("peer", "said", "source"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.9.9.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.1", ""),
    ],
)
def test_whom_a_request_came_from(peer: str, said: str, source: str) -> None:
    trusted = load({"RUSHES_S3_BUCKET": "xxx", "RUSHES_TRUSTED_PROXIES": "10.0.0.0/8"}).trusted_proxies
    assert source_of({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": said}, trusted) == source


def test_all_processes_count_together(valkey: Valkey) -> None:
    one, other = WrongKeys(valkey.url, clock=lambda: 5e12), WrongKeys(valkey.url, clock=lambda: 5e12)
    try:
        assert not any(is_limited(keys, "192.0.2.1") for keys in (one, other) * (MOST_A_MINUTE // 2))
        assert is_limited(other, "192.0.2.1")
        assert is_limited(one, "192.0.2.1")
    finally:
        one._valkey.delete(wrong_keys.NAME.format(5_000))
        one.close()
        other.close()


def test_a_flood_of_addresses_grows_nothing_and_a_network_is_one_source() -> None:
    keys = WrongKeys(NOBODY)
    for n in range(3 * PLACES):
        is_limited(keys, f"2001:db8:{n:x}::1")
    assert len(keys._own) <= PLACES
    alone = WrongKeys(NOBODY)
    assert [is_limited(alone, f"2001:db8:7:7::{n:x}") for n in range(MOST_A_MINUTE + 1)][-1]
    later = WrongKeys(NOBODY, clock=lambda: 3e9)
    assert not is_limited(later, "2001:db8:7:7::1")
