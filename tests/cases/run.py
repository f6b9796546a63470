"""Runs a script that shows a fault, from a folder of such scripts, against this checkout.

    .venv/bin/python tests/cases/run.py ends/never_ends.py evolink

The script finds our `kit`, whichever kit lies beside it, and the names that modules had before the rooms.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAST = HERE / "past"
USUAL_PLACE = HERE.parents[1] / ".." / "shared" / "cases"


def main() -> None:
    given = _arguments()
    script = (given.cases / given.script).resolve()
    if not script.is_file():
        sys.exit(f"No script {script}. Say where the cases are: --cases FOLDER, or RUSHES_CASES.")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.path.append(str(PAST))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PAST), os.environ.get("PYTHONPATH"))))
    import kit  # noqa: F401 - found here first, it is what the script gets, whatever it puts on the path
    import old_names

    old_names.install()
    sys.argv = [str(script), *given.rest]
    runpy.run_path(str(script), run_name="__main__")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases",
        type=Path,
        default=Path(os.environ.get("RUSHES_CASES") or USUAL_PLACE),
        help="the folder of cases; else RUSHES_CASES, else ../shared/cases from the project",
    )
    parser.add_argument("script", type=Path, help="FOLDER/SCRIPT.py")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="the script's own arguments")
    return parser.parse_args()


if __name__ == "__main__":
    main()
