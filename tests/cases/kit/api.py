"""The API alone: no broker, no bucket, one key that may order."""

from __future__ import annotations

import logging

from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.settings import load
from jobs.store import migrate
from jobs.store.database import Database
from kit import folder
from kit.world import Bells, settings
from rushes.app import create_app

NOBODY = "127.0.0.1:1"  # no server listens there

logging.getLogger("alembic").setLevel(logging.WARNING)


def client() -> FlaskClient:
    """Flask's client of a new installation, which sends the key with every request."""
    data_dir = folder()
    environment = settings(
        data_dir,
        database_url=f"sqlite:///{data_dir}/rushes.db",
        redis_url=f"redis://{NOBODY}/0",
        s3_endpoint_url=f"http://{NOBODY}",
    )
    environment |= {"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    read = load(environment)
    database = Database(read.database_url)
    migrate.upgrade(database)
    _, key = api_keys.create(database, "case")
    asking = create_app(read, ringer=Bells()).test_client()
    asking.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return asking
