"""This machine: the data folder, and what the settings leave out."""

from __future__ import annotations

import shutil
import tempfile

from jobs.settings import Settings
from jobs.store import heartbeats, migrate
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.migrate import SchemaOutdated
from rushes.doctor.findings import Findings, fail, ok, warn
from storage.spool import MARGIN_BYTES

MARGIN = 1.1  # what the file system takes for itself


def settings(settings: Settings) -> Findings:
    """They were read, so they are valid; what is missing on purpose is said."""
    gateways = ", ".join(f"{n} (a stand-in)" if a.is_stand_in else n for n, a in settings.accounts.items())
    if gateways:
        yield ok("settings", f"valid; keys for {gateways}")
    else:
        yield fail("settings", "valid, and no gateway has a key", "set RUSHES_EVOLINK_API_KEY or another gateway's key")
    if settings.notice_secrets:
        rotated = len(settings.notice_secrets) > 1
        said = "two secrets sign, until the second is taken out" if rotated else "a secret signs"
        inside = "; receivers inside are open" if settings.notice_receivers.is_any else ""
        yield ok("notices", said + inside)
    else:
        then = "set RUSHES_NOTICE_SECRETS=whsec_… (24 to 64 random bytes in base64)"
        yield warn("notices", "no secret, so no request may name a notify_url", then)
    if settings.allow_private_addresses:
        yield warn(
            "addresses",
            "private addresses are allowed: a link may lead into this network",
            "unset RUSHES_ALLOW_PRIVATE_ADDRESSES, unless this is for development",
        )


def folder(settings: Settings) -> Findings:
    """The data folder: there, writable, with room for the videos that are copied at the same time, if they are here."""
    path = settings.data_dir
    try:
        with tempfile.TemporaryFile(dir=path):
            free = shutil.disk_usage(path).free
    except OSError as error:
        then = "make it, for the user that the service runs as; RUSHES_DATA_DIR or --data-dir names another"
        yield fail("data folder", f"{path} cannot be written to ({error.strerror})", then)
        return
    said = f"{path} has {free / 1e9:.1f} GB free"
    wanted = settings.max_video_bytes * MARGIN
    if free < wanted and (hosts := _copied_at(settings)):
        yield ok("data folder", f"{said}; films are copied at {', '.join(hosts)}, and /readyz tells of the room there")
        return
    if free < MARGIN_BYTES:
        then = "free some room where the transfer process keeps its folder: it copies nothing with so little left"
        yield fail("data folder", said, then)
        return
    if free < wanted:
        most = f"{settings.max_video_bytes / 1e9:.1f} GB (RUSHES_MAX_VIDEO_BYTES)"
        then = f"free some room where the transfer process keeps its folder: one video may take {most}"
        yield warn("data folder", said, then)
    else:
        yield ok("data folder", said)


def _copied_at(settings: Settings) -> list[str]:
    """The hosts, in a container its own, where transfer processes live; none if one does here, or nobody can tell."""
    database = Database(settings.database_url, threads=1)
    try:
        migrate.check(database)
        with database.read() as db:
            within_s = heartbeats.believed_s(settings.sweep_interval_s)
            return heartbeats.other_hosts(db, database, "transfer", within_s)
    except (DatabaseUnavailable, SchemaOutdated):  # told by its own check
        return []
    finally:
        database.close()
