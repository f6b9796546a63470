"""What gateways tell of their accounts, read: the examples of their pages, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers.base import CreditBalance
from jobs.providers.registry import PROVIDERS

# https://aivideoapi.ai/docs/getting-started/credits
AIVIDEOAPI = {"code": 200, "msg": "success", "data": {"balance": 9800, "total_purchased": 10000, "total_consumed": 200}}
# https://docs.evolink.ai/en/api-manual/account-management/get-credits
KEY = {"remaining_credits": 99416.4429, "unlimited_credits": False, "used_credits": 583.5571}
ACCOUNT = {"remaining_credits": 1095.3996, "used_credits": 135.9048}
EVOLINK = {"data": {"token": KEY, "user": ACCOUNT}, "message": "", "success": True}


def read(name: str, body: Any) -> CreditBalance:
    call = PROVIDERS[name].balance_call
    assert call is not None
    return call.read(body)


def evolink(key: dict[str, Any]) -> dict[str, Any]:
    return {**EVOLINK, "data": {"token": {**KEY, **key}, "user": ACCOUNT}}


def test_the_examples_of_the_pages_are_read() -> None:
    assert read("aivideoapi", AIVIDEOAPI) == (9800, 200)
    assert read("evolink", EVOLINK) == (1095.3996, 583.5571)


def test_a_key_with_a_limit_of_its_own_can_spend_no_more_than_that() -> None:
    assert read("evolink", evolink({"remaining_credits": 7})).left == 7
    assert read("evolink", evolink({"remaining_credits": 7, "unlimited_credits": True})).left == 1095.3996


def test_only_gateways_that_document_it_can_be_asked() -> None:
    assert {name for name, each in PROVIDERS.items() if each.balance_call} == {"aivideoapi", "evolink"}


@pytest.mark.parametrize("amount", [None, "9800", True, -1, float("nan"), float("inf"), 10**400, [9800]])
@pytest.mark.parametrize("name", ["aivideoapi", "evolink"])
def test_what_is_no_amount_is_no_balance(name: str, amount: Any) -> None:
    wrong = {**AIVIDEOAPI, "data": {**AIVIDEOAPI["data"], "balance": amount}}  # type: ignore[dict-item]
    with pytest.raises(BadReport, match="is no amount"):
        read(name, wrong if name == "aivideoapi" else evolink({"used_credits": amount}))


@pytest.mark.parametrize(
    "body", [None, [], "0", {}, {"data": None}, {"success": False, "message": "no"}, {"success": True}]
)
@pytest.mark.parametrize("name", ["aivideoapi", "evolink"])
def test_another_shape_is_no_balance(name: str, body: Any) -> None:
    with pytest.raises(BadReport):
        read(name, body)
