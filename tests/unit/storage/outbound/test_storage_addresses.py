from ipaddress import IPv6Network, ip_address

import pytest

from storage.outbound.addresses import is_public, literal_address

INSIDE = """
0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001:db8::1 2001::1 2001:2::1 2001:10::1
2001:20::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 ff02::1
"""
ADMITTED_BY_REQUESTS_HARDENED = """
::127.0.0.1 ::ffff:0:127.0.0.1 fec0::1 3ffe::1 168.63.129.16 192.175.48.1 192.31.196.1
"""
CARRYING_INSIDE = """
::ffff:169.254.169.254 64:ff9b::a00:1 ::ffff:0:10.0.0.1 2002:a00:1::808:808 2001:0:808:808:0:0:f5ff:fffe
2606:4700::5efe:a00:1 2606:4700::200:5efe:7f00:1 fd00::5efe:808:808
"""
CARRYING_PUBLIC = """
::ffff:1.1.1.1 ::1.1.1.1 ::ffff:0:1.1.1.1 64:ff9b::808:808 2002:101:101::1 2001:0:808:808:0:0:fefe:fefe
2606:4700::5efe:808:808
"""
PUBLIC = "1.1.1.1 8.8.8.8 52.216.0.1 104.16.0.1 192.0.1.1 2606:4700::1111 2a00:1450:4001::1 2600:9000::1"


@pytest.mark.parametrize("address", (INSIDE + ADMITTED_BY_REQUESTS_HARDENED).split())
def test_an_address_of_the_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_the_addresses_of_real_stores_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", CARRYING_INSIDE.split())
def test_an_address_that_carries_one_of_the_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", CARRYING_PUBLIC.split())
def test_an_address_that_carries_a_public_one_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("prefix", "of_the_inside", "public"),
    [  # the examples of RFC 6052, with 10.0.0.5 and 8.8.8.8 in them
        ("2a00:1098::/32", "2a00:1098:a00:5::", "2a00:1098:808:808::"),
        ("2a00:1098:100::/40", "2a00:1098:10a:0:5::", "2a00:1098:108:808:8::"),
        ("2a00:1098:122::/48", "2a00:1098:122:a00:0:500::", "2a00:1098:122:808:8:800::"),
        ("2a00:1098:122:300::/56", "2a00:1098:122:30a:0:5::", "2a00:1098:122:308:8:808::"),
        ("2a00:1098:122:344::/64", "2a00:1098:122:344:a:0:500:0", "2a00:1098:122:344:8:808:800:0"),
        ("2a00:1098:122:344::/96", "2a00:1098:122:344::a00:5", "2a00:1098:122:344::808:808"),
        ("fd00:64::/96", "fd00:64::a00:5", "fd00:64::808:808"),
        ("64:ff9b:1:fffe::/96", "64:ff9b:1:fffe::a00:5", "64:ff9b:1:fffe::808:808"),
    ],
)
def test_a_networks_own_translators_are_judged_by_what_they_lead_to(
    prefix: str, of_the_inside: str, public: str
) -> None:
    translators = [IPv6Network(prefix)]
    assert not is_public(ip_address(of_the_inside), translators)
    assert is_public(ip_address(public), translators)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001", "127.0.0.1", "127.0.1"])
def test_every_spelling_that_a_resolver_takes_is_the_same_address(host: str) -> None:
    address = literal_address(host)
    assert address is not None
    assert address.is_loopback


@pytest.mark.parametrize("host", ["films.example", "1.2.3.4.example", "café.example", "0x7f.example", ""])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) is None
