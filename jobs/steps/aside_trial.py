"""What a transfer does with the folders beside the archive, done with scratch objects."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress

from jobs.steps import store_refusals
from storage.bucket import ASIDE_TYPE, Bucket
from storage.errors import BucketUnavailable, ObjectExists
from storage.keys import CONTESTED, UNPROVEN, aside_key, unproven_key
from storage.rules import StoreRules
from storage.spool import Spooled


class AsideTrial:
    """A scratch film kept in both ways, with names that follow from `name`. Every method raises BucketUnavailable."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._body = f"made by a trial, {name}; may be deleted".encode()
        self._sha256 = hashlib.sha256(self._body).hexdigest()
        prefix = bucket.config.prefix
        self.folders = (f"{prefix}{UNPROVEN}", f"{prefix}{CONTESTED}")
        self.keys = (unproven_key(prefix, self._sha256), aside_key(prefix, "scratch", name))

    def put(self) -> None:
        """Look, count what is kept, and keep one more."""
        sum(each.bytes for each in self._bucket.listing(self.folders[0]))
        for key in self.keys:
            self._bucket.head(key)
            with (
                Spooled(io.BytesIO(self._body), len(self._body), self._sha256) as spooled,
                suppress(ObjectExists),  # of an earlier trial, where nothing may be deleted
            ):
                self._bucket.put_video(key, spooled, {"rushes-sha256": self._sha256}, content_type=ASIDE_TYPE)

    def remove(self) -> None:
        """Take both away, as prune does."""
        for key in self.keys:
            self._bucket.delete(key)


def remedy(error: BucketUnavailable, trial: AsideTrial, rules: StoreRules) -> str:
    """What to do where a store that takes videos refuses what is kept aside."""
    then = store_refusals.remedy(error, rules)
    if then != store_refusals.PERMIT:
        return then
    return f"let the key do s3:PutObject and s3:GetObject below {' and '.join(trial.folders)} too, as below videos/"
