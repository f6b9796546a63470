"""One protection of a promise: how it is taken away, and the test that must miss it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sim_mutants

Patches = Callable[[], dict[str, Any]]  # by the name of what is replaced


class Protection(NamedTuple):
    """`words` name it. `patches` gives what stands in its place. `test` turns red then, in every row that it names."""

    promise: str
    words: str
    patches: Patches
    test: str  # its id below tests/


def as_simulated(promise: str, words: str, test: str) -> Protection:
    """One that the simulator's runs are tried without as well."""
    return Protection(promise, words, sim_mutants.PROTECTIONS[words].patches, test)


def one(name: str, instead: Any) -> Patches:
    """A single patch."""
    return lambda: {name: instead}


def nothing(*_: Any, **__: Any) -> None:
    """Instead of a check that raises."""
