"""Reads variables one at a time, and collects what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from jobs.environment.numbers import GOING, INTEGERS, MAY_BE_ZERO, NUMBERS

LONGEST_URL = 255
MOST_PER_S = 1000  # queries per key: their times within a second are kept in Valkey


class Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]):
        self.environ = environ
        self.asked: set[str] = set()
        self.faults: list[str] = []

    def text(self, name: str) -> str | None:
        """The variable, or the contents of the file that `<NAME>_FILE` names; empty counts as missing."""
        self.asked.add(name)
        value, path = self.environ.get(name, "").strip(), self.environ.get(f"{name}_FILE", "").strip()
        if path and value:
            self.fault(f"{name} and {name}_FILE are both set; keep one.")
            return None
        if not path:
            return value or None
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as e:
            self.fault(f"{name}_FILE names {path}, which cannot be read ({type(e).__name__}).")
            return None

    def url(self, name: str, schemes: tuple[str, ...], example: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and len(value) <= LONGEST_URL
        except ValueError:
            good = False
        if not good:
            self.fault(f"{name} is not a URL that can be used; example: {example}")
        return value

    def number(self, name: str) -> float | int:
        default, _ = NUMBERS[name]
        raw = self._under_either_name(f"RUSHES_{name}", f"RUSHES_{GOING[name]}" if name in GOING else None)
        kind: Callable[[str], float] = int if name in INTEGERS else float
        try:
            value = default if raw is None else kind(raw)
            if not (0 < value < 1e12 or (value == 0 and name in MAY_BE_ZERO)):
                raise ValueError
        except ValueError:
            least = "of zero or more" if name in MAY_BE_ZERO else "above zero"
            self.fault(f"RUSHES_{name} is {raw!r}, not a number {least}; example: RUSHES_{name}={default:.15g}")
            value = default
        return int(value) if name in INTEGERS else float(value)

    def _under_either_name(self, name: str, going: str | None) -> str | None:
        """A variable that may still be set under the name that it had before."""
        value, old = self.text(name), self.text(going) if going else None
        if value is not None and old is not None:
            self.fault(f"{name} and {going}, its old name, are both set; keep {name}.")
        return old if value is None else value

    def word(self, name: str, words: Collection[str]) -> str | None:
        """One of these words, in whatever case; None where nothing is set."""
        raw = self.text(name)
        known = {word.lower(): word for word in words}
        if raw is not None and raw.lower() not in known:
            self.fault(f"{name} is {raw!r}; it may be {', '.join(words)}.")
        return known.get((raw or "").lower())

    def amount(self, name: str, example: str) -> float | None:
        """A sum of money in US dollars; None where nothing is set."""
        return self._fitting(name, lambda n: 0 <= n < 1e9, f"not an amount of US dollars; example: {name}={example}")

    def pace(self, name: str, example: str) -> float | None:
        """How often a second; None where nothing is set."""
        said = f"not a number above zero, up to {MOST_PER_S}; example: {name}={example}"
        return self._fitting(name, lambda n: 0 < n <= MOST_PER_S, said)

    def _fitting(self, name: str, fits: Callable[[float], bool], said: str) -> float | None:
        raw = self.text(name)
        try:
            value = None if raw is None else float(raw)
            if value is None or fits(value):
                return value
        except ValueError:
            pass
        self.fault(f"{name} is {raw!r}, {said}")
        return None

    def fault(self, line: str) -> None:
        """Remember what is wrong; the caller goes on, so that all faults are told together."""
        if line not in self.faults:  # a variable may be read for two things
            self.faults.append(line)
