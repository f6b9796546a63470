"""What `rushes up` makes up once for a data folder and keeps in its local.json: ports, passwords and keys."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any

from rushes.local.folder import new_secret
from rushes.local.ports import free_ports, port_is_free
from rushes.local.seaweedfs import seaweedfs_ports

# A store that was killed a moment ago may still be letting go of its port.
PATIENCE_S = 2.0
POLL_S = 0.05


def new_installation() -> dict[str, Any]:
    """Fresh values for everything that is kept."""
    return {
        "valkey": {"port": free_ports(1)[0], "password": new_secret()},
        "seaweedfs": {"ports": seaweedfs_ports(), "access_key": new_secret()[:20], "secret_key": new_secret()},
        "sandbox": {"port": free_ports(1)[0]},
        "callback_keys": f"k1:{secrets.token_hex(32)}",
        "notice_secrets": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def with_free_ports(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The same installation, with new ports for each part whose kept ones somebody else has taken."""
    renewed = dict(kept)
    for part in ("valkey", "sandbox"):
        if not becomes_free(kept[part]["port"]):
            renewed[part] = {**kept[part], "port": free_ports(1)[0]}
    if not all(becomes_free(port) for port in kept["seaweedfs"]["ports"].values()):
        renewed["seaweedfs"] = {**kept["seaweedfs"], "ports": seaweedfs_ports()}
    return renewed


def becomes_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server can listen on the port, now or in a moment."""
    end = time.monotonic() + PATIENCE_S
    while not port_is_free(port, host):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
