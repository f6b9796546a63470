"""The client against the service itself, over a socket, with a real database and a real bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from served import serve_app

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.settings import load
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs
from rushes.app import create_app
from rushes_client import (
    BadRequest,
    Client,
    Forbidden,
    IdempotencyKeyReused,
    Job,
    NotFailed,
    NotFound,
    NotSettled,
    TimedOut,
    Unauthorized,
)
from storage.bucket import Bucket

GOOD = {"provider": "evolink", "resolution": "720p", "duration": 2}
FILM = b"not much of a film" * 50_000


class Silent:
    """A ringer for a service without workers."""

    def ring(self, task: str, *job_ids: str) -> None: ...

    def sweep(self) -> None: ...

    def waiting(self, task: str) -> int:
        return 0


@pytest.fixture
def url(database: Database, bucket: Bucket, tmp_path: Path) -> Iterator[str]:
    """A service with a key for EvoLink, and nobody who works."""
    settings = load(
        {
            "RUSHES_DATA_DIR": str(tmp_path),
            "RUSHES_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "RUSHES_REDIS_URL": "redis://127.0.0.1:1/0",
            "RUSHES_S3_ENDPOINT_URL": str(bucket.config.endpoint_url),
            "RUSHES_S3_BUCKET": bucket.config.bucket,
            "RUSHES_S3_PREFIX": bucket.config.prefix,
            "AWS_ACCESS_KEY_ID": str(bucket.config.access_key),
            "AWS_SECRET_ACCESS_KEY": str(bucket.config.secret_key),
            "AWS_REGION": "us-east-1",
            "RUSHES_EVOLINK_API_KEY": "sk-test",
        }
    )
    app = create_app(settings, ringer=Silent())
    served = serve_app(app)
    yield served.url
    served.close()
    app.extensions["rushes.close"]()


@pytest.fixture
def make_client(url: str, database: Database) -> Callable[..., Client]:
    def make(scope: Scope = Scope.WRITE) -> Client:
        _, key = api_keys.create(database, "test", scope)
        return Client(url, key, patience_s=5)

    return make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Iterator[Client]:
    with make_client() as client:
        yield client


@pytest.fixture
def move(database: Database) -> Callable[..., None]:
    """Puts a job into a state by hand."""

    def moved(job: Job, state: str, **columns: object) -> None:
        with database.write() as db:
            now = database.clock(db)
            ended = now if state in ("archived", "failed", "cancelled") else None
            values = {"state": state, "ended_at": ended, "version": jobs.c.version + 1, "alarm_at": None, **columns}
            db.execute(sa.update(jobs).where(jobs.c.id == job.id).values(**values))

    return moved


def test_an_order_is_quoted_kept_once_found_again_and_cancelled(client: Client) -> None:
    quote = client.quote("A red fox", **GOOD)
    assert quote.provider == "evolink"
    assert quote.price is not None
    job = client.submit("A red fox", idempotency_key="take-1", metadata={"scene": "12"}, **GOOD)
    assert (job.state, job.metadata, job.ended) == ("queued", {"scene": "12"}, False)
    assert client.submit("A red fox", idempotency_key="take-1", metadata={"scene": "12"}, **GOOD).id == job.id
    with pytest.raises(IdempotencyKeyReused) as caught:
        client.submit("A blue fox", idempotency_key="take-1", **GOOD)
    assert caught.value.idempotency_key == "take-1"
    waiting = client.get(job.id).waiting
    assert waiting is not None
    assert waiting.position == 1
    with pytest.raises(NotFailed):
        client.retry(job)
    assert client.cancel(job).state == "cancelled"
    assert client.wait(job).state == "cancelled"
    assert [event.event for event in client.events(job)] == ["created", "cancel"]


def test_what_is_wrong_comes_back_by_field_and_with_an_id_for_the_log(client: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        client.submit("A red fox", resolutoin="720p")
    assert caught.value.errors == {"resolutoin": ["Unknown field; did you mean resolution?"]}
    assert (caught.value.code, caught.value.status) == ("invalid_request", 422)
    assert caught.value.request_id


def test_keys_and_ids_that_do_not_fit_have_their_classes(
    client: Client, make_client: Callable[..., Client], url: str
) -> None:
    with pytest.raises(NotFound):
        client.get("job_unknown")
    with Client(url, "rk_unknown") as stranger, pytest.raises(Unauthorized):
        stranger.get("job_unknown")
    with make_client(Scope.READ) as reader, pytest.raises(Forbidden):
        reader.submit("A red fox", **GOOD)


def test_many_orders_are_listed_and_filtered(client: Client) -> None:
    requests = [{"prompt": "A red fox", "metadata": {"shot": str(n)}, **GOOD} for n in range(12)]
    requests[5] = {"prompt": ""}
    done = list(client.submit_many(requests, threads=4))
    assert [n for n, each in enumerate(done) if isinstance(each, BadRequest)] == [5]
    made = {each.id: each for each in done if isinstance(each, Job)}
    listed = list(client.iter(state=["queued", "failed"], mode="text-to-video"))
    assert {job.id for job in listed} == set(made)
    (found,) = client.iter(metadata={"shot": "7"}, created_before=listed[0].created_at.replace(year=2100))
    assert found.id == done[7].id
    assert list(client.iter(created_after=listed[0].created_at.replace(year=2100))) == []
    assert list(client.iter(overdue=True)) == list(client.iter(needs_person=True)) == []


def test_what_a_person_found_out_is_taken_and_what_is_known_better_is_refused(
    client: Client, move: Callable[..., None], database: Database
) -> None:
    job = client.submit("A red fox", **GOOD)
    with pytest.raises(NotFound):
        client.settle(job, 1, made=False)
    lost = {column.name: None for column in attempts.columns if column.nullable}
    lost |= {"job_id": job.id, "number": 1, "provider": "evolink", "base_url": "https://gateway", "account": "a"}
    lost |= {"with_callback": False, "request": {}, "outcome": "open", "standing": "uncertain", "sends": 1}
    lost |= {"rejected_task_ids": [], "adopted": False, "day": "2026-11-28", "estimate_exact": True}
    with database.write() as db:
        now = database.clock(db)
        made = {**lost, "created_at": now, "sending_at": now, "lost_at": now, "reserved_micro_usd": 0}
        db.execute(sa.insert(attempts).values(**made, origin="ordered"))
    move(job, "unconfirmed", attempt=1)
    with pytest.raises(NotSettled):
        client.settle(job, 1, charged=True)
    with pytest.raises(TimedOut):  # nobody works here
        client.settle(job, 1, task_id="t-7", timeout_s=0.2)
    named = client.get(job).attempts[0].named
    assert named is not None
    assert (named.task_id, named.state) == ("t-7", "asking")
    settled = client.settle(job, 1, made=False)
    assert (settled.state, settled.attempts[0].settled, settled.attempts[0].named) == ("queued", "not_made", None)


def test_a_wait_hears_of_changes_and_of_the_end(client: Client, move: Callable[..., None]) -> None:
    job = client.submit("A red fox", **GOOD)
    with pytest.raises(TimedOut):
        client.wait(job, timeout_s=0.2)
    heard: list[str] = []

    def hear(now: Job) -> None:
        heard.append(now.state)
        if now.state != "failed":
            move(job, "generating" if now.state == "queued" else "failed")

    assert client.wait(job, on_change=hear, timeout_s=30).state == "failed"
    assert heard == ["queued", "generating", "failed"]


def test_an_archived_video_comes_home_from_the_bucket(
    client: Client, move: Callable[..., None], database: Database, bucket: Bucket, tmp_path: Path
) -> None:
    job = client.submit("A red fox", **GOOD)
    with database.read() as db:
        key = db.execute(sa.select(jobs.c.archive_key).where(jobs.c.id == job.id)).scalar_one()
    bucket._client.put_object(Bucket=bucket.config.bucket, Key=key, Body=FILM)
    facts = {"bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest(), "width": 1280, "height": 720}
    move(job, "archived", bucket=bucket.config.bucket, duration_s=2.0, fps=24.0, **facts)
    (tmp_path / "fox.mp4.part").write_bytes(FILM[:100_000])
    path = client.download(client.wait(job), tmp_path / "fox.mp4")
    assert path.read_bytes() == FILM
