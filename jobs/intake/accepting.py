"""A person takes a film that the proof refused: it is archived as it is, and bears their mark in place of the proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.errors import NothingKept
from jobs.intake.changes import copied_again, grant
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.flags import acceptable
from jobs.machine.outcome import Facts, Note, Outcome
from jobs.machine.states import State
from jobs.store.core import Core

ACCEPT_FILM = "accept_film"  # the line of history that says who took which bytes


def accept(job_id: str, core: Core, *, api_key_id: str) -> Case:
    """Let a worker archive the longest of the films that are kept aside of a job which is archiving or has failed.

    It is put as any video is, if nothing stands at the job's key: a film that was proven meanwhile stays. Accepting
    again changes nothing. Raises UnknownJob, NothingKept, DatabaseUnavailable.
    """

    def judge(case: Case, now: datetime, rules: Rules) -> Outcome | None:
        job, current = case.job, case.current
        is_being_copied = job.state is State.ARCHIVING and current is not None and current.accepted_film is not None
        if is_being_copied or (job.state is State.ARCHIVED and job.accepted_by is not None):
            return None
        attempt = acceptable(case)
        film = None if attempt is None else attempt.unproven_film
        if attempt is None or film is None:
            raise NothingKept(_nothing(case))
        said = Note(ACCEPT_FILM, attempt.number, {"sha256": film.sha256, "api_key": api_key_id})
        taken: AttemptChanges = {"accepted_sha256": film.sha256, "accepted_by": api_key_id, "last_word": None}
        if job.state is State.ARCHIVING:
            return replace(
                decide(case, Facts({attempt.number: taken}, notes=(said,)), now=now, rules=rules), alarm_at=now
            )
        wish = copied_again(attempt, rules, {"api_key": api_key_id}, taken)
        return decide(case, Facts(notes=(said,)), now=now, rules=rules, wish=wish)

    return grant(job_id, judge, core)


def _nothing(case: Case) -> str:
    state = case.job.state
    if state is State.ARCHIVED:
        return "The job is archived: its film was proven to play, and stays."
    if state in (State.ARCHIVING, State.FAILED):
        return f"The job is {state}, and no film of it was refused and kept."
    return f"The job is {state}; there is something to accept once the proof has refused a film."
