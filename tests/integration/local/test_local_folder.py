import os
import subprocess
import sys
from pathlib import Path

import pytest

from rushes.local.folder import Folder, FolderInUse

LEASE = """
import sys
from pathlib import Path
from rushes.local.folder import Folder
with Folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    with Folder(tmp_path):
        second = subprocess.run(
            [sys.executable, "-c", LEASE, str(tmp_path)], capture_output=True, text=True, timeout=30, input=""
        )
    assert second.returncode == 1
    expected = f"{tmp_path} is in use by process {os.getpid()}; stop it, or use another data folder"
    assert second.stderr.splitlines()[-1] == f"rushes.local.folder.FolderInUse: {expected}"


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEASE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=f"process {holder.pid}"):
            Folder(tmp_path)
        holder.kill()
        holder.wait(timeout=10)
    Folder(tmp_path).close()
