"""Rewrites the parts of the documentation that the code can tell: `python docs/generate.py`, from anywhere.

With `--check` nothing is written, and the exit status is 1 if a part is stale. A part stands between
`<!-- name:begin -->` and `<!-- name:end -->`; what is between is made here and nowhere else.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs import broker, decisions, pacing, reconcile, ringer, schedule, states, steps, submission, sweep, watchdog
from jobs.generation import Generation, Media, Mode
from jobs.providers.base import Provider, ReportState
from jobs.providers.registry import PROVIDERS
from jobs.settings import NUMBERS, STALL_BYTES_PER_S
from rushes.api import jobs as api
from rushes.api import parser
from storage import connections, spool
from webhooks import delivery

ROOT = Path(__file__).parents[1]
PLAIN = Generation(mode=Mode.TEXT, prompt="A red fox in snow")

# What the one model takes and not every gateway can be told, as a request that asks for just that.
WISHES = {
    "`prompt_extend: false`": replace(PLAIN, prompt_extend=False),
    "`watermark: true`": replace(PLAIN, watermark=True),
    "`seed: 0`": replace(PLAIN, seed=0),
    "one `driving_audio`": replace(PLAIN, media=(Media("driving_audio", "https://example.com/a.mp3"),)),
}


def gateways() -> str:
    """The README's short table."""
    rows = [
        [
            f"`{p.name}`",
            "callback and polling" if p.callbacks else "polling",
            _usd(p, "720p"),
            _usd(p, "1080p"),
            f"{p.durations[Mode.TEXT][0]}–{p.durations[Mode.TEXT][1]} s",
            "yes" if p.idempotency_header else "no",
        ]
        for p in PROVIDERS.values()
    ]
    return _table(["gateway", "news by", "720p, per second", "1080p, per second", "duration", "idempotency key"], rows)


def capabilities() -> str:
    """What each gateway is, by what the registry holds."""
    ps = list(PROVIDERS.values())
    generation = [p.submit_request(PLAIN, "https://example.com/cb") for p in ps]
    rows: list[list[str]] = [
        ["base URL", *(f"`{p.base_url}`" for p in ps)],
        ["key goes in", *(_header(p) for p in ps)],
        ["submit", *(f"`{r.method} {r.path}`" for r in generation)],
        ["query", *(f"`GET {p.query_request('ID').path}`" for p in ps)],
        ["model", *(f"`{p.models[Mode.TEXT]}`" for p in ps)],
        ["modes", *(", ".join(sorted(p.models)) for p in ps)],
        ["duration", *("{} to {} s".format(*p.durations[Mode.TEXT]) for p in ps)],
        ["callbacks", *(_callbacks(p) for p in ps)],
        ["callback is signed", *("yes" if p.verify_callback else "no" if p.callbacks else "–" for p in ps)],
        ["idempotency", *(_idempotency(p) for p in ps)],
        ["first query after", *(f"{p.polling.first_s:g} s" for p in ps)],
        ["then every", *(f"{p.polling.then_s:g} s" for p in ps)],
        ["queries per second and key", *(f"{p.polling.budget_per_s:g}" for p in ps)],
        ["720p, credits per second", *(_credits(p, "720p") for p in ps)],
        ["1080p, credits per second", *(_credits(p, "1080p") for p in ps)],
        ["720p, US$ per second", *(_usd(p, "720p") for p in ps)],
        ["1080p, US$ per second", *(_usd(p, "1080p") for p in ps)],
        ["money of a failed task", *("comes back" if p.refunds_failures else "uncertain" for p in ps)],
        ["a task lives", *(f"{p.task_life_s / 3600:g} h" for p in ps)],
        ["a link lives", *(f"{p.link_life_s / 3600:g} h" for p in ps)],
        ["longest `negative_prompt`", *(str(_module(p, "LONGEST_NEGATIVE_PROMPT")) for p in ps)],
    ]
    for name, wish in WISHES.items():
        rows.append([name, *("no" if p.fit(wish) else "yes" for p in ps)])
    return _table(["", *(f"`{p.name}`" for p in ps)], rows)


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
    """The three variables of each gateway."""
    rows = [
        [f"`{p.name}`", *(f"`RUSHES_{p.name.upper()}_{end}`" for end in ("API_KEY", "API_KEY_PREVIOUS", "BASE_URL"))]
        for p in PROVIDERS.values()
    ]
    return _table(["gateway", "key", "key before it", "other address"], rows)


def fixed_numbers() -> str:
    """The numbers that are no settings."""
    timetable = ", ".join(f"{s} s" for s in delivery.TIMETABLE)
    resends = ", ".join(map(str, schedule.RESENDS))
    rows = [
        ["from the mark that a byte may leave to the POST, at most", f"{submission.SEND_WITHIN_S} s"],
        ["a gateway's name must resolve within", f"{submission.RESOLVE_WITHIN_S} s"],
        ["a lost submit is re-sent under its key after", f"{resends} minutes, then every {schedule.HOURLY}"],
        ["a key rests at one time for at most", f"{pacing.LONGEST_PAUSE_S} s"],
        ["share of the query budget for routine polls", f"{pacing.ROUTINE_SHARE:.0%}"],
        ["clock difference tolerated when a task's age is judged", _s(reconcile.CLOCK_TOLERANCE.total_seconds())],
        ["the sweep looks again, while rows are due, after", _s(sweep.AGAIN_S)],
        ["a row that was rung for is left out of the sweep for", _s(sweep.LEAVE_OUT_S)],
        ["a row whose step raises before its claim is set aside for", _s(steps.FENCE.total_seconds())],
        ["troubles in a row until a job asks for a person", str(decisions.TROUBLES_FLAGGED)],
        ["more waiting doorbells than this become one sweep", str(ringer.MANY_WAITING)],
        ["doorbells that may wait in the web process", str(ringer.LONGEST_QUEUE)],
        ["a doorbell expires after", _s(ringer.MESSAGE_LIFE_S)],
        ["an unacknowledged `rushes.generate` is delivered again after", _s(broker.VISIBILITY_TIMEOUT_S)],
        ["the result of `rushes.generate` is kept for", _s(broker.RESULT_LIFE_S)],
        ["a download slower than this, over `RUSHES_TRANSFER_STALL_S`, has stalled", f"{STALL_BYTES_PER_S} bytes/s"],
        ["addresses of a link's host that are tried", str(connections.MAX_ADDRESSES_TRIED)],
        ["bytes that the spool leaves free on the disk", str(spool.MARGIN_BYTES)],
        ["a presigned link to a video lives", _s(api.LINK_LIFE_S)],
        ["largest request body of the API", f"{parser.LARGEST_BODY_BYTES} bytes"],
        ["a notice is tried again after", timetable],
        ["exit status of a process that its watchdog ended", str(watchdog.STUCK)],
    ]
    return _table(["what", "number"], rows)


def state_diagram() -> str:
    return f"```mermaid\n{states.mermaid()}\n```"


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"gateways": gateways},
    "docs/architecture.md": {"states": state_diagram, "fixed-numbers": fixed_numbers},
    "docs/providers.md": {"capabilities": capabilities, "words": words, "refusals": refusals},
    "docs/settings.md": {"numbers": numbers, "gateway-settings": gateway_settings},
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
    found = {}
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


def _usd(provider: Provider, resolution: str) -> str:
    price = provider.price_usd(replace(PLAIN, resolution=resolution, duration=1))
    return "not published" if price is None else f"${price:.3f}".removesuffix("0")


def _credits(provider: Provider, resolution: str) -> str:
    if provider.prices is None:
        return "not published"
    if provider.prices.usd_per_credit == 1:
        return "–"  # priced in dollars
    return f"{provider.price_credits(replace(PLAIN, resolution=resolution, duration=1)):g}"


def _callbacks(provider: Provider) -> str:
    if provider.callbacks is None:
        return "none"
    return f"{'https only' if provider.callbacks.https_only else 'http or https'}, ≤ {provider.callbacks.longest_url}"


def _idempotency(provider: Provider) -> str:
    if provider.idempotency_header is None:
        return "none"
    return f"`{provider.idempotency_header}`, used for {provider.idempotency_life_s / 3600:g} h"


def _header(provider: Provider) -> str:
    return ", ".join(f"`{name}: {value}`" for name, value in provider.auth_headers("KEY").items())


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def _s(seconds: float) -> str:
    return f"{seconds:g} s"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
