"""The service that the command line talks to: it answers, takes our key, and all its processes are alive."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from rushes.doctor.findings import Finding, Findings, fail, ok, warn

TIMEOUT_S = (3, 5)


def look(url: str, headers: Mapping[str, str], session: requests.Session) -> Findings:
    """`headers` carry the key, where there is one."""
    try:
        ready = session.get(f"{url}/readyz", timeout=TIMEOUT_S, allow_redirects=False)
        asked = session.get(
            f"{url}/v1/jobs", params={"limit": 1}, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        then = "start it with `rushes up`, or let RUSHES_URL say where it is"
        yield fail("service", f"{url} does not answer ({type(error).__name__})", then)
        return
    if asked.status_code == requests.codes.unauthorized and not headers:
        then = "set RUSHES_API_KEY to try one too; `rushes keys create NAME` makes a key"
        yield warn("service", f"{url} answers, and wants a key, which this command was not given", then)
    elif asked.status_code in (401, 403):
        yield fail("service", f"{url} refuses our key", "set RUSHES_API_KEY; `rushes keys create NAME` makes a key")
    elif not asked.ok:
        yield fail("service", f"{url} answers {asked.status_code}", "is it Rushes? Its log tells more")
    else:
        yield ok("service", f"{url} answers, and takes our key")
    yield _processes(ready)


def _processes(ready: requests.Response) -> Finding:
    try:
        parts = dict(ready.json()["parts"])
    except (requests.JSONDecodeError, KeyError, TypeError, ValueError):
        return warn("processes", f"/readyz answers {ready.status_code}", "does a proxy hide the path?")
    if bad := [f"{name}: {said}" for name, said in parts.items() if said != "ok"]:
        return fail("processes", "; ".join(bad), "start what is missing, and look at its log")
    return ok("processes", f"{', '.join(parts)} are up")
