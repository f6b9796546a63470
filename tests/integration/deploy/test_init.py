"""`rushes init`: from a checkout to settings that the containers start with."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import compose_file
import pytest
from click.testing import CliRunner, Result
from compose_file import EXAMPLE

from jobs.settings import load
from rushes.cli import main


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.example").write_text(EXAMPLE.read_text())
    return tmp_path


def init(*more: str) -> Result:
    return CliRunner().invoke(main, ["init", "--domain", "films.example.com", *more])


def read(path: Path) -> dict[str, str]:
    lines = [line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines}


def test_what_it_writes_is_all_that_compose_and_the_service_want(checkout: Path) -> None:
    said = json.loads(init("--json").stdout)
    env = read(checkout / ".env")
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert set(said["made"]) == {
        name for name, value in env.items() if value != compose_file.example(off=False).get(name)
    } - {"RUSHES_DOMAIN"}
    assert not any(env[name] in said for name in said["made"])
    services = compose_file.services(env)
    settings = load(compose_file.environment(services["worker"], env))
    assert (settings.public_url, len(settings.callback_keys), len(settings.notice_secrets)) == (
        "https://films.example.com",
        1,
        1,
    )


def test_each_time_its_secrets_are_others_and_a_file_that_is_there_is_left_alone(checkout: Path) -> None:
    first = init()
    before = read(checkout / ".env")
    again = init()
    assert (first.exit_code, again.exit_code) == (0, 2)
    assert "is there already" in again.stderr
    assert read(checkout / ".env") == before
    (checkout / ".env").unlink()
    init()
    after = read(checkout / ".env")
    same = {name for name in before if before[name] == after[name]}
    assert same == {"RUSHES_DOMAIN", "AWS_ACCESS_KEY_ID"}
    assert all(before[name] not in first.output for name in set(before) - same)


def test_elsewhere_it_says_where_to_run_it(checkout: Path) -> None:
    (checkout / ".env.example").unlink()
    refused = init()
    assert (refused.exit_code, (checkout / ".env").exists()) == (2, False)
    assert "where docker-compose.yml is" in refused.stderr


def test_an_example_of_another_version_is_not_half_filled_in(checkout: Path) -> None:
    example = (checkout / ".env.example").read_text()
    (checkout / ".env.example").write_text(example.replace("SEAWEEDFS_CERTIFICATE=", ""))
    assert init().exit_code == 1
    assert not (checkout / ".env").exists()
