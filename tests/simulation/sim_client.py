"""The wire to the gateways: ProviderClient's three methods, whose outcome is a value, never an exception."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sim_dialects import DIALECTS, of_nobody
from sim_gateways import Gateways, Order
from sim_rules import Rules
from sim_world import World

from jobs.providers.answers import is_own
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account, Answered, Lost, NotSent, Outcome, ProviderClient

JSON = {"Content-Type": "application/json"}
ANSWERS = frozenset({200, 400, 404})  # to a question about a task: what it does, or that there is none
PROXYS = b'{"message": "no Route matched with those values"}'
HTML = b"<html><body>502 Bad Gateway</body></html>"


class SimClient(ProviderClient):
    """One exchange each, with whatever the way may do to it."""

    def __init__(self, world: World, gateways: Gateways, rules: Rules) -> None:
        # Not the parent's: it would read certificates and open nothing else of use here.
        self.world, self.gateways, self.rules = world, gateways, rules

    def resolve(self, account: Account, *, timeout_s: float) -> NotSent | None:
        self.world.effect("at the look-up of a name", 0.01)
        if not self.world.fate.strikes("name_unresolved"):
            return None
        self.world.leaves(account.provider)
        self.rules.waits.troubled(account.provider)
        return NotSent("no such name")

    def send(
        self,
        provider: Provider,
        account: Account,
        request: Request,
        *,
        deadline_s: float,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Outcome:
        self.world.effect("before the POST", 0.01)
        self.world.leaves(account.provider)
        if self._unreached(account):
            outcome: Outcome = NotSent("no connection")
        else:
            key = (extra_headers or {}).get(provider.idempotency_header or "")
            order = self._leaves(account, key)
            again = any(other.owner == order.owner for other in self.gateways.orders[:-1])
            refused = DIALECTS[account.provider].refused_request[0]
            outcome = self._order(order, account, request, deadline_s)
            taken = isinstance(outcome, Answered) and outcome.status == 202 and _is_whole(outcome.body)
            if taken and order.task and self.world.actor:
                self.world.actor.accepted = (order.owner, order.task.id)
                self.rules.told_ids[order.owner] = (order.task.id, self.world.now)
            if taken:
                self.rules.risks.accepted(account, order.owner)
                return outcome
            if again and isinstance(outcome, Answered) and outcome.status == refused and _is_whole(outcome.body):
                self.rules.risks.answered(account, order.at)
        self.rules.waits.troubled(account.provider)
        return outcome

    def _order(self, order: Order, account: Account, request: Request, deadline_s: float) -> Outcome:
        """The way there, and what the gateway makes of it."""
        world, fate = self.world, self.world.fate
        took_s = fate.between(0.1, 2)
        world.effect("while the POST is under way", took_s)
        if fate.strikes("request_lost"):
            world.tell("POST lost on its way", account.provider)
            return Lost("sent, but no whole answer")
        illness = self.gateways.illness(account.provider)
        if illness == "gateway_loses_orders":
            if fate.chance(0.5):
                self.gateways.take(order, account.api_key, request.body or {})
            return self._silence(deadline_s, "after the gateway has the POST")
        if illness == "gateway_unavailable":
            return self._unavailable("after the gateway has the POST")
        acts = not fate.strikes("server_error")
        answer = self.gateways.take(order, account.api_key, request.body or {}) if acts else (500, {"error": {}})
        if not order.slow_s and fate.strikes("submit_unanswered"):
            return self._silence(deadline_s, "after the gateway has the POST")
        way, took_s = "after the gateway has the POST", took_s + order.slow_s
        return self._answer(account, answer, took_s, deadline_s, way)

    def ask(self, provider: Provider, account: Account, request: Request, *, deadline_s: float) -> Outcome:
        self.world.effect("before a query", 0.01)
        task_id, asked_at = request.path.rpartition("/")[2], self.world.database_time()
        left_at = self.world.now
        outcome, told_of = self._ask(account, task_id, deadline_s)
        if isinstance(outcome, NotSent):
            self.rules.lives.unreached(account.provider, asked_at)
        is_answered = isinstance(outcome, Answered) and outcome.status in ANSWERS
        is_answered = is_answered and is_own(provider, task_id, outcome.status, outcome.body)
        if is_answered:
            self.rules.risks.answered(account, left_at)
        task = self.gateways.tasks.get((account.provider, task_id))
        said = task.last_told if task and is_answered and told_of == task_id else None
        is_answered = is_answered and told_of in (task_id, None)
        if is_answered and self.world.actor is not None:
            self.world.actor.asked.append((account.provider, task_id, account.api_key, told_of is not None))
        self.rules.lives.asked(account.provider, task_id, asked_at, is_answered=is_answered, said=said)
        return outcome

    def _ask(self, account: Account, task_id: str, deadline_s: float) -> tuple[Outcome, str | None]:
        """What came of a question, and the task that its answer is about; None: of none."""
        world, fate = self.world, self.world.fate
        world.leaves(account.provider)
        if self._unreached(account):
            return NotSent("no connection"), None
        name = account.provider
        if fate.strikes("report_of_nobody"):
            state = fate.own.choice(("running", "failed", "retryable"))
            return self._answer(
                account, (200, of_nobody(name, state, world.now)), 0.1, deadline_s, "while a query is answered"
            ), None
        if self.gateways.illness(name) == "gateway_unavailable":
            return self._unavailable("while a query is answered"), None
        if fate.strikes("query_refused"):
            status = fate.one_of((401, 403, 404, 429))
            answer = (status, {"error": "not now"})
            return self._answer(account, answer, 0.1, deadline_s, "while a query is answered"), None
        if fate.strikes("query_of_another"):
            others = [t.id for t in self.gateways.tasks.values() if t.provider == name]
            task_id = fate.one_of(others) if others else task_id
        answer = self.gateways.tell(name, task_id, account.api_key)
        outcome = self._answer(account, answer, 0.1, deadline_s, "while a query is answered")
        return outcome, task_id if answer[0] == 200 else None

    def _unreached(self, account: Account) -> bool:
        away = self.gateways.illness(account.provider) == "gateway_away"
        if away or self.world.fate.strikes("connection_refused"):
            self.world.tell("no connection", account.provider)
            return True
        return False

    def _leaves(self, account: Account, key: str | None) -> Order:
        """The first byte leaves: this is where paying begins."""
        actor = self.world.actor
        marked = actor.marked if actor else None
        self.rules.check("marked-first", marked is not None, f"a POST to {account.provider} that no row knows of")
        assert marked is not None
        order = Order(account.provider, marked, self.world.now, self.world.clock_off_s, key or None)
        self.world.tell("POST leaves", account.provider, *marked)
        self.rules.posted(order)
        self.gateways.orders.append(order)
        return order

    def _silence(self, deadline_s: float, point: str) -> Outcome:
        self.world.effect(point, self.world.fate.between(1, deadline_s))
        self.world.tell("no answer")
        return Lost("sent, but no whole answer")

    def _unavailable(self, point: str) -> Outcome:
        fate = self.world.fate
        self.world.effect(point, fate.between(0.1, 2))
        if fate.chance(0.2):
            self.world.tell("answer 404 of a proxy")
            return Answered(404, JSON, PROXYS)
        self.world.tell("answer", 503)
        return Answered(503, {"Retry-After": "20"} if fate.chance(0.2) else {}, HTML)

    def _answer(
        self, account: Account, answer: tuple[int, Any], took_s: float, deadline_s: float, point: str
    ) -> Outcome:
        """The way back."""
        world, fate = self.world, self.world.fate
        is_third = self.gateways.illness(account.provider) == "gateway_loses_a_third" and fate.chance(1 / 3)
        if is_third or fate.strikes("answer_lost"):
            return self._silence(deadline_s, point)
        late = fate.strikes("answer_late")
        if late:
            took_s += fate.between(0.5, 1.2) * deadline_s
        world.effect(point, took_s if not late else min(took_s, deadline_s))
        if took_s > deadline_s:
            return Lost("sent, but the time was over")
        if fate.strikes("answer_garbled"):
            world.tell("answer garbled")
            whole = json.dumps(answer[1]).encode()
            return fate.one_of(
                (Answered(502, {}, HTML), Answered(200, {}, HTML), Answered(answer[0], JSON, whole[:-3]))
            )
        world.tell("answer", answer[0], _short(answer[1]))
        return Answered(answer[0], JSON, json.dumps(answer[1]).encode())


def _short(body: Any) -> str:
    if isinstance(body, dict):
        task = body.get("data") if isinstance(body.get("data"), dict) else body
        return str(task.get("status") or body.get("error") or body.get("message"))
    return str(body)


def _is_whole(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
