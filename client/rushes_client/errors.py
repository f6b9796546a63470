"""What can go wrong. The class tells a caller what to do; `code` is the service's own word for it, and stable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rushes_client.records import Job


class RushesError(Exception):
    """Base of all others. Whatever is not known is None.

    `code` is the service's stable word, `status` that of the HTTP answer, `request_id` what an operator finds the
    request by in the log. `idempotency_key` is that of the submit which failed: sent again under it, the request never
    makes a second job. `job` is the job that the error is about, as it stood.
    """

    # All but the text are optional and by name, so that the error survives pickling on its way between processes.
    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        errors: Mapping[str, list[str]] | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        idempotency_key: str | None = None,
        job: Job | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.errors = dict(errors or {})
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.idempotency_key = idempotency_key
        self.job = job


class BadRequest(RushesError):
    """Will never work as it is; `errors` has for each field what is wrong and what is allowed."""


class IdempotencyKeyReused(BadRequest):
    """The key came before, with another request. The job of that one stands."""


class Unauthorized(RushesError):
    """The API key is missing, unknown or revoked."""


class Forbidden(RushesError):
    """The API key's scope does not reach so far."""


class NotFound(RushesError):
    """Nothing has this id."""


class Conflict(RushesError):
    """The job's state does not allow it."""


class TooLate(Conflict):
    """A gateway has accepted the job, so it can no longer be cancelled."""


class NotFailed(Conflict):
    """Only a failed job can be tried again."""


class MayBePaid(Conflict):
    """Trying again may pay twice; `accept_double_charge=True` does it all the same."""


class NothingLeft(Conflict):
    """Trying again cannot end otherwise."""


class NothingKept(Conflict):
    """No film of the job is kept aside to be accepted; what is archived was proven, and stays."""


class UnderWay(Conflict):
    """A worker is at the order just now: settle it again in a moment."""


class NotSettled(Conflict):
    """The service knows better what became of the order; `code` says what."""


class TaskRefused(RushesError):
    """The task that was named is not the order's; the text says why. `job` is the job as it stands."""


class NotArchived(Conflict):
    """The job has no video, or none yet."""


class JobFailed(NotArchived):
    """The job has failed; `code` and the text are those of `job.error`."""


class JobCancelled(NotArchived):
    """The job was cancelled."""


class Unavailable(RushesError):
    """The service, or the store that has the video, gave no usable answer in time. Ask again later."""

    def __str__(self) -> str:
        if self.idempotency_key is None:
            return self.detail
        return f"{self.detail} Submit again with idempotency_key={self.idempotency_key!r}: that makes no second job."


class RateLimited(Unavailable):
    """Too many requests with this key; `retry_after_s` says when there is room."""


class TimedOut(RushesError, TimeoutError):
    """The job goes on, but had not ended in the time that was given; `job` is how it stood last."""


class ChecksumMismatch(RushesError):
    """What came is not the video that the job names; nothing was put in place."""


BY_CODE: dict[str, type[RushesError]] = {
    "idempotency_key_reused": IdempotencyKeyReused,
    "too_late": TooLate,
    "not_failed": NotFailed,
    "may_be_paid": MayBePaid,
    "nothing_left": NothingLeft,
    "nothing_kept": NothingKept,
    "under_way": UnderWay,
    **dict.fromkeys(("task_known", "task_taken", "not_lost", "not_closed"), NotSettled),
    "not_archived": NotArchived,
}
BY_STATUS: dict[int, type[RushesError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def refusal(
    status: int,
    problem: Mapping[str, Any],
    *,
    request_id: str | None = None,
    retry_after_s: float | None = None,
    idempotency_key: str | None = None,
) -> RushesError:
    """An answer that is no success, as the error to raise. `problem` is its problem+json, empty if it has none.

    A code or status that is not known here still finds the class of its kind.
    """
    code = problem.get("code")
    kind = BY_CODE.get(str(code)) or BY_STATUS.get(status) or (Unavailable if status >= 500 else BadRequest)
    errors = problem.get("errors")
    return kind(
        str(problem.get("detail") or problem.get("title") or f"The service answered {status}."),
        code=None if code is None else str(code),
        status=status,
        errors=errors if isinstance(errors, dict) else None,
        request_id=problem.get("request_id") or request_id,
        retry_after_s=retry_after_s,
        idempotency_key=idempotency_key,
    )
