from __future__ import annotations

from typing import Any

import pytest

from jobs.request.strict_json import BadJson, loads


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        ('"狐 🦊"'.encode(), "狐 🦊"),
        (rb'"\ud83e\udd8a"', "🦊"),
        (b" 7 ", 7),
        (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
    ],
)
def test_a_json_value_is_read(raw: bytes, value: Any) -> None:
    assert loads(raw) == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'"\xff"', "not valid JSON in UTF-8"),
        ("\ufeff{}".encode(), "not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "not valid JSON"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "too large"),
        (b'{"a": 1, "a": 2}', "occurs twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "occurs twice"),
        (rb'"a\u0000b"', "NUL"),
        (rb'{"\u0000": 1}', "NUL"),
        (rb'{"a": ["\ud800"]}', "not valid JSON"),
        (rb'{"\udfff": 1}', "not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nests too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nests too deeply"),
        (b"1" * 5_000, "not valid JSON"),
    ],
)
def test_what_not_every_parser_reads_alike_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(BadJson, match=why):
        loads(raw)
