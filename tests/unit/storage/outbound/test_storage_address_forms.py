"""The whole table of address forms, and that those who read a link after the guard read it as the guard did."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import requests
from address_forms import ADDRESSES, HOSTS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from urllib3.util import parse_url

from storage.errors import LinkForbidden
from storage.outbound.addresses import is_public
from storage.outbound.guard import check_url

FORMS = [(kind, host) for kind, hosts in HOSTS.items() for host in hosts]


@pytest.mark.parametrize(("kind", "host"), FORMS, ids=[f"{kind}: {host}" for kind, host in FORMS])
def test_no_form_of_an_address_of_the_inside_is_let_through(kind: str, host: str) -> None:
    for url in (f"https://{host}/a", f"https://{host}", f"HTTPS://{host}/?b", f"https://{host}/a#c"):
        with pytest.raises(LinkForbidden):
            check_url(url, allow_private=False)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_such_address_is_public(address: str) -> None:
    assert not is_public(ip_address(address.partition("%")[0]))


@pytest.mark.parametrize(
    "host",
    ["films.example", "films.example.", "FILMS.example:443", "bücher.example", "xn--bcher-kva.example", "a_b.example"],
)
def test_an_honest_name_stays_allowed(host: str) -> None:
    check_url(f"https://{host}/a", allow_private=False)


PIECES = st.sampled_from(
    [*(host for hosts in HOSTS.values() for host in hosts), *"@:/?#\\.[]%&;=-_0127x", "films.example", "%2e", "ß", "。"]
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(PIECES, min_size=1, max_size=4).map("".join))
@example("films.example#@127.0.0.1")
@example("films.example?@127.0.0.1")
def test_whoever_reads_a_link_after_the_guard_sees_the_same_host(text: str) -> None:
    url = f"https://{text}/"
    try:
        check_url(url, allow_private=False)
    except LinkForbidden:
        return
    try:
        asked = requests.Request("GET", url).prepare().url
    except requests.exceptions.InvalidURL:
        return
    assert asked is not None
    assert parse_url(asked).host == parse_url(url).host
    assert (parse_url(asked).port or 443, parse_url(asked).auth) == (443, None)
