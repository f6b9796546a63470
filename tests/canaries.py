"""Secrets for tests that tests/leak_scan.py knows wherever they turn up."""

from __future__ import annotations

import secrets

CANARY = "canary"


def canary() -> str:
    """Fit for URLs and configuration files."""
    return CANARY + secrets.token_hex(16)
