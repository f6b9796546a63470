"""How long presigned links to input media live, told from the links themselves. Pure; nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from jobs.request.generation import Generation

Parameters = Mapping[str, str]


def urls(spec: Generation) -> list[tuple[str, str]]:
    """Every URL of a request with the field that it stands in, as refusals name it."""
    found = []
    for place, item in enumerate(spec.media):
        found.append((f"media.{place}.url", item.url))
        if item.reference_voice:
            found.append((f"media.{place}.reference_voice", item.reference_voice))
    return found


def dies_at(url: str) -> datetime | None:
    """When a link stops working, by what its signature says; None where it does not say."""
    parameters = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    for read in _FORMS:
        try:
            if moment := read(parameters):
                return moment
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _signed_for(prefix: str) -> Callable[[Parameters], datetime | None]:
    """Signature version 4 and its likes: signed at, and good for so many seconds."""

    def read(parameters: Parameters) -> datetime | None:
        signed, seconds = parameters.get(f"{prefix}-date"), parameters.get(f"{prefix}-expires")
        if not signed or not seconds:
            return None
        at = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return at + timedelta(seconds=int(seconds))

    return read


def _expires(parameters: Parameters) -> datetime | None:
    """Unix seconds beside a signature: S3 version 2, Alibaba OSS, CloudFront, Huawei OBS."""
    given = parameters.get("expires")
    signed = "signature" in parameters
    return datetime.fromtimestamp(int(given), UTC) if given and signed else None


def _azure(parameters: Parameters) -> datetime | None:
    """Azure's shared access signature: `se` is ISO 8601, `sig` the signature."""
    given = parameters.get("se")
    if not given or "sig" not in parameters:
        return None
    moment = datetime.fromisoformat(given)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _tencent(parameters: Parameters) -> datetime | None:
    """Tencent COS: `q-sign-time` is begin;end in unix seconds."""
    _, _, end = parameters.get("q-sign-time", "").partition(";")
    return datetime.fromtimestamp(int(end), UTC) if end else None


_FORMS = (_signed_for("x-amz"), _signed_for("x-goog"), _signed_for("x-oss"), _expires, _azure, _tencent)
