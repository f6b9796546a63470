"""What a link becomes on its way out: nothing else, but for what no request line can carry."""

import pytest

from storage.outbound.exact import redirected, sendable, target_of

BASE = "https://films.example/dir/film.mp4?Signature=old#top"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("https://films.example/a.mp4?sig=ab%2bcd%2F%3D", "/a.mp4?sig=ab%2bcd%2F%3D"),
        ("https://films.example/a%7Eb~%2D.mp4?sig=[1]|{2}^`'", "/a%7Eb~%2D.mp4?sig=[1]|{2}^`'"),
        ("https://films.example/a/../b/./c//d.mp4", "/a/../b/./c//d.mp4"),
        ("https://films.example/a.mp4?", "/a.mp4?"),
        ("https://films.example/a.mp4?x=%zz&y=%7E&z=100%", "/a.mp4?x=%zz&y=%7E&z=100%"),
        ("https://films.example?x=?&y=//z", "/?x=?&y=//z"),
        ("https://films.example", "/"),
        ("https://films.example/a.mp4?x#y", "/a.mp4?x"),
        ('https://films.example/a b.mp4?name="a"<é>视', "/a%20b.mp4?name=%22a%22%3C%C3%A9%3E%E8%A7%86"),
    ],
)
def test_a_target_is_what_the_link_says(link: str, target: str) -> None:
    assert target_of(link) == target


def test_what_a_guard_refuses_is_not_quoted_away() -> None:
    for link in ("https://films.example\\@inner/", "https://films.example/\r\nHost:x", 'https://"films".example/'):
        assert sendable(link) == link


@pytest.mark.parametrize(
    ("location", "link"),
    [
        (b"https://cdn.example/a.mp4?s=%2b~%7E[|]", "https://cdn.example/a.mp4?s=%2b~%7E[|]"),
        (b"https://films.example/a/../b.mp4?", "https://films.example/a/../b.mp4?"),
        (b"//cdn.example/a.mp4?s=%2b", "https://cdn.example/a.mp4?s=%2b"),
        (b"/a/../b.mp4?s=%zz?", "https://films.example/a/../b.mp4?s=%zz?"),
        (b"?s=%2b", "https://films.example/dir/film.mp4?s=%2b"),
        (b"../other.mp4?s=../%2b", "https://films.example/other.mp4?s=../%2b"),
        (b" \thttps://cdn.example/a b.mp4\t", "https://cdn.example/a%20b.mp4"),
        ("https://cdn.example/视.mp4".encode(), "https://cdn.example/%E8%A7%86.mp4"),
        ("https://视.example/a.mp4".encode(), "https://视.example/a.mp4"),
        (b"https://cdn.example/\xe9.mp4", "https://cdn.example/%E9.mp4"),
    ],
)
def test_a_redirect_leads_where_its_bytes_say(location: bytes, link: str) -> None:
    assert redirected(BASE, location) == link
