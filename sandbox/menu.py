"""The faults still to happen: those ordered for whoever comes, and those that one request brings in its header."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from sandbox.faults import ANY, Fault


class Menu:
    """Faults that are still to happen, oldest first. Every method may be called from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = list(faults)

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


class Due:
    """What may befall one request to `provider`: its own faults first, which die with it, then the menu's."""

    def __init__(self, provider: str, own: Iterable[Fault], menu: Menu) -> None:
        self._provider, self._own, self._menu = provider, Menu(own), menu

    def take(self, name: str, **match: Any) -> dict[str, Any] | None:
        """The parameters of such a fault, which is thereby used once; None when there is none."""
        own = self.take_own(name, **match)
        return own if own is not None else self._menu.take(self._provider, name, **match)

    def take_own(self, name: str, **match: Any) -> dict[str, Any] | None:
        """The same of the request's own faults alone."""
        return self._own.take(self._provider, name, **match)
