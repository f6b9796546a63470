"""A process takes a few messages more than it works on. Those that it holds as it dies are rung for again."""

from __future__ import annotations

import redis
from plant import Plant

SLOTS = 4  # of the plant's transfer process
HELD = "unacked"  # where Celery keeps what was handed out and is not begun


def test_messages_that_a_killed_process_held_are_rung_again_by_the_sweep(plant: Plant) -> None:
    plant.stand_ins.set(film="real")
    for _ in range(3 * SLOTS):
        plant.stand_ins.fault("evolink", "serve", what="slow", bytes_per_s=50_000)
    job_ids = [plant.book.order("evolink") for _ in range(3 * SLOTS)]
    with redis.Redis.from_url(plant.valkey.url) as broker:
        plant.await_(lambda: broker.hlen(HELD) > 0, "messages that are held and not begun")
        plant.kill("transfer")
        assert broker.hlen(HELD) > 0
    plant.start("transfer")
    plant.stand_ins.reset()
    plant.book.await_archived(*job_ids)
    assert [len(plant.book.sold(job_id)) for job_id in job_ids] == [1] * len(job_ids)
