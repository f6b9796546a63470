"""Reads everything that a test run logs, and fails the run if a secret stands in it in clear.

What is read: the standard output and error of every test process, all that supervised children printed (the Procfile's
processes, the stores, the stand-ins), and the output files of commands that tests started. pytest's own "Captured log"
is left out: it formats records by itself, before they are masked, and no installation writes that.

Secrets are known by their shape, and those that a test installation made up for itself by their values. A secret that
the tests give to something should therefore have one of the shapes, or be one of canaries.py.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from canaries import CANARY

SHAPES = {
    "callback token": r"\b[\w-]{1,16}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_.-])",
    "API key": r"\brk_[0-9a-f]{40}",
    "key of a gateway": r"\b(?:afk_|sk-)(?:sandbox|test|[A-Za-z0-9]{16,})\b",
    "secret of notices": r"\bwhsec_[A-Za-z0-9+/=]{24,}",
    "signature": r"\b(?i:X-Amz-(?:Signature|Credential|Security-Token)|Signature|sig)=[^\s…&\"']{6,}",
    "password in a URL": r"\b[a-z][a-z0-9+]*://[^\s:/@\"'<{]*:[^\s:/@\"'…<{*]+@[\w.\[-]",
    "key of callbacks": "0123456789abcdef0123456789abcdef",  # as test installations have it
    "canary": rf"{CANARY}[0-9a-f]{{16,}}",
}
LEAK = re.compile("|".join(f"(?P<shape{n}>{shape})" for n, shape in enumerate(SHAPES.values())))
SHOWN_ONCE = re.compile(SHAPES["API key"])
CHILDREN = "children.said"
SHOWN = 20
SHORTEST = 16  # tests of the folder keep words of their own where secrets stand

_found: list[str] = []


def leaks(text: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """What was found, by kind, with its first characters: the report is a log as well."""
    for match in LEAK.finditer(text):
        kind = list(SHAPES)[next(n for n in range(len(SHAPES)) if match[f"shape{n}"])]
        before = text[max(0, match.start() - 60) : match.start()].rpartition("\n")[2]
        yield f"{kind}: …{before}{match[0][:10]}…"
    yield from (f"secret of an installation: {value[:4]}…" for value in known if value in text)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Tee what supervised children print into a file of this test process."""
    from rushes.local import process
    from rushes.local.output import OnLine, Reader

    config = session.config
    folder = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    said = (folder / f"{os.getpid()}-{CHILDREN}").open("a", encoding="utf-8", buffering=1)
    config.add_cleanup(said.close)

    class Tee(Reader):
        def __init__(self, name: str, stream: Any, on_line: OnLine) -> None:
            def both(name: str, line: str) -> None:
                if not said.closed:
                    said.write(f"{name}: {line}\n")
                on_line(name, line)

            super().__init__(name, stream, both)

    process.Reader = Tee  # type: ignore[misc]
    config.add_cleanup(lambda: setattr(process, "Reader", Reader))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for title, text in report.sections:
        if " log" not in title:
            _found.extend(f"{report.nodeid} ({title}): {leak}" for leak in leaks(text))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return  # its reports and files are read where they come together
    base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    known = frozenset(v for file in _files(base, "local.json") for v in _made_up(file) if len(v) >= SHORTEST)
    for pattern in (f"*-{CHILDREN}", "*.out", "*.err", "*.log"):
        for file in _files(base, pattern):
            text = file.read_text(encoding="utf-8", errors="replace")
            if file.suffix == ".out":  # results, not logs: `rushes up` and `rushes keys create` show a key once, there
                text = SHOWN_ONCE.sub("rk_…", text)
            _found.extend(f"{file.relative_to(base)}: {leak}" for leak in leaks(text, known))
    if _found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _found:
        terminalreporter.section("secrets in clear", red=True)
        for line in list(dict.fromkeys(_found))[:SHOWN]:
            terminalreporter.line(line)
        terminalreporter.line(f"{len(_found)} in all; mask them where they are written (jobs/logs.py)")


def _files(base: Path, pattern: str) -> Iterator[Path]:
    """What is there below; a store that is still ending takes folders of its own away meanwhile."""
    for folder, _, names in os.walk(base):
        for name in fnmatch.filter(names, pattern):
            if (file := Path(folder, name)).is_file():
                yield file


def _made_up(file: Path) -> Iterator[str]:
    """The secrets that `rushes up` made up for an installation of a test."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        yield from (part.partition(":")[2] for part in kept.get("callback_keys", "").split(","))
        yield kept["api_key"]["key"]
        yield kept["valkey"]["password"]
        yield kept["seaweedfs"]["secret_key"]
        yield base64.b64decode(kept["notice_secrets"].removeprefix("whsec_")).hex()
        yield kept["notice_secrets"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
