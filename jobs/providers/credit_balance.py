"""What a gateway tells of its account, asked once: for people, who hold it against ours. Nothing rests on it.

It counts neither for the lanes nor for the query budget: whoever asks for it keeps to a pace of its own.
"""

from __future__ import annotations

from jobs.errors import BadReport, BalanceUnknown
from jobs.providers.answers import text
from jobs.providers.base import BalanceCall, CreditBalance, Provider
from jobs.providers.client import Account, Answered, ProviderClient, json_body

LATER = "ask again in a while; `rushes doctor` tells whether it can be reached"


def ask(
    client: ProviderClient, provider: Provider, account: Account, call: BalanceCall, *, deadline_s: float
) -> CreditBalance:
    """Raises BalanceUnknown, which says what to do."""
    answer = client.ask(provider, account, call.request, deadline_s=deadline_s)
    name, asked = provider.name, f"{call.request.method} {call.request.path}"
    if not isinstance(answer, Answered):
        raise BalanceUnknown(f"{name} did not tell its balance within {deadline_s:g} s ({answer.reason}): {LATER}.")
    said = f"{name} answers {asked} with {answer.status}"
    if answer.status in (401, 403):
        mend = f"make a new one there, and set RUSHES_{name.upper()}_API_KEY"
        raise BalanceUnknown(f"{said}: it refuses the key; {mend}.")
    if answer.status == 429 or answer.status >= 500:
        raise BalanceUnknown(f"{said}: it has no time for us; {LATER}.")
    try:
        body = json_body(answer.body)
        if answer.status != 200:
            raise BadReport("its page documents 200")
        return call.read(body)
    except BadReport as e:
        look = "look in its console, and whether its documentation has changed"
        raise BalanceUnknown(f"{said}, which tells no balance ({text(str(e), 200)}); {look}.") from e
