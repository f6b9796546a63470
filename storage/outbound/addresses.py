"""Which addresses a foreign link may lead to: public unicast ones and nothing else.

The union of three lists, because each alone was found to let something through: the standard library's `is_global`
(3.11.7 admits 192.0.0.192, a metadata service), requests-hardened's ranges (1.3.0 admits v4-compatible and
v4-translated forms, site-local, Azure's wire server), and the ones below.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

from storage.outbound.translators import inside

Address = IPv4Address | IPv6Address

# IANA hands out global unicast from here alone.
GLOBAL_UNICAST_V6 = ip_network("2000::/3")

DENIED = (
    *EXTRA_BLOCKED_NET_RANGES,
    ip_network("192.0.0.0/24"),  # IETF assignments, Oracle's metadata among them
    ip_network("168.63.129.16/32"),  # Azure's wire server: a public number that answers from inside
    ip_network("192.31.196.0/24"),  # AS112: sinks that any network may answer itself
    ip_network("192.175.48.0/24"),
    ip_network("2620:4f:8000::/48"),
    ip_network("192.52.193.0/24"),  # AMT relays
    ip_network("2001::/23"),  # ORCHID, benchmarking
    ip_network("3ffe::/16"),  # the 6bone, handed back
)


# Prefixes that a v4 address fills up, wherever one is.
FIXED = (
    IPv6Network("::ffff:0:0/96"),  # mapped: the system's own way of writing v4
    IPv6Network("::/96"),  # compatible
    IPv6Network("::ffff:0:0:0/96"),  # translated, as SIIT was first written
    IPv6Network("64:ff9b::/96"),  # the well-known prefix of translators
)
ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))  # before the v4 address, at the end of any prefix
LINK_LOCAL_V6 = IPv6Network("fe80::/10")


def is_public(address: Address, translators: Sequence[IPv6Network] = ()) -> bool:
    """Whether a foreign link may lead here. An address that carries others inside is judged by these.

    `translators` are the prefixes of this network's own translators, beside the well-known one.
    """
    return all(map(_is_listed_public, counted(address, translators)))


def counted(address: Address, translators: Sequence[IPv6Network] = ()) -> list[Address]:
    """The addresses by which one is judged: those that it carries inside, and itself unless it is nothing else."""
    if isinstance(address, IPv4Address):
        return [address]
    carried: list[Address] = []
    if address.packed[8:12] in ISATAP:
        carried.append(IPv4Address(address.packed[12:]))
    if (prefix := next((p for p in (*translators, *FIXED) if address in p), None)) is not None:
        return [inside(address, prefix), *carried]
    if address.sixtofour is not None:
        return [address.sixtofour, *carried]
    if address.teredo is not None:
        return [*address.teredo, *carried]  # the server, and the client behind it
    return [address, *carried]


def may_be_translated(address: Address) -> bool:
    """Whether only this network's translators tell what the address is: it is v6, and no form that all know."""
    return isinstance(address, IPv6Address) and not any(address in p for p in (*FIXED, LINK_LOCAL_V6))


def _is_listed_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST_V6:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in DENIED)


def literal_address(host: str) -> Address | None:
    """The address a host spells out, in any form that the system's resolver would accept; None for a name.

    2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to getaddrinfo, so they are here too, with the dot that may end
    a name as well.
    """
    bare = host.removeprefix("[").removesuffix("]").rstrip(".")
    try:
        return ip_address(bare.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, UnicodeEncodeError):
        return None
