"""Bodies and accounts: what is read as JSON, and what may be kept of an answer and of a key."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers.answers import cost_fields, task_id
from jobs.providers.client import Account, Answered, answer_for_history, json_body

KEY = "sk-very-secret-0123456789"


def test_a_fingerprint_names_a_key_without_telling_it() -> None:
    one, other = Account("aivideoapi", "https://h", "sk-1"), Account("aivideoapi", "https://h", "sk-2")
    assert len(one.fingerprint) == 16
    assert int(one.fingerprint, 16)
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == Account("evolink", "https://elsewhere", "sk-1").fingerprint


def test_the_history_gets_the_answer_cut_and_without_keys_and_signatures() -> None:
    said = f'{{"url":"https://h/v.mp4?Expires=1\\u0026Signature=abc","error":"bad key {KEY}","b":"\0"}}'
    kept = answer_for_history(Answered(200, {}, said.encode()), account=Account("aivideoapi", "https://h", KEY))
    assert kept == '{"url":"https://h/v.mp4?…","error":"bad key …","b":"�"}'
    long = Answered(200, {}, (f"{KEY}https:" * 100_000).encode())
    kept = answer_for_history(long, account=Account("aivideoapi", "https://h", KEY))
    assert len(kept) <= 4096
    assert KEY not in kept


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"<html>", b'{"a":1}x[', b"[1]x", b"\xff\xfe{\0"])
def test_what_is_not_json_is_a_bad_report(body: bytes) -> None:
    with pytest.raises(BadReport):
        json_body(body)


def test_json_is_read() -> None:
    assert json_body(b' {"a":[1,2.5,null,true,"\xc3\xa9"]} ') == {"a": [1, 2.5, None, True, "é"]}


@pytest.mark.parametrize(
    "odd",
    [b"NaN", b"-Infinity", b"1e999", b"9" * 30, b"9" * 10_000, b'"caf\xe9"', b'"two\nlines"', b'"\0"', b'"\\ud800"'],
)
def test_one_odd_value_spoils_no_other(odd: bytes) -> None:
    assert json_body(b'\xef\xbb\xbf{"odd":' + odd + b',"id":"t-1"}')["id"] == "t-1"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -1, -0.5, True, "136", [136], {"usd": 1}, json_body(b"9" * 400), json_body(b"1e400")],
)
def test_what_is_no_amount_is_no_cost_and_why_is_told(value: Any) -> None:
    fields = cost_fields(value)
    assert fields["cost"] is None
    assert fields["bad_cost"] is not None
    assert fields["bad_cost"].told.encode()
    assert fields["bad_cost"].reason == "it is no amount of money"


def test_a_cost_is_kept_as_far_as_numbers_reach_and_none_is_none() -> None:
    assert cost_fields(1e308) == {"cost": 1e308, "bad_cost": None}
    assert cost_fields(json_body(b"9" * 100))["cost"] == float("9" * 100)
    assert cost_fields(0) == {"cost": 0.0, "bad_cost": None}
    assert cost_fields(None) == {"cost": None, "bad_cost": None}


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("1757169743", "1757169743"),
        ("1757169743.0", "1757169743"),
        ("7.00", "7"),
        ("123456789012345678901234", "123456789012345678901234"),
        ("1.75717e+09", None),
        ("1.7571697430001e+18", None),
        ("1234567890123456.0", None),
        ("7.5", None),
    ],
)
def test_an_id_may_be_a_whole_number_that_was_not_rounded(written: str, known: str | None) -> None:
    assert task_id(json_body(f'{{"id": {written}}}'.encode())["id"]) == known
