"""Known vulnerabilities in what requirements.txt locks: `python .ci/advisories.py`, part of `make lint`.

Asks the OSV database by way of pip-audit. Where it cannot be reached, or does not answer in time, this says so and
passes: a check that needs the network must neither stop work without it nor hang. Findings fail.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import requests

LOCK = Path(__file__).parents[1] / "requirements.txt"
DATABASE = "https://api.osv.dev/v1/query"
REACH_S, WHOLE_S = 5, 180
FOUND = 1  # pip-audit's exit status for findings, and for whatever else went wrong


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--database", default=DATABASE, help="the address of OSV's queries")
    asked.add_argument("--lock", type=Path, default=LOCK, help="the hashed requirements to look at")
    asked.add_argument("--within", type=float, default=WHOLE_S, metavar="S", help="give up after so many seconds")
    given = asked.parse_args()
    probe = {"package": {"ecosystem": "PyPI", "name": "flask"}, "version": "3.1.0"}
    try:
        requests.post(given.database, json=probe, timeout=REACH_S).raise_for_status()
    except requests.RequestException as error:
        return skip(f"their database cannot be reached ({type(error).__name__})")
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(given.lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", given.database, "--progress-spinner", "off"]
    try:
        return FOUND if subprocess.run(command, timeout=given.within, check=False).returncode else 0
    except subprocess.TimeoutExpired:
        return skip(f"their database did not answer within {given.within:g} s")


def skip(why: str) -> int:
    sys.stdout.write(f"advisories: not looked at, {why}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
