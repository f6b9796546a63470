"""`rushes providers`: what the gateways can do, what they cost, and how they stand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from jobs.machine import breaker
from rushes import provider_words
from rushes.cli import options
from rushes.cli.ordering.several import Several
from rushes.cli.service.api import connect
from rushes.cli.terminal import output
from rushes.cli.terminal.failures import Failure
from rushes.cli.terminal.output import Colored
from rushes.provider_words import dollars

PRICES = ("720p/s", "1080p/s", "in flight")  # the columns of numbers
NAMES_WIDTH, BALANCE_WIDTH = 23, 31
RESTS = ("rate_limited", "insufficient_credits", "unauthorized", *breaker.REASONS)


class Providers(click.Group):
    """A gateway's name, or nothing, in a command's place asks how it stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--help" not in args and not set(args) & set(self.commands):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Providers)
def command() -> None:
    """The gateways: who is used, for what, at what price, and what keeps one from taking orders just now.

    \b
    rushes providers              all of them, a line each
    rushes providers evolink      everything about one of them, mode by mode
    rushes providers balance      what is left at those that tell, held against our account
    """


@command.command()
@click.argument("name", required=False)
@options.data_dir
@options.as_json
def show(name: str | None, data_dir: Path, as_json: bool) -> None:
    """All gateways, a line each; with NAME everything about one. `show` may be left out."""
    told = connect(data_dir).get(_path(name) if name else "/v1/providers")
    if as_json:
        output.as_json(told)
    elif name:
        _whole(told)
    else:
        head, right = ["gateway", "key", "modes", "720p/s", "1080p/s", "in flight", "state"], PRICES
        output.table(head, [_line(gateway) for gateway in told["data"]], right=right)


@command.command()
@click.argument("name")
@click.option("--for", "seconds", type=click.FloatRange(min=1), default=3600, show_default=True, metavar="SECONDS")
@options.data_dir
@options.as_json
def rest(name: str, seconds: float, data_dir: Path, as_json: bool) -> None:
    """Send no orders to a gateway for a while. What it has is asked about and fetched as before.

    Jobs that may go elsewhere do. Needs a key of scope admin.
    """
    _tell(connect(data_dir).post(f"{_path(name)}/rest", {"seconds": seconds}), as_json)


@command.command()
@click.argument("name")
@options.data_dir
@options.as_json
def resume(name: str, data_dir: Path, as_json: bool) -> None:
    """End a gateway's rests: credit was bought, the key or the address was mended. One order tries it first.

    Needs a key of scope admin.
    """
    _tell(connect(data_dir).post(f"{_path(name)}/resume"), as_json)


@command.command()
@click.argument("name", required=False)
@options.data_dir
@options.as_json
def balance(name: str | None, data_dir: Path, as_json: bool) -> None:
    """Ask a gateway what is left, and hold what it took since it was last asked against our account.

    Without NAME: every gateway that has a key here and tells. A difference is shown, with what may explain it; it
    settles nothing, as others may use the key. Needs a key of scope write.
    """
    api, several = connect(data_dir), Several()
    if name:
        _tell_balance(api.post(f"{_path(name)}/balance"), as_json)
        return
    for each in _telling(api.get("/v1/providers")["data"]):
        with several.one(each):
            _tell_balance(api.post(f"{_path(each)}/balance"), as_json)
    several.end()


def _telling(gateways: list[dict[str, Any]]) -> list[str]:
    """Raises Failure where none can be asked."""
    tell = [each["name"] for each in gateways if each.get("tells_balance")]
    names = [each["name"] for each in gateways if each["configured"] and each["name"] in tell]
    if not names:
        said = f"no gateway with a key here tells its balance; {' and '.join(sorted(tell)) or 'none'} would"
        raise Failure(said, hint="a gateway's console has it")
    return names


def _tell_balance(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.as_json(told, line=True)
        return
    since, unit = told["since"], told["unit"]
    rows: list[tuple[str, Any]] = [("left", _amount(told["left"], unit))]
    if since:
        color = "green" if not since["difference"]["amount"] else "yellow"
        rows.append((f"used since {since['asked_at'][:19]}Z", _amount(since["took"], unit)))
        rows.append(("our account has", _amount(since["booked"], unit)))
        rows.append(("difference", Colored(_amount(since["difference"], unit), color)))
    for what in ("under_way", "uncertain"):
        if told[what]["orders"]:
            orders = output.counted(told[what]["orders"], "order")
            rows.append((what.replace("_", " "), f"{orders}, {_amount(told[what], unit)}"))
    if sys.stdout.isatty():
        output.table([told["provider"], ""], rows, widths=(BALANCE_WIDTH,))
    else:
        output.table([], [(told["provider"], *row) for row in rows])
    output.note(" ".join(told["explained"]))


def _amount(amount: dict[str, Any], unit: str) -> str:
    """In the gateway's unit, and what it is worth."""
    own, usd = provider_words.credits(amount["amount"], unit), amount["usd"]
    worth = None if usd is None else f"{'-' * (usd < 0)}{dollars(abs(usd))}"
    return f"{own} ({worth})" if worth else own


def _path(name: str) -> str:
    return f"/v1/providers/{quote(name, safe='')}"


def _tell(gateway: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.as_json(gateway)
    else:
        output.note(f"{gateway['name']}  {state(gateway)}")


def state(gateway: dict[str, Any]) -> Colored:
    """Whether it takes orders now, and if not, why not."""
    status = gateway["status"]
    if status is None:
        return Colored("no key", "dim")
    found, paused, budget = status["obstacle"], status["paused"], status["budget"]
    queries = paused["query"] or paused.get("previous_query")
    if found and found["code"] in RESTS:
        said = Colored(f"rests {_span(found['seconds'])}: {found['code']}{_since(status)}", "yellow")
    elif found and found["code"] == "over_budget":
        said = Colored(f"budget spent{_uncertain(budget)}", "yellow")
    elif found:
        said = Colored(found["code"], "yellow")
    elif rested := paused["submit"]:
        said = Colored(f"ready; the next order tries it: {rested['reason']}", "yellow")
    elif queries:
        rests = f"rest {_span(queries['seconds'])}" if queries["seconds"] else "rested; the next one tries it"
        said = Colored(f"ready; queries {rests}", "yellow")
    else:
        left = f"; {_cents(budget['daily_usd'] - budget['spent_usd'])} left" if budget else ""
        said = Colored(f"ready{left}{_uncertain(budget)}", "green")
    day = status["last_day"]
    if day["lost"]:
        said = Colored(f"{said}; {_lost(day)}", said.style)
    if status["unknown_words"]:
        return Colored(f"{said}; unknown words", "yellow")
    return said


def _since(status: dict[str, Any]) -> str:
    """Since when orders rest, to the minute, and whom that keeps waiting."""
    rest, waiting = status["paused"]["submit"], status["holds_up"]
    since = f" since {rest['since'][:16]}Z" if rest and rest["since"] else ""
    return f"{since}; holds up {output.counted(waiting, 'job')}" if waiting else since


def _lost(day: dict[str, Any]) -> str:
    """How many callbacks of a day have not come."""
    return f"{day['lost']} of {output.counted(day['told'] + day['late'] + day['lost'], 'callback')} lost"


def _uncertain(budget: dict[str, Any] | None) -> str:
    """What of a day's budget may never have been charged."""
    return f"; {_cents(budget['uncertain_usd'])} uncertain" if budget and budget["uncertain_usd"] else ""


def _line(gateway: dict[str, Any]) -> list[Any]:
    status = gateway["status"]
    return [
        Colored(gateway["name"], "cyan" if gateway["configured"] else "dim"),
        "yes" if gateway["configured"] else None,
        provider_words.modes(gateway),
        provider_words.price_span(gateway, "720p"),
        provider_words.price_span(gateway, "1080p"),
        f"{status['in_flight']} / {status['max_in_flight']}" if status else None,
        state(gateway),
    ]


def _whole(gateway: dict[str, Any]) -> None:
    """First what holds in every mode, then what each mode has of its own."""
    told = {kind: provider_words.ability(about, gateway) for kind, about in provider_words.kinds(gateway).items()}
    first = next(iter(told.values()))
    common = {name for name, said in first.items() if all(about.get(name) == said for about in told.values())}
    parts: dict[str, list[tuple[str, str]]] = {gateway["name"]: _status(gateway)}
    parts["in every mode"] = [*provider_words.facts(gateway).items(), *_switches(gateway)]
    parts["in every mode"] += [(name, first[name]) for name in first if name in common and first[name] != "–"]
    for kind, about in told.items():
        parts[kind] = [(name, said) for name, said in about.items() if name not in common and said != "–"]
    for title, rows in parts.items():
        if sys.stdout.isatty():
            output.table([title, ""], rows, widths=(NAMES_WIDTH,))
        else:
            output.table([], [(title, *row) for row in rows])


def _status(gateway: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [("base URL", gateway["base_url"]), ("state", state(gateway))]
    status = gateway["status"]
    if status is None:
        return facts
    facts.append(("in flight", f"{status['in_flight']} of at most {status['max_in_flight']}"))
    if status["unanswered"]:
        facts.append(("without an answer", f"{status['unanswered']} of at most {status['max_unconfirmed']} orders"))
    for lane, rest in status["paused"].items():
        if rest:
            ends = f"until {rest['until']}" if rest["seconds"] else "its rest is over, and the next one tries it"
            facts.append((f"{lane.replace('_', ' ')} rests", f"{rest['reason']} since {rest['since']}; {ends}"))
    if status["holds_up"]:
        facts.append(("holds up", output.counted(status["holds_up"], "job")))
    if found := status["obstacle"]:
        facts.append(("hindered", f"{found['reason']}; looked at again in {_span(found['seconds'])}"))
    if budget := status["budget"]:
        spent, daily = _cents(budget["spent_usd"]), _cents(budget["daily_usd"])
        facts.append(("budget", f"{spent} of {daily} spent on {budget['day']} (UTC)"))
        if budget["uncertain_usd"]:
            facts.append(("uncertain", f"{_cents(budget['uncertain_usd'])} of it: nobody knows whether it was charged"))
    day = status["last_day"]
    if day["ended"]:
        late = f"; {day['late']} of the callbacks came late" if day["late"] else ""
        lost = f"; {_lost(day)}" if day["lost"] else ""
        facts.append(("ends of the last day", f"{day['told']} told by callback, {day['asked']} asked{late}{lost}"))
    for word, times in status["unknown_words"].items():
        facts.append(("unknown word", Colored(f"{word}, met {times} time{'s' * (times > 1)}", "yellow")))
    return facts


def _switches(gateway: dict[str, Any]) -> list[tuple[str, str]]:
    switches = gateway["switches"].items()
    return [(f"switch {word}", f"{'on' if it['on'] else 'off'}; {it['what']}") for word, it in switches]


def _cents(usd: float) -> str:
    return str(dollars(round(usd, 2)))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
