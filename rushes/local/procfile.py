"""Reads the Procfile: the one list of the service's processes.

Our children start without a shell, so a command may hold words, quotes and variables; operators and assignments are
refused. Quoting does not protect a `$`; write `$$` for one.
"""

import re
import shlex
from collections.abc import Mapping

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s+(?P<command>\S.*)")
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>\w+)|\{(?P<name>\w+)(?::-(?P<default>[^{}]*))?\}|(?P<bad>))")
_OPERATOR = re.compile(r"[;&|<>()`]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


class BadProcfile(ValueError):
    """A line cannot be understood, or not run without a shell."""


class UnknownVariable(BadProcfile):
    """A command names a variable that has no value."""


def parse(text: str, variables: Mapping[str, str]) -> dict[str, list[str]]:
    """The argument list of each process, by name, in the file's order. Raises BadProcfile, naming the line.

    `$NAME`, `${NAME}` and `${NAME:-default}` are replaced after the splitting: a value with spaces stays one argument.
    """
    processes: dict[str, list[str]] = {}
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadProcfile(f"line {number}: {line!r} should read 'name: command'")
        if match["name"] in processes:
            raise BadProcfile(f"line {number}: there is a process named {match['name']!r} already")
        try:
            processes[match["name"]] = [_expand(word, variables) for word in _words(match["command"])]
        except BadProcfile as error:
            raise type(error)(f"line {number}: {error}") from None
    return processes


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&`")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
        quoted = shlex.split(command)
    except ValueError as error:
        raise BadProcfile(f"{command!r}: {error}") from None
    # The lexer sets operators apart unless they are quoted. A word that is nothing but a quoted one is refused as well.
    if words != quoted or any(_OPERATOR.fullmatch(word) for word in words):
        raise BadProcfile(f"{command!r} needs a shell; only words, quotes and variables can be run")
    if _ASSIGNMENT.match(words[0]):
        raise BadProcfile(f"{words[0]!r}: a command cannot begin with an assignment; set it in the environment")
    return words


def _expand(word: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["bare"] or match["name"]
        if name is None:
            raise BadProcfile(f"{word!r}: write $NAME, ${{NAME}} or ${{NAME:-default}}, and $$ for a dollar sign")
        if match["default"] is not None:
            return variables.get(name) or match["default"]
        if name not in variables:
            raise UnknownVariable(f"{word!r}: the variable {name} is not set")
        return variables[name]

    return _VARIABLE.sub(value, word)
