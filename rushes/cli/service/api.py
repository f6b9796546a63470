"""The API as the command line asks it: one retrying request at a time, and failures with our exit statuses."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from jobs.machine.states import ENDED
from rushes.cli.service.answers import refused, wait_of
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure
from rushes.local.folder import BadFolder, read_local
from storage.outbound import trust

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = (5, 30)
PATIENCE_S = 20.0  # for connection errors and 503
RATE_PATIENCE_S = 90.0  # for 429 that says when: limits are counted by the minute
PAUSES_S = (0.5, 1, 2, 4)  # the last one again and again
TELL_EVERY_S = 10.0  # that it is tried again
WAIT_S = 0.5
SPACING_S = 0.1  # between looks at many jobs
LONG_POLL_S = 20  # less than TIMEOUT_S has, and than proxies allow
PAGE = 100


def has_ended(job: Mapping[str, Any]) -> bool:
    return job["state"] in ENDED


@dataclass(frozen=True)
class _Trouble:
    """Why there is no answer yet, and how long that is borne with.

    `after_s`: when the service wants to be asked again; None: it did not say.
    """

    failure: Failure
    patience_s: float
    after_s: float | None = None


@dataclass
class _Look:
    """A job as it was when last looked at, and the tag of that answer."""

    job_id: str
    job: dict[str, Any] = field(default_factory=dict)
    tag: str | None = None

    def learns(self, answer: requests.Response) -> bool:
        """Take an answer in; whether it shows a change."""
        if answer.status_code == requests.codes.not_modified:
            return False
        before, self.job = self.job, _json(answer)
        self.tag = answer.headers.get("ETag")
        return not before or any(self.job[name] != before[name] for name in ("updated_at", "state"))


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
        self.session = session or requests.Session()
        self.pause, self._monotonic = pause, monotonic
        self._tell_at = -math.inf
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON; parameters that are None are left out. Raises Failure."""
        return _json(self._ask("GET", path, params=_given(params)))

    def text(self, path: str, params: Mapping[str, Any], media_type: str) -> str:
        """The answer's text, of this type; parameters as of `get`. Raises Failure."""
        answer = self._ask("GET", path, params=_given(params))
        if answer.headers.get("Content-Type", "").partition(";")[0] != media_type:
            raise _stranger(answer)
        return answer.content.decode("utf-8", "replace")

    def post(self, path: str, json: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON, for wishes that do no harm when they come twice: it repeats while no answer comes.

        What may not come twice is `submit`, `retry`. Raises Failure.
        """
        return _json(self._ask("POST", path, json=json))

    def each(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page. Raises Failure."""
        asked = {"limit": PAGE, **params}
        while True:
            page = self.get(path, asked)
            yield from page["data"]
            if not page["has_more"]:
                return
            asked["cursor"] = page["next_cursor"]

    def fetch(self, link: str, headers: Mapping[str, str]) -> requests.Response:
        """What a presigned link leads to, as a stream; our key is not sent there. Raises requests' exceptions."""
        as_stored = {"Accept-Encoding": "identity", **headers}
        return self.session.request("GET", link, headers=as_stored, timeout=TIMEOUT_S, stream=True)

    def link(self, path: str) -> str:
        """Where a redirect leads, such as to a presigned link. Raises Failure."""
        answer = self._ask("GET", path)
        if not answer.is_redirect:
            raise _stranger(answer)
        return answer.headers["Location"]

    def submit(self, request: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Ask for a video. Repeated under the same key, so a lost answer costs nothing. Raises Failure."""
        headers = {"Idempotency-Key": idempotency_key}
        job: dict[str, Any] = _json(self._ask("POST", "/v1/jobs", json=request, headers=headers))
        return job

    def quote(self, request: Mapping[str, Any], idempotency_key: str | None = None) -> dict[str, Any]:
        """Where a request would go, what it would cost, what the key has made; nothing is bought. Raises Failure."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        asked = self._ask("POST", "/v1/jobs", json=request, params={"dry_run": "true"}, headers=headers)
        told: dict[str, Any] = _json(asked)
        if not told.get("dry_run"):  # an older service takes no notice of the parameter
            hint = "bring the service up to this version"
            raise Failure(f"the service knows no dry run, and has kept the request as {told.get('id')}", hint=hint)
        return told

    def batch(self, name: str) -> dict[str, Any]:
        """What became of a batch. Raises Failure."""
        told: dict[str, Any] = self.get(f"/v1/batches/{quote(name, safe='')}")
        return told

    def retry(self, job_id: str, *, accept_double_charge: bool = False) -> dict[str, Any]:
        """Try a failed job again; asked once, as a job that fails anew would be bought anew. Raises Failure.

        When the answer is lost, the job itself tells whether the wish was heard.
        """
        path = f"/v1/jobs/{job_id}"
        before: dict[str, Any] = self.get(path)
        body = {"accept_double_charge": True} if accept_double_charge else {}
        try:
            job: dict[str, Any] = _json(self._ask("POST", f"{path}/retry", json=body, patience_s=0))
        except Failure as lost:
            if lost.code != failures.UNREACHABLE:
                raise
            job = self.get(path)
            if job["updated_at"] == before["updated_at"]:
                hint = "nothing has changed; the same command may be repeated"
                raise Failure(str(lost), lost.code, hint=hint) from lost
        return job

    def watch(
        self, *job_ids: str, timeout_s: float | None, is_over: Callable[[dict[str, Any]], bool] = has_ended
    ) -> Iterator[dict[str, Any]]:
        """Each job now, and again whenever it has changed, until it is over for all of them: until they have ended.

        Raises Failure when time is up.
        """
        end = None if timeout_s is None else self._monotonic() + timeout_s
        looks = {job_id: _Look(job_id) for job_id in job_ids}
        while True:
            asked_at, news = self._monotonic(), False
            for look in list(looks.values()):
                answer = self._look(look, len(looks) == 1, None if end is None else end - asked_at)
                if look.learns(answer):
                    news = True
                    yield look.job
                if is_over(look.job):
                    del looks[look.job_id]
            if not looks:
                return
            if end is not None and self._monotonic() >= end:
                raise _timed_out([look.job for look in looks.values()], timeout_s)
            if len(looks) > 1:
                rest_s = max(WAIT_S, SPACING_S * len(looks))
            elif not news:  # answered at once: the service is older than long polls, or has no room for one
                rest_s = wait_of(answer) or WAIT_S
            else:
                continue
            left_s = rest_s - (self._monotonic() - asked_at)
            self.pause(max(0, left_s if end is None else min(left_s, end - self._monotonic())))

    def _look(self, look: _Look, alone: bool, left_s: float | None) -> requests.Response:
        """The job, if it has changed since the last look; one that is alone is waited for a while."""
        headers = {"If-None-Match": look.tag} if look.tag else {}
        params = {}
        if look.tag and alone and (left_s is None or left_s > 0):
            params = {"wait": LONG_POLL_S if left_s is None else min(LONG_POLL_S, math.ceil(left_s))}
        return self._ask("GET", f"/v1/jobs/{look.job_id}", params=params, headers=headers)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        **what: Any,
    ) -> requests.Response:
        """The answer, asked for again while none comes. `patience_s` instead of our own for what may be lost."""
        began = self._monotonic()
        pauses = iter(PAUSES_S)
        pause_s = 0.0
        while True:
            found = self._once(method, path, headers={**self.headers, **(headers or {})}, **what)
            if isinstance(found, requests.Response):
                return found
            pause_s = next(pauses, pause_s)
            wait_s = pause_s if found.after_s is None else found.after_s
            lost = found.failure.code == failures.UNREACHABLE
            patience = patience_s if lost and patience_s is not None else found.patience_s
            if self._monotonic() + wait_s > began + patience:
                raise found.failure
            self._tell(found.failure)
            self.pause(wait_s)

    def _tell(self, trouble: Failure) -> None:
        """Say why there is no answer yet, now and then: several threads may wait for the same service."""
        if self._monotonic() >= self._tell_at:
            self._tell_at = self._monotonic() + TELL_EVERY_S
            output.note(f"{trouble}; trying again")

    def _once(self, method: str, path: str, **what: Any) -> requests.Response | _Trouble:
        """One request: its answer, or a trouble that may pass. Raises Failure for one that will not."""
        try:
            answer = self.session.request(method, self.url + path, timeout=TIMEOUT_S, allow_redirects=False, **what)
        except (requests.ConnectionError, requests.Timeout) as error:
            said = f"{self.url} does not answer ({type(error).__name__})"
            hint = "is `rushes up` running? RUSHES_URL says where"
            return _Trouble(Failure(said, failures.UNREACHABLE, hint=hint), PATIENCE_S)
        except (requests.RequestException, ValueError) as error:
            hint = "set RUSHES_URL to the address of a service, such as http://127.0.0.1:8080"
            raise Failure(f"{self.url} cannot be asked: {error}", failures.USAGE, hint=hint) from error
        after_s = wait_of(answer)
        if answer.status_code == requests.codes.unavailable:
            return _Trouble(refused(answer), PATIENCE_S, after_s)
        if answer.status_code == requests.codes.too_many_requests and after_s is not None:
            return _Trouble(refused(answer), RATE_PATIENCE_S, after_s)
        if not answer.ok:
            raise refused(answer)
        return answer


def _timed_out(jobs: list[dict[str, Any]], timeout_s: float | None) -> Failure:
    said = "\n".join(f"{job['id']} is {job['state']} after {timeout_s:g} s" for job in jobs)
    hint = f"it goes on without us: `rushes jobs watch {' '.join(job['id'] for job in jobs)}`"
    return Failure(said, failures.TIMED_OUT, hint=hint)


def _given(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if params is None else {name: value for name, value in params.items() if value is not None}


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise _stranger(answer) from error


def _stranger(answer: requests.Response) -> Failure:
    return Failure(f"{answer.url} answers, but not as Rushes does", hint="RUSHES_URL says where Rushes is")


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
    return Api(url, key, session=direct_session() if url == own_url else _session())


def direct_session() -> requests.Session:
    """For this machine's own servers: past any proxy, and without what a netrc says."""
    session = requests.Session()
    session.trust_env = False
    return session


def _session() -> requests.Session:
    """By way of the environment's proxies. A netrc must neither replace our key nor be sent along a presigned link."""
    session = trust.session()
    session.auth = lambda request: request
    return session
