"""Whether gateways, and the links that they give, can be reached from here without a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from jobs.errors import NoWayOut
from jobs.providers.client import Account
from jobs.providers.registry import PROVIDERS
from jobs.settings import Settings
from storage.outbound import ways
from storage.outbound.guard import PORTS
from storage.outbound.receivers import HTTPS_PORT


def require_direct(settings: Settings) -> None:
    """Raise NoWayOut where a proxy is the only way to a gateway, or to its links: no order may be paid there.

    Looks only where the environment names a proxy; elsewhere nothing is asked. Takes up to ten seconds.
    """
    variable = ways.named_proxy()
    if variable is None:
        return
    accounts = [account for account in settings.accounts.values() if not leads_to_itself(account, settings)]
    gateways = {place_of(account) for account in accounts}
    links = {place for account in accounts for place in places_of_links(account, settings)}
    stuck = ways.by_proxy_alone(sorted(gateways | links))
    for what, places in (("the gateways", gateways), ("the gateways' links", links)):
        if hosts := ", ".join(host for host, port in stuck if (host, port) in places):
            raise NoWayOut(
                f"{what} ({hosts}) can be reached from here by the proxy of {variable} alone, and Rushes goes there"
                " directly: videos would be paid for and could not be fetched. Let this machine out to port 443 (and if"
                " the firewall reads TLS, name its authority in SSL_CERT_FILE), or run Rushes where it may go;"
                " docs/how-to/networks.md says why."
            )


def place_of(account: Account) -> ways.Place:
    """Where the gateway of a key is."""
    url = urlsplit(account.base_url)
    return url.hostname or "", url.port or PORTS[url.scheme]


def places_of_links(account: Account, settings: Settings) -> Iterator[ways.Place]:
    """Where links of a gateway lead, as far as its pages show; those of a stand-in lead to itself.

    A base URL of the operator's own may be a mirror's, whose links lead where the gateway's do.
    """
    if leads_to_itself(account, settings):
        yield place_of(account)
    else:
        yield from ((host, HTTPS_PORT) for host in PROVIDERS[account.provider].link_hosts)


def leads_to_itself(account: Account, settings: Settings) -> bool:
    """Whether a gateway is a stand-in, and so keeps its films itself; in development each that is elsewhere is one."""
    is_elsewhere = account.base_url != PROVIDERS[account.provider].base_url
    return account.is_stand_in or (settings.allow_private_addresses and is_elsewhere)
