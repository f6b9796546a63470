"""Buckets of the tests' SeaweedFS."""

from __future__ import annotations

from rushes.local.seaweedfs import SeaweedFS
from storage.bucket import Bucket, BucketConfig

S3_KEY = "rushes"


def bucket_config_of(seaweedfs: SeaweedFS, name: str, prefix: str = "") -> BucketConfig:
    return BucketConfig(name, prefix, seaweedfs.endpoint_url, "us-east-1", S3_KEY, seaweedfs.secret_key)


def empty_bucket(bucket: Bucket) -> None:
    for item in bucket.listing(""):
        bucket._client.delete_object(Bucket=bucket.config.bucket, Key=item.key)
