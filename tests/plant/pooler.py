"""A real PgBouncer, Debian's, before a PostgreSQL of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

from rushes.local.ports import free_ports
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
LIBRARIES = ("libevent", "libc-ares")  # of its packages, those that a small system lacks
SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
query_wait_timeout = 10
{more}
"""


@contextmanager
def pooled(supervisor: Supervisor, url: str, *, connections: int, more: str = "") -> Iterator[str]:
    """The database's URL through a pooler in transaction mode, which has so many connections to the server."""
    server, listen = sa.make_url(url), free_ports(1)[0]
    through = server.set(port=listen)
    with tempfile.TemporaryDirectory(prefix="rushes-pooler-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        binary, libraries = _found(folder)
        told = SETTINGS.format(host=server.host, port=server.port, listen=listen, connections=connections, more=more)
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        file = folder / "pgbouncer.ini"
        file.write_text(told.replace(f"port={server.port}", f"port={server.port} {_login(server)}"))
        if as_user:
            os.chown(file, pwd.getpwnam("nobody").pw_uid, -1)
        file.chmod(0o600)

        def answers() -> bool:
            plain = through.set(drivername="postgresql").render_as_string(hide_password=False)
            try:
                psycopg.connect(plain, connect_timeout=2).close()
            except psycopg.OperationalError:
                return False
            return True

        env = {"PATH": os.defpath, "LD_LIBRARY_PATH": libraries}
        supervisor.start(Process("pooler", [binary, "-q", *as_user, str(file)], env=env, cwd=folder, ready=answers))
        try:
            yield through.render_as_string(hide_password=False)
        finally:
            supervisor.stop_one("pooler")


def _login(server: sa.URL) -> str:
    return f"user={server.username} password={server.password}"


def _found(folder: Path) -> tuple[str, str]:
    """PgBouncer, and where its libraries lie. Where the system has none, Debian's packages are unpacked here."""
    if (installed := shutil.which("pgbouncer", path=PLACES)) is not None:
        return installed, ""
    depends = subprocess.run(["apt-cache", "depends", "--important", "pgbouncer"], capture_output=True, text=True)
    names = [line.split()[-1] for line in depends.stdout.splitlines() if "Depends:" in line]
    wanted = ["pgbouncer", *(each for each in names if each.startswith(LIBRARIES))]
    subprocess.run(["apt-get", "download", "-q", *wanted], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    libraries = sorted({str(each.parent) for each in folder.glob("usr/lib/**/*.so*")})
    return str(folder / "usr" / "sbin" / "pgbouncer"), os.pathsep.join(libraries)
