"""What one machine's processes are told: a pure function of the environment, the data folder's local.json and flags.

What the environment sets wins, and a part that it names (database, broker, bucket) is not started here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

from jobs.environment import variables
from jobs.providers.registry import PROVIDERS
from rushes.local.seaweedfs import SeaweedFS
from rushes.local.valkey import Valkey
from storage.outbound import trust

SANDBOX_KEY = "sk-sandbox"  # opens a stand-in on the loopback interface; no secret
CLIENT_ONLY = frozenset({"RUSHES_URL", "RUSHES_API_KEY"})  # what the command line asks with; servers need neither

# Beside RUSHES_* and AWS_*: where programs, libraries, temporary files, certificates and proxies are found, and the
# language of what is printed.
_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "NO_COLOR"),
        *trust.VARIABLES,
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
# How a store of the environment's wants to be spoken to: one that is started here is spoken to in its own way.
_STORE_RULES = tuple(f"RUSHES_S3_{name}" for name in ("ADDRESSING", "CHECKSUM", "CONDITION", "ENCRYPTION"))
_LOOPBACK = "127.0.0.1,localhost,::1"
# Certificates and keys that the URL of a database or broker names; the word `system` is no file.
_FILES = re.compile(
    r"([?&](?:ssl_ca_certs|ssl_certfile|ssl_keyfile|sslrootcert|sslcert|sslkey|sslcrl)=)(?!system(?:&|$))([^&#]+)"
)
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/:?].*)")


@dataclass(frozen=True)
class Flags:
    """What `rushes up` was asked for. `speed` divides the sandbox's durations."""

    port: int = 8080
    sandbox: bool = False
    speed: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What is started here, and the environment of each kind of process. The parts are None where they are outside."""

    flags: Flags
    data_dir: Path
    service: Mapping[str, str] = field(repr=False)  # of the Procfile's processes
    bare: Mapping[str, str] = field(repr=False)  # of everything else: no word of ours
    valkey: Valkey | None
    seaweedfs: SeaweedFS | None
    sandbox_port: int | None
    real: tuple[str, ...]  # gateways that cost money
    simulated: tuple[str, ...]  # those the sandbox stands in for
    outside: tuple[str, ...]  # what the environment has set, and counts

    @property
    def url(self) -> str:
        host = self.service.get("RUSHES_HOST") or "127.0.0.1"
        reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
        return f"http://{reached}:{self.flags.port}"


def plan(environ: Mapping[str, str], kept: Mapping[str, Any], flags: Flags, *, data_dir: Path, bin_dir: Path) -> Plan:
    """What `rushes up` starts with these flags. `bin_dir` is where our environment's programs are."""
    data_dir = data_dir.absolute()
    environ = {name: _from_anywhere(name, value) for name, value in environ.items()}
    injected = {n for n in environ if variables.is_injected(n, environ)}
    nobodys = CLIENT_ONLY | injected
    ours = {n: v for n, v in environ.items() if n.startswith(("RUSHES_", "AWS_")) and n not in nobodys and v}
    bare = {n: v for n, v in environ.items() if n in _PASSED_ON or n.startswith("LC_")}
    bare["PATH"] = f"{bin_dir}:{environ.get('PATH') or '/usr/bin:/bin'}"
    bare["PYTHONUNBUFFERED"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        bare[name] = f"{bare[name]},{_LOOPBACK}" if bare.get(name) else _LOOPBACK
    real = real_providers(environ)
    simulated = tuple(name for name in PROVIDERS if name not in real) if flags.sandbox else ()
    valkey = None if _is_set(ours, "RUSHES_REDIS_URL") else _valkey(kept, data_dir)
    weed = None if _is_set(ours, "RUSHES_S3_BUCKET", "RUSHES_S3_ENDPOINT_URL") else _seaweedfs(kept, data_dir)
    sandbox_port = kept["sandbox"]["port"] if simulated else None

    service = {**bare, **ours, "RUSHES_DATA_DIR": str(data_dir), "PORT": str(flags.port)}
    if valkey:
        service["RUSHES_REDIS_URL"] = valkey.url
    if weed:
        service = {n: v for n, v in service.items() if n in _PASSED_ON or not n.startswith(("AWS_", *_STORE_RULES))} | {
            "RUSHES_S3_ENDPOINT_URL": weed.endpoint_url,
            "RUSHES_S3_BUCKET": weed.bucket,
            "AWS_ACCESS_KEY_ID": weed.access_key,
            "AWS_SECRET_ACCESS_KEY": weed.secret_key,
            "AWS_REGION": "us-east-1",
        }
    for name in ("callback_keys", "notice_secrets"):
        if not _is_set(ours, variable := f"RUSHES_{name.upper()}"):
            service[variable] = kept[name]
    started = [
        *([valkey.port] if valkey else []),
        *(weed.ports.values() if weed else []),
        *filter(None, [sandbox_port]),
    ]
    if started:  # no notice may go to them, whatever is listed
        said = [service["RUSHES_NOTIFY_CLOSED"]] if _is_set(ours, "RUSHES_NOTIFY_CLOSED") else []
        service["RUSHES_NOTIFY_CLOSED"] = ",".join([*said, *map(str, started)])
    for name in simulated:
        service[f"RUSHES_{name.upper()}_BASE_URL"] = f"http://127.0.0.1:{sandbox_port}/{name}"
        service[f"RUSHES_{name.upper()}_API_KEY"] = SANDBOX_KEY
    if simulated:
        named = [name for name in service.get("RUSHES_STAND_INS", "").split(",") if name.strip()]
        service["RUSHES_STAND_INS"] = ",".join([*simulated, *named])
    if simulated and not real:
        service.setdefault("RUSHES_ALLOW_PRIVATE_ADDRESSES", "1")  # notices to this machine, for development
        # A gateway that is real would refuse a loopback address, and its jobs with it: beside one, all are polled.
        if not _is_set(ours, "RUSHES_PUBLIC_URL"):
            service["RUSHES_PUBLIC_URL"] = f"http://127.0.0.1:{flags.port}"
    outside = tuple(sorted(n for n, v in ours.items() if n != "RUSHES_DATA_DIR" and service.get(n) == v))
    return Plan(flags, data_dir, service, bare, valkey, weed, sandbox_port, real, simulated, outside)


def _from_anywhere(name: str, value: str) -> str:
    """A variable's value with its path made absolute: what is started here runs in another folder."""
    if value.strip() and (name in trust.VARIABLES or (name.startswith(("RUSHES_", "AWS_")) and name.endswith("_FILE"))):
        return str(Path(value.strip()).absolute())
    if name == "RUSHES_DATABASE_URL" and (match := _SQLITE.fullmatch(value.strip())):
        return f"{match[1]}{Path(match[2]).absolute()}"
    if name in ("RUSHES_DATABASE_URL", "RUSHES_REDIS_URL"):
        return _FILES.sub(lambda found: f"{found[1]}{quote(str(Path(unquote_plus(found[2])).absolute()))}", value)
    return value


def real_providers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The gateways that the environment holds a key for. One for open orders alone is of a real gateway, too."""
    keys = ("API_KEY", "API_KEY_PREVIOUS")
    return tuple(n for n in PROVIDERS if _is_set(environ, *(f"RUSHES_{n.upper()}_{key}" for key in keys)))


def _is_set(environ: Mapping[str, str], *names: str) -> bool:
    return any(environ.get(name, "").strip() or environ.get(f"{name}_FILE", "").strip() for name in names)


def _valkey(kept: Mapping[str, Any], data_dir: Path) -> Valkey:
    return Valkey(data_dir / "valkey", kept["valkey"]["port"], kept["valkey"]["password"])


def _seaweedfs(kept: Mapping[str, Any], data_dir: Path) -> SeaweedFS:
    own = kept["seaweedfs"]
    return SeaweedFS(data_dir / "seaweedfs", own["ports"], own["access_key"], own["secret_key"])
