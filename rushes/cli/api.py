"""The API as the command line asks it: one retrying request at a time, and failures with our exit statuses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from rushes.cli import failures
from rushes.cli.failures import Failure
from rushes.local.folder import BadFolder, read_local

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = (5, 30)
PATIENCE_S = 20.0  # for connection errors and 503
PAUSES_S = (0.5, 1, 2, 4)  # the last one again and again
WAIT_S = 0.5
ENDED = frozenset({"archived", "failed", "cancelled"})
STATUSES = {
    401: failures.AUTH,
    403: failures.AUTH,
    404: failures.NOT_FOUND,
    400: failures.USAGE,
    422: failures.USAGE,
    429: failures.RATE_LIMITED,
    503: failures.UNREACHABLE,
}


class Api:
    """A service and a key. `pause` and `monotonic` are time."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        session: requests.Session | None = None,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self.url = url.rstrip("/")
        self._session = session or requests.Session()
        self._pause, self._monotonic = pause, monotonic
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON. Raises Failure."""
        return self._ask("GET", path, params=params)

    def submit(self, request: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Ask for a video. Repeated under the same key, so a lost answer costs nothing. Raises Failure."""
        job: dict[str, Any] = self._ask("POST", "/v1/jobs", json=request, headers={"Idempotency-Key": idempotency_key})
        return job

    def quote(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Where a request would go and what it would cost; nothing is bought. Raises Failure."""
        quote: dict[str, Any] = self._ask("POST", "/v1/jobs", json=request, params={"dry_run": "true"})
        if not quote.get("dry_run"):  # an older service takes no notice of the parameter
            hint = "bring the service up to this version"
            raise Failure(f"the service knows no dry run, and has kept the request as {quote.get('id')}", hint=hint)
        return quote

    def watch(self, job_id: str, *, timeout_s: float | None) -> Iterator[dict[str, Any]]:
        """The job now, and again whenever it has changed, until it has ended. Raises Failure when time is up."""
        end = None if timeout_s is None else self._monotonic() + timeout_s
        last: dict[str, Any] | None = None
        while True:
            job = self.get(f"/v1/jobs/{job_id}")
            if last is None or job["updated_at"] != last["updated_at"] or job["state"] != last["state"]:
                yield job
            last = job
            if job["state"] in ENDED:
                return
            if end is not None and self._monotonic() >= end:
                hint = f"it goes on without us: `rushes jobs watch {job_id}`"
                raise Failure(f"{job_id} is {job['state']} after {timeout_s:g} s", failures.TIMED_OUT, hint=hint)
            self._pause(WAIT_S)

    def _ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **what: Any) -> Any:
        end = self._monotonic() + PATIENCE_S
        pauses = iter(PAUSES_S)
        pause_s = 0.0
        while True:
            try:
                answer = self._session.request(
                    method,
                    self.url + path,
                    headers={**self.headers, **(headers or {})},
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                    **what,
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                trouble = Failure(
                    f"{self.url} does not answer ({type(error).__name__})",
                    failures.UNREACHABLE,
                    hint="is `rushes up` running? RUSHES_URL says where",
                )
            except (requests.RequestException, ValueError) as error:
                hint = "set RUSHES_URL to the address of a service, such as http://127.0.0.1:8080"
                raise Failure(f"{self.url} cannot be asked: {error}", failures.USAGE, hint=hint) from error
            else:
                if answer.ok:
                    return _json(answer)
                trouble = refused(answer)
                if answer.status_code != requests.codes.unavailable:
                    raise trouble
            pause_s = next(pauses, pause_s)
            if self._monotonic() + pause_s > end:
                raise trouble
            self._pause(pause_s)


def refused(answer: requests.Response) -> Failure:
    """An answer that is no success, in its own words (problem+json)."""
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    said = problem.get("detail") or problem.get("title") or f"the service answered {answer.status_code}"
    errors = problem.get("errors")
    if isinstance(errors, dict) and errors:
        said = "\n".join(f"{name}: {' '.join(map(str, lines))}" for name, lines in errors.items())
    code = STATUSES.get(answer.status_code, failures.FAILED)
    listing = "providers" if problem.get("code") == "unknown_provider" else "jobs list"
    hints = {
        failures.AUTH: "set RUSHES_API_KEY; `rushes keys create NAME` makes a key",
        failures.NOT_FOUND: f"`rushes {listing}` shows what there is",
        failures.RATE_LIMITED: "try again later",
    }
    return Failure(str(said), code, hint=hints.get(code))


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        hint = "RUSHES_URL says where Rushes is"
        raise Failure(f"{answer.url} answers, but not as Rushes does", hint=hint) from error


def connect(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Api:
    """The service that the environment names, or the one that `rushes up` serves from this data folder.

    The folder's key is for the folder's service only: it is never sent anywhere else.
    """
    try:
        kept = read_local(data_dir)
    except BadFolder as error:
        raise Failure(str(error)) from error
    own_url = str(kept.get("served", {}).get("url") or DEFAULT_URL)
    url = (environ.get("RUSHES_URL") or own_url).rstrip("/")
    key = environ.get("RUSHES_API_KEY")
    if not key and kept.get("api_key") and url == own_url:
        key = kept["api_key"]["key"]
    return Api(url, key, session=direct_session() if url == own_url else None)


def direct_session() -> requests.Session:
    """For this machine's own servers: past any proxy, and without what a netrc says."""
    session = requests.Session()
    session.trust_env = False
    return session
