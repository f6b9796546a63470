"""Which addresses a foreign link may lead to: public unicast ones and nothing else.

The union of three lists, because each alone was found to let something through: the standard library's `is_global`
(3.11.7 admits 192.0.0.192, a metadata service), requests-hardened's ranges (1.3.0 admits v4-compatible and
v4-translated forms, site-local, Azure's wire server), and the ones below.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

Address = IPv4Address | IPv6Address

# IANA hands out global unicast from here alone. Every form that smuggles a v4 address in v6 lies outside, save for
# Teredo and 6to4, which are in the lists.
GLOBAL_UNICAST_V6 = ip_network("2000::/3")

DENIED = (
    *EXTRA_BLOCKED_NET_RANGES,
    ip_network("192.0.0.0/24"),  # IETF assignments, Oracle's metadata among them
    ip_network("168.63.129.16/32"),  # Azure's wire server: a public number that answers from inside
    ip_network("192.31.196.0/24"),  # AS112: sinks that any network may answer itself
    ip_network("192.175.48.0/24"),
    ip_network("2620:4f:8000::/48"),
    ip_network("192.52.193.0/24"),  # AMT relays
    ip_network("2001::/23"),  # Teredo, ORCHID, benchmarking
    ip_network("3ffe::/16"),  # the 6bone, handed back
)


def is_public(address: Address) -> bool:
    """Whether a foreign link may lead here. A v4 address in v6 clothing never is: no honest name resolves to one."""
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
