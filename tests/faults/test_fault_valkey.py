"""Valkey dead, frozen, full, half open, and losing what it was given or the answer to it."""

from __future__ import annotations

import time

import pytest
import redis
from celery import Celery
from plant import Plant
from wire_words import command_of

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

PROMPT_S = 2.5  # what a request may take while Valkey does not answer


def prompt_orders(plant: Plant, count: int) -> list[str]:
    """Orders that are taken as fast as if Valkey were there."""
    job_ids = []
    for n in range(count):
        begun = time.monotonic()
        job_ids.append(plant.book.order(list(PROVIDERS)[n % len(PROVIDERS)]))
        assert time.monotonic() - begun < PROMPT_S
    return job_ids


@pytest.mark.prove
def test_valkey_killed_and_started_again_delays_jobs_and_loses_none(plant: Plant) -> None:
    plant.kill("valkey", "worker")
    job_ids = prompt_orders(plant, 10)
    plant.start("worker")  # before its broker is there
    plant.await_alive("worker")
    assert {plant.book.state(job_id) for job_id in job_ids} == {State.QUEUED}
    plant.supervisor.start(plant.valkey.process())
    plant.book.await_archived()


def test_a_frozen_valkey_delays_neither_orders_nor_callbacks(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "delay_callback", seconds=1)
    running = plant.book.order("evolink")
    plant.book.await_state(running, State.GENERATING)
    plant.freeze("valkey")
    prompt_orders(plant, 5)
    plant.await_(lambda: any(c["status"] for c in plant.book.sold(running)[0]["callbacks"]), "an answered callback")
    assert plant.book.sold(running)[0]["callbacks"][0]["status"] == 200
    plant.thaw("valkey")
    plant.book.await_archived()


@pytest.mark.prove
def test_a_copy_under_way_ends_while_valkey_is_frozen(plant: Plant) -> None:
    plant.stand_ins.set(film="real")
    plant.stand_ins.fault("evolink", "serve", what="slow", bytes_per_s=100_000)
    job_id = plant.book.order("evolink")
    plant.await_(lambda: (t := plant.book.sold(job_id)) and t[0]["link_hits"]["count"], "the first byte of the video")
    plant.freeze("valkey")
    plant.book.await_archived(job_id)


def test_twenty_doorbells_for_one_job_buy_once(plant: Plant) -> None:
    plant.freeze("worker")
    job_id = plant.book.order("evolink")
    with Celery("stranger", broker=plant.valkey.url, set_as_current=False) as app:
        for _ in range(20):
            app.send_task("jobs.submit", args=(job_id,), queue="rushes.submit", ignore_result=True)
    plant.thaw("worker")
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1
    assert plant.book.history(job_id).count("claim") == 1


def is_told(line: str) -> bool:
    """Whether the worker says that Valkey is full."""
    return line.startswith("worker:") and "maxmemory" in line


@pytest.mark.prove
def test_a_full_valkey_ends_no_worker_and_loses_no_job(plant: Plant) -> None:
    heard = len(plant.lines)
    plant.freeze("worker")
    prompt_orders(plant, 5)
    with redis.Redis.from_url(plant.valkey.url) as client:
        plant.await_(lambda: client.llen("rushes.submit"), "doorbells that wait")
        client.config_set("maxmemory", 1)
        try:
            plant.thaw("worker")  # what it takes from the queue now, Valkey cannot note as taken
            prompt_orders(plant, 3)
            plant.await_(lambda: any(is_told(line) for line in plant.lines[heard:]), "a worker that meets it")
            plant.await_(lambda: any("doorbell_not_rung" in line for line in plant.lines[heard:]), "a silent doorbell")
        finally:
            client.config_set("maxmemory", 0)
    plant.book.await_archived()
    plant.supervisor.check()  # raises for a process that has ended by itself


@pytest.mark.prove
def test_a_worker_whose_connections_are_half_open_comes_back(plant: Plant) -> None:
    assert plant.to_valkey["worker"].abandon() > 0
    job_ids = prompt_orders(plant, 3)
    plant.book.await_archived(*job_ids)


@pytest.mark.prove
def test_a_doorbell_whose_answer_was_lost_is_rung_once_or_twice_and_buys_once(plant: Plant) -> None:
    trap = plant.to_valkey["web"].trap(command_of("LPUSH", "rushes.submit"), after=True, then="cut", times=3)
    job_ids = prompt_orders(plant, 3)
    plant.book.await_archived(*job_ids)
    assert trap.caught.is_set()
    assert [len(plant.book.sold(job_id)) for job_id in job_ids] == [1, 1, 1]


def test_a_doorbell_that_died_with_its_worker_is_rung_again(plant: Plant) -> None:
    def doorbell(answer: bytes) -> bool:
        return b"rushes.submit" in answer

    trap = plant.to_valkey["worker"].trap(command_of("BRPOP", "rushes.submit"), after=True, counts=doorbell)
    assert trap.matched.wait(20)  # the worker listens
    job_id = plant.book.order("evolink")
    assert trap.caught.wait(60)  # Valkey has handed it out and forgotten it
    plant.kill("worker")
    plant.start("worker")
    plant.book.await_archived(job_id)


@pytest.mark.prove
def test_a_budget_whose_answer_was_lost_drops_no_callback(plant: Plant) -> None:
    trap = plant.to_valkey["worker"].trap(command_of("EVALSHA", "query"), after=True, then="cut", times=4)
    for _ in range(20):  # after a trouble, of an earlier test for example, the worker leaves Valkey alone for seconds
        plant.book.await_archived(plant.book.order("evolink"), plant.book.order("easyrouter"))
        if trap.caught.is_set():
            return
    pytest.fail("no budget was asked for")
