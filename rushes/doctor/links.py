"""The way out of links: where the gateways' pages show them to lead, fetched from as a download does it."""

from __future__ import annotations

from functools import partial

import requests

from jobs.errors import NoWayOut
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.way_out import leads_to_itself, places_of_links, require_direct
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
    check, is_own = f"{account.provider} links", leads_to_itself(account, settings)
    scheme = account.base_url.partition("://")[0] if is_own else "https"
    allow_private = settings.allow_private_addresses or is_own
    reached: list[str] = []
    troubles: dict[str, str] = {}
    with guarded_session(allow_private=allow_private) as session:
        for host, port in places_of_links(account, settings):
            url = f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
            try:
                check_url(url, allow_private=allow_private)
                with session.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True):
                    reached.append(host)
            except LinkForbidden as error:
                troubles[host] = str(error)
            except requests.RequestException as error:
                troubles[host] = reason(error)
    if troubles and is_own:
        return  # the gateway's own finding tells of it
    unknown = {host for host, trouble in troubles.items() if trouble == UNKNOWN_NAME}
    said = "; ".join(f"{host}: {trouble}" for host, trouble in troubles.items())
    if troubles.keys() - unknown:
        yield fail(check, said, f"{OPEN}; docs/how-to/networks.md has firewalls that read TLS, and proxies")
    elif reached:  # the gateway may have moved away from a host whose name is gone
        yield ok(check, f"{' and '.join(reached)} {'answers' if len(reached) == 1 else 'answer'}")
    elif unknown:
        yield warn(
            check, said, "does this machine's resolver know names of the internet? The gateway may have moved, too"
        )
    else:
        yield ok(check, "no host is known beforehand")


def proxy(settings: Settings) -> Findings:
    """Whether the proxy is needed: we use none."""
    try:
        require_direct(settings)
    except NoWayOut as error:
        yield fail("proxy", str(error), OPEN)
    else:
        yield ok("proxy", f"{ways.named_proxy()} is set, and not needed: Rushes goes out directly")
