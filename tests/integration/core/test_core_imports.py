"""What each process of the Procfile imports, and so what memory it takes: heavy packages where they are used, only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import Workshop

from jobs.store import heartbeats
from rushes.local import procfile
from rushes.local.valkey import Valkey

ROOT = Path(__file__).parents[3]
IMPORTED = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)
# None of the service's processes imports these.
ANYWHERE = {"alembic", "av", "boto3", "mako", "prompt_toolkit", "pygments.lexers", "rich.console", "yaml.nodes"}
STORE = {"botocore.session"}
NOT_IMPORTED = {
    "worker": ANYWHERE | STORE,
    "transfer": ANYWHERE,
    "notify": ANYWHERE | STORE,
    "sweep": ANYWHERE | STORE,
    "beat": ANYWHERE | STORE | {"jobs.steps", "jobs.worker"},
}


@pytest.mark.parametrize("role", NOT_IMPORTED)
def test_a_process_imports_nothing_heavy_that_it_does_not_use(
    workshop: Workshop, valkey: Valkey, tmp_path: Path, role: str
) -> None:
    program, *arguments = procfile.parse((ROOT / "Procfile").read_text(encoding="utf-8"), {})[role]
    keys = {
        "AWS_ACCESS_KEY_ID": str(workshop.bucket.config.access_key),
        "AWS_SECRET_ACCESS_KEY": str(workshop.bucket.config.secret_key),
    }
    told = {"PATH": os.environ["PATH"], "RUSHES_REDIS_URL": valkey.url, **keys}
    # An option, which what it starts itself does not hear of.
    command, said = [Path(sys.executable).with_name(program), "-X", "importtime", *arguments], tmp_path / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env={**workshop.env, **told}, stdout=file, stderr=file)

    def works() -> bool:
        with workshop.database.read() as db:
            return role in heartbeats.last_seen_s(db, workshop.database)

    try:
        workshop.await_(works, "it has begun to work", within_s=40)
    finally:
        process.terminate()
        process.wait(40)
    imported = set(IMPORTED.findall(said.read_text()))
    assert "celery" in imported
    assert imported & NOT_IMPORTED[role] == set()
