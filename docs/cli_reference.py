"""Every command of `rushes` as Markdown, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from markup import cell, code, prose, table

from rushes.cli.root import main
from rushes.cli.terminal import failures


def commands() -> str:
    """A section for each command: what it does, how it is called, and its options."""
    return "\n\n".join(_section(context) for context in _contexts(click.Context(main, info_name="rushes")))


def statuses() -> str:
    """The exit statuses that scripts can rely on."""
    return table(["status", "meaning"], [[str(number), said] for number, said in failures.MEANINGS.items()])


def _contexts(parent: click.Context) -> Iterator[click.Context]:
    assert isinstance(parent.command, click.Group)
    for name in parent.command.list_commands(parent):
        command = parent.command.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        yield context
        if isinstance(command, click.Group):
            yield from _contexts(context)


def _section(context: click.Context) -> str:
    command = context.command
    level = "###" if context.parent and context.parent.parent else "##"
    parts = [f"{level} {context.command_path}", *_paragraphs(command.help or "")]
    if not isinstance(command, click.Group):
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        parts.append(f"```text\n{usage}\n```")
        if rows := list(_options(context)):
            parts.append(table(["option", "meaning"], rows))
    return "\n\n".join(parts)


def _paragraphs(text: str) -> Iterator[str]:
    """The help's paragraphs; one that click is told not to wrap keeps its lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```"
        else:
            yield prose(paragraph)


def _options(context: click.Context) -> Iterator[list[str]]:
    for parameter in context.command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield [cell(code(record[0])), cell(record[1])]
