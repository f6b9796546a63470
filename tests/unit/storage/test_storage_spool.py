import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage import spool as spools
from storage.errors import SpoolFull
from storage.spool import Spool


def test_a_spool_file_has_no_name_and_knows_its_length_and_hash(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(b"one")
    spool.write(b"two")
    with spool.finish() as spooled:
        assert list(tmp_path.iterdir()) == []
        assert spooled.bytes == 6
        assert spooled.sha256 == hashlib.sha256(b"onetwo").hexdigest()
        spooled.file.seek(0)
        assert spooled.file.read() == b"onetwo"
    assert spooled.file.closed


def test_a_file_system_without_unnamed_files_gets_one_that_is_unlinked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile._O_TMPFILE_WORKS", False)
    spool = Spool(tmp_path)
    spool.write(b"one")
    with spool.finish() as spooled:
        assert list(tmp_path.iterdir()) == []
        assert spooled.bytes == 3


def disk_with(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools.os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))


def test_a_disk_without_room_for_the_declared_bytes_is_full_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_with(spools.MARGIN_BYTES + 99, monkeypatch)
    with pytest.raises(SpoolFull):
        Spool(tmp_path, expected=100)


def test_a_disk_that_fills_while_we_write_is_noticed_before_its_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    disk_with(spools.MARGIN_BYTES - 1, monkeypatch)
    spool.write(bytes(spools.LOOK_AGAIN_BYTES))
    with pytest.raises(SpoolFull):
        spool.write(b"one more")
    spool.close()


def test_a_write_that_the_system_refuses_is_a_full_spool() -> None:
    """A real refusal: the kernel allows this process files of 1 MB."""
    script = (
        "import resource, pathlib, storage.spool as s\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "spool = s.Spool(pathlib.Path('/tmp'))\n"
        "try:\n"
        "    for _ in range(20): spool.write(bytes(100_000))\n"
        "except s.SpoolFull as error: print(type(error).__name__, error)\n"
        "spool.close()\n"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout.startswith("SpoolFull the disk took 1")
    assert done.stderr == ""
