"""Receivers of notices inside: which hosts and ports an operator opens to them, and what stays closed all the same.

A name stands for itself, wherever it leads; a network for the addresses in it, by whatever name. What is open to
notices is not open to links. Link-local addresses, those under which clouds hand out their keys, and the ports of this
installation itself are never open: whoever names a `notify_url` would speak with our voice there.
"""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from storage.errors import LinkForbidden
from storage.outbound.addresses import Address, counted, is_public, literal_address
from storage.outbound.translators import prefixes

HTTPS_PORT = 443
Network = IPv4Network | IPv6Network

NEVER: tuple[Network, ...] = (
    *(ip_network("169.254.0.0/16"), ip_network("fe80::/10")),
    # metadata of Alibaba, Oracle, Azure, AWS and Google
    *(ip_network("100.100.100.200"), ip_network("192.0.0.192"), ip_network("168.63.129.16")),
    *(ip_network("fd00:ec2::254"), ip_network("fd00:ec2::23"), ip_network("fd20:ce::254")),
)
_NAME = re.compile(r"(?P<name>(?=[^:]*[A-Za-z_])[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)\.?(?::(?P<port>.*))?")
# An address or a network. One in v6 stands in brackets, unless no port follows or its length parts it from the port.
_V4 = re.compile(r"(?P<net>[0-9]+\.[0-9.]+(?:/[0-9]+)?)(?::(?P<port>.*))?")
_V6 = re.compile(r"\[(?P<net>[0-9A-Fa-f:.]+(?:/[0-9]+)?)\](?::(?P<port>.*))?")
_BARE_V6 = re.compile(r"(?P<net>(?:[0-9A-Fa-f.]*:){2}[0-9A-Fa-f:.]*(?:/[0-9]+(?=:|$))?)(?::(?P<port>[^:]*))?")


@dataclass(frozen=True)
class Receivers:
    """What is listed, as `parse` reads it. `own`: our ports, with their host; without one they are this machine's.

    `shared`: names of ours at a proxy that may serve others at the same address, so that the name alone is closed.
    """

    names: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[tuple[Network, int], ...] = ()
    own: tuple[tuple[str | None, int | None], ...] = ()  # no port: all of that host's
    shared: frozenset[tuple[str, int]] = frozenset()

    @property
    def is_any(self) -> bool:
        """Whether anything is listed."""
        return bool(self.names or self.networks)

    def may_be(self, host: str, port: int) -> bool:
        """Whether a URL's text can mean a listed one. A name's addresses are judged once it is looked up."""
        address = literal_address(host)
        if address is not None:
            return all(self._holds(each, port) for each in counted(address))
        return (_plain(host), port) in self.names or any(each == port for _, each in self.networks)

    def judge(self, host: str, port: int, found: Sequence[Address], *, is_https: bool) -> None:
        """Raise LinkForbidden unless a notice may go to all of these, which `host` leads to."""
        listed = (_plain(host), port) in self.names
        as_ever = is_https and port == HTTPS_PORT
        translators = prefixes() if any(address.version == 6 for address in found) else ()
        for address in found:
            meant = counted(address, translators)
            if listed or all(self._holds(each, port) for each in meant):
                if any(each in network for each in meant for network in NEVER):
                    raise LinkForbidden(f"{host} leads to {address}, which is closed whatever is listed")
                if self._is_own(host, port, (address, *meant)):
                    raise LinkForbidden(f"{host} leads to a port of this installation")
            elif not (as_ever and is_public(address, translators)):
                raise LinkForbidden(f"{host} leads to {address}, which is neither public nor listed for port {port}")

    def _holds(self, address: Address, port: int) -> bool:
        return any(each == port and address in network for network, each in self.networks)

    def _is_own(self, host: str, port: int, addresses: Iterable[Address]) -> bool:
        if (_plain(host), port) in self.shared:
            return True
        for own, own_port in self.own:
            if own_port not in (None, port):
                continue
            if own is None:
                if any(map(_is_here, addresses)):
                    return True
            elif _plain(own) == _plain(host) or not _addresses_of(own).isdisjoint(addresses):
                return True
        return False


NOBODY_INSIDE = Receivers()


def parse(text: str) -> tuple[frozenset[tuple[str, int]], tuple[tuple[Network, int], ...]]:
    """The names and networks of a list such as `pipeline:8000, 10.1.0.0/16:8443, [fd00::/8]:8443, hooks.internal`.

    443 where no port is named. Raises ValueError with the entry that cannot be read.
    """
    names: set[tuple[str, int]] = set()
    networks: list[tuple[Network, int]] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            if match := _V4.fullmatch(entry) or _V6.fullmatch(entry) or _BARE_V6.fullmatch(entry):
                networks.append((ip_network(match["net"]), _port(match["port"])))
            elif match := _NAME.fullmatch(entry):
                names.add((_plain(match["name"]), _port(match["port"])))
            else:
                raise ValueError
        except ValueError:
            raise ValueError(entry) from None
    return frozenset(names), tuple(networks)


def parse_own(text: str) -> tuple[tuple[str | None, int | None], ...]:
    """Our own ports: `8888` of this machine, `seaweedfs:8888`, or `seaweedfs` for all of a host's.

    Raises ValueError with the entry that cannot be read.
    """
    found: list[tuple[str | None, int | None]] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        host, divided, port = entry.rpartition(":")
        try:
            if entry.isdecimal():
                found.append((None, _port(entry)))
            else:
                found.append((host.strip("[]"), _port(port)) if divided else (entry, None))
        except ValueError:
            raise ValueError(entry) from None
    return tuple(found)


def _port(text: str | None) -> int:
    if text is None:
        return HTTPS_PORT
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 1 << 16:
        raise ValueError
    return int(text)


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _is_here(address: Address) -> bool:
    """Whether this machine is at the address: it lets a socket be bound to that."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _addresses_of(host: str) -> set[Address]:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in answers}
