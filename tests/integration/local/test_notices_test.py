"""`rushes notices test`: a receiver that verifies hears a signed notice once, and what it answers is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask, request
from served import Served, serve_app
from standardwebhooks import Webhook

from rushes.cli import main
from rushes.local import installation


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A data folder of `rushes up`, which may reach receivers on this machine."""
    monkeypatch.setenv("RUSHES_ALLOW_PRIVATE_ADDRESSES", "1")
    monkeypatch.setenv("RUSHES_DATA_DIR", str(tmp_path))
    kept: dict[str, Any] = installation.with_free_ports(installation.new_installation())
    (tmp_path / "local.json").write_text(json.dumps(kept))
    return kept


class Receiver:
    def __init__(self) -> None:
        self.app, self.heard, self.status = Flask(__name__), list[tuple[dict[str, str], bytes]](), 204

        @self.app.post("/hook")
        def hear() -> tuple[str, int]:
            self.heard.append(({name.lower(): value for name, value in request.headers}, request.get_data()))
            return "", self.status


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def served(receiver: Receiver) -> Iterator[Served]:
    served = serve_app(receiver.app)
    yield served
    served.close()


def tried(url: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["notices", "test", url, *more])


def test_a_receiver_verifies_it_by_the_installations_secret(
    kept: dict[str, Any], receiver: Receiver, served: Served
) -> None:
    result = tried(f"{served.url}/hook")
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert f"{served.url}/hook answered 204 after " in result.stderr
    ((headers, body),) = receiver.heard
    told = Webhook(kept["notice_secrets"].split(",")[0]).verify(body, headers)
    assert (told["type"], told["data"]["id"]) == ("test", "job_" + "0" * 26)


def test_what_a_receiver_refuses_is_told_with_what_may_be_wrong(
    kept: dict[str, Any], receiver: Receiver, served: Served
) -> None:
    receiver.status = 401
    result = tried(f"{served.url}/hook", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["url"], told["status"], told["error"]) == (f"{served.url}/hook", 401, "answered 401")
    assert "does it verify with this installation's secret?" in result.stderr
    assert len(receiver.heard) == 1


def test_one_that_is_away_is_told(kept: dict[str, Any], served: Served) -> None:
    served.close()
    result = tried(f"{served.url}/hook")
    assert result.exit_code == 1
    assert "is it up, and reached from here?" in result.stderr


def test_an_address_inside_is_not_tried_unless_it_is_open(
    kept: dict[str, Any], receiver: Receiver, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUSHES_ALLOW_PRIVATE_ADDRESSES")
    result = tried(served.url.replace("http", "https") + "/hook")
    assert (result.exit_code, receiver.heard) == (1, [])
    assert "RUSHES_NOTIFY_HOSTS opens receivers inside" in result.stderr
