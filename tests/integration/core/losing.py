"""What happened since a backup is lost."""

from __future__ import annotations

from rows_backup import Backup
from workshop import Workshop

from jobs.upkeep import restore


def lose(workshop: Workshop, backup: Backup) -> restore.Restored:
    backup.put_back()
    workshop.bells.take()
    return restore.restored(workshop.resources, as_of=backup.taken_at)
