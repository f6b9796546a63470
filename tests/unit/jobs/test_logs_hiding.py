"""This installation's own secrets are masked by value, whatever they look like and however they come into a line."""

from __future__ import annotations

import errno
import io
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from jobs import logs
from jobs.providers.client import Account
from jobs.settings import Settings, load
from storage.bucket import BucketConfig

SECRETS = {
    "RUSHES_DATABASE_URL": "postgresql+psycopg://rushes:database-password@127.0.0.1/rushes",
    "RUSHES_REDIS_URL": "redis://:broker-password@127.0.0.1:6379/0",
    "AWS_SECRET_ACCESS_KEY": "bucket/secret+key",
    "AWS_SESSION_TOKEN": "session-token-of-the-bucket",
    "RUSHES_CALLBACK_KEYS": "k1:callback-secret-1,k2:callback-secret-2",
    "RUSHES_NOTICE_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RUSHES_EVOLINK_API_KEY": "no-usual-shape-of-a-key",
    "RUSHES_EVOLINK_API_KEY_PREVIOUS": "nor-has-the-one-before",
}
VALUES = {
    *("database-password", "broker-password", "bucket/secret+key", "session-token-of-the-bucket", "callback-secret-1"),
    *(
        "callback-secret-2",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "no-usual-shape-of-a-key",
        "nor-has-the-one-before",
    ),
}


@pytest.fixture
def settings() -> Settings:
    return load({"RUSHES_S3_BUCKET": "videos", **SECRETS})


@pytest.fixture
def written(settings: Settings) -> Iterator[io.StringIO]:
    """What the log writes, with this installation's secrets hidden."""
    root = logging.getLogger()
    handlers, level, hooks, own = list(root.handlers), root.level, (sys.excepthook, threading.excepthook), logs._own
    out = io.StringIO()
    logs.configure()
    logs.hide(settings.secrets)
    root.handlers[0].stream = out  # type: ignore[attr-defined]
    yield out
    root.handlers[:], (sys.excepthook, threading.excepthook), logs._own = handlers, hooks, own
    root.setLevel(level)


def shown(text: str) -> set[str]:
    return {value for value in VALUES if value in text}


def test_the_settings_know_all_their_secrets(settings: Settings) -> None:
    assert settings.secrets == VALUES


@pytest.mark.parametrize("secret", sorted(VALUES))
def test_a_secret_of_any_shape_is_masked_in_messages_values_and_what_they_hold(
    written: io.StringIO, secret: str
) -> None:
    log = structlog.get_logger()
    log.warning(f"said {secret}", value=secret, inside={"a": [secret, {secret: 1}]}, error=ValueError(secret), n=7)
    logging.getLogger("urllib3").warning("foreign %s", secret)
    text = written.getvalue()
    assert shown(text) == set()
    assert [json.loads(line)["level"] for line in text.splitlines()] == ["warning", "warning"]
    assert '"n": 7' in text


def test_a_secret_in_a_traceback_is_masked(written: io.StringIO) -> None:
    try:
        raise RuntimeError(" ".join(VALUES)) from KeyError(" ".join(VALUES))
    except RuntimeError:
        structlog.get_logger().exception("step_raised")
        logging.getLogger("celery").exception("foreign")
    assert written.getvalue().count("RuntimeError") >= 2
    assert shown(written.getvalue()) == set()


def test_lines_that_are_said_together_are_written_at_once_in_their_order(written: io.StringIO) -> None:
    log, writes = structlog.get_logger(), []
    stream = logging.getLogger().handlers[0].stream  # type: ignore[attr-defined]
    real = stream.write
    stream.write = lambda text: writes.append(text) or real(text)
    with suppress(KeyError), logs.together():
        for n in range(3):
            log.info("said", n=n)
        other = threading.Thread(target=log.info, args=("of another thread",))
        other.start()
        other.join()
        raise KeyError
    log.info("after")
    assert [json.loads(line).get("n") for line in written.getvalue().splitlines()] == [None, 0, 1, 2, None]
    assert len(writes) == 3


def test_a_log_that_takes_nothing_ends_no_work(written: io.StringIO) -> None:
    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logging.getLogger().handlers[0].stream.write = full  # type: ignore[attr-defined]
    structlog.get_logger().info("said")
    with logs.together():
        structlog.get_logger().info("said")
    assert written.getvalue() == ""


def test_what_nobody_catches_is_logged_and_masked(written: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError(" ".join(VALUES))

    thread = threading.Thread(target=fail)
    hook, threading.excepthook = threading.excepthook, logs._log_uncaught_of_thread  # pytest has its own in a test
    thread.start()
    thread.join()
    threading.excepthook = hook
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert written.getvalue().count('"uncaught"') >= 2
    assert shown(written.getvalue()) == set()
    assert shown("".join(capsys.readouterr())) == set()


def test_no_repr_shows_a_secret(settings: Settings) -> None:
    account: Account = settings.accounts["evolink"]
    config = BucketConfig(
        "b", "", None, None, settings.s3_access_key, settings.s3_secret_key, settings.s3_session_token
    )
    for value in (settings, account, config, {"all": [settings, account]}):
        assert shown(repr(value) + str(value)) == set()


def test_no_wrong_setting_quotes_a_secret() -> None:
    wrong: dict[str, Any] = {
        **SECRETS,
        "RUSHES_DATABASE_URL": "mysql://rushes:database-password@127.0.0.1/rushes",
        "RUSHES_REDIS_URL": "http://:broker-password@127.0.0.1:6379/0",
        "RUSHES_CALLBACK_KEYS": "k1:callback-secret-1,k1:callback-secret-2",
        "RUSHES_NOTICE_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,x",
        "RUSHES_EVOLINK_API_KEY": "no-usual-shape-of-a-key \n",
        "RUSHES_EVOLINK_API_KEY_PREVIOUS": "nor-has-the-one-before é",
    }
    with pytest.raises(Exception, match="RUSHES_S3_BUCKET") as caught:
        load(wrong)
    assert shown("".join(traceback.format_exception(caught.value))) == set()


def test_a_short_value_does_not_black_out_the_log(written: io.StringIO) -> None:
    logs.hide({"a", "on", ""})
    assert logs.mask("a transfer went on") == "a transfer went on"


def test_a_secret_that_begins_another_hides_the_whole_of_both() -> None:
    before = logs._own
    logs.hide({"secret-1", "secret-12"})
    assert logs.mask("x secret-12 y secret-1 z") == "x … y … z"
    logs._own = before


def test_a_stranger_s_words_are_escapes_in_a_line_and_read_as_they_were(written: io.StringIO) -> None:
    said = "\x1b[2J\r\x9b31m\u202eevil\x7f"
    structlog.get_logger().warning("gateway_said", message=said)
    logging.getLogger("library").warning("read %s", said)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", written.getvalue())
    first, second = map(json.loads, written.getvalue().splitlines())
    assert (first["message"], second["event"]) == (said, f"read {said}")
