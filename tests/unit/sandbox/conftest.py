"""The sandbox's bench, for the tests beside this file."""

from pathlib import Path

import pytest
from sandbox_bench import Bench, Clock, ReadyFilms, Receiver

from sandbox.app import create_app
from sandbox.settings import Config


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film" * 100)
    clock, films, receiver = Clock(), ReadyFilms(path), Receiver()
    app = create_app(Config(seed=7), now=clock, films=films, post=receiver, pause=clock.pause, start=False)
    return Bench(app.test_client(), app.extensions["sandbox"], clock, films, receiver)
