"""A receiver as a good engineer would write it in an hour, and a bare Flask: what `receiver.py` measures ours against.

It checks the token, reads the body by a schema, remembers it in Valkey so that none is handled twice, and rings. What
it remembers is in memory alone; ours is a row that stands a power cut.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from celery import Celery
from flask import Flask, request
from marshmallow import EXCLUDE, Schema, fields
from redis import Redis

from jobs import callback_urls

KEPT_FOR_S = 86_400


class CallbackSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True)
    status = fields.String(required=True)


def create_app() -> Flask:
    app, valkey = Flask("plain", static_folder=None), Redis.from_url(os.environ["VALKEY_URL"])
    celery, schema = Celery("plain", broker=os.environ["VALKEY_URL"]), CallbackSchema()
    keys = {"k1": os.environ["CALLBACK_KEY"].encode()}

    @app.post("/webhooks/<provider>/<job_id>/<int:attempt>/<token>")
    def receive(provider: str, job_id: str, attempt: int, token: str) -> Any:
        if not callback_urls.is_genuine(keys, provider, job_id, attempt, token):
            return "", 404
        body = request.get_data()
        schema.loads(body)
        name = f"callback:{job_id}:{attempt}:{hashlib.sha256(body).hexdigest()}"
        if valkey.set(name, body, nx=True, ex=KEPT_FOR_S):
            celery.send_task("plain.reconcile", args=(job_id,), queue="plain", ignore_result=True)
        return "", 200

    return app


def bare_app() -> Flask:
    app = Flask("bare", static_folder=None)

    @app.post("/webhooks/<provider>/<job_id>/<int:attempt>/<token>")
    def receive(provider: str, job_id: str, attempt: int, token: str) -> Any:
        return "", 204

    return app
