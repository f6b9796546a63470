"""What the service is installed with: its licences, and the check for known vulnerabilities."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from served import Served

ROOT = Path(__file__).parents[3]
LOCKED = re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)(.*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
PERMISSIVE = {
    "MIT",
    "MIT-0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "New BSD",
    "Apache-2.0",
    "Apache License 2.0",
    "PSF-2.0",
}
PERMISSIVE |= {"MIT License", "BSD License", "Apache Software License"}  # as classifiers have it
# Used as they are, unchanged and as libraries of their own, which is what these licences ask for.
UNCHANGED = {"certifi": {"MPL-2.0"}, "psycopg": {"LGPL-3.0-only"}, "psycopg-binary": {"LGPL-3.0-only"}}
LICENSED_LATER = {"async-timeout", "tzdata"}  # for other Pythons and systems than those the checks run on


def licences(name: str) -> set[str]:
    """What a package says of itself: an expression, the older field, or classifiers."""
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return set(re.split(r" (?:OR|AND) ", expression))
    classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License :: OSI Approved")]
    told = (about.get("License") or "").strip()
    if told and told != "Dual License" and len(told) < 40:
        return {told}
    return {classifier.rpartition(" :: ")[2] for classifier in classifiers}


@pytest.mark.parametrize("name", sorted({name for name, _, _ in LOCKED} - LICENSED_LATER))
def test_each_package_has_a_licence_that_lets_the_service_be_what_it_is(name: str) -> None:
    found = licences(name)
    assert found, f"{name} does not say what its licence is"
    assert found <= PERMISSIVE | UNCHANGED.get(name, set()), f"{name}: is {found} one that Apache-2.0 goes with?"


def test_each_exception_is_still_needed() -> None:
    names = {name for name, _, _ in LOCKED}
    assert set(UNCHANGED) | LICENSED_LATER <= names
    assert all(
        "python_full_version" in marker or "sys_platform" in marker for n, _, marker in LOCKED if n in LICENSED_LATER
    )


class Database:
    """Stands in for OSV: knows one vulnerability, or none."""

    def __init__(self, vulnerable: str | None) -> None:
        self.asked = asked = set[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = query["package"]["name"]
                asked.add(name)
                found = [{"id": "OSV-1", "summary": "made up", "aliases": [], "affected": []}]
                body = json.dumps({"vulns": found} if name == vulnerable else {}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        served = Served(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.url, self.close = f"{served.url}/v1/query", served.close


@pytest.fixture(params=[None, "click"], ids=["none known", "one known"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    one = Database(request.param)
    yield one
    one.close()


def check(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "advisories.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_check_fails_on_a_known_vulnerability_and_on_nothing_else(
    database: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    lock = tmp_path / "requirements.txt"
    pinned = (ROOT / "requirements.txt").read_text().split("\n")
    start = next(i for i, line in enumerate(pinned) if line.startswith("click=="))
    end = next(i for i, line in enumerate(pinned[start:], start) if not line.endswith("\\"))
    lock.write_text("\n".join(pinned[start : end + 1]) + "\n")
    result = check("--database", database.url, "--lock", str(lock))
    assert database.asked == {"flask", "click"}
    known = "[one known]" in request.node.name
    assert (result.returncode, "OSV-1" in result.stdout) == (int(known), known), result.stdout + result.stderr


def test_without_the_database_the_check_says_so_and_passes() -> None:
    result = check("--database", "http://127.0.0.1:1/v1/query")
    assert (result.returncode, result.stdout) == (
        0,
        "advisories: not looked at, their database cannot be reached (ConnectionError)\n",
    )


def test_a_database_that_does_not_answer_in_time_holds_nobody_up(database: Database) -> None:
    result = check("--database", database.url, "--within", "0.01")
    assert (result.returncode, result.stdout) == (
        0,
        "advisories: not looked at, their database did not answer within 0.01 s\n",
    )


def test_it_is_one_of_the_checks() -> None:
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert "$(BIN)/python .ci/advisories.py" in lint
