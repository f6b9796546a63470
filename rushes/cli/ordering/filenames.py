"""What videos of a batch are called: a pattern of words in braces, `{line:04}-{metadata.scene}-{id}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Any

SUFFIX = ".mp4"
USUAL = "{id}"
WORDS = ("id", "line", "batch", "mode", "provider")
OF_METADATA = "metadata."
NOT_IN_NAMES = re.compile(r'[\0-\x1f\x7f/\\:*?"<>|]')  # of one system or another
ANY_ID = "job_" + "0" * 26


class BadPattern(Exception):
    """It names what a video has not, or leads out of its folder."""


class Pattern:
    """Raises BadPattern."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parts = [(before, name, form or "") for before, name, form, _ in Formatter().parse(text)]
        except ValueError as error:
            raise BadPattern(f"{text!r} cannot be read: {error}") from error
        for _, name, _ in self._parts:
            if name is not None and name not in WORDS and not name.startswith(OF_METADATA):
                known = ", ".join(WORDS)
                raise BadPattern(f"{text!r} names {{{name}}}; there are {known}, and {OF_METADATA}KEY")

    def path(self, request: Mapping[str, Any], *, line: int, job: Mapping[str, Any] | None = None) -> Path:
        """Where the video goes, below its folder; without its job, where it might. Raises BadPattern."""
        known = {
            "id": job["id"] if job else ANY_ID,
            "line": line,
            "batch": request.get("batch"),
            "mode": request.get("mode") or "text-to-video",
            "provider": (job and job["provider"]) or "any",
        }
        metadata = request.get("metadata") or {}
        said = "".join(before + self._word(name, form, known, metadata) for before, name, form in self._parts)
        path = PurePosixPath(said)
        if path.is_absolute() or not path.name or ".." in path.parts:
            raise BadPattern(f"{self.text!r} makes {said!r}, which is no file below the folder")
        return Path(path if path.suffix == SUFFIX else f"{path}{SUFFIX}")

    def _word(self, name: str | None, form: str, known: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
        if name is None:
            return ""
        entry = name.removeprefix(OF_METADATA)
        value = known[name] if entry == name else metadata.get(entry)
        if value is None:
            raise BadPattern(f"it has no {name}, which the names of the files are made of")
        try:
            return NOT_IN_NAMES.sub("_", format(value, form))
        except (ValueError, TypeError) as error:
            raise BadPattern(f"{self.text!r} cannot write {name}: {error}") from error
