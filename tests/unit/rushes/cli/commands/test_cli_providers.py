from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

from jobs.providers.registry import PROVIDERS, Terms, on_terms
from jobs.reports.providers import describe
from jobs.request.generation import WAN_2_7, Mode
from rushes.cli.commands.providers import state
from rushes.cli.terminal import failures

READY: dict[str, Any] = {
    "obstacle": None,
    "paused": {"submit": None, "query": None},
    "in_flight": 3,
    "max_in_flight": 50,
    "unanswered": 0,
    "max_unconfirmed": 5,
    "holds_up": 0,
    "budget": None,
    "last_day": {"ended": 0, "told": 0, "asked": 0, "late": 0, "lost": 0, "loss_ratio": None},
    "unknown_words": {},
}
HEARD = {"ended": 42, "told": 37, "asked": 5, "late": 1, "lost": 2, "loss_ratio": 0.05}
BUDGET = {"daily_usd": 50.0, "spent_usd": 3.1, "uncertain_usd": 0.0, "day": "2026-11-21"}


def hindered(code: str, seconds: int) -> dict[str, Any]:
    return {"obstacle": {"code": code, "reason": f"evolink: {code}", "seconds": seconds}}


def rested(seconds: int) -> dict[str, Any]:
    rest = {"reason": "no_answer", "since": "2026-11-21T16:00:00.000Z", "seconds": seconds}
    return {"paused": {"submit": rest, "query": None, "previous_query": None}}


def gateway(name: str = "evolink", terms: Terms | None = None, **status: Any) -> dict[str, Any]:
    told = describe(on_terms({name: terms or Terms()})[name])
    return {**told, "configured": True, "status": {**READY, **status}}


def without_key(name: str) -> dict[str, Any]:
    return {**describe(PROVIDERS[name]), "configured": False, "status": None}


@pytest.fixture
def every(service: Service) -> dict[str, Any]:
    rows = [gateway() if name == "evolink" else without_key(name) for name in PROVIDERS]
    service.answer("GET", "/v1/providers", {"data": rows})
    return {"data": rows}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "ready"),
        ({"budget": BUDGET}, "ready; $46.90 left"),
        (hindered("rate_limited", 42), "rests 42 s: rate_limited"),
        (hindered("insufficient_credits", 900), "rests 15 min: insufficient_credits"),
        (hindered("no_answer", 30), "rests 30 s: no_answer"),
        (hindered("by_hand", 3600), "rests 60 min: by_hand"),
        (
            {**hindered("no_answer", 30), **rested(30), "holds_up": 600},
            "rests 30 s: no_answer since 2026-11-21T16:00Z; holds up 600 jobs",
        ),
        (rested(0), "ready; the next order tries it: no_answer"),
        (hindered("full", 5), "full"),
        ({**hindered("over_budget", 900), "budget": BUDGET}, "budget spent"),
        ({"budget": {**BUDGET, "uncertain_usd": 0.43}}, "ready; $46.90 left; $0.43 uncertain"),
        (
            {**hindered("over_budget", 900), "budget": {**BUDGET, "uncertain_usd": 0.43}},
            "budget spent; $0.43 uncertain",
        ),
        ({"paused": {"submit": None, "query": {"reason": "rate_limited", "seconds": 30}}}, "ready; queries rest 30 s"),
        (
            {"paused": {"submit": None, "query": None, "previous_query": {"reason": "no_answer", "seconds": 0}}},
            "ready; queries rested; the next one tries it",
        ),
        ({"last_day": {**HEARD, "lost": 0}}, "ready"),
        ({"last_day": HEARD}, "ready; 2 of 40 callbacks lost"),
        ({"last_day": HEARD, "unknown_words": {"dreaming": 2}}, "ready; 2 of 40 callbacks lost; unknown words"),
        ({"unknown_words": {"dreaming": 2}}, "ready; unknown words"),
    ],
)
def test_a_state_is_said_in_a_few_words(status: dict[str, Any], said: str) -> None:
    assert state(gateway(**status)) == said


def test_a_gateway_without_a_key_has_none() -> None:
    assert state(without_key("apiframe")) == "no key"


def test_the_list_has_a_line_for_each_gateway(every: Any, rushes: Callable[..., Result]) -> None:
    lines = [line.split("\t") for line in rushes("providers").stdout.splitlines()]
    assert {line[0]: line[1:] for line in lines} == {
        "aivideoapi": ["", "all", "$0.12", "$0.20", "", "no key"],
        "apiframe": ["", "all", "17 credits", "17–26 credits", "", "no key"],
        "easyrouter": ["", "all", "$0.10", "$0.15", "", "no key"],
        "gravitex": ["", "all but edit", "", "", "", "no key"],
        "evolink": ["yes", "all", "$0.086", "$0.144", "3 / 50", "ready"],
    }


def test_the_list_fits_a_terminal_of_100_columns(every: Any, on_terminal: Callable[..., str]) -> None:
    shown = on_terminal("providers").splitlines()
    assert max(map(len, shown)) <= 100
    (line,) = [line for line in shown if "evolink" in line]
    assert line.split() == ["evolink", "yes", "all", "$0.086", "$0.144", "3", "/", "50", "ready"]
    assert "…" not in "".join(shown)


def test_json_is_the_answer_as_it_came(every: Any, service: Service, rushes: Callable[..., Result]) -> None:
    assert json.loads(rushes("providers", "--json").stdout) == every
    service.answer("GET", "/v1/providers/evolink", gateway())
    assert json.loads(rushes("providers", "evolink", "--json").stdout) == gateway()


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_whole_gateway_fits_a_terminal_and_loses_no_word(
    name: str, service: Service, on_terminal: Callable[..., str]
) -> None:
    service.answer("GET", f"/v1/providers/{name}", gateway(name, budget=BUDGET, unknown_words={"dreaming": 2}))
    shown = on_terminal("providers", name)
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    for mode in PROVIDERS[name].modes(WAN_2_7):
        assert f"  {mode} " in shown
        assert PROVIDERS[name].abilities[WAN_2_7, mode].model in shown
    assert "$3.10 of $50.00 spent on 2026-11-21 (UTC)" in shown
    assert "dreaming, met 2 times" in shown


def test_a_whole_gateway_is_rows_of_three_for_a_script(service: Service, rushes: Callable[..., Result]) -> None:
    told = gateway("aivideoapi", Terms(frozenset({"first_clip"})), **hindered("full", 5))
    service.answer("GET", "/v1/providers/aivideoapi", told)
    rows = [line.split("\t") for line in rushes("providers", "aivideoapi").stdout.splitlines()]
    assert {len(row) for row in rows} == {3}
    found = {(part, name): said for part, name, said in rows}
    assert found["aivideoapi", "hindered"] == "evolink: full; looked at again in 5 s"
    assert found["in every mode", "switch first_clip"] == "on; wan-2.7-image-to-video: first_clip, driving_audio"
    assert found["in every mode", "720p, per second"] == "$0.12 (24 credits)"
    assert found["video-edit", "duration"] == "0 or 2 to 10 s"
    assert "(switch first_clip: on)" in found["image-to-video", "media"]


def test_what_is_uncertain_of_a_budget_has_a_line_of_its_own(service: Service, rushes: Callable[..., Result]) -> None:
    told = gateway(budget={**BUDGET, "uncertain_usd": 0.43})
    service.answer("GET", "/v1/providers/evolink", told)
    service.answer("GET", "/v1/providers", {"data": [told]})
    rows = [line.split("\t") for line in rushes("providers", "evolink").stdout.splitlines()]
    found = {name: said for part, name, said in rows if part == "evolink"}
    assert found["budget"] == "$3.10 of $50.00 spent on 2026-11-21 (UTC)"
    assert found["uncertain"] == "$0.43 of it: nobody knows whether it was charged"
    assert rushes("providers").stdout.endswith("\tready; $46.90 left; $0.43 uncertain\n")


def test_what_differs_between_modes_stands_with_each(service: Service, rushes: Callable[..., Result]) -> None:
    narrow = replace(PROVIDERS["evolink"].abilities[WAN_2_7, Mode.TEXT], seed=(5, 9))
    provider = replace(PROVIDERS["evolink"], abilities={**PROVIDERS["evolink"].abilities, (WAN_2_7, Mode.TEXT): narrow})
    service.answer("GET", "/v1/providers/evolink", {**describe(provider), "configured": True, "status": READY})
    rows = [line.split("\t") for line in rushes("providers", "evolink").stdout.splitlines()]
    assert {part: said for part, name, said in rows if name == "seed"} == {
        "text-to-video": "5 to 9",
        "image-to-video": "1 to 2147483647",
        "reference-to-video": "1 to 2147483647",
        "video-edit": "1 to 2147483647",
    }


def test_another_model_has_a_part_of_its_own(service: Service, rushes: Callable[..., Result]) -> None:
    wan = PROVIDERS["evolink"].abilities
    haiku = replace(wan[WAN_2_7, Mode.TEXT], model="haiku-1-fast", resolutions=("720p",))
    provider = replace(PROVIDERS["evolink"], abilities={**wan, ("haiku-1", Mode.TEXT): haiku})
    service.answer("GET", "/v1/providers/evolink", {**describe(provider), "configured": True, "status": READY})
    rows = [line.split("\t") for line in rushes("providers", "evolink").stdout.splitlines()]
    found = {(part, name): said for part, name, said in rows}
    assert found["haiku-1 text-to-video", "model"] == "haiku-1-fast"
    assert found["text-to-video", "model"] == "wan2.7-text-to-video"
    assert found["text-to-video", "1080p, per second"] == "$0.144"
    assert ("haiku-1 text-to-video", "1080p, per second") not in found


def test_an_unknown_gateway_is_not_found_and_the_hint_says_where_to_look(
    service: Service, rushes: Callable[..., Result]
) -> None:
    problem = {"code": "unknown_provider", "detail": "No gateway 'x/y'; there are evolink."}
    service.answer("GET", "/v1/providers/x%2Fy", problem, 404)
    result = rushes("providers", "x/y")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "error: No gateway 'x/y'; there are evolink." in result.stderr
    assert "hint: `rushes providers` shows what there is" in result.stderr


class TestRests:
    @pytest.mark.parametrize(("more", "seconds"), [((), 3600), (("--for", "90"), 90)])
    def test_a_gateway_is_let_rest_for_as_long_as_is_said(
        self, service: Service, rushes: Callable[..., Result], more: tuple[str, ...], seconds: float
    ) -> None:
        told = gateway(**hindered("by_hand", int(seconds)))
        service.answer("POST", "/v1/providers/evolink/rest", told)
        result = rushes("providers", "rest", "evolink", *more)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"evolink  rests {'90 s' if more else '60 min'}: by_hand\n"
        assert service.asked[-1]["json"] == {"seconds": seconds}
        assert json.loads(rushes("providers", "rest", "evolink", *more, "--json").stdout) == told

    def test_its_rests_are_ended(self, service: Service, rushes: Callable[..., Result]) -> None:
        service.answer("POST", "/v1/providers/evolink/resume", gateway())
        result = rushes("providers", "resume", "evolink")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "evolink  ready\n")
        assert (service.asked[-1]["method"], service.asked[-1]["json"]) == ("POST", None)
        assert json.loads(rushes("providers", "resume", "evolink", "--json").stdout) == gateway()

    @pytest.mark.parametrize("seconds", ["0", "-5", "long"])
    def test_a_rest_that_is_none_is_wrong_usage(
        self, service: Service, rushes: Callable[..., Result], seconds: str
    ) -> None:
        assert rushes("providers", "rest", "evolink", "--for", seconds).exit_code == 2
        assert service.asked == []

    @pytest.mark.parametrize("wish", ["rest", "resume"])
    def test_a_key_that_may_not_is_refused_in_the_services_words(
        self, service: Service, rushes: Callable[..., Result], wish: str
    ) -> None:
        problem = {"code": "forbidden", "detail": "This needs a key of scope admin."}
        service.answer("POST", f"/v1/providers/evolink/{wish}", problem, 403)
        result = rushes("providers", wish, "evolink")
        assert (result.exit_code, result.stdout) == (failures.AUTH, "")
        assert "error: This needs a key of scope admin." in result.stderr

    @pytest.mark.parametrize("wish", ["rest", "resume"])
    def test_which_gateway_must_be_said(self, rushes: Callable[..., Result], wish: str) -> None:
        assert rushes("providers", wish).exit_code == 2


def amount(units: float) -> dict[str, float]:
    return {"amount": units, "usd": units / 1000}


def balance(difference: float = 0) -> dict[str, Any]:
    since = {"asked_at": "2026-11-21T16:00:00.000Z", "took": amount(172 + difference), "booked": amount(172)}
    none = {"orders": 0, **amount(0)}
    return {
        "provider": "evolink",
        "asked_at": "2026-11-21T17:00:00.000Z",
        "unit": "credit",
        "counts": "key",
        "left": amount(999_828),
        "used": amount(172),
        "under_way": {"orders": 1, **amount(172)},
        "uncertain": none,
        "since": {**since, "difference": amount(difference)},
        "explained": ["The gateway took more than our account has.", "Others may use the key."],
    }


def test_a_balance_fits_a_terminal_of_80_columns_and_is_rows_of_three_for_a_script(
    service: Service, rushes: Callable[..., Result], on_terminal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answer("POST", "/v1/providers/evolink/balance", balance(344))
    rows = [line.split("\t") for line in rushes("providers", "balance", "evolink").stdout.splitlines()]
    assert rows == [
        ["evolink", "left", "999,828 credits ($999.828)"],
        ["evolink", "used since 2026-11-21T16:00:00Z", "516 credits ($0.516)"],
        ["evolink", "our account has", "172 credits ($0.172)"],
        ["evolink", "difference", "344 credits ($0.344)"],
        ["evolink", "under way", "1 order, 172 credits ($0.172)"],
    ]
    monkeypatch.setenv("COLUMNS", "80")
    shown = on_terminal("providers", "balance", "evolink").splitlines()
    assert max(map(len, shown)) <= 80
    assert any(line.split() == ["difference", "344", "credits", "($0.344)"] for line in shown)


def test_a_difference_below_zero_says_so_in_both_units(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("POST", "/v1/providers/evolink/balance", balance(-172))
    assert "difference\t-172 credits (-$0.172)\n" in rushes("providers", "balance", "evolink").stdout


def test_without_a_name_those_that_tell_are_asked_and_one_that_fails_keeps_none_back(
    service: Service, rushes: Callable[..., Result]
) -> None:
    keyed = [{**gateway(name), "configured": True} for name in ("aivideoapi", "easyrouter", "evolink")]
    service.answer("GET", "/v1/providers", {"data": [*keyed, without_key("apiframe")]})
    problem = {
        "code": "balance_unknown",
        "detail": "aivideoapi answers GET /v1/credits with 503: ask again in a while.",
    }
    service.answer("POST", "/v1/providers/aivideoapi/balance", problem, 502)
    service.answer("POST", "/v1/providers/evolink/balance", balance())
    done = rushes("providers", "balance")
    assert (done.exit_code, "evolink\tdifference\t0 credits" in done.stdout) == (1, True)
    assert "error: aivideoapi answers GET /v1/credits with 503" in done.stderr
    assert [each["path"] for each in service.asked if each["method"] == "POST"] == [
        "/v1/providers/aivideoapi/balance",
        "/v1/providers/evolink/balance",
    ]


def test_where_none_can_be_asked_those_that_could_be_are_named(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/providers", {"data": [without_key("evolink"), without_key("gravitex")]})
    done = rushes("providers", "balance")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no gateway with a key here tells its balance; evolink would" in done.stderr
