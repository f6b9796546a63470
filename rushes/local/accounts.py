"""Whether an account can run the service: run its program, enter the data folder, and own and write what is in there.

The account itself has to look, as root may do everything. So this file is also a program, `python -I -S accounts.py
PROGRAM FOLDER`, which imports nothing of ours and prints what is wrong.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KEPT = ("lock", "local.json")  # what `rushes up` writes anew at each start
INTERPRETER = sys.executable
LOOKS_WITHIN_S = 60


def fault(program: Path, data_dir: Path, account: pwd.struct_passwd | None) -> str | None:
    """What keeps the account from running the program in the folder, which is there; None: nothing does.

    Without an account: what keeps this process from it.
    """
    user: dict[str, Any] = {}
    if account is not None and account.pw_uid != os.geteuid():
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
    command = [INTERPRETER, "-I", "-S", __file__, str(program), str(data_dir)]
    try:
        done = subprocess.run(
            command,
            **user,
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=LOOKS_WITHIN_S,
            check=False,
        )
    except OSError as error:
        return f"{error.filename or INTERPRETER}: {error.strerror}"
    return done.stdout.strip() or (f"{INTERPRETER} does not run there" if done.returncode else None)


def _look(program: str, folder: str) -> str:
    """What the account that runs this meets; empty: nothing."""
    if not os.access(program, os.X_OK):
        return f"{program} cannot be run"
    try:
        os.chdir(folder)
        mode = os.stat(".").st_mode
        if not mode & stat.S_ISVTX:  # somebody's /tmp stays as it is; any other folder is closed to everybody else
            os.chmod(".", stat.S_IMODE(mode))
        with tempfile.TemporaryFile(dir="."):
            pass
        for name in KEPT:
            if os.path.exists(name):
                os.close(os.open(name, os.O_RDWR))
    except OSError as error:
        return f"{Path(folder, error.filename or '')}: {error.strerror}"
    return ""


if __name__ == "__main__":
    sys.stdout.write(_look(*sys.argv[1:]))
