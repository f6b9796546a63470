"""How long `rushes --help` keeps somebody waiting: `python benchmarks/help.py`. Fails above the limit."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS, LIMIT_MS = 30, 250


def took_ms() -> float:
    before = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "rushes", "--help"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - before) * 1000


def main() -> int:
    took_ms()  # what is read from the disk for the first time does not count
    runs = sorted(took_ms() for _ in range(RUNS))
    print(f"`rushes --help` takes {statistics.median(runs):.0f} ms, at most {runs[-1]:.0f}; {LIMIT_MS} are allowed")
    return 1 if statistics.median(runs) > LIMIT_MS else 0


if __name__ == "__main__":
    sys.exit(main())
