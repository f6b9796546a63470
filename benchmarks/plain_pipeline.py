"""The plain way from an order to the bucket, as a good engineer would write it in a day; and tasks that do nothing.

`pipeline.py` measures ours against both. It orders, takes callbacks by a schema, keeps each job in a row and each
callback once, and copies the video by boto3; it knows no lost answers, no dead links, no proof and no second gateway.
A job that asks for it leaves in the bucket what ours does: a film that was decoded, its poster and its sidecar.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import threading
from typing import Any

import av
import boto3
import redis
import requests
import sqlalchemy as sa
from celery import Celery
from flask import Flask, request
from marshmallow import EXCLUDE, Schema, fields

GATEWAY, PUBLIC = os.environ["PLAIN_GATEWAY"], os.environ["PLAIN_PUBLIC"]
metadata = sa.MetaData()
jobs = sa.Table("plain_jobs", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("prompt", sa.Text))
for name in ("state", "task_id", "key"):
    jobs.append_column(sa.Column(name, sa.Text))
jobs.append_column(sa.Column("is_proven", sa.Boolean))
callbacks = sa.Table("plain_callbacks", metadata, sa.Column("digest", sa.Text, primary_key=True))
engine = sa.create_engine(os.environ["PLAIN_DATABASE"], pool_size=32)
celery = Celery("plain", broker=os.environ["PLAIN_BROKER"])
celery.conf.update(task_ignore_result=True, task_default_queue="plain", worker_enable_remote_control=False)
valkey = redis.Redis.from_url(os.environ["PLAIN_BROKER"])
here = threading.local()


class CallbackSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True)
    status = fields.String(required=True)


def session() -> requests.Session:
    if not hasattr(here, "session"):
        here.session = requests.Session()
        here.s3 = boto3.session.Session().client("s3", endpoint_url=os.environ["PLAIN_S3"])
    return here.session


@celery.task
def submit(job_id: int) -> None:
    with engine.connect() as db:
        prompt = db.execute(sa.select(jobs.c.prompt).where(jobs.c.id == job_id)).scalar_one()
    asked = {"model": "wan-2.7-text-to-video", "input": {"prompt": prompt, "duration": 2, "resolution": "720p"}}
    asked["callback_url"] = f"{PUBLIC}/callbacks/{job_id}"
    answer = session().post(f"{GATEWAY}/v1/videos/generations", json=asked, timeout=60)
    answer.raise_for_status()
    with engine.begin() as db:
        values = {"task_id": answer.json()["data"]["taskId"]}
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))


@celery.task
def transfer(job_id: int, task_id: str) -> None:
    report = session().get(f"{GATEWAY}/v1/tasks/{task_id}", timeout=30).json()
    with tempfile.TemporaryFile() as file:
        with session().get(report["output"]["urls"][0], stream=True, timeout=30) as film:
            film.raise_for_status()
            for piece in film.iter_content(1 << 18):
                file.write(piece)
        file.seek(0)
        key = f"videos/{job_id}.mp4"
        with engine.connect() as db:
            is_proven = db.execute(sa.select(jobs.c.is_proven).where(jobs.c.id == job_id)).scalar_one()
        if is_proven:
            beside = {"jpg": poster(file), "json": json.dumps({"job": job_id, "task": task_id}).encode()}
            for kind, body in beside.items():
                here.s3.put_object(Bucket=os.environ["PLAIN_BUCKET"], Key=f"videos/{job_id}.{kind}", Body=body)
            file.seek(0)
        here.s3.upload_fileobj(file, os.environ["PLAIN_BUCKET"], key, ExtraArgs={"ContentType": "video/mp4"})
    with engine.begin() as db:
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(state="archived", key=key))


def poster(file: Any) -> bytes:
    """The first frame, once all have been decoded."""
    image = io.BytesIO()
    with av.open(file) as film, av.open(image, "w", format="mjpeg") as encoder:
        first, *_ = film.decode(video=0)
        stream = encoder.add_stream("mjpeg", width=first.width, height=first.height, pix_fmt="yuvj420p")
        encoder.mux(stream.encode(first))
        encoder.mux(stream.encode())
    return image.getvalue()


def create_app() -> Flask:
    app, schema = Flask("plain", static_folder=None), CallbackSchema()

    @app.post("/jobs")
    def create() -> Any:
        with engine.begin() as db:
            asked = request.get_json()
            row = {"prompt": asked["prompt"], "is_proven": asked.get("is_proven", False), "state": "queued"}
            job_id = db.execute(sa.insert(jobs).values(**row)).inserted_primary_key[0]
        submit.delay(job_id)
        return {"id": job_id}, 202

    @app.post("/callbacks/<int:job_id>")
    def receive(job_id: int) -> Any:
        report = schema.loads(request.get_data())
        digest = hashlib.sha256(request.get_data()).hexdigest()
        with engine.begin() as db:
            kept = sa.text("INSERT INTO plain_callbacks (digest) VALUES (:digest) ON CONFLICT DO NOTHING")
            is_new = db.execute(kept, {"digest": digest}).rowcount
        if is_new and report["status"] == "completed":
            transfer.delay(job_id, report["id"])
        return "", 200

    return app


@celery.task
def floor(step: int) -> None:
    """Nothing, four times: what a job's four messages cost on this machine, whatever is done in them."""
    if step < 4:
        floor.delay(step + 1)
    else:
        valkey.incr("floor")
