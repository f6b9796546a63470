"""`rushes up` on servers as providers offer them: PostgreSQL behind a pooler, the broker behind TLS."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

import pytest
import trustme
from emptying import empty_valkey
from pooler import pooled
from tls_front import tls_front
from whole_machine import launch, run

from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor
from rushes.local.valkey import Valkey

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(sys.platform != "linux", reason="unpacks a package of Debian"),
    pytest.mark.timeout(300),
]


def test_jobs_come_to_their_videos(tmp_path: Path, servers: Supervisor, postgres: Postgres, valkey: Valkey) -> None:
    authority, name = trustme.CA(), f"managed_{secrets.token_hex(6)}"
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    (port,) = free_ports(1)
    with (
        pooled(servers, postgres.create_database(name), connections=5) as database,
        tls_front(servers, valkey.port, authority, tmp_path) as front,
    ):
        told = {
            "RUSHES_DATABASE_URL": database.replace("postgresql+psycopg://", "postgres://"),
            "RUSHES_REDIS_URL": f"rediss://:{valkey.password}@localhost:{front}/0?ssl_ca_certs={file}",
        }
        up = launch(tmp_path, "up", "up", "--sandbox", "--speed", "30", "--port", str(port), **told)
        try:
            up.until_said("Rushes is up at")
            asked = ["--provider", "evolink", "--resolution", "720p", "--duration", "2"]
            for _ in range(8):  # more often than psycopg waits before it prepares a statement
                done = run(tmp_path, "submit", "A red fox", *asked, "--wait", "--timeout", "60", "--json")
                assert done.returncode == 0, done.stderr
                assert json.loads(done.stdout)["state"] == "archived"
            assert "prepared statement" not in up.said()
        finally:
            up.process.terminate()
            up.process.wait(60)
    postgres.drop_database(name)
    empty_valkey(valkey)
