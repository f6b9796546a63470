import pytest

from storage.download import as_https
from storage.errors import LinkForbidden
from storage.outbound.guard import check_url, guarded_session, masked

FORBIDDEN = [
    "http://films.example/a.mp4",
    "ftp://films.example/a.mp4",
    "file:///etc/passwd",
    "gopher://films.example/",
    "//films.example/a.mp4",
    "films.example/a.mp4",
    "https:///a.mp4",
    "https://",
    "",
    "https://user@films.example/",
    "https://user:word@films.example/",
    "https://@films.example/",
    "https://films.example@127.0.0.1/",
    "https://films.example:8443/",
    "https://films.example:80/",
    "https://films.example:99999/",
    "https://films.example\\@127.0.0.1/",
    "https://films.example/a b",
    "https://films.example/\r\nHost: inner",
    "https://films.example/\x00",
    "https://films.example/" + "a" * 12 * 8192,
    "https://localhost/",
    "https://localhost./",
    "https://inner.localhost/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://168.63.129.16/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[fec0::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[not an address]/",
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_link_that_may_lead_inside_is_forbidden(url: str) -> None:
    with pytest.raises(LinkForbidden):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://films.example/a.mp4?X-Amz-Signature=abc",
        "https://films.example:443/a",
        "https://films.example",
        "https://films.example/a?mail=user@example.com",
        "https://1.1.1.1/a.mp4",
        "https://[2606:4700::1111]/a",
        "HTTPS://FILMS.EXAMPLE/A",
    ],
)
def test_a_public_https_link_is_allowed(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/a", "http://localhost:1/", "https://10.0.0.1:9000/a"])
def test_development_admits_plain_http_any_port_and_private_addresses(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize("url", ["http://user@127.0.0.1/", "file:///etc/passwd", "https://a b/"])
def test_development_admits_no_other_scheme_and_no_user_name(url: str) -> None:
    with pytest.raises(LinkForbidden):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://films.example/a.mp4?sig=secret#secret", "https://films.example/a.mp4?…"),
        ("https://secret:secret@films.example:8443/a", "https://films.example:8443/a"),
        ("https://films.example", "https://films.example/"),
        ("https://[secret", "a link that cannot be read"),
        ("?secret", "a link that cannot be read"),
    ],
)
def test_a_masked_link_keeps_the_place_and_drops_what_opens_it(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_refusal_never_shows_the_query(url: str) -> None:
    with pytest.raises(LinkForbidden) as caught:
        check_url(url + "?sig=topsecret", allow_private=False)
    assert "topsecret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://films.example/a?b", "https://films.example/a?b"),
        ("HTTP://films.example:80/a", "https://films.example/a"),
        ("https://films.example/a", "https://films.example/a"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_plain_link_is_asked_for_over_https(url: str, asked: str) -> None:
    assert as_https(url, allow_private=False) == asked


def test_a_plain_link_stays_plain_in_development() -> None:
    assert as_https("http://127.0.0.1:1/a", allow_private=True) == "http://127.0.0.1:1/a"


def test_a_guarded_session_takes_nothing_from_the_environment() -> None:
    with guarded_session(allow_private=False) as session:
        assert session.trust_env is False
        assert session.proxies == {}
        assert list(session.adapters) == ["https://"]
