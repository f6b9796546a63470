from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.callback_urls import mint
from jobs.logs import SECRETS, _mask_values, mask

KEYS = {"k1": b"0123456789abcdef"}
URL = mint("https://host", KEYS, "evolink", "job_1", 1)
TOKEN = URL.rsplit("/", 1)[1]
# What secrets are made of, whole and in parts.
PIECES = [*"/\\:?@ax1 ", "://", ":\\/\\/", "http", "https", "/webhooks", "webhooks/a/b/c/d", "Bearer "]
PIECES += ["rk_", "sk-", "afk_", "abcdef"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"POST {URL} HTTP/1.1", TOKEN),
        (f'"/webhooks/evolink/job_1/1/{TOKEN}?x=1"', TOKEN),
        (f"/webhooks/evolink/job_1/one/{TOKEN}", TOKEN),  # as somebody may call us who got it wrong
        ("https://s3.host/b/k.mp4?X-Amz-Signature=abcdef&X-Amz-Expires=60 gone", "abcdef"),
        ("http://cdn.host/v.mp4?token=secret", "secret"),
        ("Authorization: Bearer rk_0123456789abcdef", "0123456789abcdef"),
        ("Authorization: Bearer  sk-or-v1.abc+/=", "sk-or-v1.abc+/="),
        ("key rk_0123456789abcdef is unknown", "0123456789abcdef"),
        ("sk-ABCDEFGHIJ", "ABCDEFGHIJ"),
        ("afk_ABCDEFGHIJ", "ABCDEFGHIJ"),
        ("whsec_QUJDREVGR0g=", "QUJDREVGR0g"),
        ("postgresql+psycopg://rushes:hunter2@host/db", "hunter2"),
        ("redis://:hunter2@127.0.0.1:6379/0", "hunter2"),
    ],
)
def test_a_secret_is_masked_wherever_it_stands(text: str, secret: str) -> None:
    assert secret not in mask(text)
    assert "…" in mask(text)


def test_what_surrounds_it_stays() -> None:
    assert mask(f"POST {URL} 200") == "POST https://host/webhooks/evolink/job_1/1/… 200"
    assert mask("got https://h/v.mp4?sig=abc and left") == "got https://h/v.mp4?… and left"
    assert mask("redis://:pw@host:1/0") == "redis://:…@host:1/0"


@pytest.mark.parametrize(
    "text",
    [
        "job_01J000000000000000000000AA archived",
        "https://host/v1/jobs/job_1",
        "/webhooks/evolink",
        "task sk- is short",
        "",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


def test_several_in_one_line_are_all_masked() -> None:
    line = mask(f"{URL} https://h/v?a=1 Bearer abcdefgh redis://:pw@h/0")
    assert not any(secret in line for secret in (TOKEN, "a=1", "abcdefgh", "pw@"))


def test_every_value_of_a_log_line_is_masked() -> None:
    event = _mask_values(None, "info", {"event": f"called {URL}", "url": URL, "bytes": 7})
    assert TOKEN not in str(event)
    assert event["bytes"] == 7


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_text_that_has_no_hint_has_nothing_to_mask(text: str) -> None:
    """What is not looked at more closely is what no pattern would change."""
    masked = text
    for pattern, replacement in SECRETS:
        masked = pattern.sub(replacement, masked)
    assert mask(text) == masked
