"""The API key of the command line on this machine, kept in the data folder.

Also a program, `python -m rushes.local.own_key`: in `rushes up` itself what asks the database would stay in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rushes.local.folder import read_local, save_local, write_private

NAME, FILE, KEPT = "local", "api_key", "api_key"


@dataclass(frozen=True)
class ApiKey:
    """A key for the command line on this machine. `fresh`: it was made just now."""

    id: str
    key: str = field(repr=False)
    fresh: bool


def kept(folder: Path, before: dict[str, Any]) -> ApiKey:
    """The key that the folder holds. `before`: what it held before the program ran."""
    own = read_local(folder)[KEPT]
    return ApiKey(own["id"], own["key"], fresh=own != before.get(KEPT))


def main() -> None:
    """Keep a new key where the database does not know the kept one (any more)."""
    from jobs.intake import api_keys
    from jobs.settings import load
    from jobs.store.database import Database, DatabaseUnavailable

    settings = load()
    values = read_local(settings.data_dir)
    own = values.get(KEPT)
    database = Database(settings.database_url, threads=1)
    try:
        with database.read() as db:
            is_known = own is not None and api_keys.find(db, own["key"]) is not None
        if own is None or not is_known:
            key_id, key = api_keys.create(database, NAME, api_keys.Scope.ADMIN)  # whoever starts it runs it
            own = {"id": key_id, "key": key}
            save_local(settings.data_dir, {**values, KEPT: own})
    except DatabaseUnavailable as error:
        sys.exit(f"the database cannot be used: {error}")
    finally:
        database.close()
    write_private(settings.data_dir / FILE, own["key"] + "\n")  # for commands that are pasted


if __name__ == "__main__":
    main()
