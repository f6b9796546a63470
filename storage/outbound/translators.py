"""The prefixes under which this network's translators (NAT64) hide v4 addresses in v6 ones, as RFC 7050 finds them.

In a network without v4, its resolver (DNS64) answers with such addresses for every host that has none in v6. Most use
the well-known prefix; others one of their own, which looks like any address of the internet or of a private network.
"""

import socket
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# Has these two addresses and none in v6: what a resolver answers all the same is under its translators' prefixes.
WELL_KNOWN_NAME = "ipv4only.arpa"
WELL_KNOWN = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))
LENGTHS = (96, 64, 56, 48, 40, 32)  # of prefixes, as RFC 6052 has them
KEPT_S = 600  # a network changes seldom, and its resolver may have been away when it was asked

_kept: tuple[float, tuple[IPv6Network, ...]] | None = None


def prefixes() -> tuple[IPv6Network, ...]:
    """Those of this network; most have none. Looked up once in ten minutes, by whoever comes first."""
    global _kept
    if _kept is None or time.monotonic() - _kept[0] >= KEPT_S:
        _kept = (time.monotonic(), _look_up())
    return _kept[1]


def inside(address: IPv6Address, prefix: IPv6Network) -> IPv4Address:
    """The v4 address that a translator's prefix is followed by; the ninth byte is never part of it (RFC 6052)."""
    first = prefix.prefixlen // 8
    return IPv4Address(bytes(address.packed[i] for i in range(first, 16) if i != 8)[:4])


def _look_up() -> tuple[IPv6Network, ...]:
    try:
        answers = socket.getaddrinfo(WELL_KNOWN_NAME, 0, family=socket.AF_INET6, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    found: dict[IPv6Network, None] = {}
    for *_, sockaddr in answers:
        address = ip_address(str(sockaddr[0]).partition("%")[0])
        if not isinstance(address, IPv6Address) or address.ipv4_mapped:
            continue
        under = (IPv6Network((address, length), strict=False) for length in LENGTHS)
        found |= {prefix: None for prefix in under if inside(address, prefix) in WELL_KNOWN}
    return tuple(found)
