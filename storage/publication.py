"""The three objects of a video, put in their order: once the video is visible, everything is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from storage.bucket import Bucket
from storage.keys import poster_key, sidecar_key
from storage.spool import Spooled

POSTER_TYPE, SIDECAR_TYPE = "image/jpeg", "application/json"


def publish(
    bucket: Bucket,
    key: str,
    spooled: Spooled,
    *,
    poster: bytes | None,
    sidecar: bytes,
    metadata: Mapping[str, str],
    keep_going: Callable[[], None],
) -> None:
    """Put the poster, if there is one, the sidecar, and the video where none stands yet, which appears after them.

    Raises BucketUnavailable and ObjectExists. `keep_going` is called before anything is sent and while the video is;
    what it raises comes out.
    """

    def beside() -> None:
        if poster is not None:
            bucket.put_small(poster_key(key), poster, POSTER_TYPE)
        bucket.put_small(sidecar_key(key), sidecar, SIDECAR_TYPE)

    keep_going()
    bucket.put_video(key, spooled, metadata, keep_going, first=beside)
