"""Slots in the query budget, on a real Valkey: how many, for whom and when. Two budgets are two processes."""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import mean
from typing import NamedTuple

import pytest
import redis

from jobs.providers.client import Account
from jobs.steps.query_budget import KEPT_S, LONGEST_WAIT_S, SILENCE_S, QueryBudget
from rushes.local.valkey import Valkey

NOWHERE = "redis://127.0.0.1:1/0"


class Asked(NamedTuple):
    """One query: it left between these two moments, at the job's so-manieth round."""

    after: float
    before: float
    rounds: int


class Key:
    """One key at a gateway, asked by two processes."""

    def __init__(self, valkey: Valkey, per_s: float = 5) -> None:
        self.budgets = (QueryBudget(valkey.url), QueryBudget(valkey.url))
        self.account = Account("evolink", "https://gateway", secrets.token_hex(8))
        self.per_s = per_s
        self._turns = itertools.count()

    def slot(self, job_id: str, *, urgent: bool = False) -> float:
        budget = self.budgets[next(self._turns) % 2]
        return budget.slot(self.account, self.per_s, job_id, urgent=urgent)

    def slots(self, name: str, count: int, *, urgent: bool = False) -> list[float]:
        """Of so many jobs, one after the other."""
        return [self.slot(f"{name}-{n}", urgent=urgent) for n in range(count)]

    def ask(self, job_id: str, *, urgent: bool = False) -> Asked:
        """As a job that comes back whenever it was told to."""
        for rounds in itertools.count(1):
            after = time.monotonic()
            wait = self.slot(job_id, urgent=urgent)
            if not wait:
                return Asked(after, time.monotonic(), rounds)
            time.sleep(wait)
        raise AssertionError("a count has no end")


@pytest.fixture
def key(valkey: Valkey) -> Key:
    return Key(valkey)


def keeps_to(asked: Sequence[Asked], most: int, span_s: float = 1) -> bool:
    """Whether no more queries than these left within any span, wherever it begins."""
    order = sorted(asked)
    groups = (order[n : n + most + 1] for n in range(len(order) - most))
    return all(max(each.before for each in group) - group[0].after >= span_s - 0.001 for group in groups)


@pytest.mark.parametrize("urgent", [0, 30, 100])
def test_a_hundred_jobs_of_one_key_come_once_for_a_slot_and_once_to_ask(valkey: Valkey, urgent: int) -> None:
    key = Key(valkey, per_s=40)
    with ThreadPoolExecutor(100) as pool:
        asked = list(pool.map(lambda n: key.ask(f"job-{n}", urgent=n < urgent), range(100)))
    assert keeps_to(asked, 40)
    assert mean(each.rounds for each in asked) <= 2  # all at once: it was 3.5 and more while they were turned away


def test_jobs_that_never_wait_as_told_get_no_more_than_the_budget(valkey: Valkey) -> None:
    key, end = Key(valkey, per_s=20), time.monotonic() + 2.5

    def hammer(n: int) -> list[Asked]:
        asked = []
        while (after := time.monotonic()) < end:
            if not key.slot(f"job-{n}", urgent=n % 2 == 0):
                asked.append(Asked(after, time.monotonic(), 1))
        return asked

    with ThreadPoolExecutor(8) as pool:
        asked = [each for found in pool.map(hammer, range(8)) for each in found]
    assert keeps_to(asked, 20)
    assert len(asked) >= 40


@pytest.mark.parametrize(("per_s", "most", "span_s"), [(2.5, 2, 0.8), (0.5, 1, 2), (1, 1, 1), (1.9, 1, 1 / 1.9)])
def test_a_budget_of_any_size_is_kept_to_in_whole_queries(
    valkey: Valkey, per_s: float, most: int, span_s: float
) -> None:
    key = Key(valkey, per_s)
    first, *others = key.slots("news", most + 1, urgent=True)
    assert first == 0
    assert others[:-1] == [0] * (most - 1)
    assert span_s - 0.2 < others[-1] <= span_s


def test_routine_polls_leave_a_quarter_of_the_budget(key: Key) -> None:
    waits = key.slots("poll", 33)
    assert waits[:3] == [0, 0, 0]
    assert all(waits[3:])
    assert waits[32] - waits[3] == pytest.approx(29 / (0.75 * 5), abs=0.5)
    assert key.slots("news", 2, urgent=True) == [0, 0]


def test_news_waits_for_a_span_at_most_while_routine_polls_have_booked_more_than_a_minute(key: Key) -> None:
    assert max(key.slots("poll", 300)) > 0.75 * LONGEST_WAIT_S
    time.sleep(2.5)  # until some of these polls may ask
    assert key.slots("urgent", 5, urgent=True) == [0] * 5
    wait = key.slot("news", urgent=True)
    assert 0 < wait <= 1
    comes_at = time.monotonic() + wait
    while time.monotonic() < comes_at:
        for n in range(3, 10):  # all come at once, and more often than told
            key.slot(f"poll-{n}")
    assert key.slot("news", urgent=True) == 0


def test_a_slot_is_kept_until_its_job_asks(key: Key) -> None:
    key.slots("poll", 3)
    told = key.slot("job")
    behind = key.slots("behind", 20)
    assert 0 < key.slot("job") <= told < min(behind)
    time.sleep(key.slot("job"))
    assert key.slot("job") == 0
    assert key.slot("job") > max(behind) - told  # a second query of its stands behind all others


def test_jobs_that_all_come_late_ask_in_the_order_of_their_slots_as_fast_as_the_budget_allows(valkey: Valkey) -> None:
    key = Key(valkey, per_s=20)
    time.sleep(max(key.slots("poll", 60)))
    begun = time.monotonic()
    late = [key.slot(f"poll-{n}") for n in range(15, 60)]
    took_s, at_once = time.monotonic() - begun, late.count(0)
    assert 20 <= at_once <= 20 * (1 + took_s)  # a second's, and what has come free while these were asking
    assert late == [0] * at_once + sorted(late[at_once:])
    assert 0 < late[at_once] <= 1
    assert late[-1] - late[at_once] == pytest.approx((len(late) - at_once - 1) / 20, abs=0.2 + took_s)


def test_no_slot_is_further_than_a_minute_and_those_beyond_do_not_come_all_at_once(key: Key) -> None:
    beyond = key.slots("poll", 400)[240:]
    assert all(0.75 * LONGEST_WAIT_S <= wait <= LONGEST_WAIT_S for wait in beyond)
    assert max(beyond) - min(beyond) > LONGEST_WAIT_S / 8


def test_who_stands_in_line_does_not_wait_for_a_slot_that_a_raised_budget_has_made_needless(key: Key) -> None:
    key.per_s = 0.5
    assert max(key.slots("poll", 20)) > 40
    key.per_s = 40
    assert key.slots("poll", 20) == [0] * 20


def test_a_poll_whose_job_has_news_meanwhile_gives_its_slot_back(key: Key) -> None:
    key.slots("poll", 3)
    last = key.slots("job", 4)[3]
    assert key.slot("job-3", urgent=True) == 0
    assert key.slot("another") <= last


def test_a_slot_that_was_given_for_news_holds_once_the_news_is_read(key: Key) -> None:
    key.slots("poll", 30)
    key.slots("urgent", 2, urgent=True)
    told = key.slot("job", urgent=True)
    assert 0 < key.slot("job", urgent=False) <= told


def test_every_query_of_a_round_counts(key: Key) -> None:
    waits = [key.slot("job", urgent=True) for _ in range(6)]
    assert waits[:5] == [0] * 5
    assert waits[5] > 0


def test_a_key_does_not_wait_for_another(valkey: Valkey, key: Key) -> None:
    key.slots("poll", 50)
    assert Key(valkey).slot("poll-0") == 0


def test_a_valkey_that_has_forgotten_the_script_or_all_of_it_is_told_again(valkey: Valkey, key: Key) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        key.slots("poll", 3)
        client.script_flush()
        assert key.slot("job") > 0
        client.delete(*client.scan_iter("rushes:query-budget:*"))
        assert key.slot("job") == 0


def test_a_clock_that_is_set_back_holds_nobody_up(valkey: Valkey, key: Key) -> None:
    key.slots("poll", 30)
    with redis.Redis.from_url(valkey.url) as client:
        ahead = (int(time.time()) + 86_400) * 1_000_000
        for name in client.scan_iter(f"rushes:query-budget:*{key.account.fingerprint}*"):
            if name.endswith(b"asked"):
                client.lpush(name, *[ahead] * 5)
            else:
                for job_id, slot in client.zrange(name, 0, -1, withscores=True):
                    client.zadd(name, {job_id: slot + 86_400_000_000})
    assert key.slots("poll", 3) == [0, 0, 0]
    assert key.slots("news", 2, urgent=True) == [0, 0]


def test_what_is_kept_in_valkey_goes_by_itself(valkey: Valkey, key: Key) -> None:
    waits = key.slots("poll", 30) + key.slots("news", 10, urgent=True)
    with redis.Redis.from_url(valkey.url) as client:
        lives = [client.ttl(name) for name in client.scan_iter(f"rushes:query-budget:*{key.account.fingerprint}*")]
    assert len(lives) == 3
    assert all(0 <= life <= max(waits) + KEPT_S + 1 for life in lives)


def test_without_valkey_a_process_keeps_a_budget_of_its_own() -> None:
    budget, account = QueryBudget(NOWHERE), Account("evolink", "https://gateway", "sk-1")
    polls = [budget.slot(account, 5, f"poll-{n}", urgent=False) for n in range(20)]
    assert polls[:3] == [0, 0, 0]
    assert all(0 < wait <= 2 for wait in polls[3:])
    news = [budget.slot(account, 5, f"news-{n}", urgent=True) for n in range(3)]
    assert news[:2] == [0, 0]
    assert 0 < news[2] <= 2
    time.sleep(1)
    assert budget.slot(account, 5, "poll-19", urgent=False) == 0


def test_a_frozen_valkey_costs_a_quarter_of_a_second_and_is_then_left_alone_for_a_while() -> None:
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        budget = QueryBudget(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", monotonic=lambda: now)
        account = Account("evolink", "https://gateway", "sk-1")

        def took() -> float:
            begun = time.monotonic()
            budget.slot(account, 5, "job", urgent=True)
            return time.monotonic() - begun

        assert 0.2 < took() < 2
        assert max(took() for _ in range(20)) < 0.2
        now += SILENCE_S
        assert 0.2 < took() < 2
