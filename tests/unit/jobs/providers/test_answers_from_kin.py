"""What the gateways' kin answer, in encodings that nobody asked for and in words that no page has."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers import aivideoapi, evolink
from jobs.providers.answers import json_body
from jobs.providers.refusals import Rule
from jobs.providers.registry import PROVIDERS

SAID = {"id": "任务-1", "status": "é"}
TEXT = json.dumps(SAID, ensure_ascii=False)
ENCODED: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "a mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16, the other way": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-32": lambda text: text.encode("utf-32"),
    "gb 18030": lambda text: text.encode("gb18030"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip of utf-16": lambda text: gzip.compress(text.encode("utf-16")),
    "gzip twice": lambda text: gzip.compress(gzip.compress(text.encode())),
    "zlib": lambda text: zlib.compress(text.encode()),
    "deflate": lambda text: zlib.compress(text.encode(), wbits=-15),
    "a mark of each file": lambda text: b"\xef\xbb\xbf" * 2 + text.encode(),
    "a mark behind a line's end": lambda text: b"\n\xef\xbb\xbf \xef\xbb\xbf" + text.encode(),
    "utf-16, two marks": lambda text: b"\xff\xfe" + text.encode("utf-16"),
    "a mark in gzip": lambda text: gzip.compress(b"\r\n" + text.encode("utf-8-sig")),
    "other blanks": lambda text: f"\u200b\u00a0{text}\u2028".encode(),
    "nuls behind": lambda text: text.encode() + bytes(7),
    "a text of json": lambda text: json.dumps(text).encode(),
    "an edge's mark": lambda text: text.encode() + b"\n<!-- served by edge -->\n",
    "a front's word": lambda text: text.encode() + b"1",
    "gb 18030, and an edge's mark": lambda text: text.encode("gb18030") + b"\n<!-- edge -->",
}


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED)
def test_an_answer_is_read_in_whatever_encoding_it_comes(encoded: Callable[[str], bytes]) -> None:
    assert json_body(encoded(TEXT)) == SAID


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(bytes(50 << 20)),
        gzip.compress(TEXT.encode())[:-9],
        b"\x1f\x8b",
        b"<html>",
        b"",
        b'<script>{"id": "t-1"}</script>',
        b'{"id": "t-1"}{"error": {"message": "no credit"}}',
        b'{"error": {"message": "no credit"}}\n{"id": "t-1"}',
        b'{"error": "x"}<pre>{"id": "t-1"}</pre>',
        b'{"id": "t-1"',
        b'"{\\"id\\": "',
    ],
    ids=[
        *("a bomb", "cut off", "a head alone", "a page", "nothing", "json in a page", "an error behind"),
        *("an order behind", "an order in a page behind", "cut in the object", "a cut text of json"),
    ],
)
def test_what_cannot_be_unpacked_or_read_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadReport):
        json_body(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"prompt":"\N{REPLACEMENT CHARACTER}中","url":"https://h/影片.mp4"}'.encode(),
        b'{"prompt":"' + "中".encode()[:2] + '中","url":"https://h/影片.mp4"}'.encode(),
        b'{"prompt":"' + "影".encode()[:2] + '","url":"https://h/影片.mp4"}'.encode(),
        b'{"prompt":"caf\xe9s","url":"https://h/' + '影片.mp4"}'.encode(),
    ],
    ids=["already replaced", "cut in two", "cut in two, two words left", "one byte of latin-1"],
)
def test_one_odd_character_does_not_change_the_link_beside_it(body: bytes) -> None:
    assert json_body(body)["url"] == "https://h/影片.mp4"


def test_latin_1_is_not_taken_for_chinese() -> None:
    assert json_body('{"url":"https://h/cafés-à.mp4"}'.encode("latin-1"))["url"] == "https://h/caf�s-�.mp4"


USED_UP: list[Any] = [
    {
        "code": "insufficient_user_quota",
        "message": "预扣费额度失败, 用户剩余额度: ＄0.1, 需要预扣费额度: ＄0.4",
        "data": None,
    },
    {"error": {"code": "insufficient_user_quota", "message": "x (request id: 1)", "type": "new_api_error"}},
    {
        "error": {
            "code": "pre_consume_token_quota_failed",
            "message": "token quota is not enough",
            "type": "one_api_error",
        }
    },
    {"error": {"code": "", "message": "该令牌额度已用尽", "type": "new_api_error"}},
    {
        "error": {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    },
    {"code": "quota_not_enough", "message": "user quota is not enough"},
    {"code": "fail_to_fetch_task", "message": "账户余额不足，请充值"},
    {"code": 402, "msg": "Insufficient credits to run this task"},
    {"error": "Not enough credits"},
    {"error": {"code": "Arrearage", "message": "Access denied"}},
    {"error": {"code": "", "message": "Your balance has been depleted (request id: 1)", "type": "new_api_error"}},
    {"code": "fail", "message": "The account is overdue"},
    {"code": "fail", "message": "您的帳戶餘額不足"},
    {"code": "fail", "message": "insufficient_balance"},
    {"error": {"code": "insufficientQuota", "message": "x"}},
    {"error": {"code": "INSUFFICIENT-BALANCE"}},
    {"detail": {"code": "insufficient_balance"}},
    {"detail": "You don't have enough credits for this request"},
    {"errors": [{"code": "balance_not_enough", "message": "x"}]},
    {"data": {"code": "insufficient_user_quota"}, "message": "x"},
    {"code": "payment_required", "message": "x"},
    {"code": "quota_exhausted", "message": "x"},
    {"code": "account_credit_depleted", "message": "x"},
]
# Of a 429 these may as well be about pace.
QUOTA_ALONE: list[Any] = [
    {"error": {"code": "", "message": "token quota has been exhausted", "type": "new_api_error"}},
    {"error": {"message": "quota exceeded"}},
    {"code": "fail", "message": "You exceeded your monthly quota"},
    {"code": "quota_exceeded", "message": "x"},
]
PACE: list[Any] = [
    {
        "error": {
            "code": "rate_limit_exceeded",
            "type": "rate_limit_error",
            "message": "No available quota in this minute, slow down",
        }
    },
    {"code": "rate_limit_exceeded", "message": "Insufficient quota"},
    {"error": {"message": "Insufficient quota of requests per minute", "type": "rate_limit_error"}},
    {"error": {"code": "", "message": "Your quota is not enough for this minute: too many requests"}},
    {"code": "fail", "message": "并发额度不足"},
    {"error": "Quota exceeded"},
]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
@pytest.mark.parametrize("body", USED_UP, ids=range(len(USED_UP)))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_credit_is_a_refusal_for_lack_of_credit_in_any_words(provider: str, body: Any, status: int) -> None:
    refusal = PROVIDERS[provider].read_refusal(status, {}, body)
    assert refusal is not None
    assert (refusal.failure.code, refusal.pause_s) == ("insufficient_credits", 900)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", QUOTA_ALONE, ids=range(len(QUOTA_ALONE)))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_quota_that_is_used_up_is_lack_of_credit_unless_it_may_be_one_of_pace(
    provider: str, body: Any, status: int
) -> None:
    refusal = PROVIDERS[provider].read_refusal(status, {}, body)
    assert refusal is not None
    assert refusal.failure.code == "insufficient_credits"
    slowed = PROVIDERS[provider].read_refusal(429, {}, body)
    assert slowed is None or slowed.failure.code == "rate_limited"


@pytest.mark.parametrize("body", [{"error": {"message": "Payment required"}}, {"msg": "no"}, {"code": "rate_limited"}])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_402_can_mean_nothing_else(provider: str, body: Any) -> None:
    refusal = PROVIDERS[provider].read_refusal(402, {}, body)
    assert refusal is not None
    assert refusal.failure.code == "insufficient_credits"


@pytest.mark.parametrize("body", PACE, ids=range(len(PACE)))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_words_of_money_make_no_lack_of_credit_of_a_pace_that_was_too_fast(provider: str, body: Any) -> None:
    """Where the shape is not the gateway's own, its answer is lost, and nothing rests for a quarter of an hour."""
    refusal = PROVIDERS[provider].read_refusal(429, {}, body)
    assert refusal is None or refusal.failure.code == "rate_limited"
    assert refusal is not None or provider == "apiframe" or body is not PACE[0]


DOCUMENTED = [
    *(("aivideoapi", status, {"code": code}, rule) for (status, code), rule in aivideoapi.REFUSALS.items()),
    *(("evolink", status, {"type": kind}, rule) for (status, kind), rule in evolink.REFUSALS.items()),
]


@pytest.mark.parametrize(("provider", "status", "coded", "rule"), DOCUMENTED, ids=lambda value: str(value)[:40])
def test_a_documented_code_means_what_its_page_says_whatever_its_text_says(
    provider: str, status: int, coded: dict[str, str], rule: Rule
) -> None:
    body = {"error": coded | {"message": "Insufficient credits, 余额不足, quota exceeded, rate limit, task created"}}
    refusal = PROVIDERS[provider].read_refusal(status, {}, body)
    assert refusal is not None
    assert refusal.failure.code == rule.code


ACCEPTED = {
    "aivideoapi": {"code": 200, "msg": "Insufficient credits left", "data": {"taskId": "t-1"}},
    "apiframe": {"jobId": "t-1", "status": "QUEUED", "error": "Insufficient credits"},
    "easyrouter": {"id": "t-1", "task_id": "t-1", "message": "余额不足", "code": "insufficient_user_quota"},
    "gravitex": {"task_id": "t-1", "status": "submitted", "error": {"type": "new_api_error", "message": "no quota"}},
    "evolink": {"id": "t-1", "status": "pending", "message": "Insufficient quota"},
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_names_a_task_is_never_a_refusal_and_a_success_is_none_either(provider: str) -> None:
    gateway, body = PROVIDERS[provider], ACCEPTED[provider]
    assert gateway.read_acceptance(200, body).task_id == "t-1"
    for status in (200, 202, 400, 401, 402, 403, 404, 413, 429, 500, 503):
        assert gateway.read_refusal(status, {}, body) is None
    for body in (*USED_UP, *PACE, *QUOTA_ALONE):
        assert gateway.read_refusal(200, {}, body) is None
        assert gateway.read_refusal(503, {}, body) is None
        with pytest.raises(BadReport):
            gateway.read_acceptance(200, body)


@pytest.mark.parametrize("kind", ["new_api_error", "one_api_error"])
def test_a_refusal_at_new_apis_door_is_one_at_its_kin(kind: str) -> None:
    body = {"error": {"message": "this token has no access to model wan2.7-t2v", "type": kind, "code": ""}}
    for provider in ("easyrouter", "gravitex"):
        refusal = PROVIDERS[provider].read_refusal(403, {}, body)
        assert refusal is not None
        assert refusal.failure.code == "unauthorized"
        assert PROVIDERS[provider].read_refusal(503, {}, body) is None
    assert PROVIDERS["gravitex"].read_refusal(403, {}, {"error": {"message": "no", "type": "upstream_error"}}) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": "insufficient_user_quota", "message": "x"}),
        (200, {"code": 402, "msg": "Insufficient credits"}),
        (403, {"code": "insufficient_user_quota", "message": "x", "task_id": "t-1"}),
        (403, "insufficient_user_quota"),
        (403, {"code": "access_denied", "message": "该令牌无权访问模型"}),
        (429, {"error": {"message": "Rate limit reached for requests", "type": "rate_limit_error"}}),
        (400, {"error": {"message": "The prompt `no balance in the frame` is too short"}}),
        (403, {"error": {"message": "The prompt 'she has no credit, insufficient funds' is refused"}}),
        (403, {"code": "sensitive_words_detected", "message": "user sensitive words detected: no balance"}),
        (401, {"error": {"message": "No credit card is on file", "type": "authentication_error"}}),
        (402, [{"message": "Payment required"}]),
        (402, {"data": {"taskId": "t-1"}, "message": "Insufficient credits"}),
    ],
    ids=[
        *("5xx", "2xx", "with a task", "no object", "another reason", "pace", "the request's own words"),
        *("a quoted prompt", "another code", "a card", "a list", "with a task inside"),
    ],
)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_else_is_lack_of_credit(provider: str, status: int, body: Any) -> None:
    refusal = PROVIDERS[provider].read_refusal(status, {}, body)
    assert refusal is None or refusal.failure.code != "insufficient_credits"
