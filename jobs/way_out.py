"""Whether gateways, and the links that they give, can be reached from here without a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from jobs.errors import NoWayOut
from jobs.providers.client import Account
from jobs.providers.registry import PROVIDERS
from jobs.settings import Settings
from storage.outbound import ways
from storage.outbound.receivers import HTTPS_PORT


def require_direct(settings: Settings) -> None:
    """Raise NoWayOut where a proxy is the only way to the gateways, or to their links: no order may be paid there.

    Looks only where the environment names a proxy; elsewhere nothing is asked.
    """
    variable = ways.named_proxy()
    if variable is None:
        return
    gateways = [place_of(account) for account in settings.accounts.values()]
    links = [place for account in settings.accounts.values() for place in places_of_links(account)]
    for what, places in (("the gateways", gateways), ("the gateways' links", links)):
        if stuck := ways.by_proxy_alone(places):
            hosts = ", ".join(host for host, _ in stuck)
            raise NoWayOut(
                f"{what} ({hosts}) can be reached from here by the proxy of {variable} alone, and Rushes goes there"
                " directly: videos would be paid for and could not be fetched. Let this machine out to port 443, or run"
                " Rushes where it may go; docs/how-to/networks.md says why."
            )


def place_of(account: Account) -> ways.Place:
    """Where the gateway of a key is."""
    url = urlsplit(account.base_url)
    return url.hostname or "", url.port or (HTTPS_PORT if url.scheme == "https" else 80)


def places_of_links(account: Account) -> Iterator[ways.Place]:
    """Where links of a gateway lead, as far as its pages show; those of a stand-in lead to itself."""
    provider = PROVIDERS[account.provider]
    if account.base_url != provider.base_url:
        yield place_of(account)
        return
    yield from ((host, HTTPS_PORT) for host in provider.link_hosts)
