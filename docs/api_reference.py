"""The HTTP API as Markdown, from its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markup import cell, code, prose, table

Json = Mapping[str, Any]
METHODS = ("post", "get", "put", "patch", "delete")
LIMITS = {"minimum": "at least {:g}", "maximum": "at most {:g}", "maxLength": "at most {} characters"}


@dataclass(frozen=True)
class Common:
    """What holds of every operation, and so is told once: parameters and headers by name, answers by status."""

    parameters: frozenset[str]
    answers: frozenset[str]
    headers: frozenset[str]


def everywhere(spec: Json) -> str:
    """What may be sent with every request, what every answer bears, and what every request may be answered."""
    common = _common(spec)
    _, _, item, told = next(_every(spec))
    parameters = [each for each in _parameters(spec, item, told) if each["name"] in common.parameters]
    headers = spec["components"]["headers"]
    answers = {status: answer for status, answer in told["responses"].items() if status in common.answers}
    marks = [
        [
            code(name),
            "every one, once the key is known" if name in common.headers else "those that name it",
            _meaning(headers[name], {}),
        ]
        for name in headers
    ]
    return "\n\n".join(
        [
            table(["sent with any request", "in", "type", "meaning"], [_parameter(each) for each in parameters]),
            table(["header", "of which answers", "meaning"], marks),
            table(["answer to any request", "body", "meaning"], _answers(spec, answers, common)),
        ]
    )


def operations(spec: Json) -> str:
    """A section for each operation, under the heading of its group; without what holds of all."""
    common = _common(spec)
    sections = []
    for tag in spec["tags"]:
        sections += [f"## {tag['name'].capitalize()}", prose(tag["description"]) + "."]
        for method, path, item, told in _every(spec):
            if tag["name"] in told["tags"]:
                sections.append(_operation(spec, f"{method.upper()} {path}", item, told, common))
    return "\n\n".join(sections)


def bodies(spec: Json) -> str:
    """A section for each object that the operations take or answer, in the order in which they are met."""
    schemas = spec["components"]["schemas"]
    return "\n\n".join(_body(name, schemas[name]) for name in _met(spec))


def _every(spec: Json) -> Iterator[tuple[str, str, Json, Json]]:
    """Each operation: its method, its path, what is said of the path, and what of the operation."""
    for path, item in spec["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item, item[method]


def _common(spec: Json) -> Common:
    every = list(_every(spec))
    named = [{each["name"] for each in _parameters(spec, item, told)} for _, _, item, told in every]
    shared = [{(status, answer.get("$ref")) for status, answer in told["responses"].items()} for *_, told in every]
    answers = {status for status, reference in set.intersection(*shared) if reference}
    own = [
        _resolved(spec, answer).get("headers", {}).keys()
        for *_, told in every
        for status, answer in told["responses"].items()
        if status not in answers
    ]
    return Common(frozenset(set.intersection(*named)), frozenset(answers), frozenset(set.intersection(*map(set, own))))


def _operation(spec: Json, title: str, item: Json, told: Json, common: Common) -> str:
    parts = [f"### {title}", prose(told["summary"])]
    if "description" in told:
        parts.append(prose(told["description"]))
    parameters = [each for each in _parameters(spec, item, told) if each["name"] not in common.parameters]
    if parameters:
        parts.append(table(["parameter", "in", "type", "meaning"], [_parameter(each) for each in parameters]))
    if "requestBody" in told:
        sent = _resolved(spec, told["requestBody"])
        must = "Body" if sent.get("required") else "Body, which may be left out"
        parts.append(f"{must}: {_content(sent)}.")
    own = {status: answer for status, answer in told["responses"].items() if status not in common.answers}
    parts.append(table(["answer", "body", "meaning"], _answers(spec, own, common)))
    return "\n\n".join(parts)


def _parameters(spec: Json, item: Json, told: Json) -> list[Json]:
    return [_resolved(spec, each) for each in [*item.get("parameters", ()), *told.get("parameters", ())]]


def _parameter(told: Json) -> list[str]:
    return [code(told["name"]), told["in"], _type(told["schema"]), _meaning(told, told["schema"])]


def _answers(spec: Json, answers: Json, common: Common) -> list[list[str]]:
    rows = []
    for status, answer in sorted(answers.items()):
        told = _resolved(spec, answer)
        headers = ", ".join(code(name) for name in told.get("headers", ()) if name not in common.headers)
        said = told["description"] + (f" (with {headers})" if headers else "")
        rows.append([status, _content(told), cell(said)])
    return rows


def _content(message: Json) -> str:
    """What a message holds, by media type."""
    return " or ".join(_type(held.get("schema", {})) for held in message.get("content", {}).values()) or "–"


def _body(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        [code(field), _type(about), _meaning({**about, "required": field in required}, about)]
        for field, about in schema.get("properties", {}).items()
    ]
    return f"## {name}\n\n" + table(["field", "type", "meaning"], rows)


def _type(schema: Json) -> str:
    """A schema in words: `string or null`, `list of [Job](bodies.md#job)`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](bodies.md#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join("null" if value is None else code(_literal(value)) for value in schema["enum"])
    named = schema.get("type", "anything")
    if named == "array":
        return f"list of {_type(schema['items'])}"
    if named == "object" and isinstance(values := schema.get("additionalProperties"), Mapping):
        return f"object of {_type(values)}"
    return " or ".join([named] if isinstance(named, str) else named)


def _meaning(about: Json, schema: Json) -> str:
    """What is said about a field or parameter, with what it must keep to."""
    said = [about["description"]] if about.get("description") else []
    facts = ["required"] if about.get("required") else []
    facts += [form.format(schema[word]) for word, form in LIMITS.items() if word in schema]
    if schema.get("default") is not None:
        facts.append(f"default {code(_literal(schema['default']))}")
    if facts:
        said.append(f"({', '.join(facts)})")
    return cell(" ".join(said)) if said else "–"


def _literal(value: Any) -> str:
    """A default as a client writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _resolved(spec: Json, told: Json) -> Json:
    """What a reference leads to."""
    found: Any = told
    while "$ref" in found:
        at: Any = spec
        for step in found["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        found = at
    return found  # type: ignore[no-any-return]


def _met(spec: Json) -> list[str]:
    """The names of the schemas that the operations lead to, each once."""
    met: list[str] = []

    def walk(told: Any) -> None:
        if isinstance(told, Mapping):
            for word, inner in told.items():
                if word != "$ref":
                    walk(inner)
                elif inner.startswith("#/components/schemas/"):
                    if (name := inner.rpartition("/")[2]) not in met:
                        met.append(name)
                        walk(spec["components"]["schemas"][name])
                else:
                    walk(_resolved(spec, told))
        elif isinstance(told, list):
            for inner in told:
                walk(inner)

    walk(spec["paths"])
    return met
