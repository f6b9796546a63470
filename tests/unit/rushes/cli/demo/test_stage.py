import html
import re
from pathlib import Path
from typing import Any

import pytest

from rushes.cli.demo.stage import Stage, draw, print_table
from rushes.cli.demo.takes import Take

JOB_ID = "job_01M7YX1G527B551X7E6KWGJE3R"
KEY = f"videos/2026/11/21/{JOB_ID}.mp4"


def take(state: str = "archived", by: str = "callback") -> Take:
    video: dict[str, Any] = {
        "bytes": 1,
        "sha256": "abcdef123456" + "0" * 52,
        "duration_s": 2.0,
        "width": 1280,
        "height": 720,
        "key": KEY,
    }
    video |= {"key": KEY}
    job: dict[str, Any] = {
        "id": JOB_ID,
        "state": state,
        "created_at": "2026-11-21T11:00:00.000Z",
        "ended_at": "2026-11-21T11:00:04.250Z" if state == "archived" else None,
        "video": video if state == "archived" else None,
    }
    return Take("evolink", job, [{"event": "accept", "detail": {}}, {"event": "finish", "detail": {"by": by}}])


def test_a_take_says_how_its_news_came_and_how_long_it_took() -> None:
    shown = take().as_json()
    assert (shown["by"], shown["seconds"], shown["key"]) == ("callback", 4.25, KEY)
    assert take("failed").as_json()["seconds"] is None


def test_the_plain_table_has_everything_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([take(), take("failed")])
    shown = capsys.readouterr().out
    good, bad = [line.split() for line in shown.splitlines() if "evolink" in line]
    assert good == ["evolink", JOB_ID, "callback", "4.2", "1", "abcdef123456", "2.00", "s", "1280x720", KEY]
    assert bad[:3] == ["evolink", JOB_ID, "failed"]
    assert "\x1b" not in shown


def test_the_picture_holds_whole_names_and_fetches_nothing(tmp_path: Path) -> None:
    draw([take()], tmp_path / "docs" / "table.svg")
    svg = (tmp_path / "docs" / "table.svg").read_text()
    assert not re.findall(r"(?:href|src)=|url\((?!#)|@font-face|@import", svg)
    texts = [html.unescape(text).strip() for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]
    assert "abcdef123456" in texts
    assert KEY in texts


def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Stage() as stage:
        stage.say("starting …")
        stage.show([take("queued")])
        stage.show([take("queued")])
        stage.show([take("archived")])
    said = [line.partition(" s  ")[2].split() for line in capsys.readouterr().err.splitlines()]
    assert said == [["starting", "…"], ["evolink", "queued"], ["evolink", "archived"]]
