"""The faults of this folder as things that happen by chance, for the soak."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from random import Random
from typing import Any

import redis
from plant import ROLES, Plant
from wire_words import SLOW_DOWN, commit_of, is_final, request_of

from jobs.providers.registry import PROVIDERS

COMMITS = {
    "web": [("INSERT INTO jobs",), ("INSERT INTO inbox",)],
    "worker": [("INSERT INTO attempts",), ("UPDATE jobs SET state", "generating")],
    "transfer": [("UPDATE jobs SET state", "archived")],
}
AT_GATEWAYS: list[dict[str, Any]] = [
    *({"fault": "lose_answer", "how": how, "seconds": 7} for how in ("reset", "502", "tls", "hang")),
    {"fault": "late_answer", "seconds": 2},
    {"fault": "refuse", "status": 429},
    {"fault": "refuse", "status": 500, "on": "query"},
    {"fault": "garbage_query"},
    {"fault": "unknown_word"},
    {"fault": "fail", "retryable": True},
    {"fault": "fail"},
    {"fault": "callback_before_answer"},
    {"fault": "lose_callback"},
    {"fault": "double_callbacks"},
    {"fault": "delay_callback", "seconds": 3},
    {"fault": "forge_callback"},
    {"fault": "expire_link"},
    {"fault": "hide_link"},
    *({"fault": "serve", "what": what} for what in ("html", "truncated", "empty", "endless", "audio_only", "garbage")),
]


def killed(plant: Plant, chance: Random) -> str:
    names = chance.sample(ROLES, chance.choice([1, 1, 2, len(ROLES)]))
    plant.kill(*names)
    return f"SIGKILL to {', '.join(names)}"


def frozen(plant: Plant, chance: Random) -> str:
    name, seconds = chance.choice([*ROLES, "valkey", "postgres", "sandbox"]), chance.uniform(1, 8)
    plant.freeze(name)
    time.sleep(seconds)  # the fault itself
    plant.thaw(name)
    return f"{name} frozen for {seconds:.1f} s"


def restarted(plant: Plant, chance: Random) -> str:
    role = chance.choice(ROLES)
    plant.stop(role)
    return f"{role} restarted"


def valkey_troubled(plant: Plant, chance: Random) -> str:
    what = chance.choice(["killed", "flushed", "full", "half open"])
    if what == "killed":
        plant.kill("valkey")
    elif what == "half open":
        plant.to_valkey[chance.choice(ROLES)].abandon()
    else:
        with redis.Redis.from_url(plant.valkey.url) as client:
            if what == "flushed":
                client.flushall()
            else:
                client.config_set("maxmemory", 1)
                time.sleep(chance.uniform(0.5, 3))  # the fault itself
                client.config_set("maxmemory", 0)
    return f"valkey {what}"


def database_restarted(plant: Plant, chance: Random) -> str:
    how = chance.choice([signal.SIGINT, signal.SIGQUIT])
    os.kill(plant.supervisor.pids["postgres"], how)
    plant.supervisor.stop_one("postgres")
    return f"postgres ended by {how.name}"


def connections_cut(plant: Plant, chance: Random) -> str:
    role = chance.choice(ROLES)
    kind, proxies = chance.choice(
        [("database", plant.to_database), ("valkey", plant.to_valkey), ("bucket", plant.to_bucket)]
    )
    return f"{proxies[role].cut()} connections of {role} to {kind} cut"


def commits_cut(plant: Plant, chance: Random) -> str:
    role = chance.choice(list(COMMITS))
    words, after = chance.choice(COMMITS[role]), chance.choice([True, False])
    plant.to_database[role].trap(commit_of(*words), after=after, then="cut", times=3)
    time.sleep(chance.uniform(1, 4))  # until it has met some
    return f"COMMIT of {' '.join(words)} cut {'after' if after else 'before'} it happened"


def bucket_troubled(plant: Plant, chance: Random) -> str:
    what = chance.choice(["slow down", "answers lost", "away"])
    proxy = plant.to_bucket["transfer"]
    if what == "slow down":
        proxy.trap(request_of("PUT", ".mp4"), after=False, then=SLOW_DOWN, times=6)
    elif what == "answers lost":
        proxy.trap(request_of("PUT", ".mp4"), after=True, then="cut", times=6, counts=is_final)
    else:
        proxy.refuse()
    time.sleep(chance.uniform(1, 4))  # until it has met some
    return f"bucket: {what}"


def gateway_troubled(plant: Plant, chance: Random) -> str:
    met = []
    for _ in range(chance.randint(1, 6)):
        fault, provider = chance.choice(AT_GATEWAYS), chance.choice(list(PROVIDERS))
        plant.stand_ins.fault(provider, times=chance.randint(1, 3), **fault)
        met.append(f"{provider} {fault['fault']}")
    time.sleep(chance.uniform(1, 4))  # until orders have met them
    return ", ".join(met)


MISFORTUNES: list[Callable[[Plant, Random], str]] = [
    killed,
    frozen,
    restarted,
    valkey_troubled,
    database_restarted,
    connections_cut,
    commits_cut,
    bucket_troubled,
    gateway_troubled,
    gateway_troubled,
]
