"""Links to films that expire, signed as object stores sign them:
`/files/<token>/<name>.mp4?Expires=<unix>&Signature=<hmac>`.

Every page gives a result 24 hours; EasyRouter's shows the Expires and Signature of Alibaba's store (easyrouter.txt,
section 2.2).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import urlencode

EXPIRED, TAMPERED = "AccessDenied", "SignatureDoesNotMatch"
MESSAGES = {
    EXPIRED: "Request has expired.",
    TAMPERED: "The request signature we calculated does not match the signature you provided.",
    "NoSuchKey": "The specified key does not exist.",
}


def path_of(token: str, name: str, expires: float, secret: bytes) -> str:
    """The path and query of a link that dies at `expires`, unix seconds."""
    path = f"/files/{token}/{name}.mp4"
    return f"{path}?{urlencode({'Expires': int(expires), 'Signature': _signature(path, int(expires), secret)})}"


def fault_of(path: str, expires: str, signature: str, now: float, secret: bytes) -> str | None:
    """Why the link does not open the film: a store's error code, or None when it does."""
    if not expires.isdecimal() or not hmac.compare_digest(
        signature.encode(), _signature(path, int(expires), secret).encode()
    ):
        return TAMPERED
    return EXPIRED if now >= int(expires) else None


def error_xml(code: str, host: str, request_id: str, expires: str, now: float) -> str:
    """The body of a refusal, as Alibaba's object store writes it."""
    times = ""
    if code == EXPIRED:
        times = f"  <Expires>{_iso(float(expires))}</Expires>\n  <ServerTime>{_iso(now)}</ServerTime>\n"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
        f"  <Code>{code}</Code>\n  <Message>{MESSAGES[code]}</Message>\n"
        f"  <RequestId>{request_id}</RequestId>\n  <HostId>{host}</HostId>\n{times}</Error>\n"
    )


def _signature(path: str, expires: int, secret: bytes) -> str:
    return hmac.new(secret, f"GET\n{expires}\n{path}".encode(), hashlib.sha256).hexdigest()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
