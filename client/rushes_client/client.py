"""The service as a pipeline uses it: order, wait, bring home."""

from __future__ import annotations

import json
import os
import urllib.parse
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rushes_client.connection import Connection, body_of, retry_after_s
from rushes_client.download import Progress, download
from rushes_client.errors import BadRequest, RushesError, TaskRefused, TimedOut
from rushes_client.records import Event, Job, Named, Quote, read

HELD_S = 30  # a look that waits; proxies commonly cut what is silent for a minute
LOOKS_APART_S = 0.5
PAGE = 100
LONGEST_KEY = 255


class Client:
    """A service and an API key, from `RUSHES_URL` and `RUSHES_API_KEY` where they are not given.

    One client may be used by many threads, and by the children of a fork. `timeout_s` is how long the service may be
    silent within one request, `patience_s` how long a call goes on asking when no answer comes, or one that says to
    come back later (429, 502, 503, 504); the service counts a key's requests by the minute, so let it be more than one.
    Every method may raise RushesError; its kinds tell what to do.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout_s: float = 30, patience_s: float = 150
    ) -> None:
        url = url or _from_environment("RUSHES_URL", "the address of the service")
        api_key = api_key or _from_environment("RUSHES_API_KEY", "a key, made by `rushes keys create NAME`")
        self._connection = Connection(url, api_key, timeout_s=timeout_s, patience_s=patience_s)

    def submit(self, prompt: str | None = None, *, idempotency_key: str | None = None, **request: Any) -> Job:
        """Order a video. The fields of the request are those of `POST /v1/jobs`.

        The same key and request always give the same job, so give one that your own work is known by, and a pipeline
        that starts over buys nothing twice. Without one, a key is made up. It is kept over all tries; when they are
        used up, Unavailable carries it: submit again under it.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        try:
            answer = self._connection.ask(
                "POST", "/v1/jobs", data=_body(prompt, request), headers={**_JSON, "Idempotency-Key": _checked(key)}
            )
            return read(Job, body_of(answer))
        except RushesError as error:
            error.idempotency_key = key
            raise

    def submit_many(self, requests: Iterable[Mapping[str, Any]], *, threads: int = 8) -> Iterator[Job | RushesError]:
        """Order many videos, `threads` at a time: for each request, in order, its job, or the error that befell it.

        A request may carry its `idempotency_key`. Nothing is sent before the first answer is asked for, and never more
        than `threads` requests ahead of the one that is; whoever leaves early may have ordered those.
        """
        with ThreadPoolExecutor(threads, thread_name_prefix="rushes-submit") as pool:
            sent: deque[Future[Job | RushesError]] = deque()
            for request in requests:
                if len(sent) == threads:
                    yield sent.popleft().result()
                sent.append(pool.submit(self._submitted, request))
            while sent:
                yield sent.popleft().result()

    def quote(self, prompt: str | None = None, **request: Any) -> Quote:
        """Where a request would go now, and what it would cost. Nothing is bought."""
        answer = self._connection.ask(
            "POST", "/v1/jobs", params={"dry_run": "true"}, data=_body(prompt, request), headers=_JSON
        )
        return read(Quote, body_of(answer))

    def get(self, job: Job | str) -> Job:
        """A job as it stands now."""
        return read(Job, body_of(self._connection.ask("GET", _path(job))))

    def wait(
        self, job: Job | str, *, timeout_s: float | None = None, on_change: Callable[[Job], object] | None = None
    ) -> Job:
        """The job once it has ended, however it ended: `raise_unless_archived()` on it raises for a bad end.

        `on_change` is called with the job as it stands at first, and whenever something about it has changed. Raises
        TimedOut after `timeout_s`; the job goes on all the same, and can be waited for again.
        """
        return self._until(job, lambda now: now.ended, timeout_s, on_change)

    def iter(
        self,
        *,
        state: str | Iterable[str] | None = None,
        provider: str | None = None,
        mode: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        prompt: str | None = None,
        batch: str | None = None,
        metadata: Mapping[str, str] | None = None,
        overdue: bool = False,
        needs_person: bool = False,
    ) -> Iterator[Job]:
        """The jobs that all of these hold for, the newest first, read page by page. Of several states, any will do.

        `prompt` is a text that the prompt holds, in capitals or not. `overdue` and `needs_person` leave out the jobs
        that are not.
        """
        times = {"created_after": created_after, "created_before": created_before}
        query: dict[str, Any] = {
            "limit": PAGE,
            "state": [state] if isinstance(state, str) else list(state or ()),
            "provider": provider,
            "mode": mode,
            "prompt": prompt,
            "batch": batch,
            "overdue": "true" if overdue else None,
            "needs_person": "true" if needs_person else None,
            **{name: _moment(name, at) for name, at in times.items() if at is not None},
            **{f"metadata.{name}": value for name, value in (metadata or {}).items()},
        }
        while True:
            page = body_of(self._connection.ask("GET", "/v1/jobs", params=query))
            for told in page["data"]:
                yield read(Job, told)
            if not page["has_more"]:
                return
            query["cursor"] = page["next_cursor"]

    def download(self, job: Job | str, path: str | os.PathLike[str], *, on_progress: Progress | None = None) -> Path:
        """Bring an archived job's video to the file `path`, whole and with the SHA-256 that the service names.

        What was cut off leaves `<path>.part`, and goes on there. A file that is the video already is left alone; any
        other raises FileExistsError. `on_progress` is called with the bytes that are here, and those of the whole.
        Raises NotArchived (JobFailed, JobCancelled), ChecksumMismatch, and OSError for what the disk will not do.
        """
        known = job if isinstance(job, Job) and job.video else self.get(job)
        return download(self._connection, known, Path(path), on_progress)

    def cancel(self, job: Job | str) -> Job:
        """Ask that nothing be bought. A job on its way to a gateway is cancelled only if none accepts it: wait for it.

        Raises TooLate once a gateway has accepted.
        """
        return read(Job, body_of(self._connection.ask("POST", f"{_path(job)}/cancel")))

    def retry(self, job: Job | str, *, accept_double_charge: bool = False) -> Job:
        """Try a failed job again. Raises NotFailed, NothingLeft, and MayBePaid unless a double charge is accepted.

        Asked once only: it may order anew, and has no key to tell a repetition by. After Unavailable, look at the job
        before you ask again.
        """
        body = _written({"accept_double_charge": accept_double_charge})
        return read(Job, body_of(self._connection.ask_once("POST", f"{_path(job)}/retry", data=body, headers=_JSON)))

    def accept(self, job: Job | str) -> Job:
        """Take a film that the proof refused: it is archived as it is, and `accepted_by` names your key. Wait for it.

        A film that plays and comes first is archived instead, and `accepted_by` stays None. Accepting again changes
        nothing. Raises NothingKept where none is kept aside (`attempts[…].unproven`).
        """
        return read(Job, body_of(self._connection.ask("POST", f"{_path(job)}/video/accept")))

    def settle(
        self,
        job: Job | str,
        attempt: int,
        *,
        task_id: str | None = None,
        made: bool | None = None,
        charged: bool | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Say what you found out about an order: its task, that it was not made (`made=False`), or its money.

        With `task_id` it comes back once the gateway was asked and knows the task; else it raises TaskRefused, or
        TimedOut after `timeout_s`: it is asked on. Raises UnderWay, and NotSettled where the service knows better.
        """
        said = {"task_id": task_id, "made": made, "charged": charged}
        body = _written({name: value for name, value in said.items() if value is not None})
        answer = self._connection.ask("POST", f"{_path(job)}/attempts/{attempt}/settle", data=body, headers=_JSON)
        now = read(Job, body_of(answer))
        return now if task_id is None else self._answered(now, attempt, task_id, timeout_s)

    def events(self, job: Job | str) -> list[Event]:
        """A job's history, oldest first."""
        told = body_of(self._connection.ask("GET", f"{_path(job)}/events"))
        return [read(Event, line) for line in told["data"]]

    def close(self) -> None:
        """Close the connections that are kept open. The client can be used all the same."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def _until(
        self,
        job: Job | str,
        is_over: Callable[[Job], bool],
        timeout_s: float | None,
        on_change: Callable[[Job], object] | None,
    ) -> Job:
        """Look at a job, with `on_change` at each change, until it is over. Raises TimedOut."""
        ask, monotonic = self._connection.ask, self._connection.monotonic
        end = inf if timeout_s is None else monotonic() + timeout_s
        last: Job | None = None
        etag: str | None = None
        while True:
            began = monotonic()
            left_s = max(0.0, end - began)
            # With an ETag the service holds its answer until the job has changed, without one until it has ended.
            held_s = 0 if on_change and not etag else int(min(HELD_S, left_s))
            answer = ask(
                "GET",
                _path(job),
                params={"wait": held_s} if held_s else None,
                headers={"If-None-Match": etag} if etag else None,
                held_s=held_s,
                patience_s=min(self._connection.patience_s, left_s),
            )
            if answer.status_code != 304:
                now = read(Job, body_of(answer))
                if on_change and now != last:
                    on_change(now)
                if is_over(now):
                    return now
                last, etag = now, answer.headers.get("ETag") if on_change else None
            left_s = end - monotonic()
            if left_s <= 0:
                state = last.state if last else "on its way"
                raise TimedOut(f"{_id(job)} is {state} after {timeout_s:g} s; it goes on.", job=last)
            told_s = retry_after_s(answer)
            pause_s = LOOKS_APART_S - (monotonic() - began) if told_s is None else told_s
            self._connection.pause(min(max(0.0, pause_s), left_s))

    def _answered(self, job: Job, attempt: int, task_id: str, timeout_s: float | None) -> Job:
        """The job once the task that was named for its order was believed. Raises TaskRefused, TimedOut."""

        def named(now: Job) -> Named | None:
            found = next((order.named for order in now.attempts if order.number == attempt), None)
            return found if found and found.task_id == task_id else None

        def is_answered(now: Job) -> bool:
            said = named(now)
            return said is None or said.state != "asking"

        if not is_answered(job):
            job = self._until(job, is_answered, timeout_s, on_change=lambda now: None)
        said = named(job)
        if said is None:
            raise TaskRefused(f"Somebody has said otherwise of order {attempt} since.", job=job)
        if said.state != "believed":
            raise TaskRefused(f"{task_id} is not the task of order {attempt}: {said.reason}.", job=job)
        return job

    def _submitted(self, request: Mapping[str, Any]) -> Job | RushesError:
        try:
            if not isinstance(request, Mapping):
                raise BadRequest(f"A request is a mapping, not {type(request).__name__}.")
            return self.submit(**request)
        except RushesError as error:
            return error


_JSON = {"Content-Type": "application/json"}


def _from_environment(name: str, meaning: str) -> str:
    if value := os.environ.get(name):
        return value
    raise ValueError(f"{name} is not set; set it to {meaning}, or give it to Client().")


def _id(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


def _path(job: Job | str) -> str:
    return f"/v1/jobs/{urllib.parse.quote(_id(job), safe='')}"


def _body(prompt: str | None, request: Mapping[str, Any]) -> bytes:
    return _written(dict(request) if prompt is None else {"prompt": prompt, **request})


def _written(body: Mapping[str, Any]) -> bytes:
    """JSON, written once, so that every try sends the same bytes."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadRequest(f"The request cannot be written as JSON: {error}.") from error


def _checked(key: str) -> str:
    """An idempotency key that a header can carry."""
    if 1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and key == key.strip():
        return key
    raise BadRequest(f"{key!r} is no idempotency key; send 1 to {LONGEST_KEY} ASCII characters, not blank at the ends.")


def _moment(name: str, at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{name} has no time zone; give an aware datetime, such as datetime.now(UTC).")
    return at.isoformat()
