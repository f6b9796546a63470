"""A share of the seeds on PostgreSQL: the same worlds, the same rules, and SQL as that database understands it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sim_postgres import SimPostgres
from sim_run import simulate
from sim_service import House

from rushes.local.postgres import Postgres

EACH, CHUNKS = 20, 5


@pytest.fixture(scope="module")
def house(postgres: Postgres) -> Iterator[House]:
    database = SimPostgres(postgres.create_database("simulation"))
    yield House(database)
    database.close()
    postgres.drop_database("simulation")


@pytest.mark.timeout(600)
@pytest.mark.prove
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_rule_breaks_on_postgresql(house: House, chunk: int) -> None:
    for seed in range(chunk * EACH, (chunk + 1) * EACH):
        run = simulate(seed, house=house)
        assert run.violation is None, run.report


def test_a_seed_is_the_same_run_on_both_databases(house: House) -> None:
    first = next(run for run in map(simulate, range(100)) if len(run.story) > 50)  # one in which much happens
    assert simulate(first.seed, house=house).story == first.story
