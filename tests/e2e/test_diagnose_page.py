"""docs/how-to/diagnose.md as somebody follows it whose service has the ill that a step of it finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from canaries import canary
from test_docs_blocks import TOOLS, blocks
from whole_machine import until

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "diagnose.md"
(DOCTOR, READY, JOB, ATTENTION, LISTS, FIGURES, NOTICE, LOG, REQUEST_ID) = (block.code for block in blocks(PAGE))
SUBMIT, SHOW = JOB.strip().splitlines()
GATEWAYS = ("aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink")
# Events that the page names, and that a job which is archived and told of leaves behind.
NAMED = set(re.findall(r"`((?:job|callback|video|notice)_[a-z]+)`", PAGE.read_text(encoding="utf-8")))

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="`rushes up` runs its stores the Linux way"),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
    pytest.mark.timeout(300),
]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(house: Any, tmp_path: Path) -> Run:
    """Runs blocks of the page in the folder where `rushes up --sandbox` runs, with these variables."""
    (tmp_path / ".rushes").symlink_to(house.data_dir)
    log = house.data_dir / "logs" / "service.log"  # where it speaks to a person; to a test it prints the same lines
    log.parent.mkdir(exist_ok=True)
    if not log.is_symlink():
        log.symlink_to(house.data_dir.parent / "up.err")

    def run(*code: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = ["bash", "-euo", "pipefail", "-c", "\n".join(code)]
        env = house.environment(**more)
        return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def fault(house: Any) -> Callable[..., None]:
    """Puts a fault of the sandbox's menu on every gateway, for each of its orders."""

    def put(name: str, **what: Any) -> None:
        for provider in GATEWAYS:
            body = {"provider": provider, "fault": name, "times": 5, **what}
            url = f"http://127.0.0.1:{house.kept['sandbox']['port']}/control/faults"
            requests.post(url, json=body, timeout=10).raise_for_status()

    return put


def submit(run: Run, line: str = SUBMIT) -> str:
    """The job that the page's own line makes."""
    done = run(line, 'echo "$JOB"')
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def shown(run: Run, job_id: str, *words: str) -> str:
    """What the page's own line shows of it, once these words stand in it."""
    said: list[str] = []

    def is_said() -> bool:
        said[:] = [run(SHOW, JOB=job_id).stdout]
        return all(word in said[0] for word in words)

    until(is_said)
    return said[0]


def test_the_page_has_these_steps_and_each_is_followed_here() -> None:
    steps = [
        (DOCTOR, "rushes doctor"),
        (READY, "/readyz"),
        (ATTENTION, "rushes audit"),
        (LISTS, "rushes callbacks list"),
        (FIGURES, "rushes callbacks figures"),
    ]
    steps += [
        (JOB, "rushes jobs show"),
        (NOTICE, "rushes notices show"),
        (LOG, "service.log"),
        (REQUEST_ID, "request_id"),
    ]
    assert [words for block, words in steps if words not in block] == []
    assert {"job_created", "job_claim", "job_accept", "job_finish", "job_store", "job_answered"} <= NAMED


def test_the_doctor_finds_a_key_that_is_refused_and_says_what_to_do(house: Any, run: Run) -> None:
    well = run(DOCTOR)
    assert well.returncode == 0, well.stdout
    url = f"http://127.0.0.1:{house.kept['sandbox']['port']}/evolink"
    wrong = {"RUSHES_EVOLINK_API_KEY": f"sk-{canary()}", "RUSHES_EVOLINK_BASE_URL": url, "RUSHES_STAND_INS": "evolink"}
    ill = run(DOCTOR, **wrong)
    assert ill.returncode == 1
    (line,) = [line.split("\t") for line in ill.stdout.splitlines() if line.startswith("fail")]
    assert line[1] == "evolink"
    assert "the key is refused" in line[2]
    assert "RUSHES_EVOLINK_API_KEY" in line[3]


def test_readyz_names_the_part_that_is_away(house: Any, run: Run) -> None:
    def parts() -> dict[str, str]:
        told: dict[str, str] = json.loads(run(READY).stdout)["parts"]
        return told

    assert parts()["valkey"] == "ok"
    valkey = redis.Redis.from_url(house.valkey.url)
    valkey.execute_command("CLIENT", "PAUSE", 4000)
    valkey.close()
    away = parts()
    assert (away["valkey"] != "ok", away["database"]) == (True, "ok")
    until(lambda: requests.get(f"{house.url}/readyz", timeout=5).ok)


def test_a_job_that_waits_says_for_what(house: Any, run: Run) -> None:
    _, key = api_keys.create(house.database, "operator", Scope.ADMIN)
    for provider in GATEWAYS:
        assert run(f"rushes providers rest {provider}", RUSHES_API_KEY=key).returncode == 0
    said = shown(run, submit(run), "queued", "by_hand")
    assert re.search(r"^waiting\t.*\(by_hand\).*looked at again at", said, re.MULTILINE)


def test_a_job_whose_answer_was_lost_says_so_and_is_in_the_list_of_what_is_mine_to_do(
    run: Run, fault: Callable[..., None]
) -> None:
    fault("lose_answer", how="reset")
    fault("lose_callback")
    job_id = submit(run)
    shown(run, job_id, "unconfirmed")
    done = run(ATTENTION)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"unconfirmed.*{job_id}|{job_id}.*unconfirmed", done.stdout)
    until(lambda: '"level": "warning"' in run(LOG, JOB=job_id).stdout)


def test_a_job_that_failed_says_why_and_whether_to_try_again(run: Run, fault: Callable[..., None]) -> None:
    fault("fail", retryable=False)
    said = shown(run, submit(run), "failed")
    assert re.search(r"^error\.code\t\w+", said, re.MULTILINE)
    assert re.search(r"^error\.retryable\tFalse", said, re.MULTILINE)


def test_what_came_and_was_told_of_an_archived_job_stands_in_the_lists_and_in_the_log(run: Run) -> None:
    """A receiver that nobody serves: its notice shows the tries."""
    job_id = submit(run, SUBMIT.replace("--duration 2", "--duration 2 --notify-url http://127.0.0.1:1/hook"))
    shown(run, job_id, "archived")
    lists = run(LISTS).stdout
    assert re.search(rf"cbk_\d+.*{job_id}", lists)
    assert re.search(rf"ntc_\w+.*{job_id}", lists)
    until(lambda: re.search(r"^(1|try)\b", run(NOTICE, JOB=job_id).stdout, re.MULTILINE))
    untold = {"notice_delivered"}  # nobody takes the notice

    def missing() -> set[str]:
        return NAMED - set(re.findall(r'"event": "(\w+)"', run(LOG, JOB=job_id).stdout))

    until(lambda: missing() <= untold)
    assert missing() == untold


def test_a_callback_that_did_not_come_is_in_no_list_and_counts_as_lost(run: Run, fault: Callable[..., None]) -> None:
    fault("lose_callback")
    job_id = submit(run, SUBMIT.replace("--duration 2", "--duration 2 --provider apiframe"))
    shown(run, job_id, "archived")
    assert job_id not in run(LISTS).stdout
    (figures,) = [line.split("\t") for line in run(FIGURES).stdout.splitlines() if line.startswith("apiframe")]
    assert "1 (100.0%)" in figures


def test_a_refusal_is_found_in_the_log_by_its_request_id(run: Run) -> None:
    found: list[str] = []

    def is_there() -> bool:
        done = run(REQUEST_ID)
        found[:] = [done.stdout]
        return done.returncode == 0

    until(is_there)
    assert '"event": "request_refused"' in found[0]
    assert "unknown_job" in found[0]
