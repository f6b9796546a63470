"""What the compose file makes of the stores: their commands as they stand there, run on this machine."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compose_file
import psycopg
import pytest
from compose_file import ROOT
from doors import USER, granted, listening

from rushes.local.certificate import new_certificate, write_certificate
from rushes.local.postgres import Postgres
from rushes.local.process import Process
from rushes.local.seaweedfs import certificate_settings, seaweedfs_ports
from rushes.local.supervisor import Supervisor

KEPT_AT = "/tmp/certificate.pem"
ENV = compose_file.filled_in(
    SEAWEEDFS_CERTIFICATE=base64.b64encode(new_certificate("seaweedfs").encode()).decode(), RUSHES_S3_BUCKET="films"
)
SERVICES = compose_file.services(ENV)


def test_the_buckets_server_is_told_to_ask_for_its_certificate_everywhere() -> None:
    told = SERVICES["seaweedfs"]["environment"]
    assert {name: value for name, value in told.items() if name.startswith("WEED_")} == certificate_settings(KEPT_AT)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the health check is curl's")
def test_nobody_without_a_key_is_given_anything_at_any_port_of_the_buckets_server(tmp_path: Path) -> None:
    ports = seaweedfs_ports()
    places = {
        "-ip=seaweedfs": "-ip=127.0.0.1",
        "0.0.0.0": "127.0.0.1",
        "/data": str(tmp_path / "data"),
        KEPT_AT: str(tmp_path / "certificate.pem"),
        "127.0.0.1:8333": f"127.0.0.1:{ports['s3.port']}",
        "exec weed mini": f"exec weed mini {' '.join(f'-{flag}={port}' for flag, port in ports.items())}",
    }

    def here(text: str) -> str:
        for there, place in places.items():
            text = text.replace(there, place)
        return text

    (tmp_path / "data").mkdir()
    given = SERVICES["seaweedfs"]
    told = {name: here(str(value)) for name, value in given["environment"].items()}
    env = told | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    kind, check = given["healthcheck"]["test"]
    assert kind == "CMD-SHELL"

    def is_healthy(bucket: str = "films") -> bool:
        asked = env | {"S3_BUCKET": bucket}
        return subprocess.run(["sh", "-c", here(check)], env=asked, timeout=10, check=False).returncode == 0

    command = [*given["entrypoint"], here(given["command"][0])]
    with Supervisor() as supervisor:
        supervisor.start(Process("seaweedfs", command, env, ready=is_healthy, ready_timeout_s=60))
        assert not is_healthy("another")
        doors = {port for _, port in listening(set(supervisor.pids.values()))}
        assert doors == set(ports.values())
        strangers = tmp_path / "strangers.pem"
        write_certificate(strangers, "seaweedfs")
        with ThreadPoolExecutor(len(doors)) as several:
            found = several.map(lambda port: list(granted(port, "films/a.mp4", (USER,), strangers)), doors)
            assert [gift for gifts in found for gift in gifts] == []
    for socket in Path("/tmp").glob("seaweedfs-*.sock"):
        if int(socket.stem.rpartition("-")[2]) in ports.values():
            socket.unlink()


def test_the_database_role_of_the_service_owns_its_database_and_may_nothing_else(postgres: Postgres) -> None:
    """The script's SQL, under other names; psql alone reads its \\getenv."""
    script = (ROOT / "deploy" / "postgres.sh").read_text()
    sql = re.search(r"<<'END'\n(.*)END\n", script, re.DOTALL)
    assert sql
    statements = (
        sql[1].replace("\\getenv password RUSHES_ROLE_PASSWORD\n", "").replace(":'password'", "'role-password'")
    )
    assert "\\" not in statements
    statements = re.sub(r"\brushes\b", "compose_rushes", statements).replace(
        "DATABASE postgres", "DATABASE compose_rushes"
    )
    admin = psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)
    try:
        for statement in filter(str.strip, statements.split(";")):
            admin.execute(statement)  # type: ignore[arg-type]
        role = admin.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname = 'compose_rushes'"
        ).fetchone()
        assert role == (False,) * 5
        own = f"host=127.0.0.1 port={postgres.port} user=compose_rushes password=role-password dbname=compose_rushes"
        with psycopg.connect(own, autocommit=True) as ours:
            ours.execute("CREATE TABLE t (id int)")
            for forbidden in ("COPY t FROM PROGRAM 'id'", "CREATE DATABASE more", "SELECT pg_read_file('PG_VERSION')"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    ours.execute(forbidden)  # type: ignore[arg-type]
    finally:
        postgres.drop_database("compose_rushes")
        admin.execute("DROP ROLE IF EXISTS compose_rushes")
        admin.close()


def test_the_database_server_makes_that_role_and_the_backup_uses_it() -> None:
    server, backup = SERVICES["postgres"], SERVICES["backup"]["environment"]
    assert "./deploy/postgres.sh:/docker-entrypoint-initdb.d/rushes.sh:ro" in server["volumes"]
    assert "POSTGRES_USER" not in server["environment"]
    assert server["environment"]["RUSHES_ROLE_PASSWORD"] == ENV["POSTGRES_PASSWORD"] == backup["PGPASSWORD"]
    assert server["environment"]["POSTGRES_PASSWORD"] == ENV["POSTGRES_ADMIN_PASSWORD"]
    assert (backup["PGUSER"], backup["PGDATABASE"]) == ("rushes", "rushes")


def test_a_backup_bears_the_time_before_it_began_and_a_failed_one_ends_the_run(tmp_path: Path) -> None:
    """The script with a pg_dump of our own, and a sleep that ends it."""

    def run(pg_dump: str) -> tuple[int, list[str]]:
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        for name, text in {"pg_dump": pg_dump, "sleep": "kill $PPID"}.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        script = SERVICES["backup"]["command"][0].replace("/var/lib/postgresql", str(tmp_path / "kept"))
        env = {"PATH": f"{programs}:{os.environ['PATH']}"}
        done = subprocess.run([*SERVICES["backup"]["entrypoint"], script], env=env, timeout=10, check=False)
        return done.returncode, sorted(path.name for path in (tmp_path / "kept").iterdir())

    (tmp_path / "kept").mkdir()
    old = tmp_path / "kept" / "rushes-2026-01-01T00:00:00Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    status, kept = run('for w; do case $w in --file=*) echo dump > "${w#--file=}";; esac; done')
    assert status == -15
    [dump] = kept
    assert re.fullmatch(r"rushes-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.dump", dump)
    assert run("exit 1") == (1, [dump])
