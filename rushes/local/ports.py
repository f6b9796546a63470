"""TCP ports on the loopback interface."""

import random
import socket
import sys

# Below Linux' ephemeral range (32768 and up), where any outgoing connection may sit on a port for a moment.
LOW, HIGH = 20_000, 32_000

# File descriptors that mark ports as handed out by this process; see `_claim`. Bare numbers, so that nothing is
# finalised, and complains, when the interpreter ends.
_claims: list[int] = []


def free_ports(count: int, low: int = LOW, high: int = HIGH) -> list[int]:
    """`count` different ports in [low, high) that nobody listens on. Raises OSError when there are not that many.

    All are bound at the same time, so that none comes twice, and then released. Until this process ends, no other
    call of this function on this machine, in whatever process, hands them out again (on Linux; elsewhere only chance
    keeps two runs apart).
    """
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        for port in random.sample(range(low, high), high - low):
            if len(found) == count:
                return found
            candidate = socket.socket()
            held.append(candidate)
            try:
                candidate.bind(("127.0.0.1", port))  # no SO_REUSEADDR: refuses what someone else has merely bound
            except OSError:
                continue
            if _claim(port):
                found.append(port)
    finally:
        for candidate in held:
            candidate.close()
    if len(found) < count:
        raise OSError(f"only {len(found)} of {count} ports wanted are free between {low} and {high}")
    return found


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` now. Leftovers of closed connections (TIME_WAIT) do not count."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def port_is_served(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens on `port`, for whoever waits for a server: `port_is_free` takes the port for a moment,
    and a server that starts just then finds it taken.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as caller:
        return caller.connect_ex((host, port)) == 0


def _claim(port: int) -> bool:
    """Mark `port` as ours for as long as this process lives; False if another process was faster.

    Between our release of a port and the server's bind lies up to a second in which a second test run could draw the
    same one. A name in Linux' abstract socket namespace needs no file and goes away with its process, however it dies.
    """
    if sys.platform != "linux":
        return True
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0rushes-port-{port}")
    except OSError:
        mark.close()
        return False
    _claims.append(mark.detach())
    return True
