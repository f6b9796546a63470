"""Each promise's tests see its protections: with one of them taken away, its test turns red."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from protection import Protection
from protections import PROTECTIONS

HERE = Path(__file__).parent
TESTS = HERE.parent
WITHIN_S = 110
# How a test says that what it saw is not what it demands. Anything else may be a fault of this run's own.
DEMANDS = ("AssertionError", "assert ", "Failed: ")


@pytest.mark.prove
@pytest.mark.parametrize("protection", PROTECTIONS, ids=[f"{each.promise}: {each.words}" for each in PROTECTIONS])
def test_a_promises_test_turns_red_without_the_protection_that(protection: Protection) -> None:
    with tempfile.TemporaryDirectory() as folder:  # not below this run's own, whose files are searched for secrets
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-n0", "--tb=short", "-p", "no:cacheprovider", "-p", "taken_away"]
        command += ["--without", protection.words, f"--junitxml={report}", f"--basetemp={folder}/run"]
        there = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        path = os.pathsep.join([str(HERE), str(TESTS / "simulation")])  # a plugin is sought before pytest's own is set
        done = subprocess.run(
            [*command, str(TESTS / protection.test)],
            cwd=TESTS.parent,
            env={**there, "PYTHONPATH": path, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        told = f"{protection.test}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        assert done.returncode == 1, f"not red, or not a test: {told}"
        failures = [case.find("failure") for case in ElementTree.parse(report).iter("testcase")]
    said = [None if failure is None else failure.attrib["message"] for failure in failures]
    assert all(each is not None and each.startswith(DEMANDS) for each in said), f"{said}: {told}"
