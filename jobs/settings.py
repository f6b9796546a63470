"""Settings: read once at the start, strictly, all faults reported together. Only entry points call `load`."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from jobs import server_urls, variables
from jobs.errors import BadSettings
from jobs.providers.client import Account
from jobs.providers.prices import price_names
from jobs.providers.registry import PROVIDERS, Terms
from storage.outbound import receivers, trust
from storage.outbound.guard import PORTS
from storage.outbound.receivers import Receivers
from storage.rules import ADDRESSING, CHECKSUMS, CONDITIONS, ENCRYPTIONS, IF_NONE_MATCH, SHA256, VIRTUAL, StoreRules

NUMBERS: dict[str, tuple[float, str]] = {
    "SUBMIT_DEADLINE_S": (60, "whole time that a submit may take"),
    "SUBMIT_LEASE_S": (90, "how long a submitting worker is believed to be alive; more than the deadline"),
    "QUERY_DEADLINE_S": (20, "whole time that a query may take"),
    "QUERY_LEASE_S": (45, "how long a querying worker is believed to be alive; more than the deadline"),
    "TRANSFER_DEADLINE_S": (900, "whole time that a download may take"),
    "TRANSFER_STALL_S": (30, "a download slower than 64 KiB/s over this time is given up"),
    "TRANSFER_LEASE_S": (90, "how long a transferring worker is believed to be alive; renewed every third of it"),
    "NOTICE_DEADLINE_S": (15, "whole time that a notice may take"),
    "NOTICE_LEASE_S": (30, "how long a notifying worker is believed to be alive; more than the deadline"),
    "SWEEP_INTERVAL_S": (10, "how often what is due is looked for"),
    "POLL_INTERVAL_S": (0, "seconds between queries of a running task; 0: each gateway's own advice"),
    "OVERDUE_POLL_S": (60, "seconds between queries of an overdue task"),
    "LATE_POLL_S": (300, "seconds between queries once a task is an hour old"),
    "EXPECTED_S": (300, "after this a generation is overdue; an edit after twice this"),
    "UNCONFIRMED_WINDOW_S": (
        900,
        "how long a lost answer is waited for where no callback can come, and a film for whose it is",
    ),
    "RESUBMIT_AFTER_S": (900, "how long after a lost answer `on_unconfirmed: resubmit` buys again"),
    "RETRY_FIRST_S": (10, "first pause after a trouble of our own; doubles"),
    "RETRY_LONGEST_S": (3600, "longest pause after troubles of our own"),
    "INPUT_QUEUE_S": (600, "a presigned link to input media must outlive the gateway's expected time by this"),
    "START_WITHIN_S": (86_400, "a job that no gateway has accepted by then fails as not_started"),
    "NOTICE_UNIT_S": (1, "scale of the notice timetable (5 s, 1 m, 5 m, ... 24 h)"),
    "RESEND_UNIT_S": (60, "scale of the timetable for re-sends under an idempotency key (1, 5, 30, 60 ... minutes)"),
    "LIFE_S": (0, "life of tasks and links in seconds; 0: each gateway's own"),
    "MAX_IN_FLIGHT": (50, "accepted jobs at a time per gateway key"),
    "MAX_UNCONFIRMED": (5, "orders of a gateway key without an answer, on their way or lost, until no more are risked"),
    "MAX_ATTEMPTS": (2, "accepted attempts per job"),
    "WORKER_SLOTS": (32, "threads of the worker process"),
    "TRANSFER_SLOTS": (8, "threads of the transfer process"),
    "NOTIFY_SLOTS": (8, "threads of the notify process"),
    "API_REQUESTS_PER_MIN": (3000, "requests a minute and API key, counted by each web process"),
    "MAX_BODY_BYTES": (65_536, "largest callback body"),
    "MAX_INBOX_ROWS": (32, "kept callbacks per attempt; of more, the task ids"),
    "MAX_VIDEO_BYTES": (2 * 2**30, "largest video"),
    "MAX_UNPROVEN_BYTES": (
        20 * 2**30,
        "films that the proof refused are kept aside while together they are no larger",
    ),
    "KEEP_CALLBACKS_D": (30, "days after which `rushes db prune` deletes kept callbacks"),
    "KEEP_HISTORY_D": (180, "days after a job's end after which `rushes db prune` deletes its events and notices"),
    "KEEP_IDEMPOTENCY_KEYS_D": (7, "days after which `rushes db prune` deletes an idempotency key"),
    "KEEP_ASIDE_D": (30, "days after which `rushes db prune` deletes a film that is kept aside"),
}
INTEGERS = frozenset({"MAX_IN_FLIGHT", "MAX_UNCONFIRMED", "MAX_ATTEMPTS", "WORKER_SLOTS", "TRANSFER_SLOTS",
                      "NOTIFY_SLOTS", "API_REQUESTS_PER_MIN", "MAX_BODY_BYTES", "MAX_INBOX_ROWS",
                      "MAX_VIDEO_BYTES", "MAX_UNPROVEN_BYTES"})  # fmt: skip
MAY_BE_ZERO = frozenset({"POLL_INTERVAL_S", "LIFE_S"})
LONGER_THAN = [
    ("SUBMIT_LEASE_S", "SUBMIT_DEADLINE_S"),
    ("QUERY_LEASE_S", "QUERY_DEADLINE_S"),
    ("NOTICE_LEASE_S", "NOTICE_DEADLINE_S"),
]
GOING = {
    f"{step}_LEASE_S": f"{step}_HOLD_S" for step in ("SUBMIT", "QUERY", "TRANSFER", "NOTICE")
}  # new name → old one
WEB_PORT = 8080  # the Procfile's, where PORT is not set
# name of a URL → its port where it names none; None: its scheme's
STORE_PORTS = {
    "RUSHES_DATABASE_URL": 5432,
    "RUSHES_REDIS_URL": 6379,
    "RUSHES_S3_ENDPOINT_URL": None,
    "RUSHES_S3_PUBLIC_ENDPOINT_URL": None,
    "RUSHES_PUBLIC_URL": None,
}
STALL_BYTES_PER_S = 64 * 1024
LONGEST_URL = 255
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_PER_S = 1000  # queries per key: their times within a second are kept in Valkey


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
    keep_idempotency_keys_d: float
    keep_aside_d: float

    @property
    def daily_usd(self) -> dict[str, float]:
        """The daily budgets that there are, by provider."""
        return {name: terms.daily_usd for name, terms in self.terms.items() if terms.daily_usd is not None}

    @property
    def secrets(self) -> set[str]:
        """Everything here that opens a door, for those who mask it."""
        urls = [sa.make_url(self.database_url).password, urlsplit(self.redis_url).password]
        accounts = [*self.accounts.values(), *self.previous_accounts.values()]
        return {
            *filter(None, (*urls, self.s3_secret_key, self.s3_session_token)),
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


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]):
        self.environ = environ
        self.asked: set[str] = set()
        self.faults: list[str] = []

    def text(self, name: str) -> str | None:
        """The variable, or the contents of the file that `<NAME>_FILE` names; empty counts as missing."""
        self.asked.add(name)
        value, path = self.environ.get(name, "").strip(), self.environ.get(f"{name}_FILE", "").strip()
        if path and value:
            self.fault(f"{name} and {name}_FILE are both set; keep one.")
            return None
        if not path:
            return value or None
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as e:
            self.fault(f"{name}_FILE names {path}, which cannot be read ({type(e).__name__}).")
            return None

    def url(self, name: str, schemes: tuple[str, ...], example: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and len(value) <= LONGEST_URL
        except ValueError:
            good = False
        if not good:
            self.fault(f"{name} is not a URL that can be used; example: {example}")
        return value

    def number(self, name: str) -> float | int:
        default, _ = NUMBERS[name]
        raw = self._under_either_name(f"RUSHES_{name}", f"RUSHES_{GOING[name]}" if name in GOING else None)
        kind: Callable[[str], float] = int if name in INTEGERS else float
        try:
            value = default if raw is None else kind(raw)
            if not (0 < value < 1e12 or (value == 0 and name in MAY_BE_ZERO)):
                raise ValueError
        except ValueError:
            least = "of zero or more" if name in MAY_BE_ZERO else "above zero"
            self.fault(f"RUSHES_{name} is {raw!r}, not a number {least}; example: RUSHES_{name}={default:.15g}")
            value = default
        return int(value) if name in INTEGERS else float(value)

    def _under_either_name(self, name: str, going: str | None) -> str | None:
        """A variable that may still be set under the name that it had before."""
        value, old = self.text(name), self.text(going) if going else None
        if value is not None and old is not None:
            self.fault(f"{name} and {going}, its old name, are both set; keep {name}.")
        return old if value is None else value

    def word(self, name: str, words: Collection[str]) -> str | None:
        """One of these words, in whatever case; None where nothing is set."""
        raw = self.text(name)
        known = {word.lower(): word for word in words}
        if raw is not None and raw.lower() not in known:
            self.fault(f"{name} is {raw!r}; it may be {', '.join(words)}.")
        return known.get((raw or "").lower())

    def amount(self, name: str, example: str) -> float | None:
        """A sum of money in US dollars; None where nothing is set."""
        return self._fitting(name, lambda n: 0 <= n < 1e9, f"not an amount of US dollars; example: {name}={example}")

    def pace(self, name: str, example: str) -> float | None:
        """How often a second; None where nothing is set."""
        said = f"not a number above zero, up to {MOST_PER_S}; example: {name}={example}"
        return self._fitting(name, lambda n: 0 < n <= MOST_PER_S, said)

    def _fitting(self, name: str, fits: Callable[[float], bool], said: str) -> float | None:
        raw = self.text(name)
        try:
            value = None if raw is None else float(raw)
            if value is None or fits(value):
                return value
        except ValueError:
            pass
        self.fault(f"{name} is {raw!r}, {said}")
        return None

    def fault(self, line: str) -> None:
        """Remember what is wrong; the caller goes on, so that all faults are told together."""
        if line not in self.faults:  # a variable may be read for two things
            self.faults.append(line)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises BadSettings with one line per variable that is wrong."""
    read = _Reader(os.environ if environ is None else environ)
    settings = _read_all(read)
    for line in variables.faults(read.environ, read.asked):
        read.fault(line)
    read.faults += trust.faults(read.environ)
    if read.faults:
        raise BadSettings(read.faults)
    return Settings(**{f.name: settings[f.name] for f in fields(Settings)})


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that begins as ours do and that no setting reads."""
    read = _Reader({})
    _read_all(read)
    return list(variables.faults(environ, read.asked))


def _read_all(read: _Reader) -> dict[str, Any]:
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
    stand_ins = _stand_ins(read)
    accounts = _accounts(read, "API_KEY", stand_ins)
    keys = _callback_keys(read)
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
        "database_url": _database_url(read, data_dir),
        "redis_url": _redis_url(read),
        "s3_endpoint_url": read.url("RUSHES_S3_ENDPOINT_URL", ("https", "http"), "https://s3.example.com"),
        "s3_public_endpoint_url": read.url(
            "RUSHES_S3_PUBLIC_ENDPOINT_URL", ("https", "http"), "https://videos.example.com"
        ),
        "s3_bucket": _bucket(read),
        "s3_prefix": (read.text("RUSHES_S3_PREFIX") or "").lstrip("/"),
        "s3_region": read.text("AWS_REGION") or read.text("AWS_DEFAULT_REGION"),
        "s3_access_key": read.text("AWS_ACCESS_KEY_ID"),
        "s3_secret_key": read.text("AWS_SECRET_ACCESS_KEY"),
        "s3_session_token": read.text("AWS_SESSION_TOKEN"),
        "s3_rules": _store_rules(read),
        "public_url": public_url.rstrip("/") if public_url else None,
        "callback_keys": keys,
        "notice_secrets": _notice_secrets(read),
        "notice_receivers": _notice_receivers(read),
        "accounts": accounts,
        "previous_accounts": _accounts(read, "API_KEY_PREVIOUS", stand_ins),
        "terms": {name: _terms(read, name) for name in PROVIDERS},
        "allow_private_addresses": allow_private == "1",
        "trusted_proxies": _networks(read, "RUSHES_TRUSTED_PROXIES"),
        **{name.lower(): value for name, value in numbers.items()},
    }


def process_name(role: str) -> str:
    """Who a holder or a heartbeat is: role, host and process id."""
    return f"{role}@{socket.gethostname()[:32]}:{os.getpid()}"


def _database_url(read: _Reader, data_dir: Path) -> str:
    value = read.text("RUSHES_DATABASE_URL")
    if value is None:
        return f"sqlite:///{data_dir.absolute()}/rushes.db"
    example = "postgresql+psycopg://rushes:password@127.0.0.1/rushes"
    try:
        return server_urls.of_database(value)
    except server_urls.BadUrl as e:
        read.fault(f"RUSHES_DATABASE_URL {e}; example: {example}")
        return value


def _redis_url(read: _Reader) -> str:
    value = read.url("RUSHES_REDIS_URL", ("redis", "rediss"), "redis://:password@127.0.0.1:6379/0")
    try:
        return server_urls.of_broker(value or "redis://127.0.0.1:6379/0")
    except server_urls.BadUrl as e:
        read.fault(f"RUSHES_REDIS_URL {e}; example: rediss://:password@redis.example.com:6379/0?ssl_cert_reqs=required")
    except ValueError:
        pass  # no URL at all, and a fault already
    return ""


def _networks(read: _Reader, name: str) -> tuple[Network, ...]:
    networks = []
    for part in filter(None, (p.strip() for p in (read.text(name) or "").split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            read.fault(f"{name} has {part!r}, neither an address nor a network; example: {name}=127.0.0.1,10.1.0.0/16")
    return tuple(networks)


def _bucket(read: _Reader) -> str:
    name = read.text("RUSHES_S3_BUCKET")
    if name is None or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        read.fault(f"RUSHES_S3_BUCKET is {'missing' if name is None else 'no name of a bucket'}; example: our-videos")
    return name or ""


def _stand_ins(read: _Reader) -> frozenset[str]:
    """The gateways whose base URL leads to a stand-in."""
    names = frozenset(w.strip() for w in (read.text("RUSHES_STAND_INS") or "").split(",") if w.strip())
    if strange := sorted(names - set(PROVIDERS)):
        read.fault(f"RUSHES_STAND_INS names {', '.join(strange)}; there are {', '.join(PROVIDERS)}.")
    for name in sorted(names & set(PROVIDERS)):
        if read.text(f"RUSHES_{name.upper()}_BASE_URL") is None:
            read.fault(f"RUSHES_STAND_INS names {name}; RUSHES_{name.upper()}_BASE_URL must say where its stand-in is.")
    return names


def _store_rules(read: _Reader) -> StoreRules:
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


def _is_address(url: str) -> bool:
    """Whether a URL names its host by an IP address."""
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def _accounts(read: _Reader, suffix: str, stand_ins: Collection[str]) -> dict[str, Account]:
    accounts = {}
    for name, provider in PROVIDERS.items():
        key = read.text(f"RUSHES_{name.upper()}_{suffix}")
        base = read.url(f"RUSHES_{name.upper()}_BASE_URL", ("https", "http"), provider.base_url)
        if key is not None and (not key.isascii() or not key.isprintable() or " " in key):
            read.fault(f"RUSHES_{name.upper()}_{suffix} holds characters that no key has.")
        elif key is not None:
            accounts[name] = Account(name, (base or provider.base_url).rstrip("/"), key, name in stand_ins)
    return accounts


def _terms(read: _Reader, name: str) -> Terms:
    """What the operator says of one gateway beside its key."""
    prefix, provider = f"RUSHES_{name.upper()}", PROVIDERS[name]
    words = frozenset(w.strip() for w in (read.text(f"{prefix}_UNDOCUMENTED") or "").split(",") if w.strip())
    if strange := sorted(words - set(provider.switches)):
        known = ", ".join(provider.switches) or "nothing"
        read.fault(f"{prefix}_UNDOCUMENTED names {', '.join(strange)}; for {name} there is {known}.")
    return Terms(
        undocumented=words,
        usd_per_s=_prices(read, f"{prefix}_USD_PER_S", price_names(provider)),
        usd_per_credit=read.amount(f"{prefix}_USD_PER_CREDIT", "0.005"),
        daily_usd=read.amount(f"{prefix}_DAILY_USD", "50"),
        queries_per_s=read.pace(f"{prefix}_QUERIES_PER_S", f"{provider.polling.budget_per_s:g}"),
    )


def _prices(read: _Reader, variable: str, names: Collection[str]) -> dict[str, float]:
    prices: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in (read.text(variable) or "").split(","))):
        name, _, price = part.partition("=")
        try:
            prices[name.strip()] = float(price)
            if name.strip() not in names or not 0 <= prices[name.strip()] < 1e6:
                raise ValueError
        except ValueError:
            read.fault(f"{variable} has {part!r}; example: {variable}=720p=0.10,1080p=0.15,video-edit/1080p=0.30")
    return prices


def _callback_keys(read: _Reader) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in (read.text("RUSHES_CALLBACK_KEYS") or "").split(","):
        kid, _, secret = part.strip().partition(":")
        if not part.strip():
            continue
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,16}", kid) or len(secret) < 16 or kid in keys:
            read.fault("RUSHES_CALLBACK_KEYS wants kid:secret,kid:secret with secrets of 16 characters or more.")
            break
        keys[kid] = secret.encode()
    return keys


def _notice_secrets(read: _Reader) -> tuple[str, ...]:
    secrets = tuple(s.strip() for s in (read.text("RUSHES_NOTICE_SECRETS") or "").split(",") if s.strip())
    if not all(map(_can_sign, secrets)) or len(secrets) > 2:
        read.fault("RUSHES_NOTICE_SECRETS wants one or two secrets: whsec_ and 24 to 64 random bytes in base64.")
    return secrets


def _notice_receivers(read: _Reader) -> Receivers:
    """What is open to notices, and what is closed all the same: web's port, those of the stores, and what is said."""
    names: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[tuple[receivers.Network, int], ...] = ()
    own: tuple[tuple[str | None, int | None], ...] = ()
    try:
        names, networks = receivers.parse(read.text("RUSHES_NOTIFY_HOSTS") or "")
    except ValueError as e:
        example = "pipeline.internal:8000,10.1.0.0/16:8443,[fd00::/8]:8443"
        read.fault(f"RUSHES_NOTIFY_HOSTS has {str(e)!r}, neither host[:port] nor network[:port]; example: {example}")
    try:
        own = receivers.parse_own(read.text("RUSHES_NOTIFY_CLOSED") or "")
    except ValueError as e:
        read.fault(f"RUSHES_NOTIFY_CLOSED has {str(e)!r}; example: 8888,seaweedfs:8888,valkey")
    port = read.environ.get("PORT", "").strip()
    return Receivers(names, networks, (*own, (None, int(port) if port.isdecimal() else WEB_PORT), *_stores(read)))


def _stores(read: _Reader) -> Iterator[tuple[str, int]]:
    """Where database, broker, bucket and receiver listen, as far as their URLs say."""
    for name, usual in STORE_PORTS.items():
        value = read.text(name)
        try:
            parts = urlsplit(value or "")
            if parts.hostname:
                yield parts.hostname, parts.port or usual or PORTS.get(parts.scheme, 0)
        except ValueError:  # told where it is read
            continue


def _can_sign(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and 24 <= len(key) <= 64
