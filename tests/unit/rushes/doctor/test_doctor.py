from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rushes.doctor import providers, store
from rushes.doctor.examination import examine
from rushes.doctor.findings import Finding, Verdict, ok

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAYS = {"Expiration": {"Days": 30}}


def rule(**parts: Any) -> dict[str, Any]:
    return {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, **DAYS, **parts}


@pytest.mark.parametrize(
    "found",
    [
        rule(),
        rule(Filter={}),
        rule(Filter={"Prefix": "takes/"}),
        rule(Filter={"Prefix": "takes/videos/2026/"}),
        rule(Filter={"And": {"Prefix": "takes/", "Tags": []}}),
        {"ID": "tidy", "Status": "Enabled", "Prefix": "takes/", "Expiration": {"Date": NOW}},
    ],
)
def test_a_rule_that_may_delete_videos_is_named(found: dict[str, Any]) -> None:
    assert store.expiring([found], "takes/videos/") == ["tidy"]


@pytest.mark.parametrize(
    "found",
    [
        rule(Status="Disabled"),
        rule(Filter={"Prefix": "other/"}),
        rule(Filter={"And": {"Prefix": "other/"}}),
        rule(Filter={"Tag": {"Key": "tidy", "Value": "1"}}),  # ours bear none
        rule(Filter={"And": {"Prefix": "", "Tags": [{"Key": "tidy", "Value": "1"}]}}),
        rule(Expiration={"ExpiredObjectDeleteMarker": True}),
        {"Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    ],
)
def test_a_rule_that_leaves_videos_alone_is_not(found: dict[str, Any]) -> None:
    assert store.expiring([found], "takes/videos/") == []


def test_a_rule_without_a_name_is_told_by_its_place() -> None:
    assert store.expiring([rule(Status="Disabled"), {"Status": "Enabled", **DAYS}], "videos/") == ["rule 2"]


@pytest.mark.parametrize(
    ("date", "checks"),
    [
        ("Sat, 21 Nov 2026 11:59:00 GMT", []),
        ("Sat, 21 Nov 2026 11:50:00 GMT", ["evolink clock"]),
        ("Sat, 21 Nov 2026 12:10:00 GMT", ["evolink clock"]),
        ("Sat, 21 Nov 2026 12:10:00 -0000", []),  # no zone
        ("yesterday", []),
    ],
)
def test_a_gateway_s_date_tells_of_clocks(date: str, checks: list[str]) -> None:
    assert [found.check for found in providers.clock("evolink", {"date": date}, now=NOW)] == checks
    assert list(providers.clock("evolink", {}, now=NOW)) == []


def test_findings_come_in_the_order_of_the_checks() -> None:
    second = threading.Event()

    def slow() -> Iterator[Finding]:
        assert second.wait(5)
        yield ok("a", "slow")

    def quick() -> Iterator[Finding]:
        yield ok("b", "quick")
        second.set()

    assert [found.check for found in examine({"a": slow, "b": quick})] == ["a", "b"]


def test_a_check_that_hangs_keeps_nobody_waiting() -> None:
    for_ever = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("a", "first")
        for_ever.wait(30)

    found = list(examine({"a": hangs, "b": lambda: [ok("b", "quick")]}, limit_s=0.05))
    for_ever.set()
    assert [(each.check, each.verdict) for each in found] == [
        ("a", Verdict.OK),
        ("a", Verdict.FAIL),
        ("b", Verdict.OK),
    ]


def test_a_check_that_breaks_is_a_finding() -> None:
    def breaks() -> Iterator[Finding]:
        yield from ()
        raise RuntimeError("what is this?\nsecret")

    (found,) = examine({"a": breaks})
    assert (found.verdict, found.found) == (Verdict.FAIL, "RuntimeError: what is this?")
