"""Connections that go only where they may, and that end with a deadline.

The check sits where the connection is made: the name is resolved once, every answer is judged, and the socket is
connected to an answer that was judged, so a name that changes its mind in between (DNS rebinding) finds nobody asking
again. The name itself stays with urllib3, for Host, SNI and the certificate. requests-hardened pins in the adapter
instead, where it sees only the first answer; its ranges and its session are used, its adapter is not.
"""

import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.timeout import Timeout

from storage.errors import LinkForbidden
from storage.outbound.addresses import Address, is_public, may_be_translated
from storage.outbound.deadline import Deadline
from storage.outbound.exact import exact
from storage.outbound.interim import FinalResponse
from storage.outbound.translators import prefixes
from storage.outbound.trust import TrustingAdapter

# A name with a hundred dead addresses must not cost a hundred connect timeouts.
MAX_ADDRESSES_TRIED = 3

# Raises LinkForbidden unless the connection may go to each of the addresses that its name leads to.
Judge = Callable[[HTTPConnection, Sequence[Address]], None]

_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def under(deadline: Deadline) -> Iterator[None]:
    """Connections that this thread opens inside the block end with the deadline.

    A requests session opens them out of sight and is shared by threads, and nothing that it passes on to a connection
    can bear a deadline. So each thread's is looked up here, and nowhere else.
    """
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


class GuardedAdapter(TrustingAdapter):
    """One fresh connection per request, to addresses that `judge` admits, by these schemes only.

    Connections are not kept: a link is used once, and a kept connection that the server has meanwhile closed would be
    a failure of our own making, since nothing here is sent twice.
    """

    def __init__(self, judge: Judge, schemes: Collection[str]) -> None:
        self._pools = {scheme: pool for scheme, pool in _pools(judge).items() if scheme in schemes}
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block=block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


def public_alone(connection: HTTPConnection, found: Sequence[Address]) -> None:
    """Raise LinkForbidden unless all addresses that were found are public."""
    translators = prefixes() if any(map(may_be_translated, found)) else ()
    for address in found:
        # All, not only the one that would be used: a private address beside a public one is no accident.
        if not is_public(address, translators):
            raise LinkForbidden(f"{connection.host} leads to {address}, which is not a public address")


def anywhere(connection: HTTPConnection, found: Sequence[Address]) -> None:
    """Nothing is forbidden (development)."""


def _pools(judge: Judge) -> dict[str, type[HTTPConnectionPool]]:
    class HTTPS(HTTPSConnection):
        response_class = FinalResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, judge)

    class HTTP(HTTPConnection):
        response_class = FinalResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, judge)

    class HTTPSPool(_OneRequest, HTTPSConnectionPool):
        ConnectionCls = HTTPS

    class HTTPPool(_OneRequest):
        ConnectionCls = HTTP

    return {"https": HTTPSPool, "http": HTTPPool}


def _connect(connection: HTTPConnection, judge: Judge) -> socket.socket:
    try:
        answers = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(connection.host, connection, reason) from error
    judge(connection, [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in answers])
    last: OSError = socket.gaierror("no address")
    for family, kind, protocol, _, sockaddr in answers[:MAX_ADDRESSES_TRIED]:
        try:
            return _open(connection, family, kind, protocol, sockaddr)
        except OSError as error:
            last = error
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from last
    raise NewConnectionError(connection, str(last)) from last


def _open(connection: HTTPConnection, family: int, kind: int, protocol: int, sockaddr: Any) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    try:
        opened.settimeout(Timeout.resolve_default_timeout(connection.timeout))
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        deadline = _deadline.get()
        if deadline is not None:
            deadline.left_s()  # the time is over for all of a host's addresses, not for the first one only
            deadline.watch(opened)
        opened.connect(sockaddr)
        if deadline is not None:
            deadline.left_s()  # a cut between the watching and the connecting met no connection
    except BaseException:
        opened.close()
        raise
    return opened


class _OneRequest(HTTPConnectionPool):
    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super()._make_request(conn, method, exact(url), *args, **more)

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.close()
        super()._put_conn(None)
