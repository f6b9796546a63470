"""The client as a distribution of its own."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import rushes_client
from rushes_client import Client
from rushes_client.connection import Connection

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "client" / "rushes_client"


def connection(**more: object) -> Connection:
    return Connection("https://rushes.example.com/", "rk_1", timeout_s=30, patience_s=60, **more)


def test_the_version_that_the_client_tells_is_the_one_it_is_released_under() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]
    assert rushes_client.__version__ == project["version"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["requests"]


def test_types_are_shipped_and_every_public_name_is_there() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert all(hasattr(rushes_client, name) for name in rushes_client.__all__)


@pytest.mark.parametrize("missing", ["RUSHES_URL", "RUSHES_API_KEY"])
def test_a_client_that_lacks_its_settings_says_which_and_what_to_set(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSHES_URL", "https://rushes.example.com")
    monkeypatch.setenv("RUSHES_API_KEY", "rk_1")
    assert repr(Client()) == "Client('https://rushes.example.com')"
    monkeypatch.delenv(missing)
    with pytest.raises(ValueError, match=f"{missing} is not set; set it to .*, or give it to Client"):
        Client()


@pytest.mark.parametrize(
    "url", ["rushes.example.com", "ftp://rushes.example.com", "https://", "https://a b", "https://[::1", "/v1"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a service"):
        Client(url, "rk_1")


def test_a_key_that_was_read_with_its_line_break_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="a line break at its end") as caught:
        Client("https://rushes.example.com", "rk_1\n")
    assert "rk_1" not in str(caught.value)


def test_pauses_grow_to_a_limit_are_spread_and_never_shorter_than_the_service_asks() -> None:
    late, soon = connection(draw=lambda: 1.0), connection(draw=lambda: 0.0)
    assert [late.backoff_s(tries) for tries in (0, 1, 2, 5, 500)] == [0.5, 1, 2, 8, 8]
    assert [soon.backoff_s(tries) for tries in (0, 1, 2, 5, 500)] == [0.25, 0.5, 1, 4, 4]
    assert (soon.backoff_s(0, 20), late.backoff_s(0, 20), soon.backoff_s(5, 0)) == (20, 22, 4)
