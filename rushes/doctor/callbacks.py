"""The public callback URL, by calling ourselves through it, as a gateway would."""

from __future__ import annotations

import requests

from jobs import callback_urls
from jobs.settings import Settings
from rushes.doctor.findings import Findings, fail, ok, warn
from storage.outbound import trust
from webhooks.receiver import PROBE

TIMEOUT_S = (3, 5)
NOBODY = "doctor"  # no job's id


def look(settings: Settings) -> Findings:
    """A token of ours must be taken, any other refused. Nothing is kept."""
    if settings.public_url is None:
        then = "set RUSHES_PUBLIC_URL to an https address that leads here; without it, gateways are asked instead"
        yield warn("callbacks", "RUSHES_PUBLIC_URL is not set", then)
        return
    provider = next(iter(settings.accounts), "evolink")
    url = callback_urls.mint(settings.public_url, settings.callback_keys, provider, NOBODY, PROBE)
    where = f"{settings.public_url}/webhooks/"
    try:
        taken, refused = _post(url), _post(f"{url}x")
    except requests.RequestException as error:
        then = (
            "gateways must reach it from outside: look at DNS, the certificate and the proxy. Some networks only keep"
            " their own machines from it; then try from elsewhere"
        )
        yield fail("callbacks", f"{where} cannot be reached from here ({type(error).__name__})", then)
        return
    if taken == 204 and refused == 404:
        yield ok("callbacks", f"{where} leads to our receiver, with our keys")
    elif taken == 404:
        then = "is it this service, and does its process have the same RUSHES_CALLBACK_KEYS as this command?"
        yield fail("callbacks", f"{where} does not know our token (404)", then)
    elif 300 <= taken < 400:
        yield fail("callbacks", f"{where} redirects ({taken})", "name where it leads: gateways follow no redirect")
    else:
        then = "let the proxy pass POST /webhooks/… on, untouched and without a login of its own"
        yield fail("callbacks", f"{where} answers {taken}, and {refused} to a wrong token", then)


def _post(url: str) -> int:
    with trust.session() as session:
        return session.post(url, json={}, timeout=TIMEOUT_S, allow_redirects=False).status_code
