"""What the doctor finds: a verdict, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # it works, and something of it will hurt one day
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `then`: what to do; None where there is nothing to do."""

    check: str
    verdict: Verdict
    found: str
    then: str | None = None


Findings = Iterable[Finding]


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warn(check: str, found: str, then: str) -> Finding:
    return Finding(check, Verdict.WARN, found, then)


def fail(check: str, found: str, then: str) -> Finding:
    return Finding(check, Verdict.FAIL, found, then)
