"""Who may call, and who may be called: callback keys, secrets and receivers of notices, proxies before us."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from jobs.environment import server_urls
from jobs.environment.reader import Reader
from storage.outbound import receivers
from storage.outbound.addresses import literal_address
from storage.outbound.guard import PORTS
from storage.outbound.receivers import Receivers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WEB_PORT = 8080  # the Procfile's, where PORT is not set
PORT_STEP, PORT_STEPS = 100, 6  # runners of Procfiles give each line the port of the one before and a hundred
# Where stores listen, by the name of their URL: its port where it names none; None: its scheme's.
STORE_PORTS = {"RUSHES_REDIS_URL": 6379, "RUSHES_S3_ENDPOINT_URL": None}
PUBLIC = ("RUSHES_S3_PUBLIC_ENDPOINT_URL", "RUSHES_PUBLIC_URL")  # names at a proxy, which may serve others too


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
    public = list(_places(read, dict.fromkeys(PUBLIC)))
    literal = [place for place in public if literal_address(place[0]) is not None]
    shared = frozenset((host.lower().rstrip("."), port) for host, port in public)
    closed = (*own, *_ports_of_web(read), *_places(read, STORE_PORTS), *literal)
    database = server_urls.places_of_database(read.text("RUSHES_DATABASE_URL") or "")
    return Receivers(names, networks, (*closed, *database), shared)


def _ports_of_web(read: Reader) -> Iterator[tuple[None, int]]:
    """Where web listens on this machine, as far as another process can tell.

    `PORT` is web's, or that of the process itself, which runners derive from web's by its line's number; `rushes up`
    tells all of its processes web's.
    """
    said = read.environ.get("PORT", "").strip()
    port = int(said) if said.isdecimal() else WEB_PORT
    steps = PORT_STEPS if said and "RUSHES_SUPERVISED" not in read.environ else 1
    yield from ((None, at) for step in range(steps) if (at := port - step * PORT_STEP) > 0)


def _places(read: Reader, names: Mapping[str, int | None]) -> Iterator[tuple[str, int]]:
    """Where the servers of these URLs listen, as far as they say."""
    for name, usual in names.items():
        try:
            parts = urlsplit(read.text(name) or "")
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
