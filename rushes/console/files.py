"""The files that pages load, each under an address that changes with its content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Response, abort

from rushes.console import assets

FOLDER = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def address(name: str) -> str:
    """Where a page loads this file from."""
    path = FOLDER / name
    content = path.read_bytes() if path.is_file() else b""  # without the packages' files pages are bare, and say so
    return f"/console/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"


def missing() -> str | None:
    """What to do about files of packages that are not there; None: they are."""
    if assets.are_there():
        return None
    return f"Style sheets and scripts are missing: run `python {Path(assets.__file__)}`, and start again."


def served(name: str) -> Response:
    """One of the files. 404 for all else."""
    path = FOLDER / name
    if path.suffix not in KINDS or FOLDER not in path.resolve().parents or not path.is_file():
        abort(404)
    return Response(path.read_bytes(), headers=KEPT, mimetype=KINDS[path.suffix])
