from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from api_orders import Bells
from flask import Flask
from flask.testing import FlaskClient
from left_behind import kept
from own_database import OwnDatabase

from jobs.intake import api_keys
from jobs.settings import Settings, load
from jobs.store.database import Database
from rushes.app import create_app
from storage.bucket import Bucket


def installation(database_url: str, data_dir: Path) -> dict[str, str]:
    """An installation with a key for EvoLink; nobody listens at the addresses of its broker and its bucket."""
    return {
        "RUSHES_DATA_DIR": str(data_dir),
        "RUSHES_DATABASE_URL": database_url,
        "RUSHES_REDIS_URL": "redis://127.0.0.1:1/0",
        "RUSHES_S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "RUSHES_S3_BUCKET": "videos",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
        "RUSHES_EVOLINK_API_KEY": "sk-test",
    }


def client_of(app: Flask, database: Database) -> FlaskClient:
    """A client with a new key."""
    _, key = api_keys.create(database, "test")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return installation(database_url, tmp_path)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load(environment)


@pytest.fixture(scope="session")
def standing_bells() -> Bells:
    return Bells()


@pytest.fixture
def bells(standing_bells: Bells) -> Bells:
    standing_bells.rung.clear()
    return standing_bells


@pytest.fixture(scope="session")
def standing_app(
    own_database: OwnDatabase, standing_bells: Bells, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Flask]]:
    """Apps by their variables, each made once: that takes longer than most tests of what it answers."""
    made = []

    @cache
    def make(**variables: str) -> Flask:
        environment = installation(own_database.url, tmp_path_factory.mktemp("data"))
        with kept():
            made.append(create_app(load({**environment, **variables}), ringer=standing_bells))
        return made[-1]

    yield make
    for app in made:
        app.extensions["rushes.close"]()


@pytest.fixture
def make_api(standing_app: Callable[..., Flask], database: Database, bells: Bells) -> Callable[..., FlaskClient]:
    """A client with a key, of an installation with these variables beside the usual ones; RUSHES_ is left out."""

    def make(**variables: str) -> FlaskClient:
        return client_of(standing_app(**{f"RUSHES_{name}": value for name, value in variables.items()}), database)

    return make


@pytest.fixture
def api(make_api: Callable[..., FlaskClient]) -> FlaskClient:
    return make_api()


@pytest.fixture
def own_app(settings: Settings, bells: Bells) -> Iterator[Flask]:
    """An app of the test's own, for one that closes it, or changes it while it works."""
    app = create_app(settings, ringer=bells)
    yield app
    app.extensions["rushes.close"]()


@pytest.fixture
def own_api(own_app: Flask, database: Database) -> FlaskClient:
    return client_of(own_app, database)


@pytest.fixture
def api_with_bucket(
    environment: dict[str, str], bucket: Bucket, database: Database, bells: Bells
) -> Iterator[FlaskClient]:
    """A client of an installation whose bucket is there."""
    config = bucket.config
    there = {
        "RUSHES_S3_ENDPOINT_URL": str(config.endpoint_url),
        "RUSHES_S3_BUCKET": config.bucket,
        "RUSHES_S3_PREFIX": config.prefix,
        "AWS_ACCESS_KEY_ID": str(config.access_key),
        "AWS_SECRET_ACCESS_KEY": str(config.secret_key),
    }
    app = create_app(load({**environment, **there}), ringer=bells)
    yield client_of(app, database)
    app.extensions["rushes.close"]()
