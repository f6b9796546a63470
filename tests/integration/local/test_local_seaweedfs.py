import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rushes.local.folder import new_secret
from rushes.local.ports import port_is_free
from rushes.local.seaweedfs import SeaweedFS, seaweedfs_ports
from rushes.local.supervisor import Supervisor


@contextmanager
def connect(server: SeaweedFS, secret_key: str | None = None) -> Iterator[Any]:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        config=Config(signature_version="s3v4", connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}),
    )
    with closing(client):
        yield client


def sockets(server: SeaweedFS) -> set[Path]:
    """Files of its ports' numbers; a server that somebody else killed may have left one with another port's role."""
    return {path for port in server.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")}


def read(s3: Any, key: str) -> bytes:
    """After a start the volumes of old objects are known a moment later than those for new ones: until then, 500."""
    end = time.monotonic() + 20
    while True:
        try:
            return bytes(s3.get_object(Bucket="films", Key=key)["Body"].read())
        except ClientError as e:
            if e.response["Error"]["Code"] != "InternalError" or time.monotonic() > end:
                raise
            time.sleep(0.05)  # between two looks


def test_it_keeps_objects_through_a_stop_and_a_kill(tmp_path: Path, supervisor: Supervisor) -> None:
    server = SeaweedFS(tmp_path / "s3", seaweedfs_ports(), "access", new_secret(), "films")
    process, strangers = server.process(), sockets(server)
    supervisor.start(process)
    assert sockets(server) > strangers
    with connect(server) as s3:
        assert "Contents" not in s3.list_objects_v2(Bucket="films")  # the readiness check cleans up
        s3.put_object(Bucket="films", Key="a", Body=b"one")
    supervisor.stop_one("seaweedfs")
    assert sockets(server) == strangers
    assert all(map(port_is_free, server.ports.values()))

    supervisor.start(server.process())
    with connect(server) as s3:
        assert read(s3, "a") == b"one"
        s3.put_object(Bucket="films", Key="b", Body=b"two")
    supervisor.kill("seaweedfs")
    assert sockets(server) == strangers

    supervisor.start(server.process())
    with connect(server) as s3:
        assert read(s3, "b") == b"two"


def test_two_side_by_side_know_nothing_of_each_other(tmp_path: Path, supervisor: Supervisor) -> None:
    servers = [SeaweedFS(tmp_path / name, seaweedfs_ports(), f"key-{name}", new_secret()) for name in ("a", "b")]
    assert not set(servers[0].ports.values()) & set(servers[1].ports.values())
    for number, server in enumerate(servers):
        supervisor.start(server.process(name=f"s3-{number}"))
        with connect(server) as s3:
            s3.put_object(Bucket="rushes", Key=server.access_key, Body=b"x")
    for server in servers:
        with connect(server) as s3:
            keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="rushes")["Contents"]]
            assert keys == [server.access_key]


def test_it_refuses_a_wrong_key_and_a_mistyped_bucket(tmp_path: Path, supervisor: Supervisor) -> None:
    server = SeaweedFS(tmp_path / "s3", seaweedfs_ports(), "access", new_secret())
    supervisor.start(server.process())
    with connect(server, "wrong") as s3, pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.put_object(Bucket="rushes", Key="a", Body=b"x")
    with connect(server) as s3, pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="rush", Key="a", Body=b"x")
    assert server.secret_key not in repr(server)
    assert server.secret_key not in Path(f"/proc/{supervisor.pids['seaweedfs']}/cmdline").read_text()
