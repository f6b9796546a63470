"""A finished task's link: which are used, which are not, and what is said of those."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_bodies import EVERY, samples

from jobs.providers.answers import LONGEST_LINK, link, link_fields
from jobs.providers.base import Provider, ReportState, Unusable
from storage.outbound.exact import sendable
from storage.outbound.guard import check_url

NO_ADDRESS = "it is no http or https address with a host"
SIGNED = "https://h.example/v.mp4?Expires=1&Signature=a%2Bb%2b%7E~"


@pytest.mark.parametrize("before", ["", "\n", "\r\n", " ", "\t", "\0", "\u00a0", "\ufeff"])
@pytest.mark.parametrize("after", ["", "\n", "\r\n", "  ", "\u2028", "\u200b"])
def test_blanks_and_line_ends_around_a_link_are_cut_and_nothing_else(before: str, after: str) -> None:
    assert link(f"{before}{SIGNED}{after}") == SIGNED


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://h.example/a b.mp4", "https://h.example/a%20b.mp4"),
        ("https://h.example/a  b.mp4?x=1 2", "https://h.example/a%20%20b.mp4?x=1%202"),
        ("https://h.example/a\u00a0b.mp4", "https://h.example/a%C2%A0b.mp4"),
        ("https://h.example/a\u3000b.mp4", "https://h.example/a%E3%80%80b.mp4"),
        ("https://h.example/视频.mp4", "https://h.example/视频.mp4"),
        ("https://h.example/100%.mp4", "https://h.example/100%.mp4"),
    ],
)
def test_a_blank_inside_a_link_is_quoted_and_nothing_else(given: str, used: str) -> None:
    assert link(given) == used


@pytest.mark.parametrize("holder", [{"url": SIGNED}, {"url": f"{SIGNED}\n", "type": "video"}])
def test_a_link_in_an_object_is_found(holder: Any) -> None:
    assert link(holder) == SIGNED


def test_the_first_link_that_can_be_used_is() -> None:
    assert link(None, "", "/v.mp4", {"url": 7}, SIGNED, "https://other.example/v.mp4") == SIGNED


@pytest.mark.parametrize(
    ("given", "told", "reason"),
    [
        ("/film/v.mp4", "/film/v.mp4", NO_ADDRESS),
        (
            "ftp://h.example/v.mp4?Signature=abc",
            "ftp://h.example/v.mp4?…",
            "it is no http or https address with a host",
        ),
        ("ftp://me:secret@h.example/v", "ftp://…@h.example/v", NO_ADDRESS),
        ("https://[/v.mp4", "https://[/v.mp4", "it is no address that can be read"),
        ("https://h.example/a\nb?Signature=abc", "https://h.example/a\nb?…", "it holds a character that no link has"),
        ("https://h.example/a\0b", "https://h.example/a�b", "it holds a character that no link has"),
        ("https://h.example/a�b", "https://h.example/a�b", "it holds a character that no link has"),
    ],
)
def test_why_a_link_cannot_be_used_is_told_without_what_would_open_it(given: str, told: str, reason: str) -> None:
    assert link(given) is None
    assert link_fields(ReportState.FINISHED, None, given) == {"link": None, "bad_link": Unusable(told, reason)}


@pytest.mark.parametrize("char", ["a", "%E5%BD%B1", "影", "\N{CLAPPER BOARD}", '"'])
def test_a_link_that_is_taken_is_never_too_long_to_be_followed(char: str) -> None:
    """Not even where all of it is quoted on its way out."""
    given = "https://h.example/?filename="
    given += char * ((LONGEST_LINK - len(given)) // len(char))
    found = link(given)
    assert found == given
    check_url(sendable(found), allow_private=False)
    assert link(given + "a" * len(char)) is None


def test_a_link_that_is_too_long_is_told_cut() -> None:
    bad = link_fields(ReportState.FINISHED, "https://h.example/" + "x" * 8192)["bad_link"]
    assert bad is not None
    assert (len(bad.told), bad.reason) == (500, "it is longer than 8192 characters")


@pytest.mark.parametrize("given", [None, "", " \n", [], {}, {"url": None}, 7])
def test_where_no_link_was_given_none_is_told(given: Any) -> None:
    assert link_fields(ReportState.FINISHED, given) == {"link": None, "bad_link": None}


def test_only_a_finished_tasks_link_counts() -> None:
    assert link_fields(ReportState.RUNNING, "/v.mp4", SIGNED) == {"link": None, "bad_link": None}


@EVERY
@pytest.mark.parametrize("change", [lambda url: {"url": url}, lambda url: f" {url}\r\n"])
def test_every_gateways_link_may_be_in_an_object_or_have_blanks_around_it(provider: Provider, change: Any) -> None:
    for body in samples(provider, "query").values():
        if body.get("data", body) is None or (said := provider.read_report(body).link) is None:
            continue
        assert provider.read_report(_with(body, said, change(said))).link == said


@EVERY
def test_every_gateways_unusable_link_is_told(provider: Provider) -> None:
    for body in samples(provider, "query").values():
        if body.get("data", body) is None or provider.read_report(body).link is None:
            continue
        report = provider.read_report(json.loads(json.dumps(body).replace("https://", "ftp://")))
        assert (report.state, report.link) == (ReportState.FINISHED, None)
        assert report.bad_link is not None
        assert report.bad_link.told.startswith("ftp://")


def _with(value: Any, old: Any, new: Any) -> Any:
    """The value with this inner one replaced wherever it stands."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {name: _with(inner, old, new) for name, inner in value.items()}
    return [_with(inner, old, new) for inner in value] if isinstance(value, list) else value
