from ipaddress import ip_address

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
PUBLIC = "1.1.1.1 8.8.8.8 52.216.0.1 104.16.0.1 192.0.1.1 2606:4700::1111 2a00:1450:4001::1 2600:9000::1"


@pytest.mark.parametrize("address", (INSIDE + ADMITTED_BY_REQUESTS_HARDENED).split())
def test_an_address_of_the_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_the_addresses_of_real_stores_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001", "127.0.0.1", "127.0.1"])
def test_every_spelling_that_a_resolver_takes_is_the_same_address(host: str) -> None:
    address = literal_address(host)
    assert address is not None
    assert address.is_loopback


@pytest.mark.parametrize("host", ["films.example", "1.2.3.4.example", "café.example", "0x7f.example", ""])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) is None
