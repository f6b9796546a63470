"""tests/samples/ held against the gateways' pages, both ways, by the table in its README."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "tests" / "samples"
PAGES = ROOT.parent / "shared" / "providers"  # beside the checkout, not in it
PROVIDERS = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())

# What looks like an example on a page and is no sample: (gateway, its beginning) -> why.
EXCEPTIONS = {
    ("apiframe", '{\n"X-API-Key"'): "the headers of the example in Python",
    ("apiframe", '{\n"prompt"'): "request_text again, in Python",
    ("apiframe", '{\nmethod: "POST"'): "request_text again, in JavaScript",
    ("easyrouter", '{"metadata"'): "a part of a body: how media are written, for two models at once",
    ("easyrouter", '{\n#   "id"'): "submit_accepted again, a shell comment that ends in an ellipsis",
}

needs_pages = pytest.mark.skipif(not PAGES.is_dir(), reason="the gateways' pages are not beside this checkout")


class Row(NamedTuple):
    """One file of the README's table."""

    provider: str
    name: str
    source: str

    @property
    def body(self) -> Any:
        return json.loads((SAMPLES / self.provider / f"{self.name}.json").read_text(encoding="utf-8"))


def rows() -> list[Row]:
    lines = (SAMPLES / "README.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [Row(folder, name, source) for folder, names, source in cells[2:] for name in names.split(", ")]


def of_source(kind: str) -> pytest.MarkDecorator:
    found = [row for row in rows() if row.source.startswith(kind)]
    return pytest.mark.parametrize("row", found, ids=[f"{row.provider}/{row.name}" for row in found])


def page(provider: str) -> str:
    return (PAGES / f"{provider}.txt").read_text(encoding="utf-8")


def section(number: str) -> str:
    """The part of the protocol notes under that number, up to the next heading."""
    notes = (PAGES / "protocols.md").read_text(encoding="utf-8")
    return re.split(r"^#", notes.split(f"\n### {number} ")[1], maxsplit=1, flags=re.MULTILINE)[0]


def objects(text: str) -> tuple[list[Any], list[str]]:
    """The outermost JSON objects of a text, and what else stands between braces and has members.

    An object ends where its JSON does, so a shell's quotes and comments around it do no harm.
    """
    found, others, at = [], [], text.find("{")
    while at >= 0:
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
            found.append(value)
        except ValueError:
            end = closing(text, at)
            if ":" in text[at:end]:
                others.append(text[at:end])
        at = text.find("{", end)
    return found, others


def closing(text: str, at: int) -> int:
    """Where the braces opened at `at` are closed again."""
    depth = 0
    for end in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return end + 1
    raise ValueError(f"a brace is never closed: {text[at : at + 60]!r}")


def canonical(value: Any) -> str:
    """Equal for equal JSON only: in Python, 1 == 1.0 == True."""
    return json.dumps(value, sort_keys=True)


def fills(sample: Any, example: Any) -> bool:
    """Whether the sample is the example with text for each `…` and `<uuid>`, and any members for a `…` as key."""
    if isinstance(sample, str) and isinstance(example, str):
        return re.fullmatch(".+".join(map(re.escape, re.split("…|<uuid>", example))), sample) is not None
    if isinstance(sample, dict) and isinstance(example, dict):
        keys = example.keys() - {"…"}
        complete = keys <= sample.keys() if "…" in example else keys == sample.keys()
        return complete and all(fills(sample[key], example[key]) for key in keys)
    if isinstance(sample, list) and isinstance(example, list):
        return len(sample) == len(example) and all(map(fills, sample, example))
    return canonical(sample) == canonical(example)


def test_the_readme_names_every_sample_once_and_says_where_it_is_from() -> None:
    files = sorted(f"{path.parent.name}/{path.stem}" for path in SAMPLES.rglob("*.json"))
    assert sorted(f"{row.provider}/{row.name}" for row in rows()) == files
    for row in rows():
        assert re.match(r'page, "[^"]+"|notes \d\.\d|made up', row.source), row


@needs_pages
@of_source("page")
def test_a_sample_said_to_be_a_pages_stands_on_that_page(row: Row) -> None:
    text = page(row.provider)
    heading = re.findall(r'"([^"]+)"', row.source)[0]
    assert f"\n{heading}" in text
    assert canonical(row.body) in map(canonical, objects(text)[0])


@needs_pages
@of_source("notes")
def test_a_sample_said_to_be_the_notes_is_an_example_there_with_its_gaps_filled(row: Row) -> None:
    number = row.source.removeprefix("notes ")[:3]
    assert any(fills(row.body, example) for example in objects(section(number))[0])


@needs_pages
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_example_on_a_page_is_a_sample_or_a_known_exception(provider: str) -> None:
    values, others = objects(page(provider))
    samples = {canonical(row.body) for row in rows() if row.provider == provider}
    unleased = [json.dumps(value) for value in values if canonical(value) not in samples] + others
    known = [start for name, start in EXCEPTIONS if name == provider]
    assert [text for text in unleased if not text.startswith(tuple(known))] == []
    for start in known:
        assert sum(text.startswith(start) for text in unleased) == 1, (
            f"{start!r} is to excuse one text, no less, no more"
        )


def test_objects_are_found_between_a_shells_quotes_and_beside_comments() -> None:
    text = """curl x/{id} -d '{\n"a": {"b": "}"}\n}' # {not: "json",}\n{"c": 1}{"d": 2} and {so on}"""
    values, others = objects(text)
    assert values == [{"a": {"b": "}"}}, {"c": 1}, {"d": 2}]
    assert others == ['{not: "json",}']


@pytest.mark.parametrize(
    ("odd", "value"),
    [("id", "7"), ("n", True), ("n", 1.0), ("n", None), ("urls", []), ("urls", ["https://h/v.mov"]), ("m", 2)],
)
def test_only_what_is_left_open_in_an_example_may_be_filled(odd: str, value: Any) -> None:
    example = {"id": "task-…", "n": 1, "urls": ["https://…mp4"]}
    sample = {"id": "task-7", "n": 1, "urls": ["https://h/v.mp4"]}
    assert fills(sample, example)
    assert not fills(sample | {odd: value}, example)
    assert fills(sample | {"m": 2}, example | {"…": "…"})
    assert not fills({"id": "task-7"}, example | {"…": "…"})
