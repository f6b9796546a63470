"""Keeps web pages out: one that is open in a browser on this machine could order here, or have us call somebody."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def fault_of_page(environ: WSGIEnvironment, host: str) -> str | None:
    """What is wrong with a request that a page of another site sends to a sandbox listening on `host`; else None.

    A browser says in `Origin` which site a page is from. A site whose name was changed to lead here (DNS rebinding)
    looks like our own, but its name stands in `Host`. Where we listen on every address, that name may be any.
    """
    asked = _host(f"//{environ.get('HTTP_HOST', '')}")
    everywhere = _is_address(host) and ip_address(host).is_unspecified
    if not (everywhere or _is_address(asked) or asked in ("localhost", host.lower())):
        return f"this is {host}, not {asked!r}"
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin != f"http://{environ.get('HTTP_HOST')}":
        return "pages of other sites may not ask here"
    return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half an IPv6 address, say
        return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
