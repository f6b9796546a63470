"""docker-compose.yml and what it is built from, as far as can be said without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_file
import pytest
import yaml
from compose_file import COMPOSE, ROOT

from jobs.environment.callers import PORT_STEPS
from jobs.environment.numbers import NUMBERS
from jobs.providers.registry import PROVIDERS
from jobs.settings import load

ENV = compose_file.filled_in()
SERVICES = compose_file.services(ENV)
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("rushes:")}
STORES = ("postgres", "valkey", "seaweedfs")
NO_HEALTH = {"migrate": "it ends by itself", "prune": "it works once a day"}
ASIDE = {"migrate", "prune"}  # ours, and no lines of the Procfile
ORDERS_OR_ASKS = ("web", "worker", "transfer", "sweep")  # what needs the keys of gateways
# What .env must hold: without each of these something would be open, or signed with nothing.
SECRETS = {"POSTGRES_PASSWORD", "POSTGRES_ADMIN_PASSWORD", "VALKEY_PASSWORD", "AWS_SECRET_ACCESS_KEY"}
SECRETS |= {"SEAWEEDFS_CERTIFICATE", "RUSHES_CALLBACK_KEYS"}


def follows_the_schema(file: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@pytest.fixture(params=SERVICES, ids=str)
def service(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, SERVICES[request.param]


def test_the_file_follows_the_published_schema(tmp_path: Path) -> None:
    assert follows_the_schema(COMPOSE)
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("mem_limit:", "memory_limit:", 1))
    assert not follows_the_schema(wrong)


@pytest.mark.parametrize(
    "env", [{}, {"RUSHES_WORKER_SLOTS": "3", "RUSHES_TRANSFER_SLOTS": "4"}], ids=["default", "set"]
)
def test_the_commands_are_those_of_the_procfile(env: dict[str, str]) -> None:
    env = compose_file.filled_in(**env)
    services = compose_file.services(env)
    lines = set(OURS) - {"prune"}
    commands = {name: compose_file.command(services[name]) for name in lines}
    expected = {name: compose_file.from_procfile(services[name], env).get(name) for name in lines}
    expected["migrate"] = ["rushes", "db", "upgrade"]
    assert commands == expected


def test_there_is_a_service_for_each_line_of_the_procfile() -> None:
    lines = compose_file.from_procfile(SERVICES["web"], ENV)
    assert set(OURS) - ASIDE == set(lines)
    assert len(lines) == PORT_STEPS, "how far web's port may lie below that of another line"


@pytest.mark.parametrize("name", sorted({*SECRETS, "RUSHES_DOMAIN", "AWS_ACCESS_KEY_ID"}))
def test_without_a_secret_nothing_starts(name: str) -> None:
    with pytest.raises(AssertionError, match=f"{name} is not set: see .env.example"):
        compose_file.services(ENV | {name: ""})


def test_no_process_of_ours_is_told_what_opens_the_stores_inside() -> None:
    for name, given in OURS.items():
        told = compose_file.environment(given, ENV)
        assert {told["POSTGRES_ADMIN_PASSWORD"], told["SEAWEEDFS_CERTIFICATE"]} == {""}, name


def test_each_service_is_shut_in(service: tuple[str, dict[str, Any]]) -> None:
    name, given = service
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", given["user"]), "root"
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert given.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert "no-new-privileges:true" in given["security_opt"]
    assert given["mem_limit"]
    assert given["pids_limit"]


def test_each_service_is_looked_after(service: tuple[str, dict[str, Any]]) -> None:
    name, given = service
    assert ("healthcheck" in given) is (name not in NO_HEALTH)
    assert given["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert {"max-size", "max-file"} <= set(given["logging"]["options"])
    assert seconds(given["stop_grace_period"]) >= 15


def test_each_image_is_pinned_to_a_major_version(service: tuple[str, dict[str, Any]]) -> None:
    _, given = service
    assert re.fullmatch(r"[a-z/]+:\d+(\.\d+)*", given["image"])


def test_only_the_proxy_is_published_beyond_loopback() -> None:
    published = {name: given["ports"] for name, given in SERVICES.items() if "ports" in given}
    assert published.pop("proxy") == ["80:8080", "443:8443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_proxy_reaches_no_store() -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["stores"] == {"internal": True}
    assert all("stores" in SERVICES[name]["networks"] for name in (*STORES, *OURS))
    assert [name for name, given in SERVICES.items() if "edge" in given["networks"]] == ["proxy", "web"]
    assert not set(SERVICES["proxy"]["networks"]) & set(SERVICES["seaweedfs"]["networks"])


def test_the_processes_wait_for_the_stores_and_the_migration() -> None:
    expected = {name: {"condition": "service_healthy"} for name in STORES}
    expected["migrate"] = {"condition": "service_completed_successfully"}
    assert all(given["depends_on"] == expected for name, given in OURS.items() if name != "migrate")
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_a_submit_or_a_notice_on_its_way_may_finish_before_a_stop() -> None:
    for name, deadline in (("worker", "SUBMIT_DEADLINE_S"), ("notify", "NOTICE_DEADLINE_S")):
        assert seconds(SERVICES[name]["stop_grace_period"]) > NUMBERS[deadline][0]


def test_the_folder_with_answers_that_the_database_could_not_take_outlives_its_container() -> None:
    worker = SERVICES["worker"]
    [volume] = [each for each in worker["volumes"] if each.endswith(f":{worker['environment']['RUSHES_DATA_DIR']}")]
    assert volume.partition(":")[0] in yaml.safe_load(COMPOSE.read_text())["volumes"]
    assert not any(worker["environment"]["RUSHES_DATA_DIR"] in each for each in worker.get("tmpfs", []))


def test_no_secret_stands_in_a_command_line(service: tuple[str, dict[str, Any]]) -> None:
    _, given = service
    assert compose_file.SECRET not in str(given.get("command")) + str(given.get("healthcheck"))


@pytest.mark.parametrize("end", ["", "_FILE"])
def test_what_talks_to_no_gateway_or_no_bucket_is_not_told_its_keys(tmp_path: Path, end: str) -> None:
    """Neither as they are nor by files, whose names alone would keep a process from starting where they are absent."""
    (tmp_path / "key").write_text("a-key-of-sixteen")
    keys = {f"RUSHES_{name.upper()}_API_KEY{which}" for name in PROVIDERS for which in ("", "_PREVIOUS")}
    bucket = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    told = {f"{name}{end}": str(tmp_path / "key") if end else "a-key-of-sixteen" for name in keys | bucket}
    env = {name: value for name, value in ENV.items() if name not in bucket} | told
    for name, service in OURS.items():
        settings = load(compose_file.environment(service, env))
        opens = {settings.s3_access_key, settings.s3_secret_key, settings.s3_session_token} - {None}
        assert bool(settings.accounts or settings.previous_accounts) is (name in ORDERS_OR_ASKS), name
        assert bool(opens) is (name in (*ORDERS_OR_ASKS, "prune")), name
        assert set(service["networks"]) - {"stores"} or not opens or name == "sweep", (
            f"{name} reaches no bucket elsewhere"
        )


def test_valkey_keeps_what_it_is_given() -> None:
    configuration = SERVICES["valkey"]["command"][-1].splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction", 'requirepass "$VALKEY_PASSWORD"'} <= set(configuration)


def test_the_image_is_what_compose_takes_it_for() -> None:
    build, run = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-2:]
    assert "--require-hashes --only-binary :all: -r requirements.txt" in build
    assert "--require-hashes --only-binary :all: -r requirements-build.txt" in build
    assert "pip install --no-deps --no-build-isolation ." in build
    assert "http" not in build + run, "an index host"
    assert all(f"USER {given['user']}\n" in run for given in OURS.values())
    assert all(given["environment"]["RUSHES_DATA_DIR"] == "/var/lib/rushes" for given in OURS.values())
    assert "0700 /var/lib/rushes" in run


def test_nothing_goes_into_the_image_unless_it_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    named = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "*" in lines
    assert named == {name for words in copied for name in words.split()}


def test_the_proxy_hands_on_callbacks_alone_and_as_large_as_the_receiver_takes_them() -> None:
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    default = f"{NUMBERS['MAX_BODY_BYTES'][0]:.0f}"
    assert f"max_size {{$RUSHES_MAX_BODY_BYTES:{default}}}" in caddyfile
    assert SERVICES["proxy"]["environment"] == {"RUSHES_DOMAIN": ENV["RUSHES_DOMAIN"], "RUSHES_MAX_BODY_BYTES": default}
    assert caddyfile.count("reverse_proxy") == 1
    assert "method POST\n\t\tpath /webhooks/*\n" in caddyfile
    assert "request>uri delete" in caddyfile, "its paths hold tokens"
