"""The audit and its repairs, on real rows and a real bucket."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from lost_orders import renumber
from workshop import RUN, Workshop

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.store import tables
from jobs.store.tables import attempts, events, jobs, spending
from jobs.upkeep import audit, repair
from jobs.upkeep.audit import Report
from storage.errors import BucketUnavailable
from storage.keys import poster_key, sidecar_key

pytestmark = pytest.mark.both_databases


def look(workshop: Workshop, *, deep: bool = False) -> Report:
    return audit.audit(workshop.resources, deep=deep)


def mend(workshop: Workshop) -> Report:
    return audit.audit(workshop.resources, repair=partial(repair.repair, resources=workshop.resources))


def codes(report: Report) -> list[str]:
    return sorted(found.code for found, _ in report.findings)


def archived(workshop: Workshop, **request: Any) -> str:
    job_id = workshop.create(**{"provider": "evolink", **request})
    workshop.until(job_id, State.ARCHIVED)
    return job_id


def write(workshop: Workshop, table: sa.Table, job_id: str, **values: Any) -> None:
    column = table.c.id if table is jobs else table.c.job_id
    with workshop.database.write() as db:
        db.execute(sa.update(table).where(column == job_id).values(**values))


def forget(workshop: Workshop, job_id: str) -> None:
    """As if the job had been accepted after the backup that was put back."""
    with workshop.database.write() as db:
        db.execute(sa.delete(spending))
        for table in (tables.notices, tables.idempotency_keys, events, attempts, jobs):
            db.execute(sa.delete(table).where((table.c.id if table is jobs else table.c.job_id) == job_id))


def delete(workshop: Workshop, key: str) -> None:
    workshop.bucket._client.delete_object(Bucket=workshop.bucket.config.bucket, Key=key)


def test_a_service_at_work_balances(workshop: Workshop, sandbox: Any) -> None:
    archived(workshop)
    sandbox.set(generation_s=60)
    workshop.create(provider="evolink")
    RUN["jobs.submit"](workshop.create(provider="gravitex"), workshop.resources)
    report = look(workshop, deep=True)
    assert (codes(report), report.balances) == ([], True)
    assert (report.balance.accepted, report.balance.live, report.balance.unwatched) == (3, 2, 0)
    assert (report.jobs, report.objects, report.unchecked) == (3, 3, 0)


def test_an_empty_installation_balances(workshop: Workshop) -> None:
    assert look(workshop).balances


def test_a_live_job_that_lost_its_alarm_gets_it_back_and_goes_on(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    write(workshop, jobs, job_id, alarm_at=None)
    assert codes(look(workshop)) == ["live_without_alarm"]
    report = mend(workshop)
    assert [done for _, done in report.findings] == ["its alarm is set"]
    assert report.balances
    assert codes(look(workshop)) == []
    workshop.until(job_id, State.ARCHIVED)
    assert "repaired" in workshop.history(job_id)


def test_an_ended_job_with_an_open_order_is_asked_about_again(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    write(workshop, attempts, job_id, outcome=AttemptOutcome.OPEN, standing=Standing.HELD)
    assert codes(mend(workshop)) == ["open_attempt_without_alarm"]
    assert codes(look(workshop)) == []
    assert workshop.case(job_id).job.alarm_at is not None


@pytest.mark.parametrize(
    ("table", "values", "code"),
    [
        (jobs, {"state": State.FAILED}, "history_mismatch"),
        (attempts, {"standing": Standing.REFUNDED}, "impossible_money"),
    ],
    ids=["state", "money"],
)
def test_what_somebody_wrote_into_the_database_is_told_and_never_repaired(
    workshop: Workshop, table: sa.Table, values: dict[str, Any], code: str
) -> None:
    job_id = archived(workshop)
    delete(workshop, workshop.case(job_id).job.archive_key)
    delete(workshop, poster_key(workshop.case(job_id).job.archive_key))
    write(workshop, table, job_id, **values)
    report = mend(workshop)
    assert code in codes(report)
    assert {found.code: done for found, done in report.findings}[code] is None
    assert not report.balances


def test_a_days_spending_is_counted_again(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    reserved = workshop.case(job_id).attempts[1].reserved_micro_usd
    assert reserved > 0
    with workshop.database.write() as db:
        db.execute(sa.update(spending).values(micro_usd=7))
    assert codes(mend(workshop)) == ["spending_mismatch"]
    with workshop.database.read() as db:
        assert db.execute(sa.select(spending.c.micro_usd)).scalars().all() == [reserved]
    assert codes(look(workshop)) == []


def test_a_video_that_is_gone_is_told(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    delete(workshop, workshop.case(job_id).job.archive_key)
    report = mend(workshop)
    assert codes(report) == ["missing_object"]
    assert not report.balances


def test_another_video_at_the_key_is_told_by_its_length_and_its_sum(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    case = workshop.case(job_id)
    key = case.job.archive_key
    stored = workshop.bucket.head(key)
    assert stored is not None
    body = b"".join(workshop.bucket.open(key))
    put = partial(workshop.bucket._client.put_object, Bucket=workshop.bucket.config.bucket, Key=key)
    put(Body=body + b"x", Metadata=stored.metadata)
    assert codes(look(workshop)) == ["wrong_size"]
    put(Body=body[:-1] + bytes([body[-1] ^ 1]), Metadata=stored.metadata)
    assert codes(look(workshop, deep=True)) == ["wrong_checksum"]
    put(Body=body, Metadata={**stored.metadata, "rushes-sha256": "0" * 64})
    assert codes(look(workshop)) == ["wrong_checksum"]
    put(Body=body, Metadata={"rushes-job": "job_of_somebody"})
    report = mend(workshop)
    assert codes(report) == ["foreign_object"]
    assert b"".join(workshop.bucket.open(key)) == body  # nothing was overwritten


def test_the_stores_own_checksum_is_compared_where_it_keeps_one(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(workshop)
    real = workshop.bucket._client.head_object

    def head(**asked: Any) -> Any:
        answer = real(**asked)
        return {**answer, "ChecksumSHA256": "AAAA"} if asked.get("ChecksumMode") else answer

    monkeypatch.setattr(workshop.bucket._client, "head_object", head)
    assert codes(look(workshop)) == ["wrong_checksum"]


@pytest.mark.parametrize("state", [State.QUEUED, State.UNCONFIRMED, State.GENERATING, State.FAILED])
def test_a_video_that_is_there_already_is_adopted_and_nothing_is_bought_again(
    workshop: Workshop, sandbox: Any, state: State
) -> None:
    """A backup from before the end was put back; the object is from after it."""
    job_id = archived(workshop)
    alarm = None if state is State.FAILED else workshop.case(job_id).job.updated_at
    write(workshop, jobs, job_id, state=state, bytes=None, sha256=None, bucket=None, alarm_at=alarm, ended_at=None)
    with workshop.database.write() as db:
        db.execute(sa.delete(events).where(events.c.job_id == job_id, events.c.to_state.in_(["archived", "archiving"])))
        line = {"job_id": job_id, "at": alarm or workshop.case(job_id).job.updated_at, "event": "x", "attempt": 1}
        db.execute(sa.insert(events).values(**line, to_state=state, detail={}))
    if state is State.QUEUED:  # from before the order, too
        write(workshop, jobs, job_id, attempt=0)
        with workshop.database.write() as db:
            db.execute(sa.delete(attempts))
            db.execute(sa.delete(spending))
    else:
        lost = {"lost_at": workshop.case(job_id).job.updated_at} if state is State.UNCONFIRMED else {}
        standing = {State.FAILED: Standing.UNCERTAIN, State.UNCONFIRMED: Standing.UNCERTAIN}.get(state, Standing.HELD)
        outcome = AttemptOutcome.EXPIRED if state is State.FAILED else AttemptOutcome.OPEN
        known = {"task_id": None} if state is State.UNCONFIRMED else {}
        write(workshop, attempts, job_id, outcome=outcome, standing=standing, **lost, **known)
    report = mend(workshop)
    assert codes(report) == ["object_not_adopted"]
    assert report.balances
    assert codes(look(workshop)) == []
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].standing is Standing.CHARGED
    assert codes(look(workshop, deep=True)) == []
    assert len(sandbox.tasks()) == 1


def test_a_video_is_adopted_by_its_task_whichever_number_its_order_bears_by_now(
    workshop: Workshop, sandbox: Any
) -> None:
    job_id = archived(workshop)
    write(workshop, jobs, job_id, state=State.FAILED, bucket=None, bytes=None, sha256=None)
    write(workshop, attempts, job_id, outcome=AttemptOutcome.EXPIRED, standing=Standing.UNCERTAIN)
    with workshop.database.write() as db:
        db.execute(sa.update(events).where(events.c.to_state == "archived").values(to_state="failed"))
    renumber(workshop, job_id)
    report = mend(workshop)
    assert [done for found, done in report.findings if found.code == "object_not_adopted"] == ["it will be adopted"]
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.attempt, case.attempts[2].outcome) == (2, AttemptOutcome.DELIVERED)


def test_a_cancelled_jobs_video_is_left_to_a_person(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    write(workshop, jobs, job_id, state=State.CANCELLED)
    with workshop.database.write() as db:
        db.execute(sa.update(events).where(events.c.to_state == "archived").values(to_state="cancelled"))
    report = mend(workshop)
    assert (codes(report), report.left) == (["object_not_adopted"], 1)


def test_a_job_that_the_database_forgot_is_built_again_from_video_and_sidecar(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop, metadata={"shot": "7"})
    before = workshop.case(job_id)
    forget(workshop, job_id)
    assert codes(look(workshop)) == ["object_without_job"]
    assert mend(workshop).balances
    after = workshop.case(job_id)
    same = ("state", "mode", "provider", "attempt", "metadata", "archive_key", "bucket", "bytes", "sha256", "fps")
    assert {n: getattr(after.job, n) for n in same} == {n: getattr(before.job, n) for n in same}
    assert abs(after.job.created_at - before.job.created_at).total_seconds() < 0.001
    assert after.attempts[1].task_id == before.attempts[1].task_id
    assert after.attempts[1].reserved_micro_usd == before.attempts[1].reserved_micro_usd
    assert workshop.history(job_id) == ["rebuilt"]
    assert codes(look(workshop, deep=True)) == []


@pytest.mark.parametrize("wrong", ["no sidecar", "no json", "of another", "another's video", "no video"])
def test_a_lost_job_is_not_built_from_what_does_not_fit(workshop: Workshop, sandbox: Any, wrong: str) -> None:
    job_id = archived(workshop)
    key = workshop.case(job_id).job.archive_key
    forget(workshop, job_id)
    body = json.loads(b"".join(workshop.bucket.open(sidecar_key(key))))
    if wrong == "no sidecar":
        delete(workshop, sidecar_key(key))
    elif wrong == "no json":
        workshop.bucket.put_small(sidecar_key(key), b"[]", "application/json")
    elif wrong == "of another":
        workshop.bucket.put_small(sidecar_key(key), json.dumps({**body, "id": "job_x"}).encode(), "application/json")
    elif wrong == "another's video":
        workshop.bucket.put_small(key, b"film", "video/mp4")
    else:
        delete(workshop, key)
    report = mend(workshop)
    assert set(codes(report)) == {"object_without_job"}
    assert not report.balances
    with workshop.database.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(jobs)).scalar_one() == 0


def test_a_missing_sidecar_and_poster_are_written_again(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    key = workshop.case(job_id).job.archive_key
    told = json.loads(b"".join(workshop.bucket.open(sidecar_key(key))))
    for beside in (sidecar_key(key), poster_key(key)):
        delete(workshop, beside)
    assert codes(mend(workshop)) == ["missing_poster", "missing_sidecar"]
    assert codes(look(workshop)) == []
    assert b"".join(workshop.bucket.open(poster_key(key))).startswith(b"\xff\xd8\xff")
    again = json.loads(b"".join(workshop.bucket.open(sidecar_key(key))))
    assert (again["id"], again["request"], again["object"]) == (told["id"], told["request"], told["object"])
    assert workshop.history(job_id).count("repaired") == 2


def test_strangers_objects_beside_ours_are_none_of_our_business(workshop: Workshop) -> None:
    for key in ("videos/readme.txt", "videos/2026/11/21/film.mov", "other/job.mp4"):
        workshop.bucket.put_small(key, b"x", "text/plain")
    report = look(workshop)
    assert (codes(report), report.objects) == ([], 0)


def test_videos_in_another_bucket_are_counted_and_not_called_missing(workshop: Workshop, sandbox: Any) -> None:
    job_id = archived(workshop)
    write(workshop, jobs, job_id, bucket="elsewhere")
    report = look(workshop)
    assert (codes(report), report.unchecked) == ([], 1)


def test_many_findings_are_counted_and_told_as_far_as_anybody_reads(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_TOLD", 2)
    monkeypatch.setattr(audit, "PAGE", 2)
    for _ in range(5):
        write(workshop, jobs, workshop.create(provider="evolink"), alarm_at=None)
    report = look(workshop)
    assert (len(report.findings), report.left, report.counts) == (2, 5, {"live_without_alarm": 5})
    assert report.balance.unwatched == 5


def test_a_bucket_that_is_away_is_no_finding(workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(workshop)

    def away(**_: Any) -> None:
        raise BucketUnavailable("it is away")

    monkeypatch.setattr(workshop.bucket._client, "head_object", away)
    with pytest.raises(BucketUnavailable):
        look(workshop)
