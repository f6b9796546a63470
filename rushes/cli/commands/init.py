"""`rushes init`: settings for the containers, with every secret made up."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import click

from rushes.cli import options
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.local.certificate import new_certificate
from rushes.local.folder import write_new_private

NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
EXAMPLE, MADE = Path(".env.example"), Path(".env")
# How each secret is made; for the shapes see .env.example.
SECRETS: dict[str, Callable[[], str]] = {
    **dict.fromkeys(
        ("POSTGRES_PASSWORD", "POSTGRES_ADMIN_PASSWORD", "VALKEY_PASSWORD", "AWS_SECRET_ACCESS_KEY"),
        lambda: secrets.token_hex(24),
    ),
    "SEAWEEDFS_CERTIFICATE": lambda: base64.b64encode(new_certificate("seaweedfs").encode()).decode(),
    "RUSHES_CALLBACK_KEYS": lambda: f"k1:{secrets.token_hex(32)}",
    "RUSHES_NOTICE_SECRETS": lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
}


@click.command()
@click.option("--domain", required=True, help="The name under which gateways reach this host, as rushes.example.com.")
@options.as_json
def command(domain: str, as_json: bool) -> None:
    """Write .env beside docker-compose.yml: .env.example, with the domain and a made-up secret wherever one is needed.

    Run it in the folder of docker-compose.yml. The file is for its owner alone, and one that is there is never
    replaced. Gateways' keys are yours to add.
    """
    if not NAME.fullmatch(domain):
        raise Failure(
            f"{domain!r} is no name of a host", failures.USAGE, hint="for example --domain rushes.example.com"
        )
    try:
        example = EXAMPLE.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        hint = "run it in a checkout of Rushes, where docker-compose.yml is"
        raise Failure(f"there is no {EXAMPLE} in this folder", failures.USAGE, hint=hint) from error
    try:
        write_new_private(MADE, filled_in(example, domain))
    except FileExistsError as error:
        hint = "its secrets open the data that is there; move it away to begin anew"
        raise Failure(f"{MADE} is there already, and is left as it is", failures.USAGE, hint=hint) from error
    made = sorted(SECRETS)
    if as_json:
        output.as_json({"file": str(MADE), "domain": domain, "made": made})
        return
    output.note(
        f"{MADE} has {len(made)} fresh secrets, and is for you alone to read: keep a copy where nothing else is"
    )
    output.note("next: add a gateway's key to it, then `docker compose up --build --detach`")


def filled_in(example: str, domain: str) -> str:
    """The example's text with the domain and fresh secrets in it, those behind a `#` included."""
    values = {"RUSHES_DOMAIN": domain, **{name: make() for name, make in SECRETS.items()}}
    for name, value in values.items():
        example, times = re.subn(f"^#?{name}=.*$", f"{name}={value}", example, flags=re.MULTILINE)
        if times != 1:
            raise Failure(f"{EXAMPLE} names {name} {times} times, not once", hint="is it of another version of Rushes?")
    return example
