"""Every PUT by the store's rules, and what a store's refusals are called."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from odd_store import ACCESS_KEY, BUCKET, OddStore, Refusal, Ways

from storage import put_body
from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketRefuses, BucketUnavailable, Cancelled, ObjectExists
from storage.rules import StoreRules
from storage.spool import Spooled

MakeStore = Callable[[Ways], OddStore]
KEY, SECRET = "videos/job_1.mp4", "very-secret"
B2 = Ways(
    refused_headers=("x-amz-checksum-sha256", "x-amz-checksum-mode", "x-amz-sdk-checksum-algorithm"), condition="none"
)
OSS = Ways(addressing=("virtual",), condition="x-oss-forbid-overwrite", taken_status=409)
ENCRYPTED = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "key/1"}


def bucket_of(store: OddStore, **rules: Any) -> Bucket:
    url = store.named_url if rules.get("addressing") == "virtual" else store.url
    return Bucket(BucketConfig(BUCKET, "", url, None, ACCESS_KEY, SECRET, rules=StoreRules(**rules)))


def put_all(bucket: Bucket, body: bytes = b"film") -> None:
    """The three PUTs of a transfer."""
    bucket.put_small("videos/job_1.jpg", b"poster", "image/jpeg")
    bucket.put_small("videos/job_1.json", b"{}", "application/json")
    bucket.put_video(KEY, Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest()), {"rushes-job": "j"})


@pytest.mark.parametrize(
    ("ways", "rules", "borne"),
    [
        (Ways(), {}, {"x-amz-checksum-sha256"}),
        (Ways(), {"checksum": "md5"}, {"content-md5"}),
        (Ways(), {"checksum": "none"}, {"x-amz-content-sha256"}),
        (B2, {"checksum": "md5", "condition": "head"}, {"content-md5"}),
        (OSS, {"addressing": "virtual", "condition": "x-oss-forbid-overwrite"}, {"x-amz-checksum-sha256"}),
        (Ways(needed_headers=ENCRYPTED), {"encryption": "aws:kms", "encryption_key": "key/1"}, set(ENCRYPTED)),
        (Ways(taken_status=304), {}, {"x-amz-checksum-sha256"}),
        (Ways(absent_status=403), {"condition": "head"}, {"x-amz-checksum-sha256"}),
    ],
    ids=["by default", "md5", "signature", "B2", "OSS", "policy wants KMS", "304 for 412", "403 for 404"],
)
def test_all_three_puts_go_by_the_rules(
    make_odd_store: MakeStore, ways: Ways, rules: dict[str, str], borne: set[str]
) -> None:
    store = make_odd_store(ways)
    bucket = bucket_of(store, **rules)
    put_all(bucket)
    with pytest.raises(ObjectExists):
        put_all(bucket, b"another")
    assert [borne <= headers.keys() for _, headers in store.puts[:3]] == [True] * 3
    assert store.objects[KEY].body == b"film"
    stored = bucket.head_with_checksum(KEY)
    assert stored is not None
    assert (stored.bytes, stored.metadata) == (4, {"rushes-job": "j"})
    assert bucket.head("videos/job_2.mp4") is None


@pytest.mark.parametrize("checksum", ["sha256", "md5", "none"])
def test_a_body_that_is_altered_on_the_way_is_not_taken(make_odd_store: MakeStore, checksum: str) -> None:
    store = make_odd_store(Ways(alters=True))
    with pytest.raises(BucketUnavailable, match="400") as caught:
        put_all(bucket_of(store, checksum=checksum))
    assert not isinstance(caught.value, BucketRefuses)  # the next try may arrive as it left
    assert store.objects == {}


def test_a_store_that_replaces_objects_all_the_same_is_looked_at_first(make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways(ignores_conditions=True))
    bucket = bucket_of(store, condition="head")
    put_all(bucket)
    with pytest.raises(ObjectExists):
        put_all(bucket, b"another")
    assert store.objects[KEY].body == b"film"


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        (Ways(addressing=("virtual",)), "403 SecondLevelDomainForbidden (Please use virtual hosted style to access.)"),
        (Ways(refused_headers=("x-amz-checksum-sha256",)), "400 InvalidArgument (Unsupported header"),
        (Ways(needed_headers=ENCRYPTED), "403 AccessDenied (not authorized"),
        (Ways(condition="none"), "501 NotImplemented (A header you provided"),
        (Ways(denied=("PUT",)), "403 AccessDenied (not authorized"),
        (Ways(full=True), "507 XMinioStorageFull (Storage backend"),
        (Ways(most_bytes=1), "413 (Request Entity Too Large)"),
    ],
    ids=["path style", "checksum", "encryption", "condition", "denied", "full", "a proxy's limit"],
)
def test_a_refusal_is_one_and_is_told_in_the_stores_own_words(make_odd_store: MakeStore, ways: Ways, said: str) -> None:
    with pytest.raises(BucketRefuses) as caught:
        put_all(bucket_of(make_odd_store(ways)))
    assert said in str(caught.value)


def test_a_refusal_of_a_head_is_told_in_words_too(make_odd_store: MakeStore) -> None:
    bucket = bucket_of(make_odd_store(Ways(addressing=("virtual",))))
    for ask in (bucket.check, lambda: bucket.head(KEY)):
        with pytest.raises(BucketRefuses, match="SecondLevelDomainForbidden"):
            ask()


@pytest.mark.parametrize(
    "ways",
    [
        Ways(slow_downs=9),
        Ways(conflicts=9),
        Ways(refuses_puts=Refusal(307, "TemporaryRedirect", "Please re-send this request to the specified endpoint.")),
    ],
    ids=["slow down", "conflict", "a new bucket"],
)
def test_what_passes_by_itself_is_no_refusal(make_odd_store: MakeStore, ways: Ways) -> None:
    with pytest.raises(BucketUnavailable) as caught:
        put_all(bucket_of(make_odd_store(ways)))
    assert not isinstance(caught.value, BucketRefuses)


def test_a_put_whose_answer_is_lost_leaves_one_object(make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways())
    store.ways.lost_answers = 1  # the client sends it again
    with pytest.raises(ObjectExists):
        put_all(bucket_of(store))
    assert store.objects[KEY].body == b"film"
    assert [key for key, _ in store.puts].count(KEY) == 1


def test_where_a_policy_takes_no_put_without_a_condition_all_three_have_one(make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways(only_conditional=True))
    bucket = bucket_of(store)
    put_all(bucket)
    with pytest.raises(ObjectExists):
        put_all(bucket, b"another")  # what stands beside the video stays, too
    assert [len(held.body) for held in store.objects.values()] == [6, 2, 4]


def test_a_put_that_was_told_to_stop_is_not_sent_again(
    make_odd_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_body, "KEEP_GOING_S", 0)
    store, body = make_odd_store(Ways()), b"film" * 300_000
    spooled = Spooled(io.BytesIO(body), len(body), hashlib.sha256(body).hexdigest())
    read: list[int] = []

    def keep_going() -> None:
        read.append(spooled.file.tell())
        if len(read) > 2:  # it is being sent
            monkeypatch.setattr(put_body, "KEEP_GOING_S", 60)  # for as long as it takes it is not asked again
            raise Cancelled("the lease was lost")

    with pytest.raises(Cancelled):
        bucket_of(store).put_video(KEY, spooled, {}, keep_going)
    assert store.objects == {}


@pytest.mark.parametrize("rules", [{}, {"addressing": "virtual"}])
def test_at_aws_a_bucket_whose_name_has_dots_is_asked_by_path(rules: dict[str, str]) -> None:
    """By host name its certificate would not be good: the authority's wildcard stands for one label."""
    config = BucketConfig("films.example.com", "", None, "eu-central-1", ACCESS_KEY, SECRET, rules=StoreRules(**rules))
    bucket = Bucket(config)
    assert bucket.link(KEY, expires_s=60).startswith(f"https://s3.eu-central-1.amazonaws.com/films.example.com/{KEY}?")
    asked: list[str] = []

    def meet(request: Any, **_: Any) -> None:
        asked.append(request.url)
        raise EndpointConnectionError(endpoint_url=request.url)

    bucket._client.meta.events.register("before-send.s3", meet)
    with pytest.raises(BucketUnavailable):
        bucket.put_small(KEY, b"", "image/jpeg")
    assert asked[0] == f"https://s3.eu-central-1.amazonaws.com/films.example.com/{KEY}"
