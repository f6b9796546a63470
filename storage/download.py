"""One link on its way into one spool file, in a thread of its own.

A read may block in DNS, in a handshake, or behind a peer that drips; only someone who is not reading can keep the time.
So this thread reads and never looks at a clock, and whoever started it (fetch.py) watches and never reads.
"""

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3.exceptions

from storage.errors import BadVideo, LinkDead, LinkDenied, LinkForbidden, LinkUnavailable
from storage.first_boxes import HEADER_BYTES, begins_like_a_film
from storage.outbound.connections import under
from storage.outbound.deadline import Deadline, NoThread
from storage.outbound.exact import asking_for, redirected, target_of
from storage.outbound.guard import check_url, masked
from storage.packing import unpacked
from storage.spool import Spool, Spooled

CHUNK_BYTES = 256 << 10
DENIED = {401, 403}
DEAD = DENIED | {404, 410}
WHOLE_RANGE = re.compile(r"bytes\s+0-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE)
REDIRECTS = {301, 302, 303, 307, 308}
HEADERS = {"Accept-Encoding": "identity", "Accept": "video/mp4, */*;q=0.5"}

UNKNOWN_NAME = "its name does not resolve"
# What a failure is called, the most telling first. Never by the exception's own text: requests and urllib3 quote the
# whole link in theirs.
REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, UNKNOWN_NAME),
    (ConnectionRefusedError, "connection refused"),
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted"),
    (ssl.SSLError, "TLS failed"),
    (urllib3.exceptions.IncompleteRead, "the body ended early"),
    (http.client.IncompleteRead, "the body ended early"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection"),  # and its child, NewConnectionError
    (urllib3.exceptions.ReadTimeoutError, "silent for too long"),
    (TimeoutError, "silent for too long"),
    (ConnectionError, "the connection broke"),
    (http.client.HTTPException, "the answer is not HTTP"),
)
NOT_A_LINK = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)


@dataclass(frozen=True)
class FetchLimits:
    """How much and how long. Fewer than `stall_bytes_per_s` on average over `stall_window_s` is a stall."""

    max_bytes: int
    deadline_s: float
    stall_bytes_per_s: float
    stall_window_s: float
    connect_s: float = 5
    read_s: float = 20
    redirects: int = 3


class Download:
    """Starts reading at once. `done` is set at the end, whatever the end was; then `result` tells.

    Whoever gave the deadline asks it first: once it has passed, what looks whole may be what a cut has left. Raises
    NoThread.
    """

    def __init__(
        self,
        session: requests.Session,
        url: str,
        *,
        folder: Path,
        limits: FetchLimits,
        allow_private: bool,
        deadline: Deadline,
    ) -> None:
        self.done = threading.Event()
        self.answered = False  # the headers of a 200 are here; the body has begun
        self.bytes = 0  # of the body, as they came
        self._session, self._url, self._folder = session, url, folder
        self._limits, self._allow_private = limits, allow_private
        self._deadline = deadline
        self._error: BaseException | None = None
        self._spooled: Spooled | None = None
        # A daemon: getaddrinfo cannot be cut, so such a thread is left to the resolver's own timeouts, holding nothing.
        self._thread = threading.Thread(target=self._run, name="download", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as e:
            raise NoThread("no thread to read in") from e

    def result(self) -> Spooled:
        """The whole body, or the error that ended it. Call once, after `done`."""
        if self._error is not None:
            raise self._error
        assert self._spooled is not None
        return self._spooled

    def stop(self, *, wait_s: float = 5) -> None:
        """Cut the connection, wait for the thread to notice, and drop what it had."""
        self._deadline.cut()
        self._thread.join(wait_s)
        if self._spooled is not None:
            self._spooled.close()

    def _run(self) -> None:
        try:
            with under(self._deadline):
                self._spooled = self._fetch()
        except NOT_A_LINK:
            self._error = LinkForbidden(f"{masked(self._url)} is not a link that can be asked for")
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
            self._error = LinkUnavailable(f"{masked(self._url)}: {reason(error)}")
        except BaseException as error:
            self._error = error  # raised again in the caller's thread
        finally:
            self.done.set()

    def _fetch(self) -> Spooled:
        for _ in range(self._limits.redirects + 1):
            check_url(self._url, allow_private=self._allow_private)
            timeout = (self._limits.connect_s, self._limits.read_s)
            with (
                asking_for(target_of(self._url)),
                self._session.get(
                    self._url, headers=HEADERS, stream=True, timeout=timeout, allow_redirects=False
                ) as response,
            ):
                if response.status_code not in REDIRECTS:
                    return self._keep(response)
                location = response.headers.get("Location", "").strip()
                if not location:
                    raise LinkUnavailable(f"{masked(self._url)} redirects to nowhere")
                self._url = as_https(self._redirected(location), allow_private=self._allow_private)
        raise LinkForbidden(f"{masked(self._url)}: more than {self._limits.redirects} redirects")

    def _redirected(self, location: str) -> str:
        try:
            return redirected(self._url, location.encode("latin-1", "ignore"))  # which http.client has read it as
        except ValueError:  # not chained: its text may quote the link
            raise LinkForbidden(f"{masked(self._url)} redirects to what cannot be read as a link") from None

    def _keep(self, response: requests.Response) -> Spooled:
        link = masked(self._url)
        if response.status_code in DEAD:
            kind = LinkDenied if response.status_code in DENIED else LinkDead
            raise kind(f"{link} answered {response.status_code}", status=response.status_code)
        if not _is_whole(response):
            raise LinkUnavailable(f"{link} answered {response.status_code}")
        declared = _declared_bytes(response)
        if declared is not None and declared > self._limits.max_bytes:
            raise BadVideo(f"{link} declares {declared} bytes; {self._limits.max_bytes} is the most")
        self.answered = True
        return self._copy(response, declared)

    def _copy(self, response: requests.Response, declared: int | None) -> Spooled:
        pieces = unpacked(self._pieces(response), CHUNK_BYTES)
        head = b""
        while len(head) < HEADER_BYTES and (piece := next(pieces, b"")):
            head += piece
        self._require_film(head, response)
        spool = Spool(self._folder, expected=declared or 0)
        try:
            piece = head
            while piece:
                self._require_room(spool.bytes + len(piece))
                spool.write(piece)
                piece = next(pieces, b"")
            if declared is not None and self.bytes != declared:
                raise LinkUnavailable(f"{masked(self._url)} gave {self.bytes} of {declared} bytes")
        except BaseException:
            spool.close()
            raise
        return spool.finish()

    def _require_film(self, head: bytes, response: requests.Response) -> None:
        """Refuse a page or a picture by its first bytes, before the rest of it is fetched and kept."""
        if not head:
            raise BadVideo(f"{masked(self._url)} gave an empty body")
        if not begins_like_a_film(head):
            kind = response.headers.get("Content-Type", "no content type")[:60]
            encoding = response.headers.get("Content-Encoding", "")[:40]
            said = f"{kind}, Content-Encoding {encoding}" if encoding else kind
            raise BadVideo(f"{masked(self._url)} is no MP4: it begins with {head[:16]!r} ({said})")

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        # read1 hands over what is there; read(n) would wait for all n, and iter_content would inflate.
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
            self.bytes += len(piece)
            self._require_room(self.bytes)
            yield piece

    def _require_room(self, needed: int) -> None:
        """Of bytes as they came, and of what they unpack to."""
        if needed > self._limits.max_bytes:
            raise BadVideo(f"{masked(self._url)} is longer than {self._limits.max_bytes} bytes")


def _is_whole(response: requests.Response) -> bool:
    """Whether a status promises the whole body: 200; 203, which a proxy says that looks in; 206 from end to end."""
    if response.status_code == http.HTTPStatus.PARTIAL_CONTENT:
        found = WHOLE_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        return found is not None and int(found[1]) + 1 == int(found[2])
    return response.status_code in (http.HTTPStatus.OK, http.HTTPStatus.NON_AUTHORITATIVE_INFORMATION)


def as_https(url: str, *, allow_private: bool) -> str:
    """An http:// link becomes the same link over https, unless private addresses are allowed (development)."""
    scheme, separator, rest = url.partition("://")
    if allow_private or not separator or scheme.lower() != "http":
        return url
    authority, slash, path = rest.partition("/")
    return f"https://{authority.removesuffix(':80')}{slash}{path}"


def _declared_bytes(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "").strip()
    if "Transfer-Encoding" in response.headers or not (length.isascii() and length.isdigit()):
        return None
    return int(length)


def reason(error: BaseException) -> str:
    """What a failure is called; it quotes no link."""
    chain = list(_chain(error, set()))
    for kind, words in REASONS:
        if any(isinstance(link, kind) for link in chain):
            return words
    return type(error).__name__


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    """It and all it was made of: requests keeps a cause in `args`, urllib3 in `reason`, Python in `__cause__`."""
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__):
        if isinstance(inner, BaseException):
            yield from _chain(inner, seen)
