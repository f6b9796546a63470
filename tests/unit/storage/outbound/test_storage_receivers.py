"""Which receivers of notices inside are open, by the list that an operator writes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from storage.errors import LinkForbidden
from storage.outbound import receivers, translators
from storage.outbound.guard import check_url
from storage.outbound.receivers import Receivers, parse, parse_own


def listing(text: str, *own: tuple[str | None, int | None]) -> Receivers:
    return Receivers(*parse(text), own)


@pytest.fixture(autouse=True)
def nobody_translates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translators, "_look_up", lambda: ())


@pytest.mark.parametrize(
    ("entry", "name_or_network", "port"),
    [
        ("pipeline", "pipeline", 443),
        ("Pipeline.Internal.:8000", "pipeline.internal", 8000),
        ("my_service:80", "my_service", 80),
        ("abc:80", "abc", 80),
        ("10.0.0.5", "10.0.0.5/32", 443),
        ("10.0.0.5:8000", "10.0.0.5/32", 8000),
        ("10.0.0.0/8", "10.0.0.0/8", 443),
        ("10.0.0.0/8:8443", "10.0.0.0/8", 8443),
        ("fd00::5", "fd00::5/128", 443),
        ("[fd00::5]:8000", "fd00::5/128", 8000),
        ("fd00::/8", "fd00::/8", 443),
        ("fd00::/8:8443", "fd00::/8", 8443),
        ("[fd00::/8]:8443", "fd00::/8", 8443),
        ("::1", "::1/128", 443),
    ],
)
def test_an_entry_is_a_name_or_a_network_and_a_port(entry: str, name_or_network: str, port: int) -> None:
    names, networks = parse(f" {entry} ,")
    assert {(name, at) for name, at in names} | {(str(network), at) for network, at in networks} == {
        (name_or_network, port)
    }


@pytest.mark.parametrize(
    "entry",
    [
        *("http://pipeline:8000", "*.internal", "pipeline/hook", "pipeline:0", "pipeline:65536", "pipeline:http"),
        *("pipeline:", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "10.0.0.5:", "[fd00::5", "fd00::5]:1", "127.1", "8000"),
        *("user@pipeline", "pipe line", "fd00::/8:", "[pipeline]:1", "-a", "10.0.0.0/8:8443:1"),
    ],
)
def test_an_entry_that_can_be_misread_is_none(entry: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(f"pipeline:8000,{entry}")
    assert str(caught.value) == entry


LISTED = (
    "pipeline:8000,hooks.internal,10.1.0.0/16:8443,10.1.0.0/16,127.0.0.1:9000,169.254.0.0/16,fd00::/8:8443,[fe80::/10]"
)


@pytest.mark.parametrize(
    "url",
    [
        *("http://pipeline:8000/hook", "https://PIPELINE.:8000/hook", "https://hooks.internal/", "https://any.name/"),
        *("https://10.1.2.3/hook", "https://10.1.2.3:8443/hook", "http://10.1.2.3:8443/", "http://167838211:8443/"),
        *("https://[::ffff:10.1.2.3]:8443/", "http://[fd00::5]:8443/", "http://any.name:8443/", "http://127.1:9000/"),
    ],
)
def test_what_is_listed_may_be_named(url: str) -> None:
    check_url(url, allow_private=False, receivers=listing(LISTED))


@pytest.mark.parametrize(
    "url",
    [
        *("http://pipeline/hook", "https://pipeline:8001/", "http://hooks.internal/", "https://10.2.0.1/"),
        *("http://10.1.2.3/", "https://10.1.2.3:8444/", "http://user@pipeline:8000/", "ftp://pipeline:8000/"),
        *(
            "https://169.254.169.254/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fe80::1]/",
            "https://localhost:1/",
        ),
        *("http://public.example/", "https://[64:ff9b::a9fe:a9fe]/", "http://[fd00:ec2::254]:8443/"),
        "http://[fd00:ec2::23]:8443/",
        *("http://127.0.0.1:9000@pipeline:8000/", "https://10.1.2.3.:8443x/", "http://pipeline:8000\\@a/"),
    ],
)
def test_nothing_else_may_be_named_and_nothing_link_local(url: str) -> None:
    with pytest.raises(LinkForbidden):
        check_url(url, allow_private=False, receivers=listing(LISTED))


@pytest.mark.parametrize(
    ("host", "port", "leads_to", "is_open"),
    [
        ("pipeline", 8000, "192.168.7.7", True),  # a name stands for itself
        ("pipeline", 8000, "192.168.7.7 fd99::1", True),
        ("pipeline", 8000, "169.254.169.254", False),
        ("pipeline", 8000, "192.168.7.7 ::ffff:169.254.169.254", False),
        ("pipeline", 8000, "fe80::1", False),
        ("pipeline", 8000, "100.100.100.200", False),
        ("any.name", 8443, "10.1.2.3", True),
        ("any.name", 8443, "10.1.2.3 10.2.0.1", False),
        ("any.name", 8443, "8.8.8.8", False),
        ("any.name", 8443, "64:ff9b::a01:203", True),  # 10.1.2.3 behind a translator
        ("any.name", 8443, "64:ff9b::a02:1", False),
        ("any.name", 443, "8.8.8.8 10.1.2.3", True),
        ("any.name", 443, "192.168.7.7", False),
    ],
)
def test_a_name_is_judged_by_all_that_it_leads_to(host: str, port: int, leads_to: str, is_open: bool) -> None:
    found = [ip_address(each) for each in leads_to.split()]
    try:
        listing(LISTED).judge(host, port, found, is_https=True)
    except LinkForbidden:
        assert not is_open
    else:
        assert is_open


def test_plain_http_goes_to_what_is_listed_alone() -> None:
    with pytest.raises(LinkForbidden):
        listing("pipeline:443").judge("any.name", 443, [ip_address("8.8.8.8")], is_https=False)
    listing("pipeline:443").judge("pipeline", 443, [ip_address("10.0.0.1")], is_https=False)


@pytest.mark.parametrize(
    ("own", "host", "port", "address"),
    [
        ("9000", "pipeline", 9000, "127.0.0.1"),
        ("9000", "pipeline", 9000, "127.8.8.8"),
        ("9000", "pipeline", 9000, "::1"),
        ("9000", "pipeline", 9000, "0.0.0.0"),
        ("9000", "pipeline", 9000, "::ffff:127.0.0.1"),
        ("store:9000", "store", 9000, "10.0.0.7"),
        ("store:9000", "pipeline", 9000, "10.0.0.7"),
        ("store", "pipeline", 9000, "10.0.0.7"),
        ("10.0.0.7:9000", "pipeline", 9000, "10.0.0.7"),
    ],
)
def test_a_port_of_this_installation_is_closed_whatever_is_listed(
    monkeypatch: pytest.MonkeyPatch, own: str, host: str, port: int, address: str
) -> None:
    def addresses_of(name: str) -> set[object]:
        return {ip_address("10.0.0.7")} if name in ("store", "10.0.0.7") else set()

    monkeypatch.setattr(receivers, "_addresses_of", addresses_of)
    open_ = "pipeline:9000,store:9000,0.0.0.0/0:9000,::/0:9000"
    listing(open_, *parse_own("9001,store:9001,other")).judge(host, port, [ip_address(address)], is_https=False)
    with pytest.raises(LinkForbidden, match="of this installation"):
        listing(open_, *parse_own(own)).judge(host, port, [ip_address(address)], is_https=False)
