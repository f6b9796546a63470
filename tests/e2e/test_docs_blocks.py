"""Every block of code in the documentation, run as a reader would run it: page by page, in order, in one shell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from whole_machine import RUSHES

from jobs.intake import api_keys

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "client/*.md", "examples/*.md") for page in ROOT.glob(pattern)
)
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)

RUN = {"sh", "python"}
PARSED: dict[str, Callable[[str], Any]] = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}
SHOWN = {"text", "mermaid", "{toctree}"}

# Pages whose blocks another test runs.
ELSEWHERE = {
    "docs/how-to/diagnose.md": "tests/e2e/test_diagnose_page.py",
    "docs/restore.md": "tests/e2e/test_restore_runbook.py",
    "docs/sandbox.md": "tests/integration/sandbox/test_sandbox_page.py",
}
TESTS_THEMSELVES = "it is how these tests are run"
COSTS_MONEY = "it orders from a real gateway; test_up.py starts the same with stand-ins"
WANTS_DOCKER = "it needs Docker; test_compose_processes.py runs the same commands as plain processes"
INIT = "rushes init --domain rushes.example.com   # writes .env; add a gateway's key to it"
# page and first line of a block → why it is not run here
EXCUSED = {
    ("CONTRIBUTING.md", "make setup    # the environment in .venv, from the hashed lock"): TESTS_THEMSELVES,
    ("CONTRIBUTING.md", ".venv/bin/pytest tests/unit                              # no servers"): TESTS_THEMSELVES,
    ("CONTRIBUTING.md", "make docs    # renew what is made from the code: tables, the API, the command line"): (
        "test_docs.py and test_site.py run both, without changing a file"
    ),
    ("README.md", "make demo"): "test_demo.py runs it",
    ("README.md", "make setup && .venv/bin/rushes up --sandbox"): "it runs beside this test, as in test_up.py",
    ("README.md", "RUSHES_EVOLINK_DAILY_USD=50 RUSHES_EVOLINK_API_KEY=… .venv/bin/rushes up"): COSTS_MONEY,
    ("README.md", "RUSHES_EVOLINK_API_KEY=… .venv/bin/rushes up --port 8080 --data-dir /srv/rushes"): COSTS_MONEY,
    ("README.md", f".venv/bin/{INIT}"): WANTS_DOCKER,
    ("README.md", "make test"): TESTS_THEMSELVES,
    ("docs/how-to/budgets.md", "RUSHES_EVOLINK_API_KEY=… RUSHES_EVOLINK_DAILY_USD=50 rushes up"): COSTS_MONEY,
    ("docs/how-to/gateway.md", ".venv/bin/pytest tests/unit/jobs/providers"): TESTS_THEMSELVES,
    ("docs/how-to/gateway.md", ".venv/bin/python docs/generate.py"): "test_docs.py runs it, without changing a file",
    ("docs/how-to/gateway.md", "rushes demo"): "test_demo.py runs it",
    ("docs/how-to/install.md", "python3 -m venv /opt/rushes"): "test_wheel.py installs a wheel",
    ("docs/how-to/install.md", "/opt/rushes/bin/rushes demo"): "test_wheel.py runs both from a wheel",
    (
        "docs/how-to/install.md",
        "sudo /opt/rushes/bin/rushes service install --system --run-as rushes --data-dir /srv/rushes",
    ): "it writes to /etc; test_systemd.py looks at what it writes",
    ("docs/how-to/install.md", "honcho run rushes db upgrade"): "test_core_procfile.py runs both",
    ("docs/how-to/python.md", "pip install ./client"): "`make setup` has installed it, and this test must not",
    **{
        ("docs/how-to/containers.md", line): WANTS_DOCKER
        for line in (
            INIT,
            "docker build --tag rushes:0.1 .",
            "docker compose exec backup ls /var/lib/postgresql",
            "docker compose stop web worker transfer notify sweep beat prune",
        )
    },
    (
        "docs/how-to/tls.md",
        "granian --interface wsgi --factory --http 1 --blocking-threads 256 --no-access-log webhooks.app:create_app",
    ): "it serves until it is stopped; test_hostile_connections.py starts it",
    ("docs/tutorial.md", "make setup"): "it runs beside this test, as in test_up.py",
    ("docs/tutorial.md", "RUSHES_EVOLINK_API_KEY=… RUSHES_EVOLINK_DAILY_USD=5 .venv/bin/rushes up"): COSTS_MONEY,
}
# Blocks that show how something is refused: curl may come to an HTTP error there, and nowhere else.
REFUSED = {
    (
        "docs/how-to/curl.md",
        'curl -sS "$RUSHES_URL/v1/jobs" -H "$AUTH" --json \'{"prompt": "Rain on a tin roof", "resolution": "8k"}\'',
    ),
    (
        "docs/how-to/curl.md",
        'curl -sS -X POST -H "$AUTH" "$RUSHES_URL/v1/jobs/$JOB/cancel" | jq -r \'.code // .state\'',
    ),
}

TOOLS = ("bash", "curl", "jq")  # what the pages' commands use
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="`rushes up` runs its stores the Linux way"),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
    pytest.mark.timeout(300),
]

STRICT = ".."  # where curl finds our .curlrc, as seen from a page's folder


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    code: str

    @property
    def name(self) -> tuple[str, str]:
        """Page and first line."""
        return self.page, self.code.strip().partition("\n")[0]

    @property
    def here(self) -> bool:
        """Whether this module runs it."""
        return self.language in RUN and self.page not in ELSEWHERE and self.name not in EXCUSED


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        code = re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(page.relative_to(ROOT)), line, found["language"], code)


BLOCKS = [block for page in PAGES for block in blocks(page)]


def test_every_block_names_a_language_that_is_run_parsed_or_only_shown() -> None:
    known = RUN | PARSED.keys() | SHOWN
    assert [(b.page, b.line, b.language) for b in BLOCKS if b.language not in known] == []


def test_every_block_of_data_parses() -> None:
    for block in BLOCKS:
        if block.language in PARSED:
            PARSED[block.language](block.code)


def test_every_excuse_is_about_one_block() -> None:
    names = Counter(block.name for block in BLOCKS)
    assert [name for name in (*EXCUSED, *REFUSED) if names[name] != 1] == []


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_a_page_whose_blocks_are_run_elsewhere_is_named_there(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


Follow = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def follow(house: Any, tmp_path: Path) -> Follow:
    """Runs a page's script in a folder of its own, where `rushes up --sandbox` seems to run."""
    (tmp_path / ".curlrc").write_text("fail-with-body\n")  # else curl ends well whatever was answered
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / ".rushes").symlink_to(house.data_dir)
    (folder / ".venv").symlink_to(Path(RUSHES).parents[1])

    def run_page(page: str) -> subprocess.CompletedProcess[str]:
        _, key = api_keys.create(house.database, page)
        env = house.environment(CURL_HOME=STRICT, RUSHES_API_KEY=key)
        argv = ["bash", "-euo", "pipefail", "-c", script(page).replace("http://127.0.0.1:8080", house.url)]
        return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=100)

    return run_page


def script(page: str) -> str:
    """A page's blocks as one shell script, which says on stderr where it is."""
    parts = []
    for block in BLOCKS:
        if block.page == page and block.here:
            code = block.code
            if block.language == "python":
                code = f"python - <<'END_OF_BLOCK'\n{code}END_OF_BLOCK\n"
            if block.name in REFUSED:
                code = f"export CURL_HOME=\n{code}export CURL_HOME={STRICT}\n"
            parts.append(f"echo '{block.page}, line {block.line}' >&2\n{code}")
    return "\n".join(parts)


SAMPLE = {"README.md", "docs/client.md", "docs/how-to/curl.md"}  # by hand, in Python, without either


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in SAMPLE else pytest.mark.prove)
        for page in dict.fromkeys(block.page for block in BLOCKS if block.here)
    ],
)
def test_every_block_that_can_be_run_does_what_its_page_says(follow: Follow, page: str) -> None:
    done = follow(page)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
