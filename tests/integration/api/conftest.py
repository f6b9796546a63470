from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_orders import Bells
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.settings import Settings, load
from jobs.store.database import Database
from rushes.app import create_app
from storage.bucket import Bucket


@pytest.fixture
def environment(database: Database, bucket: Bucket, tmp_path: Path) -> dict[str, str]:
    """An installation with a key for EvoLink; nobody listens at its broker's address."""
    return {
        "RUSHES_DATA_DIR": str(tmp_path),
        "RUSHES_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "RUSHES_REDIS_URL": "redis://127.0.0.1:1/0",
        "RUSHES_S3_ENDPOINT_URL": str(bucket.config.endpoint_url),
        "RUSHES_S3_BUCKET": bucket.config.bucket,
        "AWS_ACCESS_KEY_ID": str(bucket.config.access_key),
        "AWS_SECRET_ACCESS_KEY": str(bucket.config.secret_key),
        "AWS_REGION": "us-east-1",
        "RUSHES_EVOLINK_API_KEY": "sk-test",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load(environment)


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def make_api(environment: dict[str, str], database: Database, bells: Bells) -> Iterator[Callable[..., FlaskClient]]:
    """A client with a key, of an installation with these variables beside the usual ones; RUSHES_ is left out."""
    apps = []

    def make(**variables: str) -> FlaskClient:
        app = create_app(load({**environment, **{f"RUSHES_{n}": v for n, v in variables.items()}}), ringer=bells)
        apps.append(app)
        _, key = api_keys.create(database, "test")
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    yield make
    for app in apps:
        app.extensions["rushes.close"]()


@pytest.fixture
def api(make_api: Callable[..., FlaskClient]) -> FlaskClient:
    return make_api()
