"""`rushes completion`: click's own scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in SHELL.

    \b
    bash   rushes completion bash > ~/.local/share/bash-completion/completions/rushes
    zsh    rushes completion zsh > ~/.zfunc/_rushes    with ~/.zfunc in your fpath
    fish   rushes completion fish > ~/.config/fish/completions/rushes.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # one of click's own
    click.echo(kind(ctx.find_root().command, {}, "rushes", "_RUSHES_COMPLETE").source())
