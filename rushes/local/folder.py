"""The data folder of `rushes up`: one holder at a time, and the secrets that were made up for it."""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class FolderError(Exception):
    """The data folder cannot be used."""


class FolderInUse(FolderError):
    """Another process holds the folder."""


class BadFolder(FolderError):
    """What the folder holds cannot be read."""


class Folder:
    """A data folder, held by this process until `close` or its end. Made, with mode 0700, if it is not there.

    Raises FolderInUse at once if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(path / "lock")

    def load_or_create(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The values kept in local.json, with those of `defaults` added, and kept from now on, where one is missing.

        The values must be JSON. Raises BadFolder for an unreadable file: it holds the keys to the data beside it, so
        it is never replaced.
        """
        kept = read_local(self.path)
        values = {**defaults, **kept}
        if values != kept:
            self.save(values)
        return values

    def save(self, values: Mapping[str, Any]) -> None:
        """Replace what local.json holds."""
        save_local(self.path, values)

    def close(self) -> None:
        """Let go of the folder. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_local(folder: Path) -> dict[str, Any]:
    """What a folder's local.json holds; {} if there is none. Anybody may read, held or not. Raises BadFolder."""
    path = folder / "local.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadFolder(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadFolder(f"{path} is not JSON ({error}); restore it, or use another data folder") from error
    if not isinstance(values, dict):
        raise BadFolder(f"{path} should hold a JSON object, not {type(values).__name__}")
    return values


def save_local(folder: Path, values: Mapping[str, Any]) -> None:
    """Replace what a folder's local.json holds. For whoever holds the folder, and what it runs and waits for."""
    write_private(folder / "local.json", json.dumps(values, indent=2) + "\n")


def new_secret() -> str:
    """A password or key: 32 letters and digits, which need quoting nowhere."""
    return secrets.token_hex(16)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Readers, and a crash, see the old text or the new, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_new_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Raises FileExistsError where there is one already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # not inherited by what we start
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        process = f"process {holder}" if holder else "another process"
        raise FolderInUse(f"{path.parent} is in use by {process}; stop it, or use another data folder") from error
    except BaseException:
        os.close(descriptor)
        raise
    # Never unlinked: a second process could then lock the old file while a third locks a new one.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
