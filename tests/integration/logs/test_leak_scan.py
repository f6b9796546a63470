"""The scan of everything that the test run logs bites, wherever a secret comes out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import canary
from leak_scan import SHAPES, leaks

from jobs.callback_urls import mint
from jobs.logs import mask

ROOT = Path(__file__).parents[3]
KEY = "rk_" + "0123456789" * 4
URL = mint("https://rushes.example", {"k1": b"a secret of the callbacks"}, "evolink", "job_1", 1)
LEAKS = {
    "callback token": URL,
    "API key": f"key {KEY} is unknown",
    "key of a gateway": "Authorization: Bearer sk-sandbox",
    "secret of notices": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "signature": "https://s3.example/a.mp4?X-Amz-Algorithm=x&X-Amz-Signature=0123456789abcdef gone",
    "password in a URL": "redis://:hunter2@127.0.0.1:6379/0",
    "key of callbacks": "k1:0123456789abcdef0123456789abcdef",
    "canary": f"requirepass {canary()}",
}
TESTS = f'''
import logging, sys
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

def test_output():
    print("{LEAKS["callback token"]}")

def test_errors():
    print("{LEAKS["API key"]}", file=sys.stderr)

def test_child():
    with Supervisor() as supervisor:
        supervisor.finish(Process("child", [sys.executable, "-c", "print('{LEAKS["canary"]}')"]))

def test_command(tmp_path):
    (tmp_path / "up.err").write_text("{LEAKS["signature"]}")
'''
CLEAN = """
def test_clean(tmp_path):
    print("POST https://rushes.example/webhooks/evolink/job_1/1/… rk_… job_01K8Z3V0QWERTYUIOPASDFGHJK")
    (tmp_path / "up.err").write_text("redis://:…@127.0.0.1:6379/0")
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A test run of its own, with this project's plugin."""
    (folder / "test_one.py").write_text(text)
    (folder / "conftest.py").write_text(f"import sys\nsys.path[:0] = [{str(ROOT)!r}]\npytest_plugins = ['leak_scan']\n")
    # The plugin is found beside the conftest; it must not be loaded before pytest can rewrite it.
    for name in ("leak_scan.py", "canaries.py"):
        (folder / name).symlink_to(ROOT / "tests" / name)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "base")]
    argv += ["-p", "no:schemathesis", "--rootdir", str(folder), "-c", "/dev/null", *options, str(folder)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False, cwd=folder)
    shutil.rmtree(folder / "base")  # our own run is scanned as well
    return result


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "in parallel"])
def test_a_run_that_logs_a_secret_fails_although_its_tests_pass(tmp_path: Path, options: list[str]) -> None:
    result = run(tmp_path, TESTS, *options)
    assert result.returncode == 1, result.stdout + result.stderr
    said = result.stdout.partition("secrets in clear")[2]
    for kind in ("callback token", "API key", "canary", "signature"):
        assert kind in said, said
    assert KEY not in said
    assert URL.rpartition("/")[2] not in said


def test_a_run_that_logs_none_passes(tmp_path: Path) -> None:
    result = run(tmp_path, CLEAN)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_of_secret_is_known_by_its_shape(kind: str) -> None:
    assert [found.partition(":")[0] for found in leaks(LEAKS[kind])] == [kind]


@pytest.mark.parametrize("kind", [kind for kind in SHAPES if kind not in ("canary", "key of callbacks")])
def test_what_the_log_masks_is_none_any_more(kind: str) -> None:
    assert list(leaks(mask(LEAKS[kind]))) == []


def test_what_an_installation_made_up_is_known_by_its_value() -> None:
    assert list(leaks("dir D requirepass 4f9a", frozenset({"4f9a"}))) == ["secret of an installation: 4f9a…"]


@pytest.mark.parametrize(
    "text",
    [
        "job_01K8Z3V0QWERTYUIOPASDFGHJK archived",
        "2026-11-21T17:02:30.660879Z sha256 " + "ab" * 32,
        "https://rushes.example/webhooks/evolink/job_1/1/…",
        "rk_…, redis://:…@host:1/0, postgresql://rushes:***@host/db",
        "rushes.local.supervisor and https://docs.example/a?b=c",
    ],
)
def test_what_is_no_secret_is_let_pass(text: str) -> None:
    assert list(leaks(text)) == []
