"""What can go wrong in this room."""


class WebhooksError(Exception):
    """Base of this room's errors."""


class NoticeRefused(WebhooksError):
    """The receiving side answered, but not with 2xx; `status` says how."""

    def __init__(self, status: int):
        super().__init__(f"answered {status}")
        self.status = status


class NoticeUndelivered(WebhooksError):
    """No answer came: address not allowed, connection refused, time over."""
