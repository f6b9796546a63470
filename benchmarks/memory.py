"""What memory `rushes up --sandbox` takes at rest: `python benchmarks/memory.py`. Fails above the limit.

Summed is PSS, in which pages that several processes share are divided between them, over the whole tree: the
supervisor, the stores, the sandbox and the Procfile's processes. At rest is what no longer changes from look to look.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from figures import tell

from rushes.local.ports import free_ports

WANTED_MB = 500
LOOK_S, LOOKS, CHANGE = 4, 4, 0.01  # as many looks in a row, each so near to the one before
WITHIN_S = 180
UP = "rushes up"
# Part → how its command line reads.
PARTS = {
    "web": r"granian",
    "worker": r"-n worker@",
    "transfer": r"-n transfer@",
    "notify": r"-n notify@",
    "sweep": r"-n sweep@",
    "beat": r" beat$",
    "SeaweedFS": r"/weed ",
    "Valkey": r"valkey-server",
    "sandbox": r"-m sandbox",
}


@contextmanager
def service() -> Iterator[int]:
    """The process id of a `rushes up` that has said that it is up."""
    environ = {"PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as folder:
        said = Path(folder) / "said"
        options = ["--sandbox", "--json", "--port", str(free_ports(1)[0]), "--data-dir", f"{folder}/data"]
        command = [Path(sys.executable).parent / "rushes", "up", *options]
        with said.open("wb") as log:
            up = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        assert up.stdout is not None
        try:
            if not up.stdout.readline():  # it announces itself once every part has answered
                raise SystemExit(f"it did not come up:\n{said.read_text()}")
            yield up.pid
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait()
            up.stdout.close()


def at_rest(root: int) -> dict[str, float]:
    """The parts' MB, once their sum stays."""
    end = time.monotonic() + WITHIN_S
    seen: list[float] = []
    while True:
        found = parts(root)
        seen = [*seen, sum(found.values())][-LOOKS:]
        if len(seen) == LOOKS and all(abs(after - before) < CHANGE * before for before, after in pairwise(seen)):
            return found
        if time.monotonic() > end:
            raise SystemExit(f"it has not come to rest within {WITHIN_S} s: {seen}")
        time.sleep(LOOK_S)


def parts(root: int) -> dict[str, float]:
    """MB by part; what a part has forked counts with it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))

    def tree(pid: int) -> Iterator[int]:
        yield pid
        for child in children.get(pid, ()):
            yield from tree(child)

    found = {UP: pss_mb(root)}
    for child in children.get(root, ()):
        found[name_of(child)] = sum(map(pss_mb, tree(child)))
    return found


def name_of(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return next((name for name, reads in PARTS.items() if re.search(reads, command)), command)


def pss_mb(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def main() -> int:
    with service() as pid:
        found = at_rest(pid)
    if unknown := set(found) ^ {UP, *PARTS}:
        raise SystemExit(f"not the parts that there should be: {', '.join(sorted(unknown))}")
    total = sum(found.values())
    good = tell(
        "memory of `rushes up --sandbox` at rest", f"{total:.0f} MB", f"{WANTED_MB} MB", is_held=total <= WANTED_MB
    )
    largest_first = sorted(found.items(), key=lambda each: -each[1])
    tell("of it, by process", ", ".join(f"{name} {mb:.0f} MB" for name, mb in largest_first))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
