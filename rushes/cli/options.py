"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print data as JSON, and nothing else, on stdout.")
data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="RUSHES_DATA_DIR",
    default=Path(".rushes"),
    show_default=True,
    help="The data folder of `rushes up`.",
)
