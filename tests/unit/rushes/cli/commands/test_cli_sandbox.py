import pytest
from click.testing import CliRunner

from rushes.cli import main
from rushes.cli.commands import sandbox


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "find_spec", lambda name: None)
    refused = CliRunner().invoke(main, ["sandbox", "--help"])
    assert refused.exit_code == 1
    assert "needs Pillow" in refused.stderr
    assert "rushes[cli,local]" in refused.stderr
