"""Whom TLS trusts: the public authorities, and beside them those that the environment names.

One trust for everything that leaves this machine. A firewall that reads along signs what gateways, film hosts,
receivers of notices and the store answer with one and the same authority; whoever trusted it for orders alone would pay
for films that it cannot fetch.
"""

import os
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

# As OpenSSL, requests, curl and boto read them, each a file or a folder; that of folders may name several.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_OF_FOLDERS = "SSL_CERT_DIR"
_CERTIFICATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----.*?-----END [A-Z0-9 ]*CERTIFICATE-----", re.DOTALL)


def tls_context(*more: str, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """What every TLS connection to the outside is checked with; `more` are files of further authorities.

    Read once for each that is asked for: one context serves all connections of a process.
    """
    return _context(more, tuple(_named(environ)))


def faults(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that names no certificate that can be read."""
    return [
        f"{variable} names {value}, which holds no certificate that can be read (PEM); mend it, or unset it."
        for variable, value in _named(environ)
        if not any(map(_is_readable, _files(variable, value)))
    ]


def ca_file(*more: str) -> str:
    """The path of one file with everything that is trusted, for libraries that take no context. Of this process.

    `more` are files of further authorities. Where there are none, it is the file of the public ones.
    """
    return _file(more, tuple(_named(os.environ)))


class TrustingAdapter(HTTPAdapter):
    """For requests: checks certificates by our context, whatever `verify` and the environment say."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block=block, ssl_context=tls_context(), **pool_kwargs)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **{"ssl_context": tls_context(), **proxy_kwargs})

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """The context has the authorities; requests would load its own beside them into every connection."""
        conn.cert_reqs = "CERT_REQUIRED"


def session() -> requests.Session:
    """A session of requests that trusts so, and is as usual in all else."""
    made = requests.Session()
    made.mount("https://", TrustingAdapter())
    return made


@cache
def _context(more: tuple[str, ...], named: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    """Python 3.13 checks certificates more strictly than browsers do, and refuses the authorities of common firewalls;
    here all versions check alike. Any certificate that is named may end a chain: firewalls hand out intermediate ones.
    """
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for path in _added(more, named):
        context.load_verify_locations(cafile=path)
    return context


@cache
def _file(more: tuple[str, ...], named: tuple[tuple[str, str], ...]) -> str:
    """In memory, so that it goes with its process, however that ends, and needs no folder that can be written to."""
    added = _added(more, named)
    if not added:
        return DEFAULT_CA_BUNDLE_PATH
    descriptor = os.memfd_create("authorities")
    with open(descriptor, "wb", closefd=False) as file:
        # Each once: boto reads the file again for every connection, and folders repeat what bundles have.
        texts = (path.read_bytes() for path in (Path(DEFAULT_CA_BUNDLE_PATH), *added))
        file.write(b"\n".join(dict.fromkeys(found for text in texts for found in _CERTIFICATE.findall(text))))
    return f"/proc/self/fd/{descriptor}"


def _named(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in VARIABLES:
        if value := environ.get(variable, "").strip():
            yield variable, value


def _added(more: Iterable[str], named: Iterable[tuple[str, str]]) -> list[Path]:
    """The files that are named, each once, and none that cannot be read: `faults` tells of those."""
    found = {file: None for variable, value in named for file in _files(variable, value)}
    return [*map(Path, more), *filter(_is_readable, found)]


def _files(variable: str, value: str) -> Iterator[Path]:
    for path in map(Path, value.split(os.pathsep) if variable == _OF_FOLDERS else [value]):
        try:
            # All of a folder's files, not only those under the hashes that OpenSSL looks for: few people make these.
            files = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            continue
        yield from (file.resolve() for file in files if file.is_file())


def _is_readable(file: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:  # an SSLError is one
        return False
    return True
