"""How long `rushes --help` keeps somebody waiting: `python benchmarks/help.py`. Fails above the limit."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from figures import tell

RUNS, LIMIT_MS = 30, 250


def took_ms() -> float:
    before = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "rushes", "--help"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - before) * 1000


def main() -> int:
    took_ms()  # what is read from the disk for the first time does not count
    runs = sorted(took_ms() for _ in range(RUNS))
    median = statistics.median(runs)
    said = f"{median:.0f} ms, at most {runs[-1]:.0f}"
    return 0 if tell("`rushes --help`", said, f"{LIMIT_MS} ms", is_held=median <= LIMIT_MS) else 1


if __name__ == "__main__":
    sys.exit(main())
