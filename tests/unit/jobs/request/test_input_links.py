"""When presigned links die, by what their signatures say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.request import input_links
from jobs.request.generation import Generation, Media, Mode

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
UNIX = int(AT.timestamp())


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260304T110000Z&X-Amz-Expires=3600&X-Amz-Signature=ab",
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=20260304T110000Z&X-Goog-Expires=3600&X-Goog-Signature=ab",
        "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20260304T110000Z&x-oss-expires=3600&x-oss-signature=ab",
        f"AWSAccessKeyId=AK&Expires={UNIX}&Signature=ab%2Bc",
        f"OSSAccessKeyId=AK&Expires={UNIX}&Signature=ab",
        f"Expires={UNIX}&Signature=ab&Key-Pair-Id=K",
        "sv=2022-11-02&se=2026-03-04T12%3A00%3A00Z&sr=b&sp=r&sig=ab",
        f"q-sign-algorithm=sha1&q-ak=AK&q-sign-time={UNIX - 60};{UNIX}&q-signature=ab",
    ],
)
def test_every_form_of_a_presigned_link_tells_its_end(query: str) -> None:
    assert input_links.dies_at(f"https://host/path/video.mp4?{query}") == AT


@pytest.mark.parametrize(
    "query",
    [
        "",
        "Expires=soon&Signature=ab",
        f"Expires={UNIX}",  # of nothing that is signed: somebody's own parameter
        "Expires=99999999999999999999&Signature=ab",
        "X-Amz-Date=yesterday&X-Amz-Expires=3600",
        "X-Amz-Date=20260304T110000Z",
        "X-Amz-Date=20260304T110000Z&X-Amz-Expires=9999999999999999",
        "se=tomorrow&sig=x",
        "q-sign-time=now",
    ],
)
def test_a_link_that_does_not_say_so_is_taken_to_live(query: str) -> None:
    assert input_links.dies_at(f"https://host/video.mp4?{query}") is None


def test_what_boto3_signs_is_read() -> None:
    client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="s")
    for seconds in (60, 7 * 86_400):
        url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}, ExpiresIn=seconds)
        dies = input_links.dies_at(url)
        assert dies is not None
        assert abs(dies - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=30)


@given(st.text(max_size=200))
def test_no_query_makes_it_raise(query: str) -> None:
    found = input_links.dies_at(f"https://host/?{query}")
    assert found is None or found.tzinfo is not None


def test_voices_inside_references_are_inputs_too() -> None:
    media = (Media("reference_image", "https://h/a", "https://h/voice"), Media("reference_video", "https://h/b"))
    assert input_links.urls(Generation(Mode.REFERENCE, "p", media=media)) == [
        ("media.0.url", "https://h/a"),
        ("media.0.reference_voice", "https://h/voice"),
        ("media.1.url", "https://h/b"),
    ]
