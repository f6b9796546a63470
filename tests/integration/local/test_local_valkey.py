import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis

from rushes.local.folder import new_secret
from rushes.local.ports import free_ports, port_is_free
from rushes.local.supervisor import Ended, Supervisor
from rushes.local.valkey import Valkey


@contextmanager
def connect(url: str) -> Iterator["Redis"]:
    with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
        yield client


@pytest.fixture
def valkey(tmp_path: Path) -> Valkey:
    return Valkey(tmp_path / "valkey", free_ports(1)[0], new_secret())


def test_it_answers_and_stops(valkey: Valkey) -> None:
    with Supervisor() as supervisor:
        supervisor.start(valkey.process())
        with connect(valkey.url) as client:
            assert client.ping()
            assert "noeviction" in client.config_get("maxmemory-policy").values()
    assert port_is_free(valkey.port)


def test_nothing_in_a_password_or_a_path_can_confuse_it(tmp_path: Path, supervisor: Supervisor) -> None:
    valkey = Valkey(tmp_path / 'with "quotes" and\tä', free_ports(1)[0], " p@ss/'w\\x6frd\"\n#é% ")
    supervisor.start(valkey.process())
    with connect(valkey.url) as client:
        assert client.ping()


def test_it_refuses_a_wrong_password_and_tells_ours_to_nobody(valkey: Valkey, supervisor: Supervisor) -> None:
    supervisor.start(valkey.process())
    with connect(f"redis://:wrong@127.0.0.1:{valkey.port}/0") as client, pytest.raises(AuthenticationError):
        client.ping()
    assert stat.S_IMODE((valkey.data_dir / "valkey.conf").stat().st_mode) == 0o600
    assert valkey.password not in repr(valkey)
    assert valkey.password not in Path(f"/proc/{supervisor.pids['valkey']}/cmdline").read_text()


def test_its_data_survive_a_kill(valkey: Valkey, supervisor: Supervisor) -> None:
    supervisor.start(valkey.process())
    with connect(valkey.url) as client:
        client.set("job", "owed")
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    supervisor.kill("valkey")
    supervisor.start(valkey.process())
    with connect(valkey.url) as client:
        assert client.get("job") == b"owed"


def test_a_taken_port_is_reported(valkey: Valkey, tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(valkey.process())
    second = Valkey(tmp_path / "second", valkey.port, new_secret())
    with pytest.raises(Ended, match=r"second ended with status 1: .*listen"):
        supervisor.start(second.process(name="second"))
