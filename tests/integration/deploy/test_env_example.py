""".env.example is true to jobs/settings.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import compose_file
from compose_file import EXAMPLE

from jobs.environment.numbers import GOING, NUMBERS
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from storage.outbound import trust

OF_THE_PROCFILE = {"PORT"}
ELSEWHERE = {*trust.VARIABLES}  # whose names are not ours: read as by other programs


class Listening(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_, self.asked = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_it_names_every_setting_and_no_other() -> None:
    environment = Listening({"RUSHES_S3_BUCKET": "rushes"})
    load(environment)
    going = {f"RUSHES_{old}" for old in GOING.values()}  # read, and no longer shown
    settings = {name for name in environment.asked - going - ELSEWHERE - OF_THE_PROCFILE if not name.endswith("_FILE")}
    named = set(compose_file.example(off=True)) | set(compose_file.example(off=False))
    assert {f"{name}_FILE" for name in settings} <= environment.asked
    assert named == settings | compose_file.variables() | ELSEWHERE


def test_its_numbers_are_the_defaults_and_say_what_they_mean() -> None:
    expected = "".join(f"# {meaning}\n#RUSHES_{name}={default:.15g}\n" for name, (default, meaning) in NUMBERS.items())
    assert EXAMPLE.read_text().endswith(expected), f"the end of .env.example should read:\n{expected}"


def test_its_gateways_are_at_their_usual_addresses() -> None:
    shown = compose_file.example(off=True)
    assert {name: shown[f"RUSHES_{name.upper()}_BASE_URL"] for name in PROVIDERS} == {
        name: provider.base_url for name, provider in PROVIDERS.items()
    }


def test_its_switches_are_the_words_there_are() -> None:
    shown = compose_file.example(off=True)
    assert {name: shown[f"RUSHES_{name.upper()}_UNDOCUMENTED"] for name in PROVIDERS} == {
        name: ",".join(provider.switches) for name, provider in PROVIDERS.items()
    }


def test_its_paces_are_the_gateways_own() -> None:
    shown = compose_file.example(off=True)
    assert {name: float(shown[f"RUSHES_{name.upper()}_QUERIES_PER_S"]) for name in PROVIDERS} == {
        name: provider.polling.budget_per_s for name, provider in PROVIDERS.items()
    }


def test_what_is_said_of_a_gateway_reaches_the_service() -> None:
    env = compose_file.filled_in(
        RUSHES_EVOLINK_API_KEY="sk-1",
        RUSHES_EVOLINK_DAILY_USD="50",
        RUSHES_EVOLINK_QUERIES_PER_S="2.5",
        RUSHES_EVOLINK_USD_PER_S="720p=0.10,1080p=0.15,video-edit/1080p=0.30",
        RUSHES_APIFRAME_USD_PER_CREDIT="0.01",
        RUSHES_GRAVITEX_UNDOCUMENTED=compose_file.example(off=True)["RUSHES_GRAVITEX_UNDOCUMENTED"],
    )
    terms = load(compose_file.environment(compose_file.services(env)["worker"], env)).terms
    assert (terms["evolink"].daily_usd, terms["apiframe"].usd_per_credit) == (50, 0.01)
    assert (terms["evolink"].queries_per_s, terms["apiframe"].queries_per_s) == (2.5, None)
    assert terms["evolink"].usd_per_s == {"720p": 0.10, "1080p": 0.15, "video-edit/1080p": 0.30}
    assert terms["gravitex"].undocumented == set(PROVIDERS["gravitex"].switches)


def test_once_filled_in_the_service_starts_with_it() -> None:
    env = compose_file.filled_in(RUSHES_EVOLINK_API_KEY="sk-1")
    settings = load(compose_file.environment(compose_file.services(env)["worker"], env))
    assert settings.public_url == "https://rushes.example.com"
    assert settings.s3_bucket == "rushes"
    assert set(settings.accounts) == {"evolink"}


def test_what_has_to_be_filled_in_is_empty() -> None:
    empty = {name for name, value in compose_file.example(off=False).items() if not value}
    assert empty == {
        *("POSTGRES_PASSWORD", "POSTGRES_ADMIN_PASSWORD", "VALKEY_PASSWORD", "AWS_SECRET_ACCESS_KEY"),
        *("SEAWEEDFS_CERTIFICATE", "RUSHES_CALLBACK_KEYS"),
    }
