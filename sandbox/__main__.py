"""`python -m sandbox`: the five gateways on one port."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox import server
from sandbox.settings import Config


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one; the address is printed")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data-dir", type=Path, help="where films are kept (default: a temporary folder)")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every simulated duration")
    parser.add_argument("--allow-loopback-callbacks", action="store_true", help="EvoLink calls http://127.0.0.1 too")
    parser.add_argument("--api-key", help="the key of all five (default: sk-sandbox; afk_sandbox at Apiframe)")
    parser.add_argument("--seed", type=int, help="makes task ids repeatable")
    parser.add_argument("--ca-bundle", type=Path, help="certificates to trust when calling back by https")
    given = parser.parse_args()
    if given.speed <= 0:
        parser.error("--speed must be above 0, such as 20")
    server.run(Config(**vars(given)))


if __name__ == "__main__":
    main()
