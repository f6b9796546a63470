"""The API beside a workshop, as a client with a key of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask.testing import FlaskClient
from workshop import Workshop

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from rushes.app import create_app


@contextmanager
def served(workshop: Workshop, scope: Scope, **changes: Any) -> Iterator[FlaskClient]:
    """On the workshop's database and bucket; `changes` are settings."""
    config = workshop.bucket.config
    keys = {"s3_access_key": config.access_key, "s3_secret_key": config.secret_key, "s3_region": "us-east-1"}
    app = create_app(replace(workshop.settings, **{**keys, **changes}), ringer=workshop.bells)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_keys.create(workshop.database, 'test', scope)[1]}"
    try:
        yield client
    finally:
        app.extensions["rushes.close"]()
