"""What all answers have in common: clients may meet new fields at any time, so they are open."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema


class Answer(Schema):
    class Meta:
        unknown = EXCLUDE
