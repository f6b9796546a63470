"""Rewrites the parts of the documentation that the code can tell: `python docs/generate.py`, from anywhere.

With `--check` nothing is written, and the exit status is 1 if a part is stale. A part stands between
`<!-- name:begin -->` and `<!-- name:end -->`; what is between is made here and nowhere else.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import api_reference
import cli_reference
import rooms
import yaml
from markup import table as _table

from jobs import broker, measures, ringer
from jobs.environment.numbers import NUMBERS, STALL_BYTES_PER_S
from jobs.machine import breaker, error_codes, flags, schedule, states
from jobs.machine.error_codes import Meaning
from jobs.providers import prices
from jobs.providers.base import Provider, ReportState
from jobs.providers.registry import PROVIDERS
from jobs.reports import queue_position
from jobs.reports.providers import describe
from jobs.request.generation import Generation, Mode
from jobs.settings import load
from jobs.steps import learning, planning, posting, query_budget
from jobs.steps.step import FENCE
from jobs.store import availability, migrate, notices
from jobs.store.database import Database
from jobs.worker import sweep, watchdog
from rushes import provider_words
from rushes.api import costs
from rushes.api import jobs as api
from rushes.api.edge import long_polls, parser, problems, wrong_keys
from rushes.app import create_app
from storage import spool
from storage.outbound import connections
from webhooks import bodies, delivery

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "deploy" / "alerts.yml"
PLAIN = Generation(mode=Mode.TEXT, prompt="A red fox in snow")
EDIT = Generation(mode=Mode.EDIT, prompt="Let it snow")
NOT_PUBLISHED = "not published"
OTHER_REASONS = {code: said for code, said in error_codes.REASONS.items() if code not in error_codes.FLAGS}


def gateways() -> str:
    """The README's short table."""
    rows = [
        [
            f"`{p.name}`",
            provider_words.modes(told),
            "callback and polling" if p.callbacks else "polling",
            provider_words.price_span(told, "720p") or NOT_PUBLISHED,
            provider_words.price_span(told, "1080p") or NOT_PUBLISHED,
            "yes" if p.idempotency_header else "no",
        ]
        for p in PROVIDERS.values()
        for told in [describe(p)]
    ]
    return _table(["gateway", "modes", "news by", "720p, per second", "1080p, per second", "idempotency key"], rows)


def capabilities() -> str:
    """What holds of each gateway in every mode."""
    ps = list(PROVIDERS.values())
    told = [describe(p) for p in ps]
    facts = [provider_words.facts(each) for each in told]
    rows: list[list[str]] = [
        ["base URL", *(f"`{p.base_url}`" for p in ps)],
        ["key goes in", *(_header(p) for p in ps)],
        ["submit", *(_submits(p) for p in ps)],
        ["query", *(f"`GET {p.query_request('ID').path}`" for p in ps)],
        ["modes", *(provider_words.modes(each) for each in told)],
        ["longest callback URL", *(str(p.callbacks.longest_url) if p.callbacks else "–" for p in ps)],
        *([name, *(each[name] for each in facts)] for name in facts[0]),
        ["switches", *(_codes(p.switches) for p in ps)],
    ]
    return _table(["", *(f"`{p.name}`" for p in ps)], rows)


def abilities(name: str) -> str:
    """What a gateway takes and makes, by model and mode."""
    gateway = describe(PROVIDERS[name])
    told = {kind: provider_words.ability(about, gateway) for kind, about in provider_words.kinds(gateway).items()}
    names = dict.fromkeys(fact for about in told.values() for fact in about)
    rows = [[_code(fact), *(_code(about.get(fact, "–")) for about in told.values())] for fact in names]
    return _table(["", *told], rows)


def words() -> str:
    """Every status word that is read, and what it is read as."""
    rows = []
    for name, provider in PROVIDERS.items():
        table = _module(provider, "STATES")
        rows.append([f"`{name}`", *(_codes(w for w, s in table.items() if s is state) for state in ReportState)])
    return _table(["", *(state.value for state in ReportState)], rows)


def refusals() -> str:
    """Which answers to a submit prove that nothing was taken, and which failures of a task earn another attempt."""
    rows = []
    for name, provider in PROVIDERS.items():
        statuses = {key if isinstance(key, int) else key[0] for key in _module(provider, "REFUSALS")}
        failures = _module(provider, "FAILURES", {})
        again = [str(code) for code, (_, retryable) in failures.items() if retryable]
        rows.append([f"`{name}`", ", ".join(map(str, sorted(statuses))), _codes(again)])
    return _table(["", "HTTP statuses read as a refusal", "failures that earn another attempt"], rows)


def numbers() -> str:
    """Every number that can be set."""
    rows = [[f"`RUSHES_{name}`", str(default), meaning] for name, (default, meaning) in NUMBERS.items()]
    return _table(["variable", "default", "meaning"], rows)


def gateway_settings() -> str:
    """The three variables of each gateway's keys."""
    rows = [
        [f"`{p.name}`", *(f"`RUSHES_{p.name.upper()}_{end}`" for end in ("API_KEY", "API_KEY_PREVIOUS", "BASE_URL"))]
        for p in PROVIDERS.values()
    ]
    return _table(["gateway", "key", "key before it", "other address"], rows)


def gateway_terms() -> str:
    """The variables of each gateway's terms."""
    ends = ("USD_PER_S", "USD_PER_CREDIT", "DAILY_USD", "QUERIES_PER_S", "UNDOCUMENTED")
    rows = [
        [f"`{p.name}`", *(f"`RUSHES_{p.name.upper()}_{end}`" for end in ends), _codes(p.switches)]
        for p in PROVIDERS.values()
    ]
    return _table(
        [
            "gateway",
            "price of a second",
            "worth of a credit",
            "budget of a day",
            "queries a second",
            "switches",
            "its words",
        ],
        rows,
    )


def meanings(table: Mapping[str, Meaning], then: str) -> str:
    """Codes and what they mean."""
    return _table(
        ["code", "meaning", then], [[f"`{code}`", meaning.said, meaning.then] for code, meaning in table.items()]
    )


def problem_codes() -> str:
    """What a refused request's `code` can be."""
    rows = [[str(status), f"`{code}`", title] for status, code, title in problems.TABLE.values()]
    named = {row[1] for row in rows}
    rows += [
        [str(status), f"`{code}`", f"{HTTPStatus(status).phrase}."]
        for status, code in problems.CODES.items()
        if f"`{code}`" not in named
    ]
    return _table(["status", "code", "meaning"], sorted(rows, key=lambda row: row[0]))


def fixed_numbers() -> str:
    """The numbers that are no settings."""
    timetable = ", ".join(f"{s} s" for s in delivery.TIMETABLE)
    resends = ", ".join(map(str, schedule.RESENDS))
    rows = [
        ["from the mark that a byte may leave to the POST, at most", f"{posting.SEND_WITHIN_S} s"],
        ["a gateway's name must resolve within", f"{planning.RESOLVE_WITHIN_S} s"],
        ["a lost submit is re-sent under its key after", f"{resends} minutes, then every {schedule.HOURLY}"],
        ["failures in a row, of different jobs, until a gateway rests", str(breaker.LOSSES_UNTIL_REST)],
        ["its first rest, unless it names a time; each next one is twice as long", _s(breaker.FIRST_REST_S)],
        ["a rest that no person began is at most", _s(breaker.LONGEST_REST_S)],
        ["in a long rest a gateway that was silent is asked for free every", _s(breaker.ASK_EVERY_S)],
        ["a full gateway is looked at again after", _s(availability.FULL_PAUSE_S)],
        ["one whose budget is spent is looked at again after at most", _s(availability.BUDGET_PAUSE_S)],
        ["an input video of unknown length is reckoned with", _s(prices.LONGEST_INPUT_S)],
        ["days that `GET /v1/costs` answers at once", str(costs.LONGEST_DAYS)],
        ["who does not answer at the end of a life is tried for", _s(schedule.LAST_TRIES_S)],
        ["with pauses of at most", _s(schedule.LAST_PAUSE_S)],
        ["past its expected time a task is flagged as a day late after", _s(flags.OVERDUE_DAY.total_seconds())],
        ["share of the query budget for routine polls", f"{query_budget.ROUTINE_SHARE:.0%}"],
        ["a slot in the query budget lies ahead at most", _s(query_budget.LONGEST_WAIT_S)],
        ["who comes later than this for its slot has lost it", _s(query_budget.KEPT_S)],
        ["clock difference tolerated when a task's age is judged", _s(learning.CLOCK_TOLERANCE.total_seconds())],
        ["the sweep looks again, while rows are due or alarms ring, after", _s(sweep.AGAIN_S)],
        ["a row that was rung for is left out of the sweep for", _s(sweep.LEAVE_OUT_S)],
        ["a row whose step raises before its claim is set aside for", _s(FENCE.total_seconds())],
        ["troubles in a row until a job asks for a person", str(flags.TROUBLES_FLAGGED)],
        ["more waiting doorbells than this become one sweep", str(ringer.MANY_WAITING)],
        ["doorbells that may wait in the web process", str(ringer.LONGEST_QUEUE)],
        ["a doorbell expires after", _s(ringer.MESSAGE_LIFE_S)],
        ["an unacknowledged `rushes.generate` is delivered again after", _s(broker.VISIBILITY_TIMEOUT_S)],
        ["the result of `rushes.generate` is kept for", _s(broker.RESULT_LIFE_S)],
        ["a download slower than this, over `RUSHES_TRANSFER_STALL_S`, has stalled", f"{STALL_BYTES_PER_S} bytes/s"],
        ["addresses of a link's host that are tried", str(connections.MAX_ADDRESSES_TRIED)],
        ["bytes that the spool leaves free on the disk", str(spool.MARGIN_BYTES)],
        ["a presigned link to a video lives", _s(api.LINK_LIFE_S)],
        ["a long poll waits for at most", _s(long_polls.LONGEST_WAIT_S)],
        ["jobs that are waited for are looked at every", _s(long_polls.LOOK_EVERY_S)],
        [
            "long polls at a time, of the web process's threads",
            f"{long_polls.MOST_WAITS} of {long_polls.SERVER_THREADS}",
        ],
        ["callbacks' bodies that are read at a time; those of one order", f"{bodies.MOST}; {bodies.MOST_OF_ORDER}"],
        ["queued jobs before one that are counted for its `waiting.position`", str(queue_position.LONGEST_COUNTED)],
        ["wrong API keys a minute and address, beyond which the answer is 429", str(wrong_keys.MOST_A_MINUTE)],
        ["largest request body of the API", f"{parser.LARGEST_BODY_BYTES} bytes"],
        ["a notice is tried again after", timetable],
        ["exit status of a process that its watchdog ended", str(watchdog.STUCK)],
    ]
    return _table(["what", "number"], rows)


def metrics() -> str:
    """Every number of /metrics."""
    rows = [
        [f"`{each.name}`", str(each.kind), ", ".join(f"`{label}`" for label in each.labels) or "–", each.says]
        for each in measures.ALL
    ]
    return _table(["metric", "kind", "labels", "meaning"], rows)


def alerts() -> str:
    """Every rule, with its page."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    rows = [
        [
            f"[{rule['alert']}](../{rule['annotations']['runbook_url'].removeprefix('docs/')})",
            rule["labels"]["severity"],
            rule.get("for", "at once"),
            f"`{' '.join(rule['expr'].split()).replace('|', chr(92) + '|')}`",
        ]
        for rule in rules
    ]
    return _table(["alert", "severity", "after", "rule"], rows)


def events() -> str:
    """What pipelines are told of."""
    rows = [[f"`{event}`", when, then] for event, (when, then) in notices.MEANINGS.items()]
    return _table(["event", "when", "what may follow"], rows)


def state_diagram() -> str:
    kind, _, moves = states.mermaid().replace(", ", "<br>").partition("\n")  # one event a line keeps it narrow
    told = "    accTitle: The states of a job\n    accDescr: Every move from state to state, with its events"
    return f"```mermaid\n{kind}\n{told}\n{moves}\n```"


@cache
def document() -> dict[str, Any]:
    """What an installation serves at /openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"RUSHES_DATA_DIR": folder, "RUSHES_S3_BUCKET": "our-videos"})
        database = Database(settings.database_url)
        migrate.upgrade(database)
        database.close()
        app = create_app(settings)
        made: dict[str, Any] = app.extensions["rushes.openapi"]()
        app.extensions["rushes.close"]()
    return made


def openapi() -> str:
    """The same as a file, on which changes of the API show."""
    return f"{json.dumps(document(), indent=2, ensure_ascii=False)}\n"


def of_api(write: Callable[[Mapping[str, Any]], str]) -> Callable[[], str]:
    """A part that is written from the API's description."""
    return lambda: write(document())


# Whole files.
FILES: dict[str, Callable[[], str]] = {"docs/openapi.json": openapi}
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"gateways": gateways},
    "docs/architecture.md": {
        "drawing": rooms.drawing,
        "rooms": rooms.faces,
        "states": state_diagram,
        "fixed-numbers": fixed_numbers,
    },
    "docs/audit.md": {"findings": partial(meanings, error_codes.FINDINGS, "what to do")},
    "docs/errors.md": {
        "errors": partial(meanings, error_codes.ERRORS, "does trying again help?"),
        "waits": partial(meanings, error_codes.WAITS, "what to do"),
        "flags": partial(meanings, error_codes.FLAGS, "what to do"),
        "reasons": partial(meanings, OTHER_REASONS, "what to do"),
        "misfits": partial(meanings, error_codes.MISFITS, "what to do"),
        "problems": problem_codes,
    },
    "docs/notices.md": {"events": events},
    "docs/providers.md": {
        "capabilities": capabilities,
        "words": words,
        "refusals": refusals,
        **{f"{name}-modes": partial(abilities, name) for name in PROVIDERS},
    },
    "docs/reference/api.md": {
        "everywhere": of_api(api_reference.everywhere),
        "operations": of_api(api_reference.operations),
    },
    "docs/reference/bodies.md": {"bodies": of_api(api_reference.bodies)},
    "docs/reference/cli.md": {"commands": cli_reference.commands, "statuses": cli_reference.statuses},
    "docs/reference/metrics.md": {"metrics": metrics, "alerts": alerts},
    "docs/settings.md": {"numbers": numbers, "gateway-settings": gateway_settings, "gateway-terms": gateway_terms},
}


def rewritten(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """The text with its generated parts renewed. Raises ValueError unless each has exactly one place."""
    for name, make in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        part = f"{begin}\n{make()}\n{end}"
        text, places = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, p=part: p, text, flags=re.DOTALL)
        if places != 1:
            raise ValueError(f"{name} has {places} places, not one: {begin} … {end}")
    return text


def stale() -> dict[Path, str]:
    """The files that are not as they would be written, with the text that they should have."""
    made = {ROOT / name: make() for name, make in FILES.items()}
    found = {path: fresh for path, fresh in made.items() if not path.exists() or path.read_text("utf-8") != fresh}
    for name, parts in PARTS.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if (fresh := rewritten(text, parts)) != text:
            found[path] = fresh
    return found


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a part is stale")
    check = asked.parse_args().check
    found = stale()
    for path, text in found.items():
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'stale, run python docs/generate.py' if check else 'renewed'}\n")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and found else 0


def _module(provider: Provider, name: str, *default: Any) -> Any:
    return getattr(importlib.import_module(f"jobs.providers.{provider.name}"), name, *default)


def _submits(provider: Provider) -> str:
    """Where orders go; editing has a place of its own at some gateways."""
    specs = [spec for spec in (PLAIN, EDIT) if spec.kind in provider.abilities]
    sent = [provider.request_for(spec, "https://example.com/cb") for spec in specs]
    return ", ".join(dict.fromkeys(f"`{request.method} {request.path}`" for request in sent))


def _header(provider: Provider) -> str:
    return ", ".join(f"`{name}: {value}`" for name, value in provider.auth_headers("KEY").items())


def _code(text: str) -> str:
    """Names with underscores, and models, as code. That a switch is off goes without saying here."""
    return re.sub(r"\b(?:[a-z]+(?:_[a-z0-9]+)+|wan-?2\.7[\w.-]*)", r"`\g<0>`", text.replace(": off)", ")"))


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def _s(seconds: float) -> str:
    return f"{seconds:g} s"


if __name__ == "__main__":
    sys.exit(main())
