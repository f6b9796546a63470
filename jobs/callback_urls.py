"""Minting and checking the URLs that gateways call back. The token is all the proof an unsigned callback has."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping


def mint(public_url: str, keys: Mapping[str, bytes], provider: str, job_id: str, attempt: int) -> str:
    """The callback URL of one attempt, signed with the first key."""
    kid, key = next(iter(keys.items()))
    return f"{public_url}/webhooks/{provider}/{job_id}/{attempt}/{kid}.{_mac(key, provider, job_id, attempt)}"


def is_genuine(keys: Mapping[str, bytes], provider: str, job_id: str, attempt: int, token: str) -> bool:
    """Whether we minted this token, with any live key. Takes the same time for every wrong one under a live key."""
    kid, _, mac = token.partition(".")
    key = keys.get(kid)
    if key is None:
        return False
    # On bytes: comparing text that is not ASCII raises.
    return hmac.compare_digest(_mac(key, provider, job_id, attempt).encode(), mac.encode("utf-8", "surrogatepass"))


def _mac(key: bytes, provider: str, job_id: str, attempt: int) -> str:
    message = "\0".join(("cb1", provider, job_id, str(attempt))).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.new(key, message, hashlib.sha256).digest()).rstrip(b"=").decode()
