"""tests/cases: scripts find our kit, the old names and the folder of cases, on a checkout that has none beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "cases" / "run.py"
LONGEST_S = 100  # a few seconds, on a machine that does nothing else

ORDER = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from kit.world import DONE, LINK, PROVIDERS, SUBMIT, World, report

for provider in PROVIDERS:
    world = World()
    world.client.on_send = lambda name, request: SUBMIT[name]("task-1")
    world.client.on_ask = lambda name, request: report(name, "task-1", DONE[name], LINK)
    job = world.create(provider=provider)
    case = world.until_ended(job, 10)
    print(provider, case.job.state.value, case.job.archive_key in world.bucket.objects, len(world.client.sent))
"""

OLD_NAMES = """
import pkgutil
from importlib import import_module

from old_names import MODULES, NAMES

for old, new in MODULES.items():
    assert import_module(old) is import_module(new), old
    room, _, name = old.rpartition(".")
    assert getattr(import_module(room), name) is import_module(new), old
for module, names in NAMES.items():
    for name, now in names.items():
        found = getattr(import_module(module), name)
        assert found is (pkgutil.resolve_name(now) if isinstance(now, str) else now), f"{module}.{name}"
try:
    import_module("jobs.models").letters
except AttributeError as e:
    print(e)
"""

IN_A_CHILD = """
import subprocess
import sys

import storage.connections
from jobs import store
from jobs.parts import Parts
from storage.outbound import connections

said = "from jobs.gates import Gates; from jobs.store import Held; print(Gates.__name__, Held.__name__)"
child = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
print(storage.connections is connections, store.read_case.__module__, Parts.__name__, child.stdout.strip())
"""


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A folder of cases with another kit in it, which nobody must get."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "__init__.py").write_text("raise AssertionError('the kit beside the script')\n")
    (tmp_path / "mine").mkdir()
    return tmp_path


def _run(cases: Path, script: str, *words: str, by_variable: bool = False) -> list[str]:
    """The lines that the script printed."""
    (cases / "mine" / "case.py").write_text(script)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    place = [] if by_variable else ["--cases", str(cases)]
    if by_variable:
        environment["RUSHES_CASES"] = str(cases)
    argv = [sys.executable, str(RUN), *place, "mine/case.py", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_orders_at_every_gateway_and_sees_its_film_archived(cases: Path) -> None:
    gateways = ("aivideoapi", "apiframe", "easyrouter", "evolink", "gravitex")
    assert sorted(_run(cases, ORDER)) == [f"{name} archived True 1" for name in gateways]


def test_the_folder_of_cases_may_come_from_the_environment_and_a_script_gets_its_own_words(cases: Path) -> None:
    script = "import sys\nprint(sys.argv)"
    told = _run(cases, script, "evolink", "--seeds", "3", by_variable=True)
    assert told == [str([str(cases / "mine" / "case.py"), "evolink", "--seeds", "3"])]


def test_every_old_name_leads_to_what_it_is_called_now(cases: Path) -> None:
    assert _run(cases, OLD_NAMES) == ["module 'jobs.models' has no attribute 'letters'"]


def test_a_script_and_its_children_import_by_the_old_names(cases: Path) -> None:
    assert _run(cases, IN_A_CHILD) == ["True jobs.store.cases Resources Bulkheads Lease"]


def test_every_part_of_the_kit_can_be_imported(cases: Path) -> None:
    parts = ("api", "films", "gateway", "stack", "store", "world")
    script = "".join(f"import kit.{part}\n" for part in parts) + "print(kit.CHECKOUT)"
    assert _run(cases, script) == [str(RUN.parents[2])]


def test_a_place_without_cases_is_said(tmp_path: Path) -> None:
    argv = [sys.executable, str(RUN), "--cases", str(tmp_path), "mine/case.py"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 1
    assert "--cases FOLDER, or RUSHES_CASES" in done.stderr
