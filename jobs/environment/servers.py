"""Where database, broker and bucket are, and how the bucket wants to be spoken to."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from jobs.environment import server_urls
from jobs.environment.reader import Reader
from storage.outbound import trust
from storage.rules import ADDRESSING, CHECKSUMS, CONDITIONS, ENCRYPTIONS, IF_NONE_MATCH, SHA256, VIRTUAL, StoreRules


def database_url(read: Reader, data_dir: Path) -> str:
    value = read.text("RUSHES_DATABASE_URL")
    if value is None:
        return f"sqlite:///{data_dir.absolute()}/rushes.db"
    example = "postgresql+psycopg://rushes:password@127.0.0.1/rushes"
    try:
        return server_urls.of_database(value, trust.ca_file(), names_own=_names_authorities(read))
    except server_urls.BadUrl as e:
        read.fault(f"RUSHES_DATABASE_URL {e}; example: {example}")
        return value


def redis_url(read: Reader) -> str:
    value = read.url("RUSHES_REDIS_URL", ("redis", "rediss"), "redis://:password@127.0.0.1:6379/0")
    try:
        return server_urls.of_broker(value or "redis://127.0.0.1:6379/0", trust.ca_file())
    except server_urls.BadUrl as e:
        read.fault(f"RUSHES_REDIS_URL {e}; example: rediss://:password@redis.example.com:6379/0?ssl_cert_reqs=required")
    except ValueError:
        pass  # no URL at all, and a fault already
    return ""


def bucket(read: Reader) -> str:
    name = read.text("RUSHES_S3_BUCKET")
    if name is None or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        read.fault(f"RUSHES_S3_BUCKET is {'missing' if name is None else 'no name of a bucket'}; example: our-videos")
    return name or ""


def store_rules(read: Reader) -> StoreRules:
    """How the store wants to be spoken to: see docs/stores.md."""
    addressing = read.word("RUSHES_S3_ADDRESSING", ADDRESSING)
    endpoint = read.text("RUSHES_S3_ENDPOINT_URL") or ""
    if addressing == VIRTUAL and _is_address(endpoint):
        read.fault("RUSHES_S3_ADDRESSING is virtual, and RUSHES_S3_ENDPOINT_URL an IP address: give it a host name.")
    if addressing == VIRTUAL and "." in (read.text("RUSHES_S3_BUCKET") or ""):
        read.fault("RUSHES_S3_ADDRESSING is virtual, which no bucket with a dot in its name can be reached by.")
    encryption, key = read.word("RUSHES_S3_ENCRYPTION", ENCRYPTIONS), read.text("RUSHES_S3_ENCRYPTION_KEY")
    if key is not None and not (encryption or "").startswith("aws:kms"):
        read.fault("RUSHES_S3_ENCRYPTION_KEY is set, which wants RUSHES_S3_ENCRYPTION=aws:kms or aws:kms:dsse.")
    if key is not None and not re.fullmatch("[!-~]+", key):
        read.fault("RUSHES_S3_ENCRYPTION_KEY holds characters that no key's name has.")
    return StoreRules(
        addressing,
        read.word("RUSHES_S3_CHECKSUM", CHECKSUMS) or SHA256,
        read.word("RUSHES_S3_CONDITION", CONDITIONS) or IF_NONE_MATCH,
        encryption,
        key,
    )


def _names_authorities(read: Reader) -> bool:
    """Whether libpq is told elsewhere whom to trust: by its own variable, or by the file that it looks for."""
    home = Path(read.environ.get("HOME") or "/nonexistent")
    return bool(read.environ.get("PGSSLROOTCERT")) or (home / ".postgresql" / "root.crt").exists()


def _is_address(url: str) -> bool:
    """Whether a URL names its host by an IP address."""
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True
