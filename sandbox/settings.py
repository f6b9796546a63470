"""What the sandbox is started with, and what may be changed while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.tasks import Task

GENERATION_S = 30.0
DAY_S = 86_400.0
FILMS = ("real", "small")


@dataclass(frozen=True)
class Config:
    """The command line.

    `speed` divides every simulated duration; `data_dir` None is a temporary one; `seed` makes ids repeatable.
    """

    port: int = 0
    host: str = "127.0.0.1"
    data_dir: Path | None = None
    speed: float = 1.0
    allow_loopback_callbacks: bool = False
    api_key: str | None = field(default=None, repr=False)
    seed: int | None = None
    ca_bundle: Path | None = None


class Settings:
    """What POST /control/settings changes. Durations are real seconds, already divided by the speed."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.generation_s: float | dict[str, float] = GENERATION_S / speed
        self.link_life_s = DAY_S / speed
        self.task_life_s = DAY_S / speed
        self.idempotency_life_s = DAY_S / speed
        self.film = "real"
        self.callbacks = True

    def generation_of(self, provider: str) -> float:
        """How long a task of `provider` takes."""
        if isinstance(self.generation_s, dict):
            return self.generation_s.get(provider, GENERATION_S / self.speed)
        return self.generation_s

    def is_gone(self, task: Task, now: float) -> bool:
        """Whether a task that knows its end is older than tasks live."""
        return now >= task.accepted_at + self.task_life_s

    def change(self, changes: Mapping[str, Any], providers: Mapping[str, Any]) -> None:
        """Set what `changes` names. Raises ValueError, and changes nothing, when any of it is wrong."""
        for name, value in changes.items():
            if name not in vars(self):
                raise ValueError(f"{name} is no setting; there are {', '.join([*vars(self), 'credits'])}")
            if name == "film":
                fine = value in FILMS
            elif name == "callbacks":
                fine = isinstance(value, bool)
            elif name == "generation_s" and isinstance(value, dict):
                fine = all(provider in providers and _is_duration(each) for provider, each in value.items())
            else:
                fine = _is_duration(value) and (name != "speed" or value > 0)
            if not fine:
                raise ValueError(f"{name} cannot be {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        """Every setting by name."""
        return dict(vars(self))


def _is_duration(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
