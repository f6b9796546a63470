"""Who may call, and who may be called: callback keys, secrets and receivers of notices, proxies before us."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from jobs.environment.reader import Reader
from storage.outbound import receivers
from storage.outbound.guard import PORTS
from storage.outbound.receivers import Receivers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WEB_PORT = 8080  # the Procfile's, where PORT is not set
# name of a URL → its port where it names none; None: its scheme's
STORE_PORTS = {
    "RUSHES_DATABASE_URL": 5432,
    "RUSHES_REDIS_URL": 6379,
    "RUSHES_S3_ENDPOINT_URL": None,
    "RUSHES_S3_PUBLIC_ENDPOINT_URL": None,
    "RUSHES_PUBLIC_URL": None,
}


def networks(read: Reader, name: str) -> tuple[Network, ...]:
    found = []
    for part in filter(None, (p.strip() for p in (read.text(name) or "").split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError:
            read.fault(f"{name} has {part!r}, neither an address nor a network; example: {name}=127.0.0.1,10.1.0.0/16")
    return tuple(found)


def callback_keys(read: Reader) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in (read.text("RUSHES_CALLBACK_KEYS") or "").split(","):
        kid, _, secret = part.strip().partition(":")
        if not part.strip():
            continue
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,16}", kid) or len(secret) < 16 or kid in keys:
            read.fault("RUSHES_CALLBACK_KEYS wants kid:secret,kid:secret with secrets of 16 characters or more.")
            break
        keys[kid] = secret.encode()
    return keys


def notice_secrets(read: Reader) -> tuple[str, ...]:
    secrets = tuple(s.strip() for s in (read.text("RUSHES_NOTICE_SECRETS") or "").split(",") if s.strip())
    if not all(map(_can_sign, secrets)) or len(secrets) > 2:
        read.fault("RUSHES_NOTICE_SECRETS wants one or two secrets: whsec_ and 24 to 64 random bytes in base64.")
    return secrets


def notice_receivers(read: Reader) -> Receivers:
    """What is open to notices, and what is closed all the same: web's port, those of the stores, and what is said."""
    names: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[tuple[receivers.Network, int], ...] = ()
    own: tuple[tuple[str | None, int | None], ...] = ()
    try:
        names, networks = receivers.parse(read.text("RUSHES_NOTIFY_HOSTS") or "")
    except ValueError as e:
        example = "pipeline.internal:8000,10.1.0.0/16:8443,[fd00::/8]:8443"
        read.fault(f"RUSHES_NOTIFY_HOSTS has {str(e)!r}, neither host[:port] nor network[:port]; example: {example}")
    try:
        own = receivers.parse_own(read.text("RUSHES_NOTIFY_CLOSED") or "")
    except ValueError as e:
        read.fault(f"RUSHES_NOTIFY_CLOSED has {str(e)!r}; example: 8888,seaweedfs:8888,valkey")
    port = read.environ.get("PORT", "").strip()
    return Receivers(names, networks, (*own, (None, int(port) if port.isdecimal() else WEB_PORT), *_stores(read)))


def _stores(read: Reader) -> Iterator[tuple[str, int]]:
    """Where database, broker, bucket and receiver listen, as far as their URLs say."""
    for name, usual in STORE_PORTS.items():
        value = read.text(name)
        try:
            parts = urlsplit(value or "")
            if parts.hostname:
                yield parts.hostname, parts.port or usual or PORTS.get(parts.scheme, 0)
        except ValueError:  # told where it is read
            continue


def _can_sign(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and 24 <= len(key) <= 64
