"""What the documentation says, held against the code: generated parts, links, commands, requests, variables."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from jobs.environment.variables import READ_ELSEWHERE
from jobs.machine.error_codes import ERRORS, FLAGS, MISFITS, REASONS, WAITS
from jobs.providers.registry import PROVIDERS
from jobs.request.generation import JobRequest
from jobs.request.schema import load_request
from jobs.settings import load
from rushes.api.edge import problems
from rushes.api.schemas.jobs import JobSchema
from rushes.cli.root import COMMANDS, main

ROOT = Path(__file__).parents[3]
NAMES = ["README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md"]
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").rglob("*.md"))]
EVERY = pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])

FENCE = re.compile(r"^```([\w{}]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OUR_PATH = re.compile(
    r"`((?:jobs|rushes|webhooks|storage|sandbox|client|tests|docs|examples|deploy|benchmarks)/[\w./-]*)`"
)
OUR_TEST = re.compile(r"`((?:unit|integration|e2e|faults|model|simulation)/[\w./-]*)`")
VARIABLE = re.compile(r"\bRUSHES_[A-Z0-9_]+[A-Z0-9]\b")


class Recorder(Mapping[str, str]):
    """An environment that remembers which variables were asked for."""

    def __init__(self, **values: str) -> None:
        self.asked: set[str] = set()
        self._values = values

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def code(page: Path) -> list[str]:
    """Every line of a page that is code: of a shell block, with its continuation lines, or between backticks."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return lines + SPAN.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


def settings_read() -> set[str]:
    """Every variable that jobs/settings.py asks for."""
    environ = Recorder(RUSHES_S3_BUCKET="our-videos")
    load(environ)
    return {name for name in environ.asked if not name.endswith("_FILE")}


def anchors(page: Path) -> set[str]:
    """The headings of a page as the addresses that GitHub gives them."""
    words = [heading.lower() for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))]
    return {re.sub(r"[^\w\- ]", "", word).replace(" ", "-") for word in words}


def invocations(page: Path) -> list[list[str]]:
    """Every call of `rushes` in a page's code, as words after the program's name."""
    found = []
    for line in code(page):
        for part in re.split(r"&&|\|", line):
            words = part.split("#")[0].split()
            program = next((i for i, word in enumerate(words) if word in ("rushes", ".venv/bin/rushes")), None)
            named = program is not None and all("=" in word for word in words[:program])
            if program is not None and named and len(words) > program + 1:
                found.append(shlex.split(" ".join(words[program + 1 :])))
    return found


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    """The generator as it runs as a script: with its own folder first on the path."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        spec.loader.exec_module(module)
        yield module


def test_every_generated_part_is_current(generate: ModuleType) -> None:
    assert list(generate.stale()) == [], "run python docs/generate.py"


def test_every_place_of_a_generated_part_is_filled_by_the_generator(generate: ModuleType) -> None:
    for page in PAGES:
        marked = set(re.findall(r"<!-- ([\w-]+):begin -->", page.read_text(encoding="utf-8")))
        assert marked == set(generate.PARTS.get(str(page.relative_to(ROOT)), {})), page


def test_a_generated_part_without_its_place_is_an_error(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match="states has 0 places"):
        generate.rewritten("no markers here", {"states": str})


def test_a_stale_part_is_renewed_and_its_surroundings_stay(generate: ModuleType) -> None:
    text = "before\n<!-- x:begin -->\nold\n<!-- x:end -->\nafter\n"
    assert generate.rewritten(text, {"x": lambda: r"new \1"}) == text.replace("old", r"new \1")


@EVERY
def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        assert file.is_relative_to(ROOT), f"{target} leads out of the repository"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


@EVERY
def test_every_file_and_folder_of_ours_that_a_page_names_exists(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    named = {path for path in OUR_PATH.findall(text) if "NAME" not in path}
    named |= {f"tests/{path}" for path in OUR_TEST.findall(text)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@EVERY
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for line in code(page) for name in re.findall(r"(?:^|&& )make ([a-z]+)", line)}
    assert named <= targets


@EVERY
def test_every_command_of_rushes_that_a_page_names_exists_with_its_options(page: Path) -> None:
    for words in invocations(page):
        if words[0] == "--help":
            continue
        assert words[0] in COMMANDS, words
        command = main.get_command(click.Context(main), words[0])
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        assert command is not None
        known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_the_readme_shows_how_to_start_to_try_and_to_test() -> None:
    shown = code(ROOT / "README.md")
    assert {"make demo", "make test"} <= set(shown)
    assert ["up", "--sandbox"] in invocations(ROOT / "README.md")
    assert any(words[0] == "submit" and "--wait" in words for words in invocations(ROOT / "README.md"))


@EVERY
def test_every_json_block_parses(page: Path) -> None:
    for block in blocks(page, "json"):
        json.loads(block)


def test_the_archived_job_that_the_reference_shows_has_exactly_the_fields_of_the_api() -> None:
    (shown,) = (json.loads(block) for block in blocks(ROOT / "docs" / "reference" / "api.md", "json"))
    schema = JobSchema()
    assert set(shown) == set(schema.fields)
    for name in ("cost", "video", "links"):
        assert set(shown[name]) == set(schema.fields[name].schema.fields), name
    order = schema.fields["attempts"].inner.schema.fields
    for attempt in shown["attempts"]:
        assert set(attempt) == set(order)
        assert set(attempt["cost"]) == set(order["cost"].schema.fields)
    assert schema.validate(shown) == {}


@EVERY
def test_every_body_that_a_curl_example_sends_is_a_request_that_is_taken(page: Path) -> None:
    for block in blocks(page, "sh"):
        for body in re.findall(r"-d '(.*?)'", block, re.DOTALL):
            assert isinstance(load_request(json.loads(body)), JobRequest)


def test_the_readme_has_a_curl_example_that_orders_a_video() -> None:
    orders = [block for block in blocks(ROOT / "README.md", "sh") if "/v1/jobs" in block and "-d '" in block]
    assert len(orders) == 1


def test_what_the_celery_example_sends_is_a_request_that_is_taken() -> None:
    (block,) = (block for block in blocks(ROOT / "README.md", "python") if "send_task" in block)
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    (sent,) = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "send_task"]
    given: dict[str, Any] = {str(k.arg): ast.literal_eval(k.value) for k in sent.keywords}
    assert isinstance(load_request(given["kwargs"]), JobRequest)
    assert (ast.literal_eval(sent.args[0]), given["queue"]) == ("rushes.generate", "generate")
    assert given["task_id"]


@EVERY
def test_every_variable_that_a_page_names_is_read_somewhere(page: Path) -> None:
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8")))
    assert named <= settings_read() | READ_ELSEWHERE


def test_every_setting_that_is_read_stands_on_the_page_of_settings() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in sorted(settings_read()) if f"`{name}`" not in text] == []


def test_every_gateway_has_a_section_of_its_own() -> None:
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    titles = {heading.lower() for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert {name for name in PROVIDERS if not any(title.startswith(name) for title in titles)} == set()


def test_every_switch_stands_on_its_gateways_page_with_its_doubt() -> None:
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].lower(): part for part in text.split("\n## ")}
    for name, provider in PROVIDERS.items():
        (section,) = [part for title, part in sections.items() if title.startswith(name)]
        prose = section.partition("<!--")[0]
        assert [word for word in provider.switches if f"`{word}`" not in prose.partition("Switch")[2]] == []
        assert ("Switch" in prose) is bool(provider.switches)


def test_every_code_that_a_page_of_errors_names_is_one_of_ours() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    tables = (ERRORS, WAITS, FLAGS, REASONS, MISFITS)
    every = {code for table in tables for code in table} | set(problems.CODES.values())
    every |= {row[1] for row in problems.TABLE.values()}
    assert set(re.findall(r"^(?:\| \d+ )?\| `(\w+)` \|", text, re.MULTILINE)) == every


@EVERY
def test_no_page_names_a_place_on_the_writers_machine(page: Path) -> None:
    assert re.findall(r"/(?:home|root|tmp|work)/", page.read_text(encoding="utf-8")) == []
