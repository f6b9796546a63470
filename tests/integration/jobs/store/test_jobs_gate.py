"""What comes from outside is kept alike on both databases, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from rows import NOW, Rows

from jobs.machine.outcome import Facts, Note
from jobs.machine.states import State
from jobs.store import history, keeping, late_facts, leases, tables, unknown_words
from jobs.store.column_types import Told, Words
from jobs.store.keeping import Callback

pytestmark = pytest.mark.both_databases

ODD = "a\0b\ud800c 任务"
CLEAN = "a�b�c 任务"
LONG = "x" * 5_000


def test_an_orders_words_are_cleaned_and_cut_to_their_columns(rows: Rows) -> None:
    job_id = rows.job(State.GENERATING)
    rows.attempt(job_id)
    said: Any = {"last_word": ODD, "error_message": LONG, "error_said": f"{ODD}{LONG}", "named_refused": ODD}
    rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: said}), now=NOW))
    kept = rows.case(job_id).attempts[1]
    assert (kept.last_word, kept.named_refused) == (CLEAN, CLEAN)
    assert kept.error_message == LONG[:2000]
    assert kept.error_said == f"{CLEAN}{LONG}"[:100]


def test_a_line_of_history_holds_any_value(rows: Rows) -> None:
    job_id = rows.job()
    detail = {"word": ODD, ODD: {"inner": [ODD, 1, None]}, "cost": float("inf"), "other": float("nan"), "many": 10**30}
    rows.write(lambda db: history.write_notes(db, job_id, [Note("gateway_said", 1, detail)], NOW))
    with rows.database.read() as db:
        kept = history.of_job(db, job_id)[-1]["detail"]
    assert kept == {"word": CLEAN, CLEAN: {"inner": [CLEAN, 1, None]}, "cost": "inf", "other": "nan", "many": 10**30}
    assert json.dumps(kept, ensure_ascii=False).encode()


def test_a_reason_to_wait_and_a_jobs_error_hold_any_words(rows: Rows) -> None:
    job_id = rows.job()
    why = {"provider": "evolink", "code": "unreachable", "reason": ODD}
    assert rows.write(lambda db: leases.postpone(db, rows.case(job_id).job, until=NOW, now=NOW, waiting=why))
    assert rows.case(job_id).job.waiting == why | {"reason": CLEAN}
    told = {"error_code": "bad_video", "error_message": f"{ODD}{LONG}", "error_said": LONG}
    rows.write(lambda db: db.execute(sa.update(tables.jobs).values(**told)))
    job = rows.case(job_id).job
    assert (job.error_message, job.error_said) == (f"{CLEAN}{LONG}"[:2000], LONG[:100])


def test_a_callbacks_headers_hold_any_words_and_its_body_stays_bytes(rows: Rows) -> None:
    job_id, body = rows.job(State.GENERATING), b'{"id": "t\0", \xff'
    callback = Callback("evolink", job_id, 1, body, {"X-Event": ODD}, readable=False, task_id=None, status=400)
    rows.write(lambda db: keeping.keep(db, callback, rows.core.settings, rows.core.providers, now=NOW))
    with rows.database.read() as db:
        [row] = db.execute(sa.select(tables.inbox)).mappings()
    assert (row["body"], row["headers"]) == (body, {"X-Event": CLEAN})


def test_an_unknown_word_is_counted_whatever_it_is(rows: Rows) -> None:
    job_id = rows.job()
    for word in (f"{ODD}{LONG}", f"{CLEAN}{LONG}"):
        note = Note(unknown_words.EVENT, 1, {"provider": "evolink", "word": word})
        rows.write(lambda db, note=note: history.write_notes(db, job_id, [note], NOW))  # type: ignore[misc]
    with rows.database.read() as db:
        assert unknown_words.seen(db) == {"evolink": {f"{CLEAN}{LONG}"[:100]: 2}}


def test_every_text_without_a_bound_is_words_for_people_or_an_address() -> None:
    assert columns_of(sa.Text) == {"jobs.notify_url", "attempts.link", "api_keys.notify_url", "notices.url"}


def test_what_is_told_to_people_passes_the_gate() -> None:
    assert columns_of(Told) == {"jobs.waiting", "inbox.headers", "events.detail", "attempts.unproven"}
    assert {"attempts.last_word", "notices.last_error", "notice_tries.error"} <= columns_of(Words)


def columns_of(kind: type[Any]) -> set[str]:
    """The columns of exactly this type."""
    return {str(column) for table in tables.metadata.sorted_tables for column in table.c if type(column.type) is kind}
