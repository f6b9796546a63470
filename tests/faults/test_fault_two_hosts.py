"""Two hosts on shared stores, each with all processes and data folders of its own; one of them is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from plant import ROLES, Plant

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

HOSTS = {"first": ROLES, "second": tuple(f"{role}-2" for role in ROLES)}


@pytest.fixture
def two_hosts(plant: Plant, tmp_path: Path) -> Plant:
    for name in HOSTS["second"]:
        (tmp_path / name).mkdir()
        plant.start(name, DATA_DIR=tmp_path / name)
    plant.await_alive(*HOSTS["second"])
    return plant


@pytest.mark.prove
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_cut_off_in_the_middle_of_work_and_comes_back(two_hosts: Plant, host: str) -> None:
    plant, book = two_hosts, two_hosts.book
    [stays] = {"web", "web-2"} - set(HOSTS[host])
    plant.stand_ins.set(generation_s=0.5)
    early = [book.write(list(PROVIDERS)[n % len(PROVIDERS)]) for n in range(30)]
    for n, order in enumerate(early):
        book.insist(order, at=("web", "web-2")[n % 2])
    plant.await_(lambda: any(book.state(o.job_id or "") is State.ARCHIVED for o in early), "the first video")
    plant.cut_off(*HOSTS[host])
    under_way = [order for order in early if book.state(order.job_id or "") is not State.ARCHIVED]
    assert under_way
    late = [book.insist(book.write(provider), at=stays) for provider in PROVIDERS]
    book.await_archived(*late)  # by the host that stays
    plant.heal_wires()
    plant.await_alive(*HOSTS[host])
    job_ids = [*late, *(order.job_id or "" for order in early)]
    book.await_archived(*job_ids)
    assert [len(book.sold(job_id)) for job_id in job_ids] == [1] * len(job_ids)
