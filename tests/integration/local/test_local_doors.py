"""Who may come in at the servers that `rushes up` starts on this machine: whoever has the key, and nobody else."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psycopg
import pytest
import requests
from botocore.config import Config
from doors import PAGES, USER, granted, listening

from rushes.local.certificate import write_certificate
from rushes.local.folder import new_secret
from rushes.local.installation import new_installation
from rushes.local.plan import Flags, plan
from rushes.local.ports import free_ports
from rushes.local.postgres import Postgres
from rushes.local.stack import local_servers
from rushes.local.supervisor import Supervisor

LOOPBACK = "0100007F"


def test_nobody_without_a_key_is_given_anything_at_any_port_of_any_local_server(
    tmp_path: Path, supervisor: Supervisor, supervised_by: Callable[[int], set[int]]
) -> None:
    kept = new_installation()
    planned = plan({}, kept, Flags(sandbox=True), data_dir=tmp_path, bin_dir=Path("/nowhere"))
    assert planned.valkey
    assert planned.seaweedfs
    postgres = Postgres(tmp_path / "postgres", free_ports(1)[0], new_secret())
    postgres.prepare()
    for process in (*local_servers(planned), postgres.process()):
        supervisor.start(process)
    store = planned.seaweedfs
    s3 = boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    film = os.urandom(100_000)
    s3.put_object(Bucket=store.bucket, Key="videos/a.mp4", Body=film)

    doors = listening({*supervised_by(os.getpid()), *supervisor.pids.values()})
    ports = {port for _, port in doors}
    assert ports == {planned.valkey.port, *store.ports.values(), planned.sandbox_port, postgres.port}
    assert {address for address, _ in doors} == {LOOPBACK}
    strangers = tmp_path / "strangers.pem"
    write_certificate(strangers, "seaweedfs")

    def knock(port: int) -> list[str]:
        # Programs of this machine may command the stand-ins, whose films cost nothing; web pages may not.
        visitors = PAGES if port == planned.sandbox_port else (USER,)
        return list(granted(port, f"{store.bucket}/videos/a.mp4", visitors, strangers))

    with ThreadPoolExecutor(len(ports)) as several:
        assert list(itertools.chain.from_iterable(several.map(knock, ports))) == []

    numbers = "|".join(map(str, ports))
    sockets = [path for path in Path("/tmp").glob("seaweedfs-*.sock") if path.stem.rpartition("-")[2] in numbers]
    assert sockets
    assert not [path for path in sockets if stat.S_IMODE(path.stat().st_mode) & 0o077]
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="rushes", dbname="postgres", connect_timeout=5)
    assert s3.get_object(Bucket=store.bucket, Key="videos/a.mp4")["Body"].read() == film
    assert requests.get(f"http://127.0.0.1:{planned.sandbox_port}/control/settings", timeout=5).ok
    s3.close()
    supervisor.stop_one("postgres")  # before its files go
    postgres.remove()
