from __future__ import annotations

from pathlib import Path

import pytest

from jobs.environment.numbers import GOING, LONGER_THAN, NUMBERS
from jobs.errors import BadSettings
from jobs.settings import load
from storage.rules import StoreRules

KEYS = "k1:0123456789abcdef0123456789abcdef"
BASE = {"RUSHES_S3_BUCKET": "videos"}


def faults(**variables: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load({**BASE, **variables})
    assert all("\n" not in line for line in caught.value.faults)
    return caught.value.faults


def test_a_bucket_is_all_that_must_be_said() -> None:
    settings = load(BASE)
    assert settings.s3_bucket == "videos"
    assert settings.database_url == f"sqlite:///{Path('.rushes').absolute()}/rushes.db"
    assert settings.public_url is None
    assert settings.allow_private_addresses is False
    assert settings.submit_deadline_s == 60
    assert settings.max_in_flight == 50


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RUSHES_S3_BUCKET", "Not A Bucket", "no name of a bucket"),
        ("RUSHES_S3_BUCKET", "", "is missing"),
        ("RUSHES_ALLOW_PRIVATE_ADDRESSES", "yes", "'yes'"),
        ("RUSHES_STAND_INS", "evolnik", "evolink"),
        ("RUSHES_STAND_INS", "evolink", "RUSHES_EVOLINK_BASE_URL must say"),
        ("RUSHES_REDIS_URL", "http://host", "example: redis://"),
        ("RUSHES_S3_ENDPOINT_URL", "s3.example.com", "example: https://s3.example.com"),
        ("RUSHES_S3_ENDPOINT_URL", "https://[::1", "example: https://s3.example.com"),
        ("RUSHES_S3_ADDRESSING", "dns", "path, virtual"),
        ("RUSHES_S3_CHECKSUM", "crc32", "sha256, md5, none"),
        ("RUSHES_S3_CONDITION", "off", "if-none-match, x-oss-forbid-overwrite"),
        ("RUSHES_S3_ENCRYPTION", "yes", "AES256, aws:kms"),
        ("RUSHES_S3_ENCRYPTION_KEY", "alias/films", "RUSHES_S3_ENCRYPTION=aws:kms"),
        ("RUSHES_DATABASE_URL", "mysql://u:hidden@host/d", "neither PostgreSQL nor SQLite"),
        ("RUSHES_DATABASE_URL", "nonsense", "neither PostgreSQL nor SQLite"),
        ("RUSHES_CALLBACK_KEYS", "k1:short", "kid:secret,kid:secret"),
        ("RUSHES_CALLBACK_KEYS", f"{KEYS},{KEYS}", "kid:secret,kid:secret"),
        ("RUSHES_NOTICE_SECRETS", "secret", "whsec_"),
        ("RUSHES_NOTIFY_HOSTS", "pipeline:8000,http://pipeline", "'http://pipeline'"),
        ("RUSHES_NOTIFY_CLOSED", "8888,seaweedfs:http", "'seaweedfs:http'"),
        ("RUSHES_EVOLINK_API_KEY", "with space", "characters that no key has"),
        ("RUSHES_EVOLINK_BASE_URL", "evolink", "RUSHES_EVOLINK_BASE_URL"),
        ("RUSHES_SWEEP_INTERVAL_S", "soon", "RUSHES_SWEEP_INTERVAL_S=10"),
        ("RUSHES_SWEEP_INTERVAL_S", "0", "a number above zero"),
        ("RUSHES_SWEEP_INTERVAL_S", "nan", "a number above zero"),
        ("RUSHES_SWEEP_INTERVAL_S", "inf", "a number above zero"),
        ("RUSHES_MAX_ATTEMPTS", "1.5", "RUSHES_MAX_ATTEMPTS=2"),
        ("RUSHES_MAX_ATTEMPTS", "-1", "a number above zero"),
        ("RUSHES_EVOLINK_DAILY_USD", "-1", "RUSHES_EVOLINK_DAILY_USD=50"),
        ("RUSHES_EVOLINK_DAILY_USD", "plenty", "not an amount of US dollars"),
        ("RUSHES_EVOLINK_QUERIES_PER_S", "0", "above zero, up to 1000"),
        ("RUSHES_EVOLINK_QUERIES_PER_S", "1001", "above zero, up to 1000"),
        ("RUSHES_EVOLINK_QUERIES_PER_S", "nan", "above zero, up to 1000"),
        ("RUSHES_EVOLINK_QUERIES_PER_S", "fast", "RUSHES_EVOLINK_QUERIES_PER_S=5"),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable(name: str, value: str, said: str) -> None:
    lines = faults(**{name: value})
    assert len(lines) == 1
    assert name in lines[0]
    assert said in lines[0]


def test_a_fault_never_tells_the_secret() -> None:
    lines = faults(
        RUSHES_DATABASE_URL="mysql://u:hidden@host/d",
        RUSHES_REDIS_URL="http://:hidden@host",
        RUSHES_CALLBACK_KEYS="k1:hidden",
        RUSHES_NOTICE_SECRETS="hidden",
        RUSHES_EVOLINK_API_KEY="hidden hidden",
    )
    assert len(lines) == 5
    assert not any("hidden" in line for line in lines)


def test_all_faults_are_told_together() -> None:
    lines = faults(RUSHES_S3_BUCKET="", RUSHES_REDIS_URL="x", RUSHES_MAX_ATTEMPTS="x")
    assert len(lines) == 3


@pytest.mark.parametrize(("longer", "shorter"), LONGER_THAN)
def test_a_lease_outlasts_its_deadline(longer: str, shorter: str) -> None:
    lines = faults(**{f"RUSHES_{longer}": f"{NUMBERS[shorter][0]:g}"})
    assert len(lines) == 1
    assert f"RUSHES_{longer}" in lines[0]
    assert f"RUSHES_{shorter}" in lines[0]


@pytest.mark.parametrize(("name", "old"), GOING.items())
def test_a_lease_may_still_be_set_under_its_old_name_and_not_under_both(name: str, old: str) -> None:
    assert getattr(load({**BASE, f"RUSHES_{old}": "1000"}), name.lower()) == 1000
    lines = faults(**{f"RUSHES_{old}": "1000", f"RUSHES_{name}": "1000"})
    assert len(lines) == 1
    assert f"RUSHES_{old}, its old name" in lines[0]


@pytest.mark.parametrize("name", ["POLL_INTERVAL_S", "LIFE_S"])
def test_zero_leaves_it_to_the_gateway(name: str) -> None:
    assert load({**BASE, f"RUSHES_{name}": "0"})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_the_table_can_be_set(name: str) -> None:
    value = 2_000_000
    environ = {**BASE, f"RUSHES_{name}": str(value)}
    for longer, shorter in LONGER_THAN:
        if shorter == name:
            environ[f"RUSHES_{longer}"] = str(value + 1)
    assert getattr(load(environ), name.lower()) == value


class TestFiles:
    def test_a_secret_may_stand_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("sk-from-file\n")
        settings = load({**BASE, "RUSHES_EVOLINK_API_KEY_FILE": str(path)})
        assert settings.accounts["evolink"].api_key == "sk-from-file"

    def test_a_file_that_cannot_be_read_is_a_fault(self, tmp_path: Path) -> None:
        lines = faults(RUSHES_EVOLINK_API_KEY_FILE=str(tmp_path / "none"))
        assert len(lines) == 1
        assert "RUSHES_EVOLINK_API_KEY_FILE" in lines[0]
        assert "FileNotFoundError" in lines[0]

    def test_bytes_that_are_no_text_are_a_fault(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(b"\xff\xfe")
        assert "UnicodeDecodeError" in faults(AWS_SECRET_ACCESS_KEY_FILE=str(path))[0]

    def test_variable_and_file_together_are_a_fault(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("x")
        lines = faults(RUSHES_EVOLINK_API_KEY="sk-1", RUSHES_EVOLINK_API_KEY_FILE=str(path))
        assert lines == ["RUSHES_EVOLINK_API_KEY and RUSHES_EVOLINK_API_KEY_FILE are both set; keep one."]

    def test_an_empty_file_counts_as_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "bucket"
        path.write_text("\n")
        assert "missing" in faults(RUSHES_S3_BUCKET="", RUSHES_S3_BUCKET_FILE=str(path))[0]


def test_a_store_is_spoken_to_as_it_wants() -> None:
    assert load(BASE).s3_rules == StoreRules(None, "sha256", "if-none-match", None, None)
    said = {"ADDRESSING": "Virtual", "CHECKSUM": "MD5", "CONDITION": "head", "ENCRYPTION": "aws:kms"}
    variables = {f"RUSHES_S3_{name}": value for name, value in said.items()}
    rules = load({**BASE, **variables, "RUSHES_S3_ENCRYPTION_KEY": "alias/films"}).s3_rules
    assert rules == StoreRules("virtual", "md5", "head", "aws:kms", "alias/films")


@pytest.mark.parametrize("changes", [{"RUSHES_S3_ENDPOINT_URL": "http://10.0.0.1:9000"}, {"RUSHES_S3_BUCKET": "a.b"}])
def test_a_bucket_that_cannot_stand_in_a_hosts_name_is_told(changes: dict[str, str]) -> None:
    [fault] = faults(RUSHES_S3_ADDRESSING="virtual", **changes)
    assert "RUSHES_S3_ADDRESSING" in fault


def test_secrets_are_hidden_from_repr() -> None:
    secret = "whsec_" + "A" * 32
    settings = load(
        {
            **BASE,
            "RUSHES_DATABASE_URL": "postgresql://u:hidden1@host/d",
            "RUSHES_REDIS_URL": "redis://:hidden2@host",
            "RUSHES_CALLBACK_KEYS": "k1:hidden3hidden3hidden3",
            "RUSHES_NOTICE_SECRETS": secret,
            "RUSHES_EVOLINK_API_KEY": "hidden4",
            "RUSHES_EVOLINK_API_KEY_PREVIOUS": "hidden5",
            "AWS_ACCESS_KEY_ID": "hidden6",
            "AWS_SECRET_ACCESS_KEY": "hidden7",
        }
    )
    assert "hidden" not in repr(settings)
    assert "hidden" not in repr(settings.accounts)
    assert secret not in repr(settings)


class TestPublicUrl:
    def test_plain_http_is_refused_with_a_gateway_that_takes_https_only(self) -> None:
        lines = faults(RUSHES_PUBLIC_URL="http://host", RUSHES_CALLBACK_KEYS=KEYS, RUSHES_EVOLINK_API_KEY="sk-1")
        assert lines == ["RUSHES_PUBLIC_URL is plain http, which evolink does not take; use https."]

    def test_unless_private_addresses_are_allowed(self) -> None:
        settings = load(
            {
                **BASE,
                "RUSHES_PUBLIC_URL": "http://host",
                "RUSHES_CALLBACK_KEYS": KEYS,
                "RUSHES_EVOLINK_API_KEY": "sk-1",
                "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
            }
        )
        assert settings.public_url == "http://host"

    def test_or_unless_it_is_a_stand_in(self) -> None:
        environ = {"RUSHES_PUBLIC_URL": "http://h", "RUSHES_CALLBACK_KEYS": KEYS, "RUSHES_EVOLINK_API_KEY": "sk-1"}
        there = {"RUSHES_STAND_INS": "evolink", "RUSHES_EVOLINK_BASE_URL": "http://stand-in"}
        assert load({**BASE, **environ, **there}).accounts["evolink"].is_stand_in

    def test_or_unless_no_such_gateway_has_a_key(self) -> None:
        environ = {"RUSHES_PUBLIC_URL": "http://h", "RUSHES_CALLBACK_KEYS": KEYS, "RUSHES_GRAVITEX_API_KEY": "sk-1"}
        assert load({**BASE, **environ})

    def test_it_needs_callback_keys(self) -> None:
        lines = faults(RUSHES_PUBLIC_URL="https://host")
        assert len(lines) == 1
        assert lines[0].startswith("RUSHES_CALLBACK_KEYS is missing")

    def test_a_slash_at_its_end_is_dropped(self) -> None:
        settings = load({**BASE, "RUSHES_PUBLIC_URL": "https://host/base/", "RUSHES_CALLBACK_KEYS": KEYS})
        assert settings.public_url == "https://host/base"


def test_the_first_callback_key_signs() -> None:
    settings = load({**BASE, "RUSHES_CALLBACK_KEYS": "new:0123456789abcdef, old:fedcba9876543210"})
    assert list(settings.callback_keys) == ["new", "old"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_psycopg(scheme: str) -> None:
    settings = load({**BASE, "RUSHES_DATABASE_URL": f"{scheme}://u:p@host/d"})
    assert settings.database_url == "postgresql+psycopg://u:p@host/d"


def test_an_attempt_finds_the_key_that_it_was_sent_with() -> None:
    environ = {"RUSHES_EVOLINK_API_KEY": "sk-new", "RUSHES_EVOLINK_API_KEY_PREVIOUS": "sk-old"}
    settings = load({**BASE, **environ})
    new, old = settings.accounts["evolink"], settings.previous_accounts["evolink"]
    assert settings.account_of("evolink", new.fingerprint) is new
    assert settings.account_of("evolink", old.fingerprint) is old
    assert settings.account_of("evolink", "0" * 16) is None
    assert settings.account_of("gravitex", new.fingerprint) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RUSHES_EVOLINK_DALY_USD", "RUSHES_EVOLINK_DAILY_USD"),
        ("RUSHES_EVOLINK_DAILY_USDS", "RUSHES_EVOLINK_DAILY_USD"),
        ("RUSHES_DAILY_USD_EVOLINK", "RUSHES_EVOLINK_DAILY_USD"),
        ("RUSHES_EVOLINK_BUDGET_DAILY_USD", "RUSHES_EVOLINK_DAILY_USD"),
        ("rushes_evolink_daily_usd", "RUSHES_EVOLINK_DAILY_USD"),
        ("RUSHS_EVOLINK_DAILY_USD", "RUSHES_EVOLINK_DAILY_USD"),
        ("RUSHES_MAX_INFLIGHT", "RUSHES_MAX_IN_FLIGHT"),
        ("RUSHES_EVOLINK_APIKEY_FILE", "RUSHES_EVOLINK_API_KEY"),
        ("RUSHES_PUBLC_URL", "RUSHES_PUBLIC_URL"),
    ],
)
def test_a_misspelt_variable_is_a_fault_that_names_the_one_that_was_meant(name: str, meant: str) -> None:
    assert faults(**{name: "50"}) == [f"{name} is no setting; did you mean {meant}?"]


def test_a_variable_like_none_of_ours_is_a_fault_and_an_empty_one_is_not() -> None:
    assert faults(RUSHES_QQ="1") == ["RUSHES_QQ is no setting: see docs/settings.md."]
    assert faults(RUSHES_WEB_PORT="8080") == ["RUSHES_WEB_PORT is no setting; did you mean RUSHES_PORT?"]
    assert faults(RUSHES_WEB_NAME="web")
    load({**BASE, "RUSHES_QQ": " "})


def test_variables_that_orchestrators_inject_and_other_programs_have_are_left_alone() -> None:
    address = "tcp://10.0.0.1:8000"
    of_services = {
        **dict.fromkeys(("RUSHES_PORT", "RUSHES_WEB_PORT", "RUSHES_PORT_8000_TCP"), address),
        **dict.fromkeys(("RUSHES_SERVICE_PORT", "RUSHES_SERVICE_PORT_HTTP", "RUSHES_PORT_8000_TCP_PORT"), "8000"),
        **dict.fromkeys(
            ("RUSHES_SERVICE_HOST", "RUSHES_PORT_8000_TCP_ADDR", "RUSHES_DNS_PORT_53_UDP_ADDR"), "10.0.0.1"
        ),
        "RUSHES_PORT_8000_TCP_PROTO": "tcp",
        "RUSHES_VALKEY_MASTER_SERVICE_PORT_TCP_REDIS": "6379",
    }
    of_links = {
        **dict.fromkeys(("RUSHES_DB_PORT", "RUSHES_DB_PORT_5432_TCP_START"), "tcp://172.17.0.5:5432"),
        "RUSHES_DB_NAME": "/web/rushes_db",
        "RUSHES_DB_ENV_PGDATA": "/data",
        "RUSHES_DB_PORT_5432_TCP_PORT_END": "5432",
    }
    load({**BASE, **of_services, **of_links, "RUSH_HOUR": "8", "PUBLIC_URL": "x", "EVOLINK_DAILY_USD": "5"})


def test_each_setting_can_be_given_as_a_file_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "told").write_text("7")
    assert load({**BASE, "RUSHES_MAX_IN_FLIGHT_FILE": str(tmp_path / "told")}).max_in_flight == 7
    assert faults(RUSHES_HOST_FILE="/etc/host") == ["RUSHES_HOST_FILE is no setting; did you mean RUSHES_HOST?"]
