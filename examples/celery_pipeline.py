"""A Celery app of your own beside Rushes, on its broker: a chain that goes on when the video is there.

celery -A celery_pipeline worker -Q pipeline
python celery_pipeline.py "A red fox in snow" scene-12-take-1
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.result import AsyncResult

from rushes_client import Client, Unavailable

LOOK_EVERY_S = 2
FOLDER = Path("videos")

broker = os.environ["RUSHES_REDIS_URL"]
app = Celery("pipeline", broker=broker, backend=broker)
app.conf.task_default_queue = "pipeline"
rushes = Client(patience_s=5)  # from RUSHES_URL and RUSHES_API_KEY; a task has its own second tries


def order(prompt: str, key: str) -> AsyncResult[str]:
    """Start the chain. The key is the task's id and the order's idempotency key: sent twice, it is bought once."""
    request = {"prompt": prompt, "resolution": "720p", "duration": 2}
    generate = app.signature("rushes.generate", kwargs=request, task_id=key, queue="generate")
    # A worker of Rushes sends the task after its own. It does not know our queues, so that task names its queue.
    chain = generate | await_video.s().set(queue="pipeline") | publish.s()
    return chain.apply_async()


@app.task(name="pipeline.await_video", bind=True, max_retries=None)
def await_video(self: Task, ordered: str | dict[str, Any]) -> str:
    """Look at the job, and come back later while it is on its way: between two looks no worker is held."""
    if isinstance(ordered, dict):
        raise ValueError(f"rushes.generate did not take the request: {ordered}")
    try:
        job = rushes.get(ordered)
    except Unavailable:
        raise self.retry(countdown=LOOK_EVERY_S) from None
    if not job.ended:
        raise self.retry(countdown=LOOK_EVERY_S)
    job.raise_unless_archived()
    return job.id


@app.task(name="pipeline.publish")
def publish(job_id: str) -> str:
    """What your pipeline does with a video. It may be called twice for one, as any task may."""
    FOLDER.mkdir(exist_ok=True)
    return str(rushes.download(job_id, FOLDER / f"{job_id}.mp4"))


if __name__ == "__main__":
    print(order(sys.argv[1], sys.argv[2]).get(timeout=600))
