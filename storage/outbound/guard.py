"""What we let a foreign link make us do. `check_url` judges the text; the session judges the addresses behind it."""

import re
from collections.abc import Sequence
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import quote

import requests
from requests_hardened import Config, HTTPSession
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from storage.errors import LinkForbidden
from storage.outbound.addresses import Address, is_public, literal_address
from storage.outbound.connections import GuardedAdapter, anywhere, public_alone
from storage.outbound.receivers import HTTPS_PORT, NOBODY_INSIDE, Receivers

# Judged is what goes out. A link of 8,192 characters is taken from a gateway, and each may be quoted as four bytes.
MAX_URL_CHARS = 12 * 8192
PORTS = {"https": HTTPS_PORT, "http": 80}
CONNECT_S, READ_S = 5, 20
MASK = "?…"
# What urllib3 leaves of an honest host; beyond it are percent signs, zones and whatever else one reader of URLs takes
# for a part of a name and the next one for its end.
HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
# No top-level domain is a number, so a host that ends in one is an address, or passes for one somewhere.
ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.*", re.IGNORECASE)


def check_url(url: str, *, allow_private: bool, receivers: Receivers = NOBODY_INSIDE) -> None:
    """Raise LinkForbidden unless the link's text is one that we may follow. Does not look its name up.

    https on port 443, a host, no user name, at most 98,304 characters, and no address that is not public, in whatever
    notation. With `allow_private` (development) plain http, any port and any address pass; so they do where the text
    may mean one of `receivers`. A name is judged later, when a guarded session resolves it.
    """
    if len(url) > MAX_URL_CHARS:
        raise LinkForbidden(f"{masked(url)} is {len(url)} characters long; {MAX_URL_CHARS} is the most")
    if any(char <= " " or char in '\\\x7f"<>' for char in url):
        # Readers of URLs disagree about these, and disagreement is how a guard is walked around.
        raise LinkForbidden(f"{masked(url)} holds a space, a control character, a quote or a backslash")
    parts = _parsed(url)
    if parts is None or not parts.host:
        raise LinkForbidden(f"{masked(url)} names no host")
    port = parts.port or PORTS.get(parts.scheme or "", 0)
    may_be_inside = allow_private or receivers.may_be(parts.host, port)
    if parts.scheme not in (("https", "http") if may_be_inside else ("https",)):
        raise LinkForbidden(f"{masked(url)}: {parts.scheme or 'no scheme'} is not https")
    if "@" in url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]:
        raise LinkForbidden(f"{masked(url)} holds a user name")
    if allow_private:
        return
    if port != HTTPS_PORT and not may_be_inside:
        raise LinkForbidden(f"{masked(url)}: port {port} is not {HTTPS_PORT}")
    if not HOST.fullmatch(parts.host):
        raise LinkForbidden(f"{masked(url)} names a host in characters that no host has")
    address = literal_address(parts.host)
    if address is not None and may_be_inside:
        receivers.judge(parts.host, port, [address], is_https=parts.scheme == "https")
    elif address is not None and not is_public(address):
        raise LinkForbidden(f"{masked(url)}: {address} is not a public address")
    if address is None and ENDS_IN_NUMBER.fullmatch(parts.host):
        raise LinkForbidden(f"{masked(url)} names a host that ends in a number and is no address")
    if parts.host.rstrip(".").rpartition(".")[2] == "localhost" and not may_be_inside:
        raise LinkForbidden(f"{masked(url)} is this machine")


def is_at(url: str, base_url: str) -> bool:
    """Whether a link leads to the very scheme, host and port of `base_url`, by any path."""
    link, base = _parsed(url), _parsed(base_url)
    if link is None or base is None or not link.host:
        return False
    return (link.scheme, link.host, link.port) == (base.scheme, base.host, base.port)


def guarded_session(*, allow_private: bool, receivers: Receivers = NOBODY_INSIDE) -> requests.Session:
    """A session for links that others chose: no redirects, retries, proxies, netrc or cookies, and always a timeout.

    Every address a name resolves to must be public, or one of `receivers`, and the connection goes to one that was
    judged; raises LinkForbidden out of the request otherwise. `allow_private` (development) admits plain http and any
    address.
    """
    has_plain = allow_private or receivers.is_any
    schemes = ("https", "http") if has_plain else ("https",)

    def by_receivers(connection: HTTPConnection, found: Sequence[Address]) -> None:
        is_https = isinstance(connection, HTTPSConnection)
        receivers.judge(connection.host, connection.port, found, is_https=is_https)

    judge = anywhere if allow_private else by_receivers if receivers.is_any else public_alone
    session: requests.Session = HTTPSession(
        Config(
            ip_filter_enable=False,  # our adapter judges instead, with that library's ranges and more
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(CONNECT_S, READ_S),
        )
    )
    # requests reads where a redirect leads even if nobody follows it, and raises a ValueError for what it cannot read.
    session.resolve_redirects = lambda *_, **__: iter(())  # type: ignore[method-assign]
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["Connection"] = "close"
    adapter = GuardedAdapter(judge, schemes)
    session.adapters.clear()
    for scheme in schemes:
        session.mount(f"{scheme}://", adapter)
    return session


def masked(url: str) -> str:
    """The link without what opens it (query, fragment, user name), fit for messages and logs."""
    parts = _parsed(url)
    if parts is None or not parts.host:
        return "a link that cannot be read"
    port = f":{parts.port}" if parts.port else ""
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")[:200]
    return f"{parts.scheme or ''}://{parts.host}{port}{path}{MASK if '?' in url else ''}"


def _parsed(url: str) -> Url | None:
    try:
        return parse_url(url[: 2 * MAX_URL_CHARS])
    except (LocationParseError, ValueError):
        return None  # not chained: its text quotes the link
