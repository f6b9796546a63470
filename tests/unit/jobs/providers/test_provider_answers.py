"""Bodies and accounts: what is read as JSON, and what may be kept of an answer and of a key."""

from __future__ import annotations

import pytest

from jobs.errors import BadReport
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


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b'{"a":-Infinity}', b"1e999", b"1" * 30, b"<html>", b'{"a":1}x'],
)
def test_what_is_not_json_of_sense_is_a_bad_report(body: bytes) -> None:
    with pytest.raises(BadReport):
        json_body(body)


def test_json_of_sense_is_read() -> None:
    assert json_body(b' {"a":[1,2.5,null,true,"\xc3\xa9"]} ') == {"a": [1, 2.5, None, True, "é"]}
