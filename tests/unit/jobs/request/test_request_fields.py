"""The table of fields and what is made from it hold together."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobs.providers.capabilities import Ability
from jobs.request.fields import CHOICES, FIELDS, NUMBERS, TEXTS, ChoiceField, Field, LengthField
from jobs.request.generation import Generation, Mode
from jobs.request.schema import RequestSchema
from rushes.api.schemas.providers import AbilitySchema
from rushes.cli.commands.submit import command

EVERY_FIELD = pytest.mark.parametrize("field", FIELDS, ids=[field.name for field in FIELDS])
DEFAULTS = {each.name: each.default for each in fields(Generation)}


def test_every_value_of_a_video_has_its_row_but_for_model_mode_and_media() -> None:
    assert {each.name for each in fields(Generation)} - {"model", "mode", "media"} == {field.name for field in FIELDS}
    assert len({field.name for field in FIELDS}) == len(FIELDS)


@EVERY_FIELD
def test_a_field_is_of_one_kind(field: Field) -> None:
    kinds = [field in TEXTS, field in NUMBERS, field in CHOICES, isinstance(field, LengthField)]
    assert kinds.count(True) == 1


@EVERY_FIELD
def test_a_field_can_be_sent_said_on_the_command_line_and_offered(field: Field) -> None:
    assert RequestSchema().fields[field.name].metadata["description"] == field.about
    assert AbilitySchema().fields[field.offered_as]
    assert field.offered_as in {each.name for each in fields(Ability)}
    options = {option.name: getattr(option, "help", None) for option in command.params}
    if field.name == "prompt":  # the argument
        assert field.name in options
    else:
        assert options[field.name] == field.help


@pytest.mark.parametrize("field", CHOICES, ids=[field.name for field in CHOICES])
def test_what_is_meant_unsaid_is_a_choice_or_nothing(field: ChoiceField) -> None:
    assert DEFAULTS[field.name] in (None, *field.values)
    assert field.natural in (None, *field.values)
    assert field.unasked is None or field.unasked in {each.name for each in fields(Ability)}
    assert all(set(values) <= set(field.values) for values in field.in_words)
    assert (field.only is None) == (field.subject == "")


def test_a_choice_that_is_said_without_words_of_its_own_lists_its_values() -> None:
    rows = {field.name: field.help for field in CHOICES}
    assert rows["resolution"] == "720p or 1080p."
    assert rows["ratio"] == "16:9, 9:16, 1:1, 4:3 or 3:4."
    assert rows["shot_type"] == "single or multi."


def test_a_kind_of_video_is_its_model_and_its_mode() -> None:
    assert Generation(Mode.EDIT, None, model="haiku-1").kind == ("haiku-1", Mode.EDIT)
    assert Generation(Mode.TEXT, "p").kind == ("wan-2.7", Mode.TEXT)
