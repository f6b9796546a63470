import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rushes.local import installation
from rushes.local.installation import becomes_free, new_installation, with_free_ports


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


@pytest.fixture
def kept() -> dict[str, Any]:
    return new_installation()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PATIENCE_S", 0.1)


def test_two_installations_share_nothing(kept: dict[str, Any]) -> None:
    other = new_installation()
    assert kept.keys() == other.keys()
    for part in kept:
        assert kept[part] != other[part]


def test_ports_that_are_free_stay(kept: dict[str, Any]) -> None:
    assert with_free_ports(kept) == kept


@pytest.mark.parametrize("part", ["valkey", "sandbox"])
def test_a_port_that_is_taken_is_drawn_anew_and_the_rest_stays(kept: dict[str, Any], part: str) -> None:
    with taken(kept[part]["port"]):
        renewed = with_free_ports(kept)
    assert renewed[part]["port"] != kept[part]["port"]
    assert {**renewed, part: None} == {**kept, part: None}
    assert {**renewed[part], "port": None} == {**kept[part], "port": None}


def test_the_bucket_keeps_its_keys_on_new_ports(kept: dict[str, Any]) -> None:
    with taken(kept["seaweedfs"]["ports"]["filer.port"]):
        renewed = with_free_ports(kept)["seaweedfs"]
    assert renewed["ports"].keys() == kept["seaweedfs"]["ports"].keys()
    assert not set(renewed["ports"].values()) & set(kept["seaweedfs"]["ports"].values())
    assert {**renewed, "ports": None} == {**kept["seaweedfs"], "ports": None}


def test_a_port_that_somebody_is_letting_go_of_is_waited_for(
    kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "PATIENCE_S", 10)
    port = kept["valkey"]["port"]
    holder = socket.create_server(("127.0.0.1", port))
    monkeypatch.setattr(installation.time, "sleep", lambda _: holder.close())
    assert becomes_free(port)
