"""What a gateway's module is made of: tables and pure translation, as one value. No I/O; client.py does the asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from marshmallow import Schema

from jobs.generation import Generation, Mode


class ReportState(StrEnum):
    """The five gateways' status words in ours. An unknown word is RUNNING, never an end."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """One HTTP request, before base URL and key: `path` starts with a slash, `body` is sent as JSON."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Acceptance:
    """The gateway has taken the task: from here on it may cost money."""

    task_id: str


@dataclass(frozen=True)
class Failure:
    """Why a gateway refused or failed: a code of ours, its own words, and whether trying again can help.

    `code` is one of: content_refused, invalid_request, insufficient_credits, unauthorized, rate_limited,
    provider_unavailable, generation_failed.
    """

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class Refusal:
    """A documented refusal of a first send: nothing was accepted, nothing is charged.

    `pause_s`: how long this key had better not be used (None: no pause asked for); a rate limit or lack of credit
    is about the key, not about the request.
    """

    failure: Failure
    pause_s: float | None = None


@dataclass(frozen=True)
class Report:
    """What a callback or a query says, in our words.

    `progress` is 0..100 or None; `link` is only ever set when FINISHED; `cost` is in the gateway's credits;
    `word_known` is False when the gateway used a status word that is not in its table.
    """

    state: ReportState
    word: str
    word_known: bool = True
    task_id: str | None = None
    link: str | None = None
    progress: int | None = None
    failure: Failure | None = None
    cost: float | None = None
    model: str | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Misfit:
    """One reason why a gateway cannot serve a request: the field, what was asked, what it allows."""

    field: str
    given: Any
    allowed: str


@dataclass(frozen=True)
class Callbacks:
    """What a gateway asks of a callback URL. `https_only`: it refuses plain http (or is assumed to)."""

    https_only: bool
    longest_url: int = 2048


@dataclass(frozen=True)
class Polling:
    """Seconds from acceptance to the first query, between later ones, and queries a second per key."""

    first_s: float = 15
    then_s: float = 15
    budget_per_s: float = 5


@dataclass(frozen=True)
class Price:
    """Credits per second of video by mode and resolution; `usd_per_credit` where a rate is published."""

    credits_per_s: Mapping[tuple[Mode, str], float]
    usd_per_credit: float | None = None


@dataclass(frozen=True)
class Provider:
    """One gateway. The functions are pure; they raise BadReport for what cannot be read."""

    name: str
    base_url: str
    auth_headers: Callable[[str], Mapping[str, str]]
    submit_request: Callable[[Generation, str | None], Request]
    query_request: Callable[[str], Request]
    read_acceptance: Callable[[int, Any], Acceptance]
    read_refusal: Callable[[int, Mapping[str, str], Any], Refusal | None]
    read_report: Callable[[Any], Report]
    read_callback: Callable[[Any], Report]
    callback_schema: type[Schema] | None
    callbacks: Callbacks | None
    models: Mapping[Mode, str]
    durations: Mapping[Mode, tuple[int, int]]
    prices: Price | None = None
    polling: Polling = Polling()
    idempotency_header: str | None = None
    idempotency_life_s: float = 0
    task_life_s: float = 86_400
    link_life_s: float = 86_400
    refunds_failures: bool = True  # False: its pages do not say, so a failed task's money is uncertain
    misfits: Callable[[Generation], list[Misfit]] = lambda _: []
    # (api key, raw body, headers) -> did the gateway sign this callback? None: it signs nothing.
    verify_callback: Callable[[str, bytes, Mapping[str, str]], bool] | None = None

    def fit(self, generation: Generation) -> list[Misfit]:
        """Every reason why this gateway cannot make the video; empty when it can."""
        if generation.mode not in self.models:
            return [Misfit("mode", generation.mode.value, ", ".join(sorted(self.models)))]
        faults = []
        shortest, longest = self.durations[generation.mode]
        if not shortest <= generation.duration <= longest:
            faults.append(Misfit("duration", generation.duration, f"{shortest} to {longest} seconds"))
        return faults + self.misfits(generation)

    def price_usd(self, generation: Generation) -> float | None:
        """What the video is expected to cost, in US dollars; None where no price is published."""
        credits = self.price_credits(generation)
        rate = self.prices.usd_per_credit if self.prices else None
        return None if credits is None or rate is None else round(credits * rate, 6)

    def price_credits(self, generation: Generation) -> float | None:
        """The same in the gateway's own credits."""
        if self.prices is None:
            return None
        per_s = self.prices.credits_per_s.get((generation.mode, generation.resolution))
        return None if per_s is None else round(per_s * generation.duration, 6)
