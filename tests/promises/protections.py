"""Every protection that the run of tests/promises takes away."""

from __future__ import annotations

import unprotected_films
import unprotected_orders
import unprotected_work
from protection import Protection

PROTECTIONS: list[Protection] = [
    *unprotected_orders.PROTECTIONS,
    *unprotected_films.PROTECTIONS,
    *unprotected_work.PROTECTIONS,
]
BY_WORDS = {protection.words: protection for protection in PROTECTIONS}
