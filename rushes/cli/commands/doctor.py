"""`rushes doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click

from jobs import logs
from jobs.settings import Settings
from rushes.cli import machine, options
from rushes.cli.service.api import connect
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.cli.terminal.output import Colored
from rushes.doctor import aside, callbacks, database, films, installation, links, providers, service, store, valkey
from rushes.doctor.examination import Check, examine
from rushes.doctor.findings import Finding, Verdict, fail

MEND = "set it right, or name the data folder of `rushes up` by --data-dir; docs/settings.md has every setting"
COLORS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@options.data_dir
@options.as_json
def command(data_dir: Path, as_json: bool) -> None:
    """Check settings, data folder, database, Valkey, bucket, gateways, their links, callbacks and service.

    Says for each what was found, and for each fault what to do. Nothing is bought and nothing stays behind; no secret
    is shown. At most 10 seconds. Exit status 1 if something fails; a warning alone is no failure.
    """
    findings: list[Finding] = []
    checks: dict[str, Check] = {}
    try:
        settings = machine.settings_for_work(data_dir)
    except Failure as error:
        findings += [fail("settings", line, MEND) for line in str(error).splitlines()]
    else:
        logs.hide(settings.secrets)
        checks = _checks(settings)
    api = connect(data_dir)
    checks["service"] = partial(service.look, api.url, api.headers, api.session)
    findings += map(_masked, examine(checks))
    failed = any(each.verdict is Verdict.FAIL for each in findings)
    if as_json:
        output.as_json({"ok": not failed, "findings": [asdict(each) for each in findings]})
    else:
        rows = [[Colored(each.verdict, COLORS[each.verdict]), each.check, each.found, each.then] for each in findings]
        output.table(["", "what", "found", "to do"], rows)
    if failed:
        sys.exit(failures.FAILED)


def _checks(settings: Settings) -> dict[str, Check]:
    return {
        "settings": partial(installation.settings, settings),
        "data folder": partial(installation.folder, settings),
        "database": partial(database.look, settings),
        "valkey": partial(valkey.look, settings),
        "bucket": partial(store.look, settings),
        aside.CHECK: partial(aside.look, settings),
        films.CHECK: partial(films.look, settings),
        **providers.checks(settings),
        **links.checks(settings),
        "callbacks": partial(callbacks.look, settings),
    }


def _masked(finding: Finding) -> Finding:
    """What servers and drivers say may quote a secret."""
    return replace(finding, found=logs.mask(finding.found))
