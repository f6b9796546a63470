"""Links as they go out: byte for byte as they came.

A signature covers what a server receives: `%2b` for one is not `%2B` to it, and a lone `?` is not nothing. HTTP
libraries tidy such things, so a target is made here and handed to the connection past them (`asking_for`).
Only what no request line can carry is percent-encoded: blanks, quotes, angle brackets, and what is not ASCII. Controls
and backslashes stay, so that the guard refuses them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, urljoin

# A signed link holds none of these itself: whoever signs what a server receives has quoted them.
_UNSENDABLE = re.compile(r'[ "<>]|[^\x00-\x7f]')
_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#\\]*")
_BLANKS = "".join(map(chr, range(0x21)))

_target: ContextVar[str | None] = ContextVar("target", default=None)


def sendable(link: str) -> str:
    """The link with what cannot be sent as it is percent-encoded, after its host; all else stays as it came."""
    found = _AUTHORITY.match(link)
    end = found.end() if found else 0
    return link[:end] + _UNSENDABLE.sub(lambda odd: quote(odd[0], safe=""), link[end:])


def target_of(link: str) -> str:
    """What a request line names of a link: its path and query, as they came."""
    found = _AUTHORITY.match(link)
    rest = link[found.end() if found else 0 :].partition("#")[0]
    return sendable(rest if rest.startswith("/") else f"/{rest}")


def redirected(link: str, location: bytes) -> str:
    """Where a redirect leads from a link: the `Location` that came, byte for byte, as far as it can be sent.

    Raises ValueError for what cannot be read as a link.
    """
    try:
        said = location.decode()
    except UnicodeDecodeError:  # Latin-1, say: its bytes are quoted as they are
        said = "".join(f"%{byte:02X}" if byte > 0x7F else chr(byte) for byte in location)
    said = said.strip(_BLANKS)
    found = _AUTHORITY.match(said)
    if found:
        return sendable(said if found[1] else f"{link.partition(':')[0]}:{said}")
    base = link.partition("#")[0]
    authority = _AUTHORITY.match(base)
    origin = authority[0] if authority else ""
    if said.startswith("/"):
        return f"{origin}{sendable(said)}"
    if said.startswith("?"):
        return f"{base.partition('?')[0]}{sendable(said)}"
    path, mark, query = said.partition("?")
    return f"{sendable(urljoin(base, path))}{mark}{sendable(query)}"


@contextmanager
def asking_for(target: str) -> Iterator[None]:
    """Requests that this thread sends inside the block name this target, whatever is made of their URL on the way."""
    before = _target.set(target)
    try:
        yield
    finally:
        _target.reset(before)


def exact(target: str) -> str:
    """What a connection is to ask for, in place of a target that a library has made."""
    return _target.get() or target
