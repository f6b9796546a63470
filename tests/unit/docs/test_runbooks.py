"""deploy/alerts.yml and docs/runbooks/: every alert has its page, and every page its alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "runbooks").glob("*.md"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
EVERY = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
SECTIONS = ["How to look", "What to do", "How to see that it is over"]


def test_every_alert_has_a_page_of_its_own_and_every_page_an_alert() -> None:
    assert sorted(ROOT / rule["annotations"]["runbook_url"] for rule in RULES) == PAGES
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@EVERY
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Rushes")
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".")
    assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


@EVERY
def test_a_page_says_what_its_alert_means_how_to_look_what_to_do_and_when_it_is_over(rule: dict[str, Any]) -> None:
    page = (ROOT / rule["annotations"]["runbook_url"]).read_text(encoding="utf-8")
    title, *sections = re.split(r"^##? (.+)$", page, flags=re.MULTILINE)[1:]
    assert title == rule["alert"]
    assert sections[1::2] == SECTIONS
    assert all(text.strip() for text in sections[::2])
    assert "```sh\n" in sections[2]


@EVERY
def test_a_page_can_be_found_from_the_list_of_all_pages(rule: dict[str, Any]) -> None:
    path = rule["annotations"]["runbook_url"].removeprefix("docs/")
    assert f"]({path})" in (DOCS / "index.md").read_text(encoding="utf-8")
