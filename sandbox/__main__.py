"""`python -m sandbox`: the five gateways on one port."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sandbox import server
from sandbox.faults import FAULTS, HEADER, Parameter, Words
from sandbox.settings import Config

TEACHING = f"""\
Each gateway speaks its documented protocol under /aivideoapi, /apiframe, /easyrouter, /gravitex or /evolink.

A fault befalls one request that names it in a header, or the next ones when it is sent to POST /control/faults:
  {HEADER}: lose_answer; how=hang; seconds=3
  {{"provider": "evolink", "fault": "lose_answer", "how": "hang", "seconds": 3, "times": 2}}
GET /control/tasks shows what became of every task, GET /control/refusals what each gateway refuses with.

The faults, with their parameters and defaults:
"""


def parser() -> argparse.ArgumentParser:
    """The command line; its help shows every fault with its parameters and their defaults."""
    lines = []
    for name, kind in FAULTS.items():
        lines.append(f"  {name:<23} {kind.does}")
        if kind.params:
            lines.append(" " * 28 + "; ".join(f"{key}={_shown(each)}" for key, each in kind.params.items()))
    made = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=__doc__,
        epilog="\n".join([TEACHING, *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--port", type=int, default=8700, help="0 takes a free one; the address is printed")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--data-dir", type=Path, help="where films are kept (default: a temporary folder)")
    made.add_argument("--speed", type=float, default=1.0, help="divides every simulated duration")
    made.add_argument("--allow-loopback-callbacks", action="store_true", help="EvoLink calls http://127.0.0.1 too")
    made.add_argument("--api-key", help="the key of all five (default: sk-sandbox; afk_sandbox at Apiframe)")
    made.add_argument("--seed", type=int, help="makes task ids repeatable")
    made.add_argument("--ca-bundle", type=Path, help="certificates to trust when calling back by https")
    return made


def _shown(parameter: Parameter) -> str:
    """The words a parameter may be, its default first; else its default as JSON."""
    words = parameter.read.words if isinstance(parameter.read, Words) else ()
    return "|".join(words) or json.dumps(parameter.default).strip('"')


def main() -> None:
    """Read the command line and serve."""
    line = parser()
    given = line.parse_args()
    if given.speed <= 0:
        line.error("--speed must be above 0, such as 20")
    server.run(Config(**vars(given)))


if __name__ == "__main__":
    main()
