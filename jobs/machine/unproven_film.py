"""A film that the proof refused, as an attempt's row keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class UnprovenFilm:
    """Bytes of a task's link that begin like a film, were refused by the proof for a `reason`, and are kept aside."""

    task_id: str
    sha256: str
    bytes: int
    reason: str
    kept_at: datetime

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "kept_at": self.kept_at.isoformat()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> UnprovenFilm:
        return cls(**{**kept, "kept_at": datetime.fromisoformat(kept["kept_at"])})
