from pathlib import Path
from typing import Any

import pytest

from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from rushes.local.plan import Flags, Plan, plan

PORTS = {f"{server}.port{kind}": 1 for server in ("s3", "filer", "master", "volume", "admin") for kind in ("", ".grpc")}
KEPT: dict[str, Any] = {
    "valkey": {"port": 20001, "password": "valkey-password"},
    "seaweedfs": {"ports": {**PORTS, "s3.port": 20002}, "access_key": "own-access", "secret_key": "own-secret"},
    "sandbox": {"port": 20003},
    "callback_keys": "k1:" + "0" * 64,
    "notice_secrets": "whsec_" + "A" * 44,
}
SANDBOX = Flags(port=8081, sandbox=True)


def made(environ: dict[str, str], flags: Flags = SANDBOX) -> Plan:
    return plan(environ, KEPT, flags, data_dir=Path("/data"), bin_dir=Path("/venv/bin"))


def test_everything_is_started_here_when_the_environment_says_nothing() -> None:
    planned = made({})
    settings = load(planned.service)
    assert planned.valkey
    assert planned.seaweedfs
    assert planned.sandbox_port == 20003
    assert settings.redis_url == "redis://:valkey-password@127.0.0.1:20001/0"
    assert settings.database_url == "sqlite:////data/rushes.db"
    assert (settings.s3_endpoint_url, settings.s3_bucket) == ("http://127.0.0.1:20002", "rushes")
    assert (settings.s3_access_key, settings.s3_secret_key) == ("own-access", "own-secret")
    assert list(settings.callback_keys) == ["k1"]
    assert settings.notice_secrets == (KEPT["notice_secrets"],)


def test_the_sandbox_stands_in_for_every_gateway_without_a_key() -> None:
    planned = made({})
    settings = load(planned.service)
    assert planned.simulated == tuple(PROVIDERS)
    assert {a.base_url for a in settings.accounts.values()} == {f"http://127.0.0.1:20003/{name}" for name in PROVIDERS}
    assert settings.allow_private_addresses
    assert settings.public_url == "http://127.0.0.1:8081"


def test_a_gateway_with_a_key_is_real_and_is_given_no_loopback_address() -> None:
    planned = made({"RUSHES_EVOLINK_API_KEY": "real"})
    settings = load(planned.service)
    assert planned.real == ("evolink",)
    assert "evolink" not in planned.simulated
    assert settings.accounts["evolink"].base_url == PROVIDERS["evolink"].base_url
    assert settings.public_url is None
    assert not settings.allow_private_addresses
    assert {name for name, account in settings.accounts.items() if account.is_stand_in} == set(planned.simulated)


def test_a_key_in_a_file_makes_a_gateway_real(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("real\n")
    assert made({"RUSHES_EVOLINK_API_KEY_FILE": str(tmp_path / "key")}).real == ("evolink",)


def test_a_gateway_with_a_previous_key_alone_is_real_and_its_links_lead_nowhere_inside() -> None:
    planned = made({"RUSHES_EVOLINK_API_KEY_PREVIOUS": "real"})
    settings = load(planned.service)
    assert (planned.real, "evolink" in planned.simulated) == (("evolink",), False)
    assert settings.previous_accounts["evolink"].base_url == PROVIDERS["evolink"].base_url
    assert not settings.previous_accounts["evolink"].is_stand_in
    assert not settings.allow_private_addresses


def test_without_the_sandbox_only_real_gateways_are_there() -> None:
    planned = made({"RUSHES_EVOLINK_API_KEY": "real"}, Flags())
    assert planned.simulated == ()
    assert planned.sandbox_port is None
    assert "RUSHES_ALLOW_PRIVATE_ADDRESSES" not in planned.service
    assert list(load(planned.service).accounts) == ["evolink"]


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_part_that_the_environment_names_is_not_started_here(suffix: str) -> None:
    assert made({f"RUSHES_REDIS_URL{suffix}": "redis://elsewhere"}).valkey is None
    planned = made({"RUSHES_S3_BUCKET": "theirs", "AWS_ACCESS_KEY_ID": "a", "AWS_PROFILE": "p"})
    assert planned.seaweedfs is None
    assert planned.service["AWS_ACCESS_KEY_ID"] == "a"
    assert planned.service["AWS_PROFILE"] == "p"
    assert "RUSHES_S3_ENDPOINT_URL" not in planned.service


def test_what_the_environment_sets_wins_over_what_was_made_up() -> None:
    theirs = {
        "RUSHES_DATABASE_URL": "postgresql://there/db",
        "RUSHES_PUBLIC_URL": "https://rushes.example",
        "RUSHES_CALLBACK_KEYS": "mine:" + "1" * 32,
        "RUSHES_NOTICE_SECRETS": "whsec_" + "B" * 44,
        "RUSHES_SWEEP_INTERVAL_S": "3",
    }
    planned = made(theirs)
    assert theirs.items() <= planned.service.items()
    assert set(planned.outside) == set(theirs)


def test_credentials_of_another_cloud_do_not_reach_a_store_of_our_own() -> None:
    planned = made({"AWS_SESSION_TOKEN": "t", "AWS_ACCESS_KEY_ID_FILE": "/f", "AWS_PROFILE": "p"})
    assert {n for n in planned.service if n.startswith("AWS_")} == {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    }


def test_how_another_store_wants_to_be_spoken_to_does_not_reach_a_store_of_our_own() -> None:
    theirs = {"RUSHES_S3_ENCRYPTION": "aws:kms", "RUSHES_S3_ENCRYPTION_KEY": "k", "RUSHES_S3_CONDITION": "head"}
    assert not theirs.keys() & made(theirs).service.keys()
    assert theirs.keys() <= made({**theirs, "RUSHES_S3_BUCKET": "theirs"}).service.keys()


def test_children_get_what_they_need_and_nothing_else() -> None:
    environ = {"PATH": "/usr/bin", "HOME": "/root", "LC_ALL": "C", "SSH_AUTH_SOCK": "/s", "GITHUB_TOKEN": "t"}
    environ |= {"PYTHONPATH": "/p", "RUSHES_API_KEY": "rk_mine", "RUSHES_URL": "http://there", "NO_COLOR": "1"}
    planned = made(environ)
    for given in (planned.service, planned.bare):
        assert given["PATH"] == "/venv/bin:/usr/bin"
        assert (given["HOME"], given["LC_ALL"], given["NO_COLOR"]) == ("/root", "C", "1")
        assert not given.keys() & {"SSH_AUTH_SOCK", "GITHUB_TOKEN", "PYTHONPATH", "RUSHES_API_KEY", "RUSHES_URL"}
    assert not [name for name in planned.bare if name.startswith(("RUSHES_", "AWS_"))]


def test_no_notice_may_go_to_a_port_of_what_is_started_here() -> None:
    planned = made({"RUSHES_NOTIFY_HOSTS": "127.0.0.0/8:20002", "RUSHES_NOTIFY_CLOSED": "hub:9000"})
    own = load(planned.service).notice_receivers.own
    assert {(None, port) for port in (1, 20001, 20002, 20003)} | {("hub", 9000)} <= set(own)


def test_what_an_orchestrator_injects_is_no_setting_of_ours() -> None:
    planned = made({"RUSHES_WEB_PORT": "tcp://10.0.0.1:80", "RUSHES_SERVICE_HOST": "10.0.0.1"})
    assert planned.outside == ()
    assert not planned.service.keys() & {"RUSHES_WEB_PORT", "RUSHES_SERVICE_HOST"}


def test_a_path_means_the_same_to_what_is_started_in_another_folder() -> None:
    here = Path.cwd()
    told = {"RUSHES_EVOLINK_API_KEY_FILE": "key", "AWS_SECRET_ACCESS_KEY_FILE": "/etc/key", "SSL_CERT_FILE": "ca.pem"}
    planned = made({**told, "RUSHES_DATABASE_URL": "sqlite:///a.db", "RUSHES_S3_BUCKET": "theirs"})
    assert planned.service["RUSHES_EVOLINK_API_KEY_FILE"] == f"{here}/key"
    assert planned.service["AWS_SECRET_ACCESS_KEY_FILE"] == "/etc/key"
    assert planned.service["SSL_CERT_FILE"] == f"{here}/ca.pem"
    assert planned.service["RUSHES_DATABASE_URL"] == f"sqlite:///{here}/a.db"
    urls = {
        "RUSHES_DATABASE_URL": "postgres://u:p@h/d?sslmode=verify-full&sslrootcert={}ca.pem",
        "RUSHES_REDIS_URL": "rediss://h/0?ssl_ca_certs={0}ca.pem&ssl_keyfile={0}my%20key.pem",
    }
    planned = made({name: url.format("") for name, url in urls.items()})
    for name, url in urls.items():
        assert planned.service[name] == url.format(f"{here}/")
    told = "postgres://u:p@h/d?sslrootcert=system&sslkey=/etc/key"
    assert made({"RUSHES_DATABASE_URL": told}).service["RUSHES_DATABASE_URL"] == told


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    planned = made({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "corp.example"})
    assert planned.service["HTTPS_PROXY"] == "http://proxy"
    assert planned.service["NO_PROXY"] == "corp.example,127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:8081"),
        ("0.0.0.0", "http://127.0.0.1:8081"),
        ("::", "http://[::1]:8081"),
        ("::1", "http://[::1]:8081"),
        ("10.0.0.5", "http://10.0.0.5:8081"),
    ],
)
def test_the_address_is_one_that_can_be_called(host: str, url: str) -> None:
    assert made({"RUSHES_HOST": host}).url == url


def test_secrets_do_not_show_in_its_repr() -> None:
    shown = repr(made({"RUSHES_EVOLINK_API_KEY": "real-key"}))
    for secret in ("real-key", "own-secret", "valkey-password", "0" * 64):
        assert secret not in shown
