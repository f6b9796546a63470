"""What browsers load of other people's work: a few files of npm packages, fetched by our lock and verified by it.

Run by its path where nothing is installed yet, as `make setup` and the image's build do: the standard library alone.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import ssl
import sys
import tarfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "npm" / "package-lock.json"
FOLDER = HERE / "static" / "vendor"
WITHIN_S = 60
USUAL_REGISTRY = "https://registry.npmjs.org/"
# package → where a file stands in it, and what it is called here
FILES = {
    "@picocss/pico": {"css/pico.min.css": "pico.css", "LICENSE.md": "pico.LICENSE"},
    "htmx.org": {"dist/htmx.min.js": "htmx.js", "LICENSE": "htmx.LICENSE"},
    "idiomorph": {"dist/idiomorph-ext.min.js": "idiomorph.js", "LICENSE": "idiomorph.LICENSE"},
    "uplot": {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css", "LICENSE": "uplot.LICENSE"},
}


class NotFetched(Exception):
    """A package could not be had, or is not the one that the lock means."""


def are_there() -> bool:
    """Whether the files are those of the lock."""
    kept = FOLDER / LOCK.name
    return kept.is_file() and kept.read_bytes() == LOCK.read_bytes()


def fetch() -> None:
    """Put the files of the lock into their folder, all of them or none. Raises NotFetched."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    settings = _npm_settings()
    found: dict[str, bytes] = {LOCK.name: LOCK.read_bytes()}
    for name, wanted in FILES.items():
        locked = packages[f"node_modules/{name}"]
        packed = _download(f"{_registry(settings)}{name}/-/{name.rpartition('/')[2]}-{locked['version']}.tgz", settings)
        _verify(name, packed, locked["integrity"])
        found |= _extract(name, packed, wanted)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name, content in sorted(found.items()):  # the lock's copy, which tells that all are there, among the last
        if name != LOCK.name:
            (FOLDER / name).write_bytes(content)
    (FOLDER / LOCK.name).write_bytes(found[LOCK.name])


def _download(url: str, settings: dict[str, str]) -> bytes:
    context = ssl.create_default_context()
    if cafile := settings.get("cafile"):
        context.load_verify_locations(cafile)
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S, context=context) as answer:  # noqa: S310 # the operator's
            content: bytes = answer.read()
    except OSError as e:
        raise NotFetched(f"{url}: {e}; set NPM_CONFIG_REGISTRY to a registry that this machine reaches.") from e
    return content


def _verify(name: str, packed: bytes, integrity: str) -> None:
    kind, _, wanted = integrity.partition("-")
    if kind != "sha512" or base64.b64encode(hashlib.sha512(packed).digest()).decode() != wanted:
        raise NotFetched(f"{name}: the registry's package is not the one that {LOCK.name} names.")


def _extract(name: str, packed: bytes, wanted: dict[str, str]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        # Whatever the topmost folder is called; npm's own packages call it `package`.
        members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
        found = {}
        for path, called in wanted.items():
            content = archive.extractfile(members[path]) if path in members else None
            if content is None:
                raise NotFetched(f"{name} has no {path}.")
            found[called] = content.read()
    return found


def _registry(settings: dict[str, str]) -> str:
    return settings.get("registry", USUAL_REGISTRY).rstrip("/") + "/"


def _npm_settings() -> dict[str, str]:
    """What npm would be told of its registry: by the environment, else by its files, a person's own before all."""
    found: dict[str, str] = {}
    for file in (Path("/etc/npmrc"), Path.home() / ".npmrc"):
        if file.is_file():
            lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
            found |= {name.strip(): value.strip() for name, mark, value in lines if mark}
    environment = {name.lower(): value for name, value in os.environ.items() if value}
    for name in ("registry", "cafile"):
        if value := environment.get(f"npm_config_{name}"):
            found[name] = value
    return found


def main() -> None:
    """Fetch what is not there."""
    if are_there():
        return
    try:
        fetch()
    except NotFetched as e:
        sys.exit(f"The console's style sheets and scripts could not be fetched. {e}")


if __name__ == "__main__":
    main()
