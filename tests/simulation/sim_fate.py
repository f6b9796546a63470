"""Fate: everything that a run leaves to chance, from one seed. The same seed decides the same, forever."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")

# What can go wrong, and how often at most it does where it can: per occasion, in a run that has this fault at all.
FAULTS: dict[str, tuple[float, str]] = {
    "worker_dies": (0.03, "a process is killed between two effects"),
    "worker_sleeps": (0.04, "a worker sleeps for minutes between two effects, past its lease, and wakes"),
    "worker_told_to_stop": (0.05, "a process is asked to stop, ends what it must, and is started again"),
    "database_away": (0.03, "a transaction cannot begin"),
    "database_down": (0.5, "the database is away, for seconds to minutes"),
    "database_down_at_order": (0.1, "the same, from the moment on in which a POST is under way"),
    "commit_fails": (0.02, "a transaction is undone at its end"),
    "commit_unknown": (0.03, "a transaction is kept, and its writer is told that it may not be"),
    "message_lost": (0.4, "a doorbell is never heard"),
    "message_twice": (0.4, "a doorbell rings twice"),
    "message_late": (0.4, "a doorbell rings seconds to a minute late"),
    "broker_flushed": (0.5, "every message that waits is lost at once"),
    "broker_away": (0.02, "no message can be sent for minutes"),
    "beat_away": (0.05, "nobody sweeps for minutes"),
    "name_unresolved": (0.1, "a gateway's name cannot be looked up"),
    "connection_refused": (0.2, "nothing of a request leaves"),
    "request_lost": (0.2, "a request leaves and never arrives"),
    "answer_lost": (0.3, "a gateway acts, and its answer never arrives"),
    "submit_unanswered": (0.4, "a gateway takes an order, and only its answer never arrives"),
    "answer_late": (0.2, "an answer comes just before the deadline, or after it"),
    "answer_garbled": (0.2, "a proxy's HTML or half a JSON instead of the gateway's answer"),
    "server_error": (0.2, "a gateway answers 500, having acted or not"),
    "refused_request": (0.2, "a documented refusal of the request itself"),
    "refused_key": (0.2, "no credit, a wrong key, or too many requests"),
    "query_refused": (0.1, "a query is answered 401, 403, 404 or 429, which says nothing of the task"),
    "query_of_another": (0.1, "a query is answered with another task"),
    "unknown_word": (0.1, "a status word that no page has"),
    "odd_values": (0.3, "a task of which every report has a cost, a link and words as no page has them"),
    "task_failed": (0.6, "the gateway's verdict: no video"),
    "task_failed_retryable": (0.6, "the gateway's verdict: no video this time"),
    "task_slow": (0.4, "a task takes an hour or more"),
    "task_stuck": (0.2, "a task never ends"),
    "link_missing": (0.4, "a task is called finished, and its link is not told, for a while or for ever"),
    "verdict_reversed": (0.5, "a task that was called failed is finished after all"),
    "task_forgotten": (0.1, "a gateway no longer knows a task before its time"),
    "gateway_away": (0.3, "a gateway refuses connections, for minutes to hours"),
    "gateway_unavailable": (0.3, "a gateway's proxy answers 503 to everything, for minutes to hours"),
    "gateway_loses_orders": (0.3, "a gateway answers no order, and every question, for minutes to hours"),
    "gateway_loses_a_third": (0.3, "every third answer of a gateway is lost, for minutes to hours"),
    "callback_lost": (0.6, "a callback never comes"),
    "callback_late": (0.5, "a callback comes minutes to hours late"),
    "callback_twice": (0.5, "a callback comes twice, or in other words again"),
    "callback_early": (0.5, "a callback comes before the submit's answer"),
    "callback_odd": (0.3, "a genuine callback that nobody can read, or that lies about the state"),
    "callback_of_another": (0.5, "a genuine callback that bears another job's task id"),
    "ids_made_up": (0.2, "whoever has an order's callback URL tells of tasks that nobody made"),
    "key_leaked": (0.5, "whoever has a callback key tells of orders that nobody made"),
    "callback_forged": (0.5, "a callback under a token that nobody minted"),
    "bucket_refuses": (0.3, "S3 refuses"),
    "bucket_away": (0.5, "S3 refuses everything for minutes"),
    "put_unanswered": (0.4, "S3 keeps an object, and its answer never arrives"),
    "put_late": (0.3, "a PUT is given up, and lands later"),
    "strange_object": (0.4, "somebody else's object stands at a job's key"),
    "link_dead": (0.4, "a link is dead before its time; a fresh one works"),
    "link_unavailable": (0.4, "a link's server answers 5xx, or not at all"),
    "link_expires": (0.4, "the link and its task are gone early, for good"),
    "download_slow": (0.3, "a download takes minutes"),
    "download_cut": (0.3, "fewer bytes come than the video has"),
    "download_html": (0.3, "an HTML page comes instead of the video"),
    "film_differs": (0.3, "a link's server makes other bytes of the same video"),
    "pruned": (0.5, "an operator prunes what has rested for minutes"),
    "audited": (0.5, "an operator runs `rushes audit --repair` while the service is at work"),
    "probe_fails": (0.1, "the helper that looks at a video does not stay alive"),
    "queries_rationed": (0.1, "the budget of queries is used up"),
    "gateway_clock_off": (0.5, "a gateway's clock is minutes off"),
    "clock_set_back": (0.5, "the database's clock is set back by minutes"),
    "clock_jumps": (0.5, "the database's clock leaps, ahead or back, by minutes to two days, for a moment or for good"),
    "service_down": (0.3, "the whole service is down for longer than a task lives"),
    "key_replaced": (
        0.9,
        "a gateway's key is replaced; tasks are shown to every key, or to none but their own",
    ),
    "key_gone": (0.8, "the previous key is gone before its tasks are"),
    "backup_restored": (0.9, "the database is put back to an earlier moment"),
    "client_asks_twice": (0.3, "a client sends the same request again under the same key"),
    "client_cancels": (0.5, "a client wishes to cancel, at any time"),
    "client_cancels_late": (0.5, "a client wishes to cancel a job that has just been queued anew"),
    "client_retries": (0.6, "a client tries a failed job again"),
    "client_accepts_double_charge": (0.6, "and says that it may be paid twice"),
    "person_settles": (0.5, "a person says what became of an order, at any time"),
    "person_errs": (0.5, "and is wrong"),
    "pipeline_away": (0.1, "the pipeline takes no notice, for hours"),
    "notice_refused": (0.3, "the pipeline does not take a notice"),
    "notice_unanswered": (0.3, "the pipeline takes a notice, and its answer never arrives"),
}

# The same, each with chances from a stream of its own: whether a run has it moves nothing else that a seed decides.
OF_THEIR_OWN: dict[str, tuple[float, str]] = {
    "person_accepts": (0.5, "a person takes a film that the proof refused, at any time"),
    "task_elsewhere": (0.3, "whoever has an order's callback URL tells of a task of another installation"),
    "aside_refused": (0.2, "S3 takes nothing beside the archive"),
    "database_slow": (0.05, "a transaction begins seconds late"),
    "link_forbidden": (0.4, "a link leads where none may lead; a fresh one does not"),
    "report_of_nobody": (0.1, "a query is answered by a page that has a status word, and names no task"),
    "commits_lost": (0.3, "the last commits are lost, and nobody is told: a replica takes the database's place"),
    "key_used_again": (0.3, "whoever has a callback key tells tasks of others, and of orders that a person spoke of"),
}

# Stretches in which a gateway is ill: how often at most one befalls a gateway in a run that has it.
ILLNESSES = tuple(name for name in FAULTS if name.startswith("gateway_") and name != "gateway_clock_off")
# What befalls a run as a whole. All else strikes at single occasions, of which a fleet has very many.
OF_CLOCKS = ("gateway_clock_off", "clock_set_back", "clock_jumps")
AT_MOST_ONCE = frozenset(
    (*ILLNESSES, *OF_CLOCKS, "database_down", "service_down", "key_replaced", "key_gone", "backup_restored")
)

OFTEN, SELDOM, MORE_OFTEN = 1.0, 0.25, 2.0
SHOWN_TO_ALL = 0.5  # of all runs have gateways that show a task to every key
OWN_AT_ALL = 0.5  # of all runs have what has a stream of its own
QUIET = 0.05  # of all runs have no fault at all

# Faults that make something rare only together; some runs have one of these sets, and strike more often with it.
THEMES: tuple[tuple[str, ...], ...] = (
    ("answer_late", "callback_of_another", "submit_unanswered", "bucket_away"),  # tasks that are given back
    ("submit_unanswered", "task_slow", "task_failed", "callback_late", "refused_key"),  # proofs of earlier orders
    ("submit_unanswered", "task_slow", "callback_odd", "refused_key", "callback_lost"),  # earlier orders that run yet
    ("worker_sleeps", "refused_request", "refused_key", "client_cancels"),  # words of the presumed dead
    ("submit_unanswered", "task_failed_retryable", "callback_early", "client_cancels"),  # verdicts before an answer
    ("backup_restored", "submit_unanswered", "task_slow", "callback_odd", "refused_key"),  # what a backup forgets
    ("clock_jumps", "service_down", "task_stuck", "link_missing", "gateway_away", "callback_late"),  # ends of lives
    ("person_settles", "person_errs", "submit_unanswered", "callback_late", "client_retries"),  # words that were wrong
)
THEMED = 0.4  # of all runs

FLEETS = 0.015  # of all runs have a fleet of jobs, and gateways that are ill
FLEET = (60, 300)
LIVES_S = (3_600, 7_200, 10_800)  # of tasks and links; the service is told the same
CALLING_BACK = ("aivideoapi", "apiframe", "evolink")  # the gateways that do
IN_A_FLEET = 0.1  # so often strikes at single occasions what else strikes always


class Fate:
    """Which faults this run has, and when they strike. After `calm` nothing strikes any more.

    With `only`, it has these and no others, and they strike more often. `jobs`: of how many jobs, where that is a
    fleet; else None. With `fleet` it is one; by itself every so many seeds are. `life_s`: of tasks and links.
    `route`: where all jobs go, with `crowded`, so that orders meet each other's tasks; None: wherever they like.
    """

    def __init__(self, seed: int, only: Collection[str] = (), *, fleet: bool = False, crowded: bool = False) -> None:
        self.random, self.own = random.Random(seed), random.Random(f"{seed} of its own")
        # No page says which it is: whether a gateway shows a task to every key of its account, or to none but its own.
        self.shows_to_all_keys = random.Random(f"{seed} of keys").random() < SHOWN_TO_ALL
        self.route = random.Random(f"{seed} of routes").choice(CALLING_BACK) if crowded else None
        is_whole = not only
        self.calm = False
        self.struck: Counter[str] = Counter()
        fleet = fleet or (self.chance(FLEETS) and not only)
        self.jobs = int(self.between(*FLEET)) if fleet else None
        self.life_s = self.one_of(LIVES_S)
        quiet = self.random.random() < QUIET
        # Some faults often show more than all faults seldom: one that strikes early hides what comes later.
        share = self.random.uniform(0.1, 0.6)
        self._rates = {
            name: rate * self.random.choice((OFTEN, SELDOM))
            for name, (rate, _) in FAULTS.items()
            if self.random.random() < share and not quiet
        }
        if not only and not quiet and self.random.random() < THEMED:
            only = self.one_of(THEMES)
        if fleet and not only:
            self._rates |= {name: FAULTS[name][0] for name in ILLNESSES}
        if only:
            known = FAULTS | OF_THEIR_OWN
            self._rates = {name: min(1.0, MORE_OFTEN * known[name][0]) for name in only}
        if is_whole and not quiet and self.own.random() < OWN_AT_ALL:
            self._rates |= {name: rate for name, (rate, _) in OF_THEIR_OWN.items()}
        if fleet:
            self._rates = {n: rate * (1 if n in AT_MOST_ONCE else IN_A_FLEET) for n, rate in self._rates.items()}

    def strikes(self, fault: str) -> bool:
        rate = self._rates.get(fault)
        stream = self.own if fault in OF_THEIR_OWN else self.random
        if rate is None or self.calm or stream.random() >= rate:
            return False
        self.struck[fault] += 1
        return True

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random.random()

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.random.random() * len(choices))]
