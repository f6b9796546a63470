"""The menu of faults: what may go wrong, with which parameters, and what is still to go wrong."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANY = "any"

# Every fault with its parameters and their defaults. A fault of a task is taken by the next task accepted, and stays
# with it;
# a fault of a request is taken by the next request of its kind.
TASK_FAULTS: dict[str, dict[str, Any]] = {
    "lose_callback": {},
    "double_callbacks": {"count": 4},
    "callback_before_answer": {},
    "lose_answer": {"how": "reset", "seconds": 30.0},
    "fail": {"retryable": False, "code": None, "message": None, "word": None},
    "expire_link": {"reports": 1},
    "serve": {"what": "html", "hits": 1, "bytes_per_s": None},
    "stall": {},
}
REQUEST_FAULTS: dict[str, dict[str, Any]] = {
    "slow_submit": {"seconds": 5.0},
    "refuse": {"status": 429, "on": "submit", "code": None, "message": None, "body": None, "retry_after": None},
    "garbage_query": {"what": "html"},
    "unknown_word": {"word": "moderating"},
}
WORDS = {
    ("lose_answer", "how"): ("reset", "close", "tls", "502", "hang", "drip"),
    ("serve", "what"): ("html", "truncated", "truncated_clean", "empty", "endless", "slow"),
    ("refuse", "on"): ("submit", "query"),
    ("garbage_query", "what"): ("html", "json"),
}
# Faults of a task that can still be given to one that was accepted before.
LATE_FAULTS = ("lose_callback", "double_callbacks", "expire_link", "serve")


class UnknownFault(Exception):
    """No such fault, or no such parameter or value of it."""


@dataclass
class Fault:
    """One line of the menu's orders: `left` more times for `provider` (or any)."""

    provider: str
    name: str
    left: int
    params: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As POST /control/faults takes it, with `left` for `times`."""
        return {"provider": self.provider, "fault": self.name, "left": self.left, **self.params}


class Menu:
    """The faults that are still to happen, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        with self._lock:
            self._faults.append(fault)

    def take(self, provider: str, name: str, **match: Any) -> dict[str, Any] | None:
        """The parameters of the oldest such fault, which is thereby used once; None when there is none."""
        with self._lock:
            for fault in self._faults:
                fits = fault.name == name and fault.provider in (provider, ANY)
                if fits and all(fault.params[key] == value for key, value in match.items()):
                    fault.left -= 1
                    self._faults = [each for each in self._faults if each.left > 0]
                    return fault.params
        return None

    def clear(self) -> None:
        """Forget all that has not happened yet."""
        with self._lock:
            self._faults = []

    def left(self) -> list[Fault]:
        """What has not happened yet."""
        with self._lock:
            return list(self._faults)


def read(provider: str, name: str, times: int, given: Mapping[str, Any]) -> Fault:
    """A fault from its parts, with defaults for the parameters not given. Raises UnknownFault."""
    defaults = (TASK_FAULTS | REQUEST_FAULTS).get(name)
    if defaults is None:
        raise UnknownFault(f"no fault {name!r}; there are {', '.join(TASK_FAULTS | REQUEST_FAULTS)}")
    for key, value in given.items():
        if key not in defaults:
            raise UnknownFault(f"{name} has no parameter {key!r}; it has {', '.join(defaults) or 'none'}")
        words = WORDS.get((name, key))
        if words and str(value) not in words:
            raise UnknownFault(f"{key} of {name} must be one of {', '.join(words)}, not {value!r}")
    return Fault(provider, name, times, {**defaults, **given})
