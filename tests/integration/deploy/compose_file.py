"""docker-compose.yml and .env.example, read as compose reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rushes.local import procfile

ROOT = Path(__file__).parents[3]
COMPOSE, EXAMPLE, PROCFILE = ROOT / "docker-compose.yml", ROOT / ".env.example", ROOT / "Procfile"
SECRET = "0123456789abcdef0123456789abcdef"

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^{}]*))?\})")
_LINE = re.compile(r"(?P<off>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def example(*, off: bool) -> dict[str, str]:
    """The variables of .env.example: those that are set, or those behind a `#`."""
    found = [match for line in EXAMPLE.read_text().splitlines() if (match := _LINE.fullmatch(line))]
    return {match["name"]: match["value"] for match in found if bool(match["off"]) is off}


def filled_in(**more: str) -> dict[str, str]:
    """A .env: the example, with something in each place that it leaves empty."""
    blanks = {"RUSHES_CALLBACK_KEYS": f"k1:{SECRET}"}
    return {name: value or blanks.get(name, SECRET) for name, value in example(off=False).items()} | more


def services(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Compose's services by name, with the values of a .env put in."""
    loaded: dict[str, dict[str, Any]] = _put_in(yaml.safe_load(COMPOSE.read_text())["services"], env)
    return loaded


def variables() -> set[str]:
    """The names that compose takes from .env."""
    return {match["name"] for match in _VARIABLE.finditer(COMPOSE.read_text()) if match["name"]}


def environment(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """What a service's process is told."""
    return {**(env if "env_file" in service else {}), **service.get("environment", {})}


def from_procfile(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, list[str]]:
    """The Procfile's commands, in the environment of a service."""
    return procfile.parse(PROCFILE.read_text(), environment(service, env))


def command(service: Mapping[str, Any]) -> list[str]:
    """A service's command as an argument list."""
    given = service["command"]
    return shlex.split(given) if isinstance(given, str) else list(given)


def _put_in(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _put_in(inner, env) for name, inner in value.items()}
    if isinstance(value, list):
        return [_put_in(inner, env) for inner in value]
    return _VARIABLE.sub(lambda match: _value(match, env), value) if isinstance(value, str) else value


def _value(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    given = env.get(match["name"], "")
    if match["how"] == "-":
        return given or match["rest"]
    assert given, f"{match['name']} is not set: {match['rest']}"
    return given
