"""What can go wrong while bytes move. The class tells what to do: ask for a fresh link, try later, or refuse the bytes.

No message of these, and nothing chained to them, bears a link's query: it is the secret that opens the video.
"""


class StorageError(Exception):
    """Base of this room. Raised bare only when our own machinery fails (the probe helper does not start, the disk
    of the spool fails): try later.
    """


class LinkDead(StorageError):
    """The link answered 401, 403, 404 or 410: ask the provider for a fresh one."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class LinkDenied(LinkDead):
    """The link answered 401 or 403. A fresh one that does so wants a key that we do not send."""


class LinkUnavailable(StorageError):
    """The other side or the way to it failed (network, DNS, 5xx, 429, stall, deadline, short body): try later."""


class LinkForbidden(StorageError):
    """The guard does not let us go there: scheme, port, address or redirect."""


class BadVideo(StorageError):
    """These bytes are no whole, playable MP4 that we may keep; the message says why."""


class SpoolFull(StorageError):
    """No room on the disk for the spool file: try later."""


class BucketUnavailable(StorageError):
    """The store did not do what it was asked: try later. `status` and `code` are those of its answer, if it gave one.

    Without an answer `code` names what kept the request from being sent or answered.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class BucketRefuses(BucketUnavailable):
    """The store refuses (denied, no bucket, a header that it does not know), and will until a person mends it.

    Try later all the same, and tell somebody.
    """


class NoStoreKeys(BucketRefuses):
    """What the store's requests are signed with cannot be got: nothing is set, or who gives a role's keys does not."""


class ObjectExists(StorageError):
    """A conditional put met an object at its key. It may be our own, put by a try whose answer was lost: HEAD tells."""


class Cancelled(StorageError):
    """The caller's `keep_going` said stop."""
