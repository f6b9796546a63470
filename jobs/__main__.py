"""The program of workers and beat: `python -m jobs worker -n <role>@%h …`. The Procfile has the commands.

`celery -A jobs.celery_app` does the same, and imports all other commands of Celery first, one with a prompt of its own.
"""

import sys

import click


def main() -> None:
    # Celery, kombu and structlog import these wherever they are installed, to color what a person reads, and for
    # messages in YAML. Nobody reads here, and messages are JSON.
    for unused in ("pygments", "rich", "yaml"):
        sys.modules[unused] = None  # type: ignore[assignment] # as if it were not installed
    from celery.bin.base import CLIContext
    from celery.bin.beat import beat
    from celery.bin.worker import worker

    from jobs.celery_app import app

    told = CLIContext(app=app, no_color=True, workdir=None, quiet=True)
    click.Group("jobs", commands=[worker, beat])(obj=told, auto_envvar_prefix="CELERY")


if __name__ == "__main__":
    main()
