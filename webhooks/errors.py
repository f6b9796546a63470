"""What can go wrong in this room."""


class WebhooksError(Exception):
    """Base of this room's errors."""


class NoticeRefused(WebhooksError):
    """The receiving side answered, but not with 2xx; `status` says how.

    `asked_s`: the pause in seconds that it asks for (Retry-After); None: it asks for none.
    """

    def __init__(self, status: int, asked_s: float | None = None):
        super().__init__(f"answered {status}")
        self.status, self.asked_s = status, asked_s


class NoticeUndelivered(WebhooksError):
    """No answer came: address not allowed, connection refused, time over."""
