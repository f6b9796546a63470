"""`rushes doctor` on a whole installation, and with each part of it broken in turn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from canaries import canary
from click.testing import CliRunner
from flask import Flask, Response, jsonify, redirect, request
from odd_store import ACCESS_KEY, BUCKET, OddStore, Refusal, Ways
from served import Served, serve_app
from test_core_troubles import make_due
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.steps.store_trial import FOLDER
from jobs.store import postgres
from jobs.store.database import Database
from jobs.store.tables import heartbeats, inbox
from rushes.cli import main
from rushes.doctor import store
from rushes.local.valkey import Valkey
from storage.bucket import Bucket
from storage.errors import BucketRefuses
from storage.spool import MARGIN_BYTES

KEY = canary()
SECRET = "whsec_" + "A" * 32
Told = dict[str, dict[str, Any]]
Doctor = Callable[..., Told]


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """A few pages on a real port."""
    servers: list[Served] = []

    def served(app: Flask) -> str:
        servers.append(serve_app(app))
        return servers[-1].url

    yield served
    for server in servers:
        server.close()


def api() -> Flask:
    """As much of the API as the doctor looks at."""
    app = Flask(__name__)

    @app.get("/readyz")
    def ready() -> Response:
        return jsonify(status="ok", parts={"database": "ok", "worker": "ok"})

    @app.get("/v1/jobs")
    def jobs() -> tuple[Response, int]:
        return jsonify(data=[]), 200 if request.headers.get("Authorization") == f"Bearer {KEY}" else 401

    return app


@pytest.fixture
def doctor(
    workshop: Workshop,
    receiver: Served,
    valkey: Valkey,
    serve: Callable[[Flask], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Doctor:
    """The command on a whole installation, but for what a test changes; findings by what was looked at."""
    config = workshop.bucket.config
    env = {
        **workshop.env,
        "RUSHES_REDIS_URL": valkey.url,
        "RUSHES_PUBLIC_URL": receiver.url,
        "RUSHES_NOTICE_SECRETS": SECRET,
        "AWS_ACCESS_KEY_ID": str(config.access_key),
        "AWS_SECRET_ACCESS_KEY": str(config.secret_key),
        "AWS_REGION": "us-east-1",
        "RUSHES_URL": serve(api()),
        "RUSHES_API_KEY": KEY,
    }

    def run(*, failing: bool, **changes: str) -> Told:
        for name, value in {**env, **changes}.items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(main, ["doctor", "--json"])
        assert result.exit_code == int(failing), result.output
        told = json.loads(result.stdout)
        assert told["ok"] is not failing
        for secret in (KEY, SECRET, valkey.password, env["AWS_SECRET_ACCESS_KEY"], "0123456789abcdef"):
            assert secret not in result.output
        return {found["check"]: found for found in told["findings"]}

    return run


def failed(told: Told) -> list[str]:
    return [name for name, found in told.items() if found["verdict"] == "fail"]


def warned(told: Told) -> list[str]:
    return [name for name, found in told.items() if found["verdict"] == "warn"]


def keys(workshop: Workshop) -> list[str]:
    """What the doctor may have left in the bucket: under the installation's prefix, or in its own folder anywhere."""
    prefix = workshop.bucket.config.prefix
    found = [item.key for item in workshop.bucket.listing("")]
    return [key for key in found if key.startswith(prefix) or FOLDER in key]


def test_a_whole_installation_is_well_and_nothing_stays_behind(doctor: Doctor, workshop: Workshop) -> None:
    told = doctor(failing=False)
    assert (failed(told), warned(told)) == ([], ["addresses"])
    checks = ["conditional put", "get", "presigned link", "delete", "lifecycle", "callbacks", "service", "processes"]
    checks.append("evolink links")
    assert set(checks) <= set(told)
    assert all(found["then"] for found in told.values() if found["verdict"] != "ok")
    assert keys(workshop) == []
    with workshop.database.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(inbox)).scalar_one() == 0


def test_settings_that_are_wrong_are_told_one_by_one(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_S3_BUCKET="No Bucket", RUSHES_SWEEP_INTERVAL_S="often")
    assert list(told) == ["settings", "service", "processes"]


def test_without_a_gateway_s_key_nobody_makes_a_video(doctor: Doctor, workshop: Workshop) -> None:
    none = {name: "" for name in workshop.env if name.endswith("_API_KEY")}
    assert failed(doctor(failing=True, **none)) == ["settings"]


def test_a_data_folder_that_is_not_there_is_told(doctor: Doctor) -> None:
    assert failed(doctor(failing=True, RUSHES_DATA_DIR="/proc/none")) == ["data folder"]


def test_too_little_room_for_a_video_is_a_warning(doctor: Doctor) -> None:
    assert "data folder" in warned(doctor(failing=False, RUSHES_MAX_VIDEO_BYTES=str(10**12 - 1)))


def test_a_database_that_is_away_is_told(doctor: Doctor) -> None:
    away = f"postgresql://rushes:{canary()}@127.0.0.1:1/rushes"
    told = doctor(failing=True, RUSHES_DATABASE_URL=away)
    assert failed(told) == ["database"]
    assert "RUSHES_DATABASE_URL" in told["database"]["then"]


@pytest.mark.databases("postgresql")
def test_a_server_with_too_few_connections_for_a_host_is_a_warning(doctor: Doctor, workshop: Workshop) -> None:
    with workshop.database.read() as db:
        room = postgres.room(db)
    beside = 30 + 1 + 12 + 12 + 5  # web, beat, transfer, notify, sweep
    for slots, is_enough in ((room - beside - 4, True), (room - beside - 3, False)):
        told = doctor(failing=False, RUSHES_WORKER_SLOTS=str(slots))
        assert ("database connections" not in told) is is_enough
    assert f"the server has {room}" in told["database connections"]["found"]
    assert f" keep {room + 1} " in told["database connections"]["found"]


def test_a_database_of_another_version_is_told(doctor: Doctor, spare_database: Database) -> None:
    with spare_database.write() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    told = doctor(failing=True, RUSHES_DATABASE_URL=spare_database.url.render_as_string(hide_password=False))
    assert (failed(told), told["database"]["then"]) == (["database"], "run `rushes db upgrade`")


def test_a_valkey_that_is_away_is_told(doctor: Doctor) -> None:
    assert failed(doctor(failing=True, RUSHES_REDIS_URL="redis://127.0.0.1:1/0")) == ["valkey"]


def test_a_valkey_that_refuses_our_password_is_told(doctor: Doctor, valkey: Valkey) -> None:
    told = doctor(failing=True, RUSHES_REDIS_URL=f"redis://:{canary()}@127.0.0.1:{valkey.port}/0")
    assert failed(told) == ["valkey"]


def test_a_bucket_that_is_not_there_is_told(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_S3_BUCKET="nobody-made-this-one")
    assert (failed(told), "404" in told["bucket"]["found"]) == (["bucket"], True)


def test_a_key_that_the_store_refuses_is_told(doctor: Doctor) -> None:
    assert failed(doctor(failing=True, AWS_SECRET_ACCESS_KEY=canary())) == ["bucket"]


@pytest.mark.parametrize(("denied", "folder"), [("put_video", "contested/"), ("delete", "unproven/")])
def test_a_key_that_may_keep_nothing_aside_is_told_and_one_that_may_not_delete_it_warned_of(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, denied: str, folder: str
) -> None:
    real = getattr(Bucket, denied)

    def deny(bucket: Bucket, key: str, *more: Any, **named: Any) -> Any:
        if folder in key:
            if denied == "delete":
                real(bucket, key)
            raise BucketRefuses(f"{key}: 403 AccessDenied", status=403, code="AccessDenied")
        return real(bucket, key, *more, **named)

    monkeypatch.setattr(Bucket, denied, deny)
    told = doctor(failing=denied == "put_video")
    assert "kept aside" in (failed if denied == "put_video" else warned)(told)
    assert {"put_video": "s3:PutObject", "delete": "s3:DeleteObject"}[denied] in told["kept aside"]["then"]


def test_little_room_for_films_that_are_kept_aside_is_a_warning(doctor: Doctor, workshop: Workshop) -> None:
    key = f"{workshop.bucket.config.prefix}unproven/{'0' * 64}"
    workshop.bucket.put_small(key, bytes(950), "application/octet-stream")
    told = doctor(failing=False, RUSHES_MAX_UNPROVEN_BYTES="1000")
    assert "kept aside" in warned(told)
    assert "holds 950 bytes, and RUSHES_MAX_UNPROVEN_BYTES is 1000" in told["kept aside"]["found"]
    workshop.bucket.delete(key)


def test_links_that_lead_nowhere_are_told(doctor: Doctor, workshop: Workshop) -> None:
    told = doctor(failing=True, RUSHES_S3_PUBLIC_ENDPOINT_URL="http://127.0.0.1:1")
    assert failed(told) == ["presigned link"]
    assert keys(workshop) == []


def test_a_rule_that_would_delete_videos_is_a_warning(doctor: Doctor, own_bucket: Bucket) -> None:
    name = own_bucket.config.bucket
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    own_bucket._client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    told = doctor(failing=False, RUSHES_S3_BUCKET=name)
    assert "lifecycle" in warned(told)
    assert "tidy" in told["lifecycle"]["found"]


def test_a_gateway_that_refuses_the_key_is_told(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_EVOLINK_API_KEY=canary())
    assert (failed(told), "RUSHES_EVOLINK_API_KEY" in told["evolink"]["then"]) == (["evolink"], True)


def test_links_that_may_not_be_followed_are_told_before_a_video_is_paid_for(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = {name: replace(provider, link_hosts=("127.0.0.1",)) for name, provider in PROVIDERS.items()}
    monkeypatch.setattr("jobs.way_out.PROVIDERS", inside)
    told = doctor(failing=True, RUSHES_ALLOW_PRIVATE_ADDRESSES="0", RUSHES_PUBLIC_URL="")
    assert "evolink links" in failed(told)
    assert "127.0.0.1 is not a public address" in told["evolink links"]["found"]
    told = doctor(failing=False, RUSHES_STAND_INS=",".join(PROVIDERS))
    assert told["evolink links"]["verdict"] == "ok"


def test_a_gateway_that_is_away_is_told(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_GRAVITEX_BASE_URL="http://127.0.0.1:1")
    assert (failed(told), "RUSHES_GRAVITEX_BASE_URL" in told["gravitex"]["then"]) == (["gravitex"], True)


@pytest.mark.parametrize(("status", "words"), [(503, "no time"), (429, "no time")])
def test_a_gateway_that_has_no_time_is_a_warning(doctor: Doctor, sandbox: Any, status: int, words: str) -> None:
    sandbox.fault("evolink", "refuse", status=status, on="query")
    told = doctor(failing=False)
    assert "evolink" in warned(told)
    assert words in told["evolink"]["found"] or "rate" in told["evolink"]["found"]


def test_a_page_in_place_of_a_gateway_is_a_warning(doctor: Doctor, sandbox: Any) -> None:
    sandbox.fault("evolink", "garbage_query", what="html")
    assert "evolink" in warned(doctor(failing=False))


def test_nothing_at_the_public_url_is_told(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_PUBLIC_URL="http://127.0.0.1:1")
    assert failed(told) == ["callbacks"]


def test_a_receiver_with_other_keys_is_told(doctor: Doctor) -> None:
    told = doctor(failing=True, RUSHES_CALLBACK_KEYS=f"k1:{canary()}")
    assert (failed(told), "RUSHES_CALLBACK_KEYS" in told["callbacks"]["then"]) == (["callbacks"], True)


@pytest.mark.parametrize(("status", "words"), [(302, "redirects"), (200, "answers 200"), (401, "answers 401")])
def test_a_stranger_at_the_public_url_is_told(
    doctor: Doctor, serve: Callable[[Flask], str], status: int, words: str
) -> None:
    app = Flask(__name__)

    @app.post("/webhooks/<path:rest>")
    def answer(rest: str) -> Any:
        return redirect("https://h/", 302) if status == 302 else ("", status)

    told = doctor(failing=True, RUSHES_PUBLIC_URL=serve(app))
    assert (failed(told), words in told["callbacks"]["found"]) == (["callbacks"], True)


def test_without_a_public_url_gateways_are_asked_instead(doctor: Doctor) -> None:
    assert "callbacks" in warned(doctor(failing=False, RUSHES_PUBLIC_URL=""))


def test_without_a_secret_nobody_is_told_anything(doctor: Doctor) -> None:
    assert "notices" in warned(doctor(failing=False, RUSHES_NOTICE_SECRETS=""))


def test_a_service_that_is_away_or_refuses_us_is_told(doctor: Doctor) -> None:
    assert failed(doctor(failing=True, RUSHES_URL="http://127.0.0.1:1")) == ["service"]
    assert failed(doctor(failing=True, RUSHES_API_KEY=canary())) == ["service"]


def test_in_a_container_what_cannot_be_tried_from_there_is_no_failure(
    doctor: Doctor, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `docker compose exec web rushes doctor` has it: no key, and links that lead to the host's loopback."""
    monkeypatch.chdir(tmp_path)  # whose data folder keeps no key
    monkeypatch.setattr(store, "_is_loopback", lambda url: url == "http://127.0.0.1:1")  # the store is elsewhere
    told = doctor(failing=False, RUSHES_API_KEY="", RUSHES_S3_PUBLIC_ENDPOINT_URL="http://127.0.0.1:1")
    assert (failed(told), warned(told)) == ([], ["addresses", "presigned link", "service"])
    assert keys(workshop) == []


def test_a_process_that_is_missing_is_told(doctor: Doctor, serve: Callable[[Flask], str]) -> None:
    app = Flask(__name__)
    app.add_url_rule("/v1/jobs", view_func=lambda: jsonify(data=[]), endpoint="jobs")
    parts = {"database": "ok", "worker": "last seen 90 s ago"}
    app.add_url_rule("/readyz", view_func=lambda: (jsonify(parts=parts), 503), endpoint="ready")
    told = doctor(failing=True, RUSHES_URL=serve(app))
    assert (failed(told), told["processes"]["found"]) == (["processes"], "worker: last seen 90 s ago")


B2 = ("x-amz-checksum-sha256", "x-amz-checksum-mode")
AES256, KMS = ({"x-amz-server-side-encryption": kind} for kind in ("AES256", "aws:kms"))
DENIED = "403 AccessDenied (not authorized, with an explicit deny"
NO_KMS = Refusal(403, "AccessDenied", "User: arn:aws:iam::1:user/r is not authorized to perform: kms:GenerateDataKey")
OTHER_REGION = Refusal(
    400,
    "AuthorizationQueryParametersError",
    "Error parsing the X-Amz-Credential parameter; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
)
FREEZES = (
    "<LifecycleConfiguration><Rule><ID>cold</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
    "<Transition><Days>30</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule></LifecycleConfiguration>"
)
ODD: dict[str, tuple[Ways, dict[str, str], dict[str, tuple[str, str]]]] = {
    "as AWS": (Ways(), {}, {}),
    "empty lifecycle": (Ways(rules="<LifecycleConfiguration/>"), {}, {}),
    "odd statuses": (Ways(absent_status=403, taken_status=304), {}, {}),
    "no deletes": (Ways(denied=("DELETE",)), {}, {}),
    "no paths": (
        Ways(addressing=("virtual",)),
        {},
        {"bucket": ("403 SecondLevelDomainForbidden (Please use virtual hosted", "RUSHES_S3_ADDRESSING=virtual")},
    ),
    "no host names": (
        Ways(addressing=("path",)),
        {"ADDRESSING": "virtual"},
        {"bucket": ("404 NoSuchBucket (The specified bucket", "RUSHES_S3_ADDRESSING=path")},
    ),
    "no SHA-256, no condition": (
        Ways(refused_headers=B2, condition="none"),
        {},
        {
            "put": ("400 InvalidArgument (Unsupported header 'x-amz-checksum-sha256'", "RUSHES_S3_CHECKSUM=md5"),
            "conditional put": ("501 NotImplemented (A header you provided", "RUSHES_S3_CONDITION=head"),
        },
    ),
    "two at once": (
        Ways(refused_headers=("content-md5", *B2), needed_headers=KMS),
        {},
        {"put": ("400 InvalidArgument", "RUSHES_S3_CHECKSUM=none and set RUSHES_S3_ENCRYPTION=aws:kms")},
    ),
    "encryption": (Ways(needed_headers=AES256), {}, {"put": (DENIED, "RUSHES_S3_ENCRYPTION=AES256")}),
    "no encryption": (
        Ways(refused_headers=tuple(AES256)),
        {"ENCRYPTION": "AES256"},
        {"put": ("400 InvalidArgument", "unset RUSHES_S3_ENCRYPTION")},
    ),
    "another condition": (
        Ways(condition="x-oss-forbid-overwrite", taken_status=409),
        {},
        {"conditional put": ("501 NotImplemented", "RUSHES_S3_CONDITION=x-oss-forbid-overwrite")},
    ),
    "ignored condition": (
        Ways(ignores_conditions=True),
        {},
        {"conditional put": ("a second video for the same key replaced the first", "RUSHES_S3_CONDITION=head")},
    ),
    "no PUT": (Ways(denied=("PUT",)), {}, {"put": (DENIED, "s3:PutObject")}),
    "nothing": (Ways(denied=("HEAD", "GET")), {}, {"bucket": (DENIED, "s3:ListBucket")}),
    "full": (Ways(full=True), {}, {"put": ("507 XMinioStorageFull (Storage backend", "make room")}),
    "another folder's key": (Ways(denied_outside="elsewhere/"), {}, {"bucket": (DENIED, "s3:PutObject")}),
    "the videos' key": (
        Ways(denied_outside="videos/"),
        {},
        {"kept aside": (DENIED, "s3:PutObject and s3:GetObject below unproven/ and contested/")},
    ),
    "a proxy's limit": (
        Ways(most_bytes=1 << 20),
        {},
        {"conditional put": ("413 (Request Entity Too Large)", "client_max_body_size")},
    ),
    "a KMS key": (Ways(refuses_puts=NO_KMS), {}, {"put": ("perform: kms:GenerateDataKey", "GenerateDataKey and kms:")}),
    "conditional PUTs alone": (Ways(only_conditional=True), {}, {}),
    "links of another region": (
        Ways(refuses_links=OTHER_REGION),
        {},
        {"presigned link": ("400 AuthorizationQueryParametersError (Error parsing", "set AWS_REGION")},
    ),
    "links that may not read": (
        Ways(refuses_links=Refusal(403, "AccessDenied", "not authorized to perform: kms:Decrypt on this resource")),
        {},
        {"presigned link": ("kms:Decrypt on this", "let the key do kms:GenerateDataKey and kms:Decrypt")},
    ),
    "links that are altered": (
        Ways(refuses_links=Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")),
        {},
        {"presigned link": ("403 SignatureDoesNotMatch", "with host, path and query as they are; clocks")},
    ),
    "what freezes": (Ways(rules=FREEZES), {}, {}),
}
SAMPLE = {
    *("empty lifecycle", "no paths", "no SHA-256, no condition", "encryption", "ignored condition", "no PUT"),
    *("a KMS key", "links of another region"),
}


@pytest.mark.parametrize(
    ("ways", "set_up", "found"),
    [pytest.param(*row, id=name, marks=[] if name in SAMPLE else pytest.mark.prove) for name, row in ODD.items()],
)
def test_a_stores_refusal_is_told_with_its_words_and_the_setting_that_mends_it(
    doctor: Doctor,
    make_odd_store: Callable[[Ways], OddStore],
    ways: Ways,
    set_up: dict[str, str],
    found: dict[str, tuple[str, str]],
) -> None:
    store = make_odd_store(ways)
    there = {"RUSHES_S3_ENDPOINT_URL": store.named_url, "RUSHES_S3_BUCKET": BUCKET, "AWS_ACCESS_KEY_ID": ACCESS_KEY}
    rules = {f"RUSHES_S3_{name}": value for name, value in set_up.items()}
    told = doctor(failing=bool(found), RUSHES_S3_PREFIX="", **there, **rules)
    assert failed(told) == list(found)
    for name, (said, then) in found.items():
        assert said in told[name]["found"]
        assert then in told[name]["then"]
    looked = {"kept aside": "DELETE" in ways.denied, "lifecycle": ways.rules == FREEZES}
    assert sorted(warned(told)) == ["addresses", *(name for name, is_ill in looked.items() if is_ill)]
    if ways.refuses_puts:
        assert "RUSHES_S3_ENCRYPTION=" not in told["put"]["then"]  # which would step around the KMS key
    if "DELETE" in ways.denied:
        assert "left for you to delete" in told["delete"]["found"]
    elif "PUT" not in ways.denied:
        assert store.objects == {}


def test_what_the_store_has_said_to_a_transfer_is_told_though_a_scratch_object_passes(
    doctor: Doctor, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)

    def refuse(bucket: Bucket, key: str, *_: Any, **__: Any) -> None:
        raise BucketRefuses(f"PUT {key}: 413 (Request Entity Too Large)", status=413, code="413")

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "put_video", refuse)
        make_due(workshop, job_id)
        RUN["jobs.transfer"](job_id, workshop.resources)
    told = doctor(failing=True)
    assert failed(told) == ["films"]
    assert f"{job_id} cannot be archived: PUT " in told["films"]["found"]
    assert "client_max_body_size" in told["films"]["then"]


@pytest.mark.prove
def test_a_folder_with_too_little_room_for_any_video_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=MARGIN_BYTES - 1))
    assert failed(doctor(failing=True)) == ["data folder"]


@pytest.mark.parametrize(
    ("name", "age_s", "is_elsewhere"),
    [("transfer@another:7", 0, True), ("transfer@another:7", 600, False), ("worker@another:7", 0, False)],
)
def test_where_films_are_copied_elsewhere_their_room_is_told_from_there(
    doctor: Doctor, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str, age_s: float, is_elsewhere: bool
) -> None:
    """As in a container of the web process, whose own folder holds next to nothing."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=MARGIN_BYTES - 1))
    with workshop.database.write() as db:
        seen_at = workshop.database.clock(db) - timedelta(seconds=age_s)
        db.execute(sa.delete(heartbeats).where(heartbeats.c.role == "transfer"))
        row = {"name": name, "role": name.partition("@")[0], "seen_at": seen_at}
        db.execute(sa.insert(heartbeats).values(**row))
    told = doctor(failing=not is_elsewhere)
    assert ("data folder" in failed(told)) is not is_elsewhere
    assert ("another" in told["data folder"]["found"]) is is_elsewhere


@pytest.mark.prove
def test_a_store_that_is_looked_at_first_is_a_warning(
    doctor: Doctor, make_odd_store: Callable[[Ways], OddStore]
) -> None:
    store = make_odd_store(Ways(ignores_conditions=True))
    there = {"RUSHES_S3_ENDPOINT_URL": store.url, "RUSHES_S3_BUCKET": BUCKET, "AWS_ACCESS_KEY_ID": ACCESS_KEY}
    assert "conditional put" in warned(doctor(failing=False, RUSHES_S3_CONDITION="head", **there))


@pytest.mark.prove
def test_metadata_that_comes_back_changed_is_told(doctor: Doctor, make_odd_store: Callable[[Ways], OddStore]) -> None:
    store = make_odd_store(Ways(loses_metadata="x-amz-meta-rushes-task"))
    there = {"RUSHES_S3_ENDPOINT_URL": store.url, "RUSHES_S3_BUCKET": BUCKET, "AWS_ACCESS_KEY_ID": ACCESS_KEY}
    told = doctor(failing=True, **there)
    assert (failed(told), "rushes-task" in told["get"]["found"]) == (["get"], True)
