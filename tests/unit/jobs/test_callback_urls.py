from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from jobs.callback_urls import is_genuine, mint

OLD, NEW = {"old": b"0123456789abcdef"}, {"new": b"fedcba9876543210"}
BOTH = {**NEW, **OLD}
WHO = ("evolink", "job_1", 1)


def token(keys: dict[str, bytes]) -> str:
    return mint("https://host", keys, *WHO).rsplit("/", 1)[1]


def test_a_url_names_gateway_job_and_attempt_and_ends_in_its_token() -> None:
    url = mint("https://host/base", OLD, *WHO)
    assert url.startswith("https://host/base/webhooks/evolink/job_1/1/old.")


def test_the_token_is_the_one_of_the_design() -> None:
    mac = hmac.new(b"0123456789abcdef", b"cb1\0evolink\0job_1\x001", hashlib.sha256).digest()
    assert token(OLD) == "old." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def test_our_own_token_is_genuine() -> None:
    assert is_genuine(OLD, *WHO, token(OLD))


def test_the_first_key_signs_and_both_are_believed() -> None:
    assert token(BOTH) == token(NEW)
    assert is_genuine(BOTH, *WHO, token(OLD))
    assert is_genuine(BOTH, *WHO, token(NEW))


def test_once_a_key_is_dropped_its_tokens_are_worthless() -> None:
    assert not is_genuine(NEW, *WHO, token(OLD))


@pytest.mark.parametrize(
    "other",
    [("apiframe", "job_1", 1), ("evolink", "job_2", 1), ("evolink", "job_1", 2), ("evolink", "job_1", 11)],
    ids=["gateway", "job", "attempt", "attempt with the same beginning"],
)
def test_a_token_opens_no_other(other: tuple[str, str, int]) -> None:
    assert not is_genuine(OLD, *other, token(OLD))


def test_a_token_under_another_keys_name_is_wrong() -> None:
    assert not is_genuine(BOTH, *WHO, token(OLD).replace("old.", "new."))


@pytest.mark.parametrize(
    "bad",
    ["", ".", "old", "old.", ".x", "none.x", "old.x", "old.é", "old.\ud800", "é.x", "old." + "A" * 10_000, "old.\0"],
)
def test_any_other_token_is_wrong_and_raises_nothing(bad: str) -> None:
    assert not is_genuine(OLD, *WHO, bad)


@pytest.mark.parametrize("job_id", ["job_é", "job_\ud800", ""])
def test_a_strange_job_id_is_wrong_and_raises_nothing(job_id: str) -> None:
    assert not is_genuine(OLD, "evolink", job_id, 1, token(OLD))


def test_a_token_with_its_last_callbacks_changed_is_wrong() -> None:
    good = token(OLD)
    assert not is_genuine(OLD, *WHO, good[:-1] + ("A" if good[-1] != "A" else "B"))
    assert not is_genuine(OLD, *WHO, good + "=")
