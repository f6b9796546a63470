"""The way out of links: where the gateways' pages show them to lead, fetched from as a download does it."""

from __future__ import annotations

from functools import partial

import requests

from jobs.errors import NoWayOut
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.way_out import place_of, places_of_links, require_direct
from rushes.doctor.examination import Check
from rushes.doctor.findings import Findings, fail, ok, warn
from storage.download import UNKNOWN_NAME, reason
from storage.errors import LinkForbidden
from storage.outbound import ways
from storage.outbound.guard import check_url, guarded_session

TIMEOUT_S = (3, 5)
OPEN = "let this machine out to port 443 of any host: nobody knows beforehand where a gateway keeps its videos"


def checks(settings: Settings) -> dict[str, Check]:
    """One for each key, and one of the proxy where the environment names one."""
    found: dict[str, Check] = {
        f"{name} links": partial(look, each, settings) for name, each in settings.accounts.items()
    }
    return found | ({"proxy": partial(proxy, settings)} if ways.named_proxy() else {})


def look(account: Account, settings: Settings) -> Findings:
    """One GET of each host's root. Whatever it answers, a download would get there."""
    check, scheme = f"{account.provider} links", account.base_url.partition("://")[0]
    troubles: dict[str, str] = {}
    with guarded_session(allow_private=settings.allow_private_addresses) as session:
        for host, port in places_of_links(account):
            url = f"{scheme}://{host}:{port}/" if ":" not in host else f"{scheme}://[{host}]:{port}/"
            try:
                check_url(url, allow_private=settings.allow_private_addresses)
                with session.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True):
                    yield ok(check, f"{host} answers")
                    return
            except LinkForbidden as error:
                troubles[host] = str(error)
            except requests.RequestException as error:
                if host == place_of(account)[0]:
                    return  # a stand-in, of which the gateway's own finding tells
                troubles[host] = reason(error)
    said = "; ".join(f"{host}: {trouble}" for host, trouble in troubles.items())
    if not troubles:
        yield ok(check, "no host is known beforehand")
    elif set(troubles.values()) == {UNKNOWN_NAME}:
        yield warn(
            check, said, "does this machine's resolver know names of the internet? The gateway may have moved, too"
        )
    else:
        yield fail(check, said, f"{OPEN}; docs/how-to/networks.md has firewalls that read TLS, and proxies")


def proxy(settings: Settings) -> Findings:
    """Whether the proxy is needed: we use none."""
    try:
        require_direct(settings)
    except NoWayOut as error:
        yield fail("proxy", str(error), OPEN)
    else:
        yield ok("proxy", f"{ways.named_proxy()} is set, and not needed: Rushes goes out directly")
