"""Settings: read once at the start, strictly, all faults reported together. Only entry points call `load`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jobs.environment import callers, gateways, servers, variables
from jobs.environment.callers import Network
from jobs.environment.numbers import LONGER_THAN, NUMBERS
from jobs.environment.reader import Reader
from jobs.errors import BadSettings
from jobs.providers.client import Account
from jobs.providers.registry import PROVIDERS, Terms
from storage.outbound import trust
from storage.outbound.receivers import Receivers
from storage.rules import StoreRules


@dataclass(frozen=True)
class Settings:
    """What one installation is told. Secrets are hidden from `repr`."""

    data_dir: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    s3_endpoint_url: str | None
    s3_public_endpoint_url: str | None  # of presigned links, where those who follow them know the store by another name
    s3_bucket: str
    s3_prefix: str
    s3_region: str | None
    s3_access_key: str | None = field(repr=False)
    s3_secret_key: str | None = field(repr=False)
    s3_session_token: str | None = field(repr=False)
    s3_rules: StoreRules
    public_url: str | None
    callback_keys: Mapping[str, bytes] = field(repr=False)  # by key id; the first signs
    notice_secrets: tuple[str, ...] = field(repr=False)  # the first signs alone unless two are live
    accounts: Mapping[str, Account] = field(repr=False)  # by provider: the key that submits
    previous_accounts: Mapping[str, Account] = field(repr=False)
    terms: Mapping[str, Terms]  # by provider, every one of them
    allow_private_addresses: bool
    trusted_proxies: tuple[Network, ...]  # whose word on where a request came from is taken
    notice_receivers: Receivers  # inside, beside public ones
    submit_deadline_s: float
    submit_lease_s: float
    query_deadline_s: float
    query_lease_s: float
    transfer_deadline_s: float
    transfer_stall_s: float
    transfer_lease_s: float
    notice_deadline_s: float
    notice_lease_s: float
    sweep_interval_s: float
    poll_interval_s: float
    overdue_poll_s: float
    late_poll_s: float
    expected_s: float
    input_queue_s: float
    unconfirmed_window_s: float
    resubmit_after_s: float
    retry_first_s: float
    retry_longest_s: float
    start_within_s: float
    notice_unit_s: float
    resend_unit_s: float
    life_s: float
    max_in_flight: int
    max_unconfirmed: int
    max_attempts: int
    worker_slots: int
    transfer_slots: int
    notify_slots: int
    api_requests_per_min: int
    max_body_bytes: int
    max_inbox_rows: int
    max_video_bytes: int
    max_unproven_bytes: int
    keep_callbacks_d: float
    keep_history_d: float
    pack_history_d: float
    keep_idempotency_keys_d: float
    keep_aside_d: float

    @property
    def spool_dir(self) -> Path:
        """Where transfers keep films while they copy them."""
        return self.data_dir / "spool"

    @property
    def daily_usd(self) -> dict[str, float]:
        """The daily budgets that there are, by provider."""
        return {name: terms.daily_usd for name, terms in self.terms.items() if terms.daily_usd is not None}

    @property
    def secrets(self) -> set[str]:
        """Everything here that opens a door, for those who mask it."""
        # As they stand in the URL, and as they are: either may turn up in an error.
        written = [urlsplit(url).password or "" for url in (self.database_url, self.redis_url)]
        accounts = [*self.accounts.values(), *self.previous_accounts.values()]
        return {
            *filter(None, (*written, *map(unquote, written), self.s3_secret_key, self.s3_session_token)),
            *(key.decode() for key in self.callback_keys.values()),
            *self.notice_secrets,
            *(account.api_key for account in accounts),
        }

    def account_of(self, provider: str, fingerprint: str) -> Account | None:
        """The key that an attempt was sent with, be it the present or the previous one; None once it is gone."""
        for accounts in (self.accounts, self.previous_accounts):
            account = accounts.get(provider)
            if account is not None and account.fingerprint == fingerprint:
                return account
        return None


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises BadSettings with one line per variable that is wrong."""
    read = Reader(os.environ if environ is None else environ)
    settings = _read_all(read)
    for line in variables.faults(read.environ, read.asked):
        read.fault(line)
    read.faults += trust.faults(read.environ)
    if read.faults:
        raise BadSettings(read.faults)
    return Settings(**{f.name: settings[f.name] for f in fields(Settings)})


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that begins as ours do and that no setting reads."""
    read = Reader({})
    _read_all(read)
    return list(variables.faults(environ, read.asked))


def _read_all(read: Reader) -> dict[str, Any]:
    data_dir = Path(read.text("RUSHES_DATA_DIR") or ".rushes")
    allow_private = read.text("RUSHES_ALLOW_PRIVATE_ADDRESSES") or "0"
    if allow_private not in ("0", "1"):
        read.fault(f"RUSHES_ALLOW_PRIVATE_ADDRESSES is {allow_private!r}; example: 1 (development only), or unset")
    public_url = read.url("RUSHES_PUBLIC_URL", ("https", "http"), "https://rushes.example.com")
    numbers = {name: read.number(name) for name in NUMBERS}
    for longer, shorter in LONGER_THAN:
        if numbers[longer] <= numbers[shorter]:
            read.fault(
                f"RUSHES_{longer} is {numbers[longer]:g}, not more than RUSHES_{shorter} ({numbers[shorter]:g})."
            )
    stand_ins = gateways.stand_ins(read)
    accounts = gateways.accounts(read, "API_KEY", stand_ins)
    keys = callers.callback_keys(read)
    if public_url and not keys:
        read.fault(
            "RUSHES_CALLBACK_KEYS is missing; with RUSHES_PUBLIC_URL it is needed. Example: k1:<32 random bytes as hex>"
        )
    if public_url and public_url.startswith("http://") and allow_private != "1":
        real = [PROVIDERS[name] for name in accounts if name not in stand_ins]
        picky = [provider.name for provider in real if provider.callbacks is not None and provider.callbacks.https_only]
        if picky:
            read.fault(f"RUSHES_PUBLIC_URL is plain http, which {', '.join(picky)} does not take; use https.")
    return {
        "data_dir": data_dir,
        "database_url": servers.database_url(read, data_dir),
        "redis_url": servers.redis_url(read),
        "s3_endpoint_url": read.url("RUSHES_S3_ENDPOINT_URL", ("https", "http"), "https://s3.example.com"),
        "s3_public_endpoint_url": read.url(
            "RUSHES_S3_PUBLIC_ENDPOINT_URL", ("https", "http"), "https://videos.example.com"
        ),
        "s3_bucket": servers.bucket(read),
        "s3_prefix": (read.text("RUSHES_S3_PREFIX") or "").lstrip("/"),
        "s3_region": read.text("AWS_REGION") or read.text("AWS_DEFAULT_REGION"),
        "s3_access_key": read.text("AWS_ACCESS_KEY_ID"),
        "s3_secret_key": read.text("AWS_SECRET_ACCESS_KEY"),
        "s3_session_token": read.text("AWS_SESSION_TOKEN"),
        "s3_rules": servers.store_rules(read),
        "public_url": public_url.rstrip("/") if public_url else None,
        "callback_keys": keys,
        "notice_secrets": callers.notice_secrets(read),
        "notice_receivers": callers.notice_receivers(read),
        "accounts": accounts,
        "previous_accounts": gateways.accounts(read, "API_KEY_PREVIOUS", stand_ins),
        "terms": {name: gateways.terms(read, name) for name in PROVIDERS},
        "allow_private_addresses": allow_private == "1",
        "trusted_proxies": callers.networks(read, "RUSHES_TRUSTED_PROXIES"),
        **{name.lower(): value for name, value in numbers.items()},
    }
