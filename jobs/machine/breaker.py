"""The circuit breaker of a lane: when it rests, who probes it then, and what answers say of it. Pure.

A lane is a gateway key's orders (`submit`) or its questions (`query`). It is *well* while nothing speaks against it.
Two failures in a row, of different jobs, let it rest; after a rest one probe goes, and its answer decides. Only what
left after a rest began can lengthen or end that rest: older answers speak of older days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from jobs.machine.times import CLOCK_SET_BACK

LaneName = Literal["submit", "query"]

FIRST_REST_S = 15.0
LONGEST_REST_S = 900.0
LOSSES_UNTIL_REST = 2
ASK_EVERY_S = 60.0  # while it rests for longer than this, and was silent when it last was to answer for free
# A clock that was set back leaves times that have not come: nothing is believed for longer than it was meant.

REASONS = ("no_answer", "unreachable", "no_network", "unconfirmed", "by_hand")
NO_ANSWER, UNREACHABLE, NO_NETWORK, UNCONFIRMED, BY_HAND = REASONS
OUT_OF_REACH = frozenset({UNREACHABLE, NO_NETWORK})  # no connection can be made


class Kind(StrEnum):
    """What one exchange says of its lane."""

    ACCEPTED = "accepted"  # an order was taken
    ALIVE = "alive"  # the gateway answered, in its own shape
    LOST = "lost"  # bytes left, and no answer came that could be read
    UNREACHED = "unreached"  # no connection, so that provably nothing left
    ASKED_FOR_REST = "asked_for_rest"  # a refusal that is about the key: no credit, a wrong key, too many requests
    OURS = "ours"  # a trouble of this machine: it says nothing of the gateway


FAILURES = frozenset({Kind.LOST, Kind.UNREACHED})


@dataclass(frozen=True)
class Word:
    """One exchange, as far as its lane is concerned.

    `of`: the job or task that it was about. `left_at`: when it may have left. `by`: the lease's holder, which is how a
    prober is known. `advice_s`: how long the gateway said to wait. `reason`: of a rest that was asked for.
    `is_question`: not an order. `is_free`: it cost nothing: a question that was asked only to learn this, or a lost
    order that was sent again under its key.
    """

    kind: Kind
    of: str
    left_at: datetime
    by: str
    advice_s: float | None = None
    reason: str | None = None
    is_question: bool = False
    is_free: bool = False


@dataclass(frozen=True)
class Lane:
    """A row of `lanes`; the names and meanings are the columns'. Without a reason it is well."""

    until: datetime | None = None
    reason: str | None = None
    since: datetime | None = None
    began_at: datetime | None = None
    rest_s: float = 0.0
    losses: int = 0
    lost_of: str | None = None
    prober: str | None = None
    probing_until: datetime | None = None
    may_risk: bool = False
    ask_at: datetime | None = None
    accepted_at: datetime | None = None

    @property
    def is_well(self) -> bool:
        return self.reason is None

    def rests_s(self, now: datetime) -> float:
        """How long it still rests; 0: no longer, or not at all.

        A rest from the future began before the clock was set back, so it is time to probe. What a person began lasts.
        """
        if self.reason is None or self.until is None:
            return 0.0
        if self.reason != BY_HAND and self.began_at is not None and self.began_at > now + CLOCK_SET_BACK:
            return 0.0
        left = (self.until - now).total_seconds()
        if self.began_at is not None:
            left = min(left, (self.until - self.began_at).total_seconds())
        return max(0.0, left)

    def may_ask(self, now: datetime) -> bool:
        """Whether a question that costs nothing is due in the middle of its rest."""
        if self.ask_at is None or not self.rests_s(now):
            return False
        # One that is further ahead than that is of a clock that was set back since.
        return not now < self.ask_at <= now + timedelta(seconds=ASK_EVERY_S)

    def wait_s(self, now: datetime) -> float:
        """For how long questions that do not press had better wait; 0: one may go."""
        left = self.rests_s(now)
        if self.ask_at is None or not left:
            return left
        return 0.0 if self.may_ask(now) else min(left, (self.ask_at - now).total_seconds())

    def probed_s(self, now: datetime, *, longest_s: float) -> float:
        """For how long its present prober may still be believed to be alive; 0: nobody probes."""
        if self.prober is None or self.probing_until is None:
            return 0.0
        left = (self.probing_until - now).total_seconds()
        return left if 0 < left <= longest_s + CLOCK_SET_BACK.total_seconds() else 0.0

    def probe(self, by: str, now: datetime, *, for_s: float) -> Lane:
        """The right to probe goes to one; should he die, it runs out."""
        return replace(self, prober=by, probing_until=now + timedelta(seconds=for_s))

    def rest(self, reason: str, seconds: float, now: datetime) -> Lane:
        """It rests from now on. Whoever probed has had his answer."""
        return replace(
            self,
            until=now + timedelta(seconds=seconds),
            reason=reason,
            since=self.since or now,
            began_at=now,
            prober=None,
            probing_until=None,
            may_risk=False,
            ask_at=None,
        )

    def silent(self, now: datetime) -> Lane:
        """It rests, and nothing was to be heard of its gateway: should that change before the rest is over, it ends."""
        ask_at = now + timedelta(seconds=ASK_EVERY_S)
        return replace(self, ask_at=ask_at if self.until is not None and ask_at < self.until else None)

    def well(self) -> Lane:
        """Nothing speaks against it any more. When it last accepted an order stays known."""
        return Lane(accepted_at=self.accepted_at)


def hear(lane: Lane, word: Word, *, is_full: bool, now: datetime) -> Lane:
    """The lane after an exchange. `is_full`: as many orders as may be are without an answer."""
    if lane.prober == word.by and word.kind is Kind.OURS:
        return replace(lane, prober=None, probing_until=None)
    if word.kind is Kind.OURS or _is_stale(lane, word, now):
        return lane
    if lane.reason == BY_HAND and lane.rests_s(now):  # a person began it, and a person ends it
        return replace(lane, accepted_at=now) if word.kind is Kind.ACCEPTED else lane
    if word.kind is Kind.ACCEPTED:
        return replace(lane.well(), accepted_at=now)
    if word.kind is Kind.ASKED_FOR_REST:
        return _rested_as_asked(lane, word, now)
    if word.kind is Kind.ALIVE:
        if is_full and word.is_free:
            return answered(lane, word.by, now)
        # Not one of the lost orders is known by it: they stay as many, and are asked about once a rest.
        return lane.rest(UNCONFIRMED, max(lane.rest_s, FIRST_REST_S), now) if is_full else lane.well()
    return _failed(lane, word, is_full, now)


def answered(lane: Lane, by: str, now: datetime) -> Lane:
    """What cost nothing was answered: its rest is over, and one order may go beyond the bound."""
    if lane.prober != by:
        return lane
    until = None if lane.until is None else min(lane.until, now)
    return replace(lane, until=until, prober=None, probing_until=None, may_risk=True, ask_at=None)


def next_rest_s(lane: Lane) -> float:
    """A first rest; where it did not help the last time, twice that."""
    return min(LONGEST_REST_S, max(FIRST_REST_S, 2 * lane.rest_s))


def _failed(lane: Lane, word: Word, is_full: bool, now: datetime) -> Lane:
    reason = UNREACHABLE if word.kind is Kind.UNREACHED else NO_ANSWER
    if not lane.is_well:
        # It rests, or is being probed. Only its prober's failure counts: once the rest is over, or of the one order
        # more that began this rest.
        if lane.prober != word.by or (lane.rests_s(now) and not (is_full or word.is_free)):
            return _asked_in_vain(lane, word)
        if lane.rests_s(now) and word.is_free:
            return replace(lane, prober=None, probing_until=None)
        return _rested(lane, word, reason, is_full, now)
    losses = lane.losses + (word.of != lane.lost_of or lane.losses == 0)
    lane = replace(lane, losses=losses, lost_of=word.of[:250])
    if losses < LOSSES_UNTIL_REST and not is_full:
        return lane
    return _rested(lane, word, reason, is_full, now)


def _asked_in_vain(lane: Lane, word: Word) -> Lane:
    """While it rests, one question about news goes at a time, and the next one a while after the last began."""
    if lane.prober != word.by or not word.is_question or lane.probing_until is None:
        return lane
    return replace(lane, probing_until=min(lane.probing_until, word.left_at + timedelta(seconds=FIRST_REST_S)))


def _rested(lane: Lane, word: Word, reason: str, is_full: bool, now: datetime) -> Lane:
    """It rests after a failure, for as long as the gateway advises, if it does.

    Where as many answers are owed as may be, advice shortens no rest: each may cost another order. Rests as advised add
    up, until they are as long as the longest. An order that was lost says nothing of whether questions are answered.
    """
    seconds = rest_s = next_rest_s(lane)
    if word.advice_s is not None:
        advice_s = min(word.advice_s, LONGEST_REST_S)
        if is_full and not word.is_free:
            seconds = max(rest_s, advice_s)
        else:
            seconds, rest_s = advice_s, min(lane.rest_s + advice_s, LONGEST_REST_S)
    rested = replace(lane.rest(reason, seconds, now), rest_s=rest_s)
    is_silent = (word.is_question or word.kind is Kind.UNREACHED) and word.advice_s is None
    return rested.silent(now) if is_silent else rested


def _rested_as_asked(lane: Lane, word: Word, now: datetime) -> Lane:
    """It rests for as long as it asked for. A longer rest stays, and says what its own prober was told.

    A question that costs nothing may be refused alone, and orders not: after the longest rest one may try. The way
    there is no shorter for such a refusal.
    """
    seconds, left_s = min(word.advice_s or FIRST_REST_S, LONGEST_REST_S), lane.rests_s(now)
    if left_s >= seconds:
        if lane.prober != word.by:
            return lane
        reason = lane.reason if word.is_question else word.reason
        return replace(lane, reason=reason, prober=None, probing_until=None)
    rested = replace(lane if lane.reason == word.reason else lane.well(), losses=0, lost_of=None)
    if word.is_free:
        rested = replace(rested, rest_s=lane.rest_s if left_s else next_rest_s(lane))
        seconds = seconds if left_s else max(seconds, rested.rest_s)
    return rested.rest(word.reason or NO_ANSWER, seconds, now)


def _is_stale(lane: Lane, word: Word, now: datetime) -> bool:
    """Whether it left before the present rest began; such a time in the future is of a clock that was set back."""
    began = lane.began_at
    return not lane.is_well and began is not None and word.left_at < began <= now + CLOCK_SET_BACK
