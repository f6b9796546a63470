"""What videos are called: below their folder, whatever metadata says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.ordering.filenames import BadPattern, Pattern

JOB = {"id": "job_1", "provider": "evolink"}
REQUEST: dict[str, Any] = {"batch": "shots.jsonl", "metadata": {"scene": "12", "a.b": "c/d"}}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{id}", "job_1.mp4"),
        ("{line:04}", "0007.mp4"),
        ("{batch}/{mode}/{provider}-{line}.mp4", "shots.jsonl/text-to-video/evolink-7.mp4"),
        ("{metadata.scene:>3}", " 12.mp4"),
        ("{metadata.a.b}", "c_d.mp4"),
        ("take{{1}} {id}", "take{1} job_1.mp4"),
        ("v1.0-{id}", "v1.0-job_1.mp4"),
    ],
)
def test_words_in_braces_are_filled_in(pattern: str, name: str) -> None:
    assert Pattern(pattern).path(REQUEST, line=7, job=JOB) == Path(name)


@pytest.mark.parametrize("pattern", ["{", "{}", "{0}", "{scene}", "{id.x}", "{metadata}", "{line!r}{nothing}"])
def test_a_pattern_that_nobody_could_fill_in_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["/{id}", "../{id}", "a/../{id}", "", "{line:q}", "{metadata.none}"])
def test_what_leads_out_or_has_no_value_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(pattern).path(REQUEST, line=7, job=JOB)


@given(st.text(max_size=30))
def test_whatever_metadata_says_stays_in_its_place(value: str) -> None:
    request = {"metadata": {"scene": value}}
    path = Pattern("films/{line}-{metadata.scene}").path(request, line=1, job=JOB)
    assert path.parent == Path("films")
    assert not set(path.name) & set('/\\:*?"<>|\0\n')
    assert path.suffix == ".mp4"
