"""Each gateway's key and clock, by asking for a task that does not exist: it costs nothing, and needs a good key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jobs.errors import BadReport
from jobs.providers.base import Provider
from jobs.providers.client import Account, Answered, ProviderClient, json_body
from jobs.providers.registry import PROVIDERS
from jobs.settings import Settings
from jobs.steps.learning import CLOCK_TOLERANCE
from rushes.doctor.examination import Check
from rushes.doctor.findings import Finding, Findings, fail, ok, warn

DEADLINE_S = 8
REFUSED = frozenset({401, 403})


def checks(settings: Settings) -> dict[str, Check]:
    """One for each key."""
    return {name: _check(account, settings) for name, account in settings.accounts.items()}


def _check(account: Account, settings: Settings) -> Check:
    return lambda: look(PROVIDERS[account.provider], account, allow_private=settings.allow_private_addresses)


def look(provider: Provider, account: Account, *, allow_private: bool) -> Findings:
    """One query. Nobody bears its task id, so its answer is about the key alone."""
    client = ProviderClient(allow_private=allow_private)
    request = provider.query_request(f"rushes-doctor-{secrets.token_hex(8)}")
    try:
        answer = client.ask(provider, account, request, deadline_s=DEADLINE_S)
    finally:
        client.close()
    if not isinstance(answer, Answered):
        then = f"can this machine reach it? RUSHES_{provider.name.upper()}_BASE_URL names another address"
        yield fail(provider.name, f"{account.base_url}: {answer.reason}", then)
        return
    yield _key(provider, account, answer)
    yield from clock(provider.name, answer.headers, now=datetime.now(UTC))


def clock(name: str, headers: Mapping[str, str], *, now: datetime) -> Findings:
    """What an answer's Date says of the two clocks; nothing where it says nothing, or the same."""
    try:
        date = parsedate_to_datetime(next(value for header, value in headers.items() if header.lower() == "date"))
        skew_s = abs((now - date).total_seconds())
    except (StopIteration, ValueError, TypeError):  # it need not tell, and TypeError is a date without a zone
        return
    if skew_s > CLOCK_TOLERANCE.total_seconds() / 2:
        then = "let this machine keep time by NTP; if it does, the gateway's clock is wrong"
        yield warn(f"{name} clock", f"{skew_s:.0f} s from this machine's", then)


def _key(provider: Provider, account: Account, answer: Answered) -> Finding:
    said, code = f"{account.base_url} answers {answer.status}", None
    try:
        refusal = provider.read_refusal(answer.status, answer.headers, json_body(answer.body))
        code, is_json = refusal.failure.code if refusal else None, True
    except BadReport:
        is_json = False
    if answer.status in REFUSED or code == "unauthorized":
        variable = f"RUSHES_{provider.name.upper()}_API_KEY"
        return fail(provider.name, f"{said}: the key is refused", f"make a new one at the gateway, and set {variable}")
    if code == "insufficient_credits":
        return warn(provider.name, f"{said}: the key has no credit", "buy credit")
    if answer.status == 429 or answer.status >= 500:
        return warn(provider.name, f"{said}: it has no time for us", "run the doctor again later")
    if not is_json:
        return warn(provider.name, f"{said}, and no JSON", "does something stand between this machine and the gateway?")
    return ok(provider.name, f"{said}: the key is taken")
