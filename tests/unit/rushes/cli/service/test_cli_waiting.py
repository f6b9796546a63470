from typing import Any

import pytest

from rushes.cli.service import waiting
from rushes.cli.terminal import failures
from rushes.cli.terminal.failures import Failure


def job(state: str, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": "job_1", "state": state, "error": error, "provider": "evolink", "progress": 40, "overdue": False}


def test_a_video_is_no_failure() -> None:
    waiting.judge(job("archived"))


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (job("failed", {"code": "moderated", "message": "No."}), "job_1 is failed: moderated: No."),
        (job("cancelled"), "job_1 is cancelled"),
    ],
)
def test_an_end_without_a_video_has_its_own_exit_status(ended: dict[str, Any], said: str) -> None:
    with pytest.raises(Failure) as caught:
        waiting.judge(ended)
    assert (str(caught.value), caught.value.code) == (said, failures.JOB_FAILED)


def test_a_job_s_line_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    waiting.note(job("generating"))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "job_1  generating at evolink, 40 %\n")
