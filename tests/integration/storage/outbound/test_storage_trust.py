"""One trust for all that leaves this machine: the public authorities, and those that the environment adds."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import films
import pytest
import trustme
from fetching import LIMITS
from misbehaving import Server, answering

from jobs.errors import BadSettings
from jobs.providers.base import Request
from jobs.providers.client import Account, Answered, ProviderClient
from jobs.providers.registry import PROVIDERS
from jobs.settings import load
from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketUnavailable, LinkUnavailable
from storage.fetch import fetch_to_spool
from storage.outbound import trust
from storage.outbound.guard import guarded_session

Serve = Callable[..., Server]
KEYS = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>
<SessionToken>c</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""  # as AWS's page of that action has it


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*trust.VARIABLES, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(serve: Serve, authority: trustme.CA) -> Server:
    """Plays gateway, film host, receiver of notices and store, behind a firewall that signs for all of them."""
    film, keys = answering(films.film()), answering(KEYS, Content_Type="text/xml")

    def talk(server: Server, connection: socket.socket, target: str) -> None:
        (keys if target == "/" else film)(server, connection, target)

    return serve(talk, tls=signed_by(authority))


def signed_by(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def asked_by_the_gateways_client(url: str, folder: Path) -> None:
    client = ProviderClient()
    try:
        answer = client.ask(PROVIDERS["evolink"], Account("evolink", url, "sk"), Request("GET", "/x"), deadline_s=5)
    finally:
        client.close()
    assert isinstance(answer, Answered), answer


def downloaded(url: str, folder: Path) -> None:
    with guarded_session(allow_private=True) as session:
        kept: dict[str, Any] = {"folder": folder, "limits": LIMITS, "keep_going": lambda: None}
        fetch_to_spool(session, f"{url}/film.mp4", allow_private=True, **kept).close()


def told_by_a_notice(url: str, folder: Path) -> None:
    with guarded_session(allow_private=True) as session:
        assert session.post(f"{url}/hook").status_code == 200


def stored(url: str, folder: Path) -> None:
    config = BucketConfig("videos", "", url, None, access_key="a", secret_key="b")
    Bucket(config).check()


def stored_in_a_role(url: str, folder: Path) -> None:
    """Its keys come from a service of the cloud's, which the firewall reads as well."""
    (folder / "token").write_text("token")
    with pytest.MonkeyPatch.context() as told:
        told.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/rushes")
        told.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
        told.setenv("AWS_ENDPOINT_URL_STS", url)
        Bucket(BucketConfig("videos", "", url, None, access_key=None, secret_key=None)).check()


def asked_by_the_doctor(url: str, folder: Path) -> None:
    with trust.session() as session:
        assert session.get(f"{url}/presigned").status_code == 200


WAYS = [asked_by_the_gateways_client, downloaded, told_by_a_notice, stored, stored_in_a_role, asked_by_the_doctor]


def a_file(folder: Path) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(folder / "ca.pem")}


def a_folder_without_hashes_behind_another(folder: Path) -> dict[str, str]:
    return {"SSL_CERT_DIR": f"{folder / 'absent'}:{folder}"}


def requests_own(folder: Path) -> dict[str, str]:
    return {"REQUESTS_CA_BUNDLE": str(folder / "ca.pem")}


def a_folder_for_requests(folder: Path) -> dict[str, str]:
    return {"REQUESTS_CA_BUNDLE": str(folder)}


def aws_own(folder: Path) -> dict[str, str]:
    return {"AWS_CA_BUNDLE": str(folder / "ca.pem")}


def another_beside(folder: Path) -> dict[str, str]:
    other = folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    return {"SSL_CERT_FILE": str(other), "CURL_CA_BUNDLE": str(folder / "ca.pem")}


@pytest.mark.parametrize(
    "named",
    [
        a_file,
        a_folder_without_hashes_behind_another,
        requests_own,
        a_folder_for_requests,
        aws_own,
        another_beside,
    ],
)
def test_an_authority_named_anywhere_is_trusted_everywhere_beside_the_public_ones(
    server: Server, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Any
) -> None:
    folder, spool = tmp_path / "authorities", tmp_path / "spool"
    folder.mkdir()
    spool.mkdir()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "README").write_text("no certificate")
    for name, value in named(folder).items():
        monkeypatch.setenv(name, value)
    url = f"https://localhost:{server.port}"
    for way in WAYS:
        way(url, spool)
    ours, public = trust.tls_context(environ={}), ssl.create_default_context(cafile=trust.ca_file())
    assert ours.cert_store_stats()["x509_ca"] > 100
    assert public.cert_store_stats()["x509_ca"] > ours.cert_store_stats()["x509_ca"]


@pytest.mark.parametrize("way", WAYS)
def test_an_authority_that_nobody_named_is_trusted_nowhere(server: Server, tmp_path: Path, way: Any) -> None:
    with pytest.raises((AssertionError, LinkUnavailable, BucketUnavailable, OSError), match=r"trusted|SSL|certificate"):
        way(f"https://localhost:{server.port}", tmp_path)
    assert server.requests == []


def test_an_intermediate_authority_will_do_and_an_old_fashioned_one_on_every_python(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firewalls hand these out, and Python 3.13 would refuse those without the extensions of RFC 5280."""
    between = trustme.CA().create_child_ca()
    between.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    downloaded(f"https://localhost:{serve(answering(films.film()), tls=signed_by(between)).port}", tmp_path)
    assert not trust.tls_context().verify_flags & ssl.VERIFY_X509_STRICT


def test_what_the_configuration_of_aws_names_counts_for_the_store(
    server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "aws").write_text(f"[default]\nca_bundle = {tmp_path}/ca.pem\n")
    stored(f"https://localhost:{server.port}", tmp_path)


@pytest.mark.parametrize("variable", trust.VARIABLES)
def test_one_that_names_nothing_to_trust_stops_the_start(variable: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for value in (str(tmp_path / "absent"), str(tmp_path / "ca.pem"), str(tmp_path)):
        with pytest.raises(BadSettings) as caught:
            load({"RUSHES_S3_BUCKET": "videos", variable: value})
        [line] = caught.value.faults
        assert line.startswith(f"{variable} names {value}")
