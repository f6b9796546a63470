"""What a month's account costs to read, among orders of years; on both databases."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from rows import Rows

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.reports.costs import statement
from jobs.store.tables import attempts, jobs

pytestmark = pytest.mark.both_databases

# Three years of twenty orders a day, each of its own job, beside the one that they are copies of.
SERIES = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n FROM s) AS s",
    "postgresql": "generate_series(1, 20000) AS n",
}
ID = {"sqlite": "printf('job_%026d', n)", "postgresql": "'job_' || lpad(n::text, 26, '0')"}
DAY = {"sqlite": "date('2023-03-04', '+' || (n / 20) || ' days')", "postgresql": "(date '2023-03-04' + n / 20)::text"}
BY = {
    "as usual": ("day", "provider"),
    "by what jobs have": ("key", "batch", "metadata.project", "day"),
}


def copies(table: sa.Table, dialect: str) -> str:
    own = {"id": ID[dialect], "job_id": ID[dialect], "day": DAY[dialect]}
    names = [column.name for column in table.columns]
    taken = ", ".join(own.get(name, name) for name in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {taken} FROM {table.name}, {SERIES[dialect]}"


@pytest.mark.parametrize("by", BY)
def test_a_month_out_of_years_is_sought_by_its_days_and_not_all_jobs_are_read(rows: Rows, by: str) -> None:
    job_id = rows.job(State.ARCHIVED, metadata={"project": "snow", "text": "x" * 1000})
    rows.attempt(job_id, standing=Standing.CHARGED, outcome=AttemptOutcome.DELIVERED, estimated_usd=0.5)
    engine, dialect = rows.database.engine, rows.database.engine.dialect.name
    days = {"since": "2025-02-01", "until": "2025-02-28"}
    chosen = statement(BY[by], frozenset(), is_sqlite=rows.database.is_sqlite).params(days)
    with engine.connect() as db:  # of which nothing stays
        for table in (jobs, attempts):
            db.execute(sa.text(copies(table, dialect)))
        db.execute(sa.text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN" if rows.database.is_sqlite else "EXPLAIN"
        found = db.execute(chosen)
        made, given = found.context.statement, found.context.parameters[0]
        plan = "\n".join(str(row[-1]) for row in db.exec_driver_sql(f"{explain} {made}", given))
        orders = sum(row.attempts for row in found)
        db.rollback()
    assert orders == 28 * 20
    assert "ix_attempts_day" in plan, plan
    assert re.search("Seq Scan|SCAN (attempts|jobs)", plan) is None, plan
