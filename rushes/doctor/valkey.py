"""Valkey: reachable, and told never to throw doorbells away."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.settings import Settings
from rushes.doctor.findings import Findings, fail, ok, warn

TIMEOUT_S = 3
KEEPS = "noeviction"


def look(settings: Settings) -> Findings:
    """As the service reaches it. A managed one may not tell its policy by CONFIG; INFO has it too."""
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    try:
        client.ping()
        memory = client.info("memory")
    except redis.RedisError as error:
        then = "is it running, and does RUSHES_REDIS_URL name it, with its password? Until then only the sweep works"
        if "certificate" in str(error).lower():
            then = "name the authority in RUSHES_REDIS_URL, with ?ssl_ca_certs=/path/to/authority.pem"
        yield fail("valkey", f"{type(error).__name__}: {str(error).splitlines()[0]}", then)
        return
    finally:
        client.close()
    policy, limit = memory.get("maxmemory_policy"), memory.get("maxmemory")
    if policy == KEEPS or not limit:
        yield ok("valkey", f"answers; {'no limit of memory' if not limit else KEEPS}")
    else:
        then = f"set maxmemory-policy {KEEPS}: a thrown away doorbell costs a job time, until the sweep finds it"
        yield warn("valkey", f"answers; maxmemory-policy is {policy}", then)
