"""The shipped Caddyfile as a process, on ports of its own and on loopback alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rushes.local.ports import free_ports
from rushes.local.process import Process

CADDYFILE = Path(__file__).parents[1] / "deploy" / "Caddyfile"
CADDY = Path(sys.executable).parent / "caddy"


@dataclass(frozen=True)
class ShippedProxy:
    """Where it answers as `localhost`, and the file of the authority that it makes for itself."""

    http: str
    https: str
    authority: Path
    folder: Path
    upstream: str

    def process(self, answers: Callable[[], bool]) -> Process:
        """`answers` is asked once there is an authority."""
        env = {"PATH": os.defpath, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        env |= {"RUSHES_DOMAIN": "localhost", "RUSHES_UPSTREAM": self.upstream.removeprefix("http://")}
        argv = [str(CADDY), "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"]
        ready = lambda: self.authority.exists() and answers()  # noqa: E731
        return Process("caddy", argv, env=env, ready=ready, ready_timeout_s=60)


def shipped_proxy(folder: Path, upstream: str) -> ShippedProxy:
    """Write its file into a folder: the shipped one, but for the ports."""
    http, https, health = free_ports(3)
    text = CADDYFILE.read_text()
    changes = {
        "admin off\n": "admin off\n\tdefault_bind 127.0.0.1\n",
        "http_port 8080": f"http_port {http}",
        "https_port 8443": f"https_port {https}",
        "127.0.0.1:8081": f"127.0.0.1:{health}",
    }
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "Caddyfile").write_text(text)
    authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    return ShippedProxy(f"http://localhost:{http}", f"https://localhost:{https}", authority, folder, upstream)
