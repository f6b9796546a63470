"""What mends a store's refusal, found by trying: the same by other rules, until the store takes it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import product

from jobs.steps.store_refusals import is_about_kms, remedy
from jobs.steps.store_trial import StoreTrial
from rushes.doctor.findings import Finding, fail
from storage.bucket import Bucket, BucketConfig
from storage.errors import BucketRefuses, BucketUnavailable
from storage.rules import CHECKSUMS, CONDITIONS, ENCRYPTIONS, LOOK, PATH, VIRTUAL, StoreRules

VARIABLES = {
    "addressing": "RUSHES_S3_ADDRESSING",
    "checksum": "RUSHES_S3_CHECKSUM",
    "condition": "RUSHES_S3_CONDITION",
    "encryption": "RUSHES_S3_ENCRYPTION",
    "encryption_key": "RUSHES_S3_ENCRYPTION_KEY",
}

Others = Callable[[StoreRules], Iterable[StoreRules]]


class Mending:
    """The store, by the settings' rules, and after a refusal by those that it took instead.

    `trial` is the one whose objects stand there; `trials` are all that may have left something. `stuck`: nothing that
    was tried mends the last refusal.
    """

    def __init__(self, config: BucketConfig) -> None:
        self.config, self.stuck = config, False
        self.trials: list[StoreTrial] = []
        self.trial = self._new_trial()

    def run(self, name: str, do: Callable[[StoreTrial], object], others: Others) -> Finding | None:
        """Do it. Where the store refuses, do it by other rules; None if none of this was needed."""
        rules = self.config.rules
        try:
            do(self.trial)
            return None
        except BucketUnavailable as error:
            refusal = error
        if not is_about_kms(refusal) and (isinstance(refusal, BucketRefuses) or rules.addressing == VIRTUAL):
            for other in others(rules):
                self.config = replace(self.config, rules=other)
                self.trial = self._new_trial()
                try:
                    do(self.trial)
                except BucketUnavailable:
                    continue
                return fail(name, str(refusal), _changes(rules, other))
        self.config, self.stuck = replace(self.config, rules=rules), True
        return fail(name, str(refusal), remedy(refusal, rules))

    def _new_trial(self) -> StoreTrial:
        self.trials.append(StoreTrial(Bucket(self.config), secrets.token_hex(8)))
        return self.trials[-1]


def otherwise_addressed(rules: StoreRules) -> Iterator[StoreRules]:
    yield replace(rules, addressing=PATH if rules.addressing == VIRTUAL else VIRTUAL)


def otherwise_put(rules: StoreRules) -> list[StoreRules]:
    """By another checksum, by other encryption headers, or by both: the fewest changes first."""
    encryptions = dict.fromkeys((rules.encryption, *ENCRYPTIONS, None))
    found = [
        replace(
            rules,
            checksum=checksum,
            encryption=encryption,
            encryption_key=rules.encryption_key if str(encryption).startswith("aws:kms") else None,
        )
        for checksum, encryption in product(dict.fromkeys((rules.checksum, *CHECKSUMS)), encryptions)
    ]
    return sorted((other for other in found if other != rules), key=lambda other: len(_changed(rules, other)))


def otherwise_conditional(rules: StoreRules) -> Iterator[StoreRules]:
    return (replace(rules, condition=condition) for condition in CONDITIONS if condition != rules.condition)


def _changed(rules: StoreRules, other: StoreRules) -> dict[str, str | None]:
    return {v: getattr(other, name) for name, v in VARIABLES.items() if getattr(rules, name) != getattr(other, name)}


def _changes(rules: StoreRules, other: StoreRules) -> str:
    """What to set for the other rules."""
    changed = _changed(rules, other).items()
    said = " and ".join(f"unset {name}" if value is None else f"set {name}={value}" for name, value in changed)
    if rules.encryption is not None and other.encryption != rules.encryption:
        return (
            f"{said} (tried just now, and taken), if who decided on RUSHES_S3_ENCRYPTION agrees:"
            " films are encrypted otherwise then"
        )
    if other.condition != LOOK:
        return f"{said} (tried just now, and taken)"
    return (
        f"{said}, which looks before it puts (tried just now, and taken); safer is a store that honours If-None-Match"
    )
