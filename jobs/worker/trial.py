"""The store's trial in a process of its own, for whoever asks the store nothing else.

`python -m jobs.worker.trial NAME`. The client that it needs would stay in memory, 20 MB.
"""

from __future__ import annotations

import subprocess
import sys

from jobs.errors import StoreUnfit

PASSED, SILENT, UNFIT = 0, 3, 4  # its exit statuses; with the last it has printed why


def require(name: str) -> bool:
    """As `store_trial.require`, of the store that the environment names."""
    command = [sys.executable, "-m", __name__, name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == UNFIT:
        raise StoreUnfit(done.stdout.strip())
    if done.returncode not in (PASSED, SILENT):
        raise RuntimeError(f"the store's trial ended with status {done.returncode}")
    return done.returncode == PASSED


def main() -> None:
    from jobs import logs
    from jobs.buckets import bucket
    from jobs.settings import load
    from jobs.steps import store_trial

    settings = load()
    logs.hide(settings.secrets)
    logs.configure()
    try:
        has_passed = store_trial.require(bucket(settings), sys.argv[1])
    except StoreUnfit as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(UNFIT)
    sys.exit(PASSED if has_passed else SILENT)


if __name__ == "__main__":
    main()
