"""Order every line of a JSON Lines file, wait for all, bring the videos home: python pipeline.py scenes.jsonl videos

Stopped halfway, it is started again the same way: nothing is ordered twice, and no video is fetched twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rushes_client import Client, Job, RushesError


def main(file: Path, folder: Path) -> int:
    """The number of scenes that have no video."""
    folder.mkdir(parents=True, exist_ok=True)
    requests = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for number, request in enumerate(requests, start=1):
        request["idempotency_key"] = f"{file.name}:{number}"
    without = 0
    with Client() as rushes:
        # All are ordered before the first is waited for, so that the gateways work on all of them.
        ordered = list(rushes.submit_many(requests))
        for request, job in zip(requests, ordered, strict=True):
            name = request["idempotency_key"]
            try:
                print(f"{name}: {bring_home(rushes, job, folder)}")
            except RushesError as error:
                print(f"{name}: {error}", file=sys.stderr)
                without += 1
    return without


def bring_home(rushes: Client, job: Job | RushesError, folder: Path) -> Path:
    if isinstance(job, RushesError):
        raise job
    return rushes.download(rushes.wait(job), folder / f"{job.id}.mp4")


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]), Path(sys.argv[2]))))
