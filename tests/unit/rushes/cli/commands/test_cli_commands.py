import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rushes.cli import main
from rushes.cli.root import COMMANDS
from rushes.cli.terminal.failures import MEANINGS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that the environment names, and nothing else of ours in the environment."""
    for name in ("RUSHES_URL", "RUSHES_API_KEY", "RUSHES_DATABASE_URL", "RUSHES_S3_BUCKET", "RUSHES_EVOLINK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUSHES_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose environment is whole, with a migrated database."""
    monkeypatch.setenv("RUSHES_S3_BUCKET", "videos")
    assert run("db", "upgrade").exit_code == 0
    return folder


def run(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(main, arguments, **more)


def test_help_teaches_by_example_and_lists_every_command_and_exit_status() -> None:
    said = run("--help").stdout
    assert "rushes up --sandbox" in said
    assert 'rushes submit "A red fox in snow" --wait' in said
    for name in COMMANDS:
        assert f"  {name} " in said
    for code, meaning in MEANINGS.items():
        assert f"{code:<4} {meaning}" in said


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "sandbox"])
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 5


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("rushes 0.")


def test_without_arguments_there_is_help_and_the_status_of_wrong_usage() -> None:
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["up", "--port", "0"],
        ["up", "--speed", "2"],
        ["submit"],
        ["submit", "fox", "--timeout", "3"],
        ["submit", "fox", "--metadata", "shot"],
        ["submit", "fox", "--duration", "long"],
        ["jobs", "list", "--limit", "0"],
        ["keys", "create", " "],
        ["sweep"],
    ],
)
def test_wrong_usage_is_an_error_with_a_status_of_its_own(arguments: list[str], folder: Path) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_up_without_any_gateway_says_what_to_do(folder: Path) -> None:
    result = run("up")
    assert result.exit_code == 2
    assert "no gateway has an API key" in result.stderr
    assert "hint: set RUSHES_EVOLINK_API_KEY or another gateway's key, or add --sandbox" in result.stderr
    assert not folder.exists()


def test_a_misspelt_key_is_named_where_no_gateway_has_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_EVOLINK_APIKEY", "key")
    said = run("up").stderr
    assert "RUSHES_EVOLINK_APIKEY is no setting; did you mean RUSHES_EVOLINK_API_KEY?" in said


def test_settings_that_are_missing_are_named_one_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_POLL_INTERVAL_S", "often")
    result = run("keys", "list")
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert {line.split()[1] for line in lines} == {"RUSHES_POLL_INTERVAL_S", "RUSHES_S3_BUCKET"}


def test_a_key_is_made_listed_and_revoked(machine: Path) -> None:
    made = json.loads(run("keys", "create", "render farm", "--json").stdout)
    assert (list(made), made["scope"]) == (["id", "name", "key", "scope", "notify_url"], "write")
    assert (made["id"][:4], made["name"], made["key"][:3]) == ("key_", "render farm", "rk_")
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert [(row["id"], row["name"], row["revoked_at"]) for row in listed] == [(made["id"], "render farm", None)]
    assert made["key"] not in run("keys", "list").stdout
    assert json.loads(run("keys", "revoke", made["id"], "--json").stdout) == {"id": made["id"], "revoked": True}
    again = run("keys", "revoke", made["id"])
    assert again.exit_code == 3
    assert "error: no live key has the id" in again.stderr


def test_a_key_alone_stands_on_stdout(machine: Path) -> None:
    result = run("keys", "create", "bob")
    assert result.stdout.startswith("rk_")
    assert len(result.stdout.split()) == 1
    assert "will not be shown again" in result.stderr


def test_the_database_is_made_in_a_private_folder_and_can_be_checked(machine: Path) -> None:
    assert stat.S_IMODE(machine.stat().st_mode) == 0o700
    assert json.loads(run("db", "upgrade", "--json").stdout) == {"status": "up to date"}
    assert json.loads(run("db", "check", "--json").stdout) == {"status": "up to date"}


def test_a_database_of_another_version_says_how_to_bring_it_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_S3_BUCKET", "videos")
    folder.mkdir()
    result = run("db", "check")
    assert result.exit_code == 1
    assert "hint: run `rushes db upgrade`" in result.stderr


def test_a_database_that_is_not_there_has_a_status_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_S3_BUCKET", "videos")
    result = run("keys", "list")  # there is no data folder
    assert result.exit_code == 8
    assert result.stderr.startswith("error: the database cannot be used")


def test_a_job_s_id_that_cannot_be_one_is_not_found(folder: Path) -> None:
    assert run("jobs", "show", "../../keys").exit_code == 3


def test_a_setting_that_up_got_from_outside_is_asked_for(folder: Path) -> None:
    folder.mkdir()
    (folder / "local.json").write_text(json.dumps({"served": {"outside": ["RUSHES_DATABASE_URL"]}}))
    result = run("keys", "list")
    assert result.exit_code == 2
    assert "RUSHES_DATABASE_URL" in result.stderr


def test_a_submit_that_nobody_answers_says_how_to_repeat_it_safely(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rushes.cli.service.api.PATIENCE_S", 0)
    monkeypatch.setenv("RUSHES_URL", "http://127.0.0.1:1")
    result = run("submit", "fox", "--idempotency-key", "k1")
    assert (result.exit_code, result.stdout) == (8, "")
    assert result.stderr.startswith("error: http://127.0.0.1:1 does not answer")
    assert "--idempotency-key k1" in result.stderr


def test_a_key_has_the_scope_that_was_asked_for_and_the_list_shows_it_with_its_last_use(machine: Path) -> None:
    made = json.loads(run("keys", "create", "dashboard", "--scope", "read", "--json").stdout)
    assert made["scope"] == "read"
    [listed] = json.loads(run("keys", "list", "--json").stdout)
    assert (listed["scope"], listed["last_used_at"]) == ("read", None)
    assert run("keys", "create", "x", "--scope", "everything").exit_code == 2
    assert run("keys", "list").stdout.split("\t")[2] == "read"


def test_a_key_has_a_place_for_notices_of_its_jobs(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_NOTICE_SECRETS", "whsec_" + "A" * 32)
    made = run("keys", "create", "farm", "--notify-url", "https://farm.example/hook?token=t", "--json")
    assert json.loads(made.stdout)["notify_url"] == "https://farm.example/hook?…"
    run("keys", "create", "plain")
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert [row["notify_url"] for row in listed] == ["https://farm.example/hook?…", None]
    assert run("keys", "list").stdout.splitlines()[0].endswith("\thttps://farm.example/hook?…")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "http://farm.example/hook",
            "http is not https; send a public https URL, or one that RUSHES_NOTIFY_HOSTS opens.",
        ),
        (
            "https://127.0.0.1/hook",
            "127.0.0.1 is not a public address; send a public https URL, or one that RUSHES_NOTIFY_HOSTS opens.",
        ),
        (
            "farm",
            "no scheme is not https; send a public https URL, or one that RUSHES_NOTIFY_HOSTS opens.",
        ),
        ("https://farm.example/\udcff", "Holds characters that no URL has; send https://host/path."),
    ],
)
def test_a_place_where_no_notice_can_go_is_wrong_usage(
    machine: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    monkeypatch.setenv("RUSHES_NOTICE_SECRETS", "whsec_" + "A" * 32)
    result = run("keys", "create", "farm", "--notify-url", url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_a_place_for_notices_needs_notices_to_be_on(machine: Path) -> None:
    result = run("keys", "create", "farm", "--notify-url", "https://farm.example/hook")
    assert result.exit_code == 2
    assert "Notices are off here: the operator sets RUSHES_NOTICE_SECRETS." in result.stderr
