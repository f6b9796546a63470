"""What a gateway's module is made of: tables and pure translation, as one value. No I/O; client.py does the asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from marshmallow import Schema

from jobs.gate import amount
from jobs.providers.capabilities import Ability, Callbacks, MediaSet, Polling
from jobs.request.generation import Generation, Kind, Mode


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
    provider_unavailable, generation_failed. `said` is the gateway's own code, where it has one.
    """

    code: str
    message: str
    retryable: bool
    said: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A documented refusal of a first send: nothing was accepted, nothing is charged.

    `pause_s`: how long this key had better not be used (None: no pause asked for); a rate limit or lack of credit
    is about the key, not about the request.
    """

    failure: Failure
    pause_s: float | None = None


@dataclass(frozen=True)
class Unusable:
    """What a gateway told that cannot be used: its words, cut and masked, and why not."""

    told: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What a callback or a query says, in our words.

    `progress` is 0..100 or None; `link` is only ever set when FINISHED; `cost` is in the gateway's credits;
    `word_known` is False when the gateway used a status word that is not in its table. `bad_link` and `bad_cost` are
    what stood in their place and cannot be used.
    """

    state: ReportState
    word: str
    word_known: bool = True
    task_id: str | None = None
    link: str | None = None
    bad_link: Unusable | None = None
    progress: int | None = None
    failure: Failure | None = None
    cost: float | None = None
    bad_cost: Unusable | None = None
    model: str | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None


class CreditBalance(NamedTuple):
    """What a gateway tells of its account: what can still be spent, and what was used since the beginning.

    `used` falls when money comes back, and does not move when credit is bought.
    """

    left: float
    used: float


@dataclass(frozen=True)
class BalanceCall:
    """How a gateway is asked for its account, and in which unit it tells: `worth` of the unit in `Provider.credit`.

    `counts`: whose use it tells, this key's or the whole account's. `read` raises BadReport.
    """

    request: Request
    read: Callable[[Any], CreditBalance]
    counts: Literal["key", "account"]
    unit: str = "credit"
    worth: float = 1.0


@dataclass(frozen=True)
class Provider:
    """One gateway. The functions are pure; they raise BadReport for what cannot be read.

    `submit_request` is given a video, the gateway's own name of its model, and a callback URL. It translates whatever
    it is given; whether the gateway would take it is `fitting`'s to say.
    """

    name: str
    base_url: str
    auth_headers: Callable[[str], Mapping[str, str]]
    submit_request: Callable[[Generation, str, str | None], Request]
    query_request: Callable[[str], Request]
    read_acceptance: Callable[[int, Any], Acceptance]
    read_refusal: Callable[[int, Mapping[str, str], Any], Refusal | None]
    is_error: Callable[[Any], bool]  # whether a body is an error in the gateway's own shape, whatever its code
    read_report: Callable[[Any], Report]
    read_callback: Callable[[Any], Report]
    callback_schema: type[Schema] | None
    callbacks: Callbacks | None
    abilities: Mapping[Kind, Ability]
    credit: str = "credit"  # what the gateway's unit of money is called
    usd_per_credit: float | None = None  # None: not published
    polling: Polling = field(default=Polling())
    idempotency_header: str | None = None
    idempotency_life_s: float = 0
    task_life_s: float = 86_400
    link_life_s: float = 86_400
    link_hosts: tuple[str, ...] = ()  # where its pages show links to lead; another is followed all the same
    refunds_failures: bool = True  # False: its pages do not say, so a failed task's money is uncertain
    # (api key, raw body, headers) -> did the gateway sign this callback? None: it signs nothing.
    verify_callback: Callable[[str, bytes, Mapping[str, str]], bool] | None = None
    balance_call: BalanceCall | None = None  # None: its pages name no call that tells its account
    # What the operator has set: undocumented abilities that are on, and prices (`prices.operator_prices`).
    undocumented: frozenset[str] = frozenset()
    usd_per_s: Mapping[tuple[Kind, str], float] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """The upstream models that it sells."""
        return tuple(dict.fromkeys(model for model, _ in self.abilities))

    def modes(self, model: str) -> tuple[Mode, ...]:
        """What it makes videos from with a model; none, if it does not sell it."""
        return tuple(mode for mode in Mode if (model, mode) in self.abilities)

    def request_for(self, spec: Generation, callback_url: str | None = None) -> Request:
        """The request that asks for a video of a model and mode that it sells."""
        return self.submit_request(spec, self.abilities[spec.kind].model, callback_url)

    def offers(self, media: MediaSet) -> bool:
        """Whether this set of media is documented, or turned on."""
        return media.undocumented is None or media.undocumented in self.undocumented

    def in_usd(self, credits: float | None) -> float | None:
        """An amount of the gateway's credits in US dollars; None where the rate is not known, or no number holds it."""
        if credits is None or self.usd_per_credit is None:
            return None
        return amount(round(credits * self.usd_per_credit, 6))

    @property
    def switches(self) -> dict[str, str]:
        """The undocumented abilities that can be turned on: their words, and the media that they allow."""
        sets = [(ability.model, each) for ability in self.abilities.values() for each in ability.media]
        return {
            each.undocumented: f"{model}: {', '.join(each.needs + each.may)}"
            for model, each in sets
            if each.undocumented
        }
