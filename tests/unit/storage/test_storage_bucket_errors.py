"""What the store's answers mean, against a client that answers as told. The real store is in the integration tests."""

import hashlib
import io
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketUnavailable, ObjectExists, StorageError
from storage.spool import Spooled

CONFIG = BucketConfig("films", "", "http://s3.example", None, "AKIA-access", "very-secret")


def answer(status: int, code: str = "Code") -> ClientError:
    error = {"Error": {"Code": code, "Message": "very-secret"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "Operation")  # type: ignore[arg-type]


class Client:
    """Raises for the operations it is given errors for; the others succeed with nothing."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> dict[str, Any]:
            if operation in self.errors:
                raise self.errors[operation]
            return {}

        return call


def put(error: Exception) -> None:
    data = b"film"
    spooled = Spooled(io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest())
    Bucket(CONFIG, Client(put_object=error)).put_video("a.mp4", spooled, {})


def test_a_failed_precondition_means_that_an_object_is_there() -> None:
    with pytest.raises(ObjectExists):
        put(answer(412, "PreconditionFailed"))


def test_a_store_s_code_is_one_short_line_as_its_text_is() -> None:
    with pytest.raises(BucketUnavailable) as caught:
        put(answer(403, f"Bad\x9b31m\ncode{'x' * 500}"))
    assert str(caught.value).startswith("PUT a.mp4: 403 Bad 31m code")
    assert str(caught.value).isprintable()
    assert len(caught.value.code) < 110


TROUBLE = [
    answer(409, "ConditionalRequestConflict"),
    answer(400, "BadDigest"),
    answer(403, "AccessDenied"),
    answer(404, "NoSuchBucket"),
    answer(500, "InternalError"),
    answer(503, "SlowDown"),
    EndpointConnectionError(endpoint_url="http://s3.example"),
    ReadTimeoutError(endpoint_url="http://s3.example"),
    NoCredentialsError(),
]


@pytest.mark.parametrize("error", TROUBLE, ids=str)
def test_any_other_trouble_of_a_put_means_try_later(error: Exception) -> None:
    with pytest.raises(BucketUnavailable) as caught:
        put(error)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error", TROUBLE, ids=str)
def test_trouble_with_a_head_never_means_that_nothing_is_stored(error: Exception) -> None:
    with pytest.raises(BucketUnavailable):
        Bucket(CONFIG, Client(head_object=error, head_bucket=error, get_object=error)).head("a.mp4")


def test_an_absent_object_in_a_bucket_that_is_there_is_none() -> None:
    assert Bucket(CONFIG, Client(head_object=answer(404))).head("a.mp4") is None


def test_an_absent_bucket_is_trouble_and_not_an_absent_object() -> None:
    with pytest.raises(BucketUnavailable):
        Bucket(CONFIG, Client(head_object=answer(404), head_bucket=answer(404))).head("a.mp4")


def test_only_an_absent_bucket_is_created() -> None:
    Bucket(CONFIG, Client(head_bucket=answer(404))).ensure()
    with pytest.raises(BucketUnavailable, match="403"):
        Bucket(CONFIG, Client(head_bucket=answer(403), create_bucket=StorageError("not called"))).ensure()


def test_the_configuration_hides_its_keys() -> None:
    assert "AKIA" not in repr(CONFIG)
    assert "secret" not in repr(CONFIG)
