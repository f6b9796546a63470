"""The archive's bucket, by the settings: as our processes reach it, and as those do who follow links."""

from __future__ import annotations

from jobs.settings import Settings
from storage.bucket import Bucket, BucketConfig


def bucket(settings: Settings) -> Bucket:
    """The bucket as our processes reach it."""
    return _bucket(settings, settings.s3_endpoint_url)


def bucket_for_links(settings: Settings) -> Bucket:
    """The bucket as those who follow presigned links reach it."""
    return _bucket(settings, settings.s3_public_endpoint_url or settings.s3_endpoint_url)


def _bucket(settings: Settings, endpoint_url: str | None) -> Bucket:
    return Bucket(
        BucketConfig(
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            endpoint_url=endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            session_token=settings.s3_session_token,
            rules=settings.s3_rules,
        )
    )
