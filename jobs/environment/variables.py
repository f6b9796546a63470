"""Variables that look like settings and are none: misspelt ones, and those that orchestrators inject. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches

PREFIX = "RUSHES"
# Read by the Procfile, the command line, Caddy or the compose file, set by `rushes up` for its processes, or read by
# scripts that show a fault (tests/cases); not by `settings.load`.
READ_ELSEWHERE = frozenset(
    {
        *("RUSHES_HOST", "RUSHES_URL", "RUSHES_API_KEY", "RUSHES_DOMAIN", "RUSHES_UPSTREAM", "RUSHES_PORT"),
        *("RUSHES_SUPERVISED", "RUSHES_CASES", "RUSHES_CHECKOUT"),
    }
)
ALIKE = 0.6  # from here on a name is proposed
PREFIXES_ALIKE = 0.8  # RUSHS, RUSHE, RUSH: beside one of our names a slip, and no other program's

# Kubernetes tells each container of every service beside it, and Docker's links of their other ends:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
# https://docs.docker.com/engine/network/links/#environment-variables
_OF_A_SERVICE = re.compile(
    r"RUSHES(_[A-Z0-9]+)*?_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|ADDR|START|END|PORT(_START|_END)?))?)"
)
_AN_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")
_A_LINK = re.compile(r"/\S+/\S+")  # /this-container/its-alias
_OF_A_LINK = re.compile(r"(?P<alias>RUSHES(_[A-Z0-9]+)*?)_ENV_\w+")


def faults(environ: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """A line for each variable that is set, begins as ours do, and that nobody reads. `known`: what settings read."""
    names = {*known, *READ_ELSEWHERE}
    for name, value in sorted(environ.items()):
        if not value.strip() or name in names or is_injected(name, environ):
            continue
        if name.removesuffix("_FILE") in names - READ_ELSEWHERE:
            continue
        prefix, _, rest = name.partition("_")
        meant = _meant(name.upper(), names)
        if prefix.upper() == PREFIX:
            yield f"{name} is no setting{f'; did you mean {meant}?' if meant else ': see docs/settings.md.'}"
        elif f"{PREFIX}_{rest.upper()}" in names and _is_a_slip(prefix):
            yield f"{name} is no setting; did you mean {PREFIX}_{rest.upper()}?"


def is_injected(name: str, environ: Mapping[str, str]) -> bool:
    """Whether an orchestrator has set it, to tell of a service or container whose name begins as ours do."""
    value = environ[name].strip()
    if name.endswith("_PORT") and name.startswith(f"{PREFIX}_"):
        return bool(_AN_ADDRESS.fullmatch(value) or _OF_A_SERVICE.fullmatch(name))
    if name.endswith("_NAME") and name.startswith(f"{PREFIX}_"):
        return bool(_A_LINK.fullmatch(value))
    if of_link := _OF_A_LINK.fullmatch(name):
        return bool(_A_LINK.fullmatch(environ.get(f"{of_link['alias']}_NAME", "").strip()))
    return bool(_OF_A_SERVICE.fullmatch(name))


def _is_a_slip(prefix: str) -> bool:
    return SequenceMatcher(None, prefix.upper(), PREFIX).ratio() >= PREFIXES_ALIKE


def _meant(name: str, names: Collection[str]) -> str | None:
    """The known name that is most like it; one of the same words in another order first."""
    words = sorted(name.split("_"))
    turned = (known for known in sorted(names) if sorted(known.split("_")) == words)
    rests = sorted(known.removeprefix(f"{PREFIX}_") for known in names if known.startswith(f"{PREFIX}_"))
    alike = (f"{PREFIX}_{rest}" for rest in get_close_matches(name.removeprefix(f"{PREFIX}_"), rests, 1, ALIKE))
    return next(turned, None) or next(alike, None)
