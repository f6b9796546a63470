from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from rushes.cli import main
from rushes.cli.terminal.failures import MEANINGS

HEAVY = ("boto3", "celery", "flask", "requests", "rich", "sqlalchemy", "marshmallow")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_s_script_asks_rushes_itself(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_RUSHES_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rushes jo", "jobs"),
        ("rushes jobs wat", "watch"),
        ("rushes submit --neg", "--negative-prompt"),
        ("rushes keys create x --scope ad", "admin"),
    ],
)
def test_commands_options_and_choices_are_offered(words: str, offered: str) -> None:
    env = {"_RUSHES_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    result = CliRunner().invoke(main, [], prog_name="rushes", env=env)
    assert f"plain,{offered}" in result.stdout.splitlines()


def test_exit_statuses_are_stable() -> None:
    assert list(MEANINGS) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = f"import rushes.cli, sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
