"""The Celery apps: one for processes that work, one for processes that only ring.

Messages are doorbells: acknowledged early, without results, with no due times in them. Only `rushes.generate` carries
a request, is acknowledged late, and keeps its result for an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.transport import redis

from jobs.settings import Settings
from jobs.store.step_table import STEPS

QUEUES = {step.name: step.queue for step in STEPS} | {"jobs.sweep": "rushes.sweep", "rushes.generate": "generate"}
VISIBILITY_TIMEOUT_S = 120  # until a generate message that a dead worker held is delivered again
RESULT_LIFE_S = 3600


class _Channel(redis.Channel):
    """Keeps the client that kombu makes anew for each command: 0.1 ms each time, and ten times for a message."""

    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        if client is None and (self._kept is None or self._kept.connection_pool is not self.pool):
            with super().conn_or_acquire() as self._kept:
                pass
        yield client or self._kept


class Transport(redis.Transport):
    """Celery's way to Valkey; named by `broker_transport`."""

    Channel = _Channel


_COMMON: dict[str, Any] = {
    "broker_transport": f"{__name__}:{Transport.__name__}",
    "task_serializer": "json",
    "accept_content": ["json"],  # a writable broker must not mean code execution
    "task_ignore_result": True,
    "task_acks_late": False,
    "task_routes": {name: {"queue": queue} for name, queue in QUEUES.items()},
    "task_create_missing_queues": True,
    "task_default_queue": "rushes.lost",
    "result_expires": RESULT_LIFE_S,
    "result_serializer": "json",
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # Out of memory is such an error: without this, a full Valkey ends every worker that it hands a message.
    "broker_channel_error_retry": True,
    "enable_utc": True,
}
# A publish costs at most about a second on a Valkey that does not answer; the ringer then stays silent for a while.
_PUBLISH = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}


def working_app(settings: Settings) -> Celery:
    """For workers and beat: waits for the broker for ever, and takes its messages up again after any outage."""
    app = Celery("rushes", broker=settings.redis_url, backend=settings.redis_url)
    app.conf.update(_COMMON)
    app.conf.update(
        task_publish_retry_policy=_PUBLISH,
        broker_transport_options=_transport(socket_timeout=10, socket_connect_timeout=3, health_check_interval=10),
        redis_socket_timeout=10,
        redis_socket_connect_timeout=3,
        beat_schedule={
            "poll-for-lost-callbacks": {
                "task": "jobs.sweep",
                "schedule": settings.sweep_interval_s,
                "options": {"expires": settings.sweep_interval_s},
            }
        },
        beat_schedule_filename=str(settings.data_dir / "beat"),
        beat_max_loop_interval=max(1, settings.sweep_interval_s),
    )
    return app


def ringing_app(settings: Settings) -> Celery:
    """For the web process: short timeouts, no worker."""
    app = Celery("rushes", broker=settings.redis_url, set_as_current=False)
    app.conf.update(_COMMON)
    app.conf.update(
        task_publish_retry_policy=_PUBLISH,
        broker_transport_options=_transport(socket_timeout=0.5, socket_connect_timeout=0.5),
    )
    return app


def _transport(**timeouts: float) -> dict[str, Any]:
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "retry_on_timeout": False,  # sending again after a lost answer would double the message
        "socket_keepalive": True,
        "max_connections": 50,
        **timeouts,
    }
