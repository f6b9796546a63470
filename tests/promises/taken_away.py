"""A plugin: `pytest -p taken_away --without "THESE WORDS"` runs tests on the service without one protection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from unittest.mock import patch

import pytest
from protections import BY_WORDS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", required=True, choices=BY_WORDS, metavar="WORDS", help="the protection to take away")


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before anybody can import by name what is replaced."""
    taken = ExitStack()
    early_config.add_cleanup(taken.close)
    for name, instead in BY_WORDS[early_config.known_args_namespace.without].patches().items():
        taken.enter_context(patch(name, instead))
    return (yield)
