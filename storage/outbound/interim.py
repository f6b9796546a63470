"""Answers that come after others: what a server says in between (102 Processing, 103 Early Hints) is no answer.

http.client passes over 100 alone, and takes any other for the answer itself: of an order, that it was lost.
"""

from http import HTTPStatus
from http.client import HTTPResponse


class FinalResponse(HTTPResponse):
    """The first answer that is not an interim one. How long it may take to come is for the connection's end to say."""

    def begin(self) -> None:
        super().begin()
        while HTTPStatus.SWITCHING_PROTOCOLS < self.status < HTTPStatus.OK:
            self.headers = self.msg = None  # type: ignore[assignment] # else it takes the head for read
            super().begin()
