"""docs/stores.md against the stand-ins that whole jobs are archived on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from odd_store import STORES

from rushes.doctor.store_mending import VARIABLES

PAGE = (Path(__file__).parents[3] / "docs/stores.md").read_text(encoding="utf-8")
NAMED = ["AWS S3", "Cloudflare R2", "Backblaze B2", "Aliyun OSS", "Ceph", "MinIO"]


def cells(store: str) -> list[list[str]]:
    """The store's rows, in both tables."""
    found = re.findall(rf"^\| {re.escape(store)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [row.split(" | ") for row in found]


@pytest.mark.parametrize("store", NAMED)
def test_a_row_names_the_settings_that_its_stand_in_is_used_with_and_a_document(store: str) -> None:
    settings, documents = cells(store)
    _, rules = STORES[store]
    named = dict(re.findall(r"`(RUSHES_S3_\w+)=([\w-]+)`", settings[0]))
    assert named == {VARIABLES[name]: value for name, value in rules.items()}
    assert "stand-in" in settings[-1]
    assert "](https://" in documents[0]


@pytest.mark.parametrize("store", ["SeaweedFS", "moto", "s3rver"])
def test_a_store_that_tests_run_on_has_a_row_and_a_document(store: str) -> None:
    _, documents = cells(store)
    assert "](https://" in documents[0]
