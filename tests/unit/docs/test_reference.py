"""The pages of reference that are made from the code: that they hold everything, and read well."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import click
import pytest

from rushes.cli.root import COMMANDS, main
from rushes.cli.terminal import failures

DOCS = Path(__file__).parents[3] / "docs"


def commands(parent: click.Context) -> list[click.Context]:
    """Every command below this one."""
    group = parent.command
    assert isinstance(group, click.Group)
    found = []
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        found += [context, *(commands(context) if isinstance(command, click.Group) else ())]
    return found


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The writer of the API's page."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("api_reference")


def test_every_command_stands_on_its_page_with_every_option() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.replace("\n### ", "\n## ").split("\n## ")}
    found = commands(click.Context(main, info_name="rushes"))
    assert len(found) > len(COMMANDS)
    for context in found:
        section = sections[context.command_path]
        options = [name for each in context.command.params if isinstance(each, click.Option) for name in each.opts]
        assert [option for option in options if option not in section] == [], context.command_path


def test_every_exit_status_stands_on_the_page_of_commands() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [code for code, said in failures.MEANINGS.items() if f"| {code} | {said} |" not in page] == []


SPEC = {
    "tags": [{"name": "cups", "description": "What one drinks from"}],
    "paths": {
        "/v1/cups/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {
                "tags": ["cups"],
                "summary": "One cup | or none.",
                "parameters": [{"$ref": "#/components/parameters/trace"}],
                "responses": {
                    "200": {
                        "description": "OK",
                        "headers": {"Trace": {}, "ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Cup"}}},
                    },
                    "404": {"description": "unknown_cup", "headers": {"Trace": {}}},
                    "401": {"$ref": "#/components/responses/401"},
                },
            },
        },
        "/v1/saucers": {
            "post": {
                "tags": ["saucers"],
                "summary": "Another.",
                "parameters": [{"$ref": "#/components/parameters/trace"}],
                "responses": {
                    "202": {"description": "Kept.", "headers": {"Trace": {}}},
                    "401": {"$ref": "#/components/responses/401"},
                },
            },
        },
    },
    "components": {
        "parameters": {
            "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            "trace": {"name": "Trace", "in": "header", "description": "Yours.", "schema": {"type": "string"}},
        },
        "headers": {"Trace": {"description": "Yours."}, "ETag": {"description": "A validator."}},
        "responses": {"401": {"description": "unauthorized"}},
        "schemas": {
            "Unmet": {"type": "object"},
            "Cup": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "default": 2, "description": "In <dl>."},
                    "within": {"anyOf": [{"$ref": "#/components/schemas/Cup"}, {"type": "null"}]},
                    "marks": {"type": "array", "items": {"enum": ["x", True, None]}},
                    "by_day": {"type": "object", "additionalProperties": {"type": "number"}},
                },
            },
        },
    },
}


def test_an_operation_is_told_with_what_is_its_own(reference: ModuleType) -> None:
    assert reference.operations(SPEC).splitlines() == [
        "## Cups",
        "",
        "What one drinks from.",
        "",
        "### GET /v1/cups/{id}",
        "",
        r"One cup \| or none.",
        "",
        "| parameter | in | type | meaning |",
        "| --- | --- | --- | --- |",
        "| `id` | path | string | (required) |",
        "",
        "| answer | body | meaning |",
        "| --- | --- | --- |",
        "| 200 | [Cup](bodies.md#cup) | OK (with `ETag`) |",
        "| 404 | – | unknown_cup |",
    ]


def test_what_holds_of_every_operation_is_told_once(reference: ModuleType) -> None:
    told = reference.everywhere(SPEC).splitlines()
    assert "| `Trace` | header | string | Yours. |" in told
    assert "| `Trace` | every one, once the key is known | Yours. |" in told
    assert "| `ETag` | those that name it | A validator. |" in told
    assert "| 401 | – | unauthorized |" in told
    assert [line for line in told if "404" in line or "`id`" in line] == []


def test_a_body_is_told_field_by_field_and_what_no_operation_uses_is_left_out(reference: ModuleType) -> None:
    assert reference.bodies(SPEC).splitlines() == [
        "## Cup",
        "",
        "| field | type | meaning |",
        "| --- | --- | --- |",
        r"| `size` | integer | In \<dl\>. (required, at least 1, default `2`) |",
        "| `within` | [Cup](bodies.md#cup) or null | – |",
        "| `marks` | list of `x`, `true`, null | – |",
        "| `by_day` | object of number | – |",
    ]


def test_every_operation_of_the_api_stands_on_its_page() -> None:
    spec = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    named = {f"### {m.upper()} {path}" for path, item in spec["paths"].items() for m in item if m != "parameters"}
    assert named == {line for line in page.splitlines() if line.startswith("### ")}
