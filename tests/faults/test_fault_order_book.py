"""The history checker sees what it is there to see: else every other test of this folder would prove little."""

from __future__ import annotations

import requests
from plant import Plant


def test_a_video_that_vanished_does_not_pass_for_archived(plant: Plant) -> None:
    job_id = plant.book.order("evolink")
    [case] = plant.book.await_archived(job_id)
    bucket, key = plant.bucket.config.bucket, case.job.archive_key
    client = plant.bucket._client
    client.copy_object(Bucket=bucket, Key=f"{key}.kept", CopySource={"Bucket": bucket, "Key": key})
    client.delete_object(Bucket=bucket, Key=key)
    account, wrongs = plant.book.audit()
    assert wrongs == [f"{job_id}: None bytes in the bucket, {case.job.bytes} in the row"]
    assert account["archived"] == 1
    client.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": f"{key}.kept"})


def test_an_order_that_was_sold_twice_is_seen(plant: Plant) -> None:
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    [task] = plant.book.sold(job_id)
    url = f"{plant.stand_ins.url}/evolink/v1/videos/generations"
    requests.post(
        url, json=task["request"], headers={"Authorization": "Bearer sk-sandbox"}, timeout=10
    ).raise_for_status()
    account, wrongs = plant.book.audit()
    assert account["paid_twice"] == 1
    assert ["paid 2 times" in wrongs[0], "sold without our knowing" in wrongs[1]] == [True, True]
    plant.book.forget()  # it was this test that bought it


def test_an_order_that_was_taken_and_is_gone_is_seen(plant: Plant) -> None:
    order = plant.book.write("evolink")
    order.job_id = "job_00000000000000000000000000"
    account, wrongs = plant.book.audit()
    assert account["lost"] == 1
    assert len(wrongs) == 1
    plant.book.forget()
