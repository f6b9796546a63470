"""What taking jobs in and working on them both stand on: settings, gateways' tables, the database and the doorbell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.machine import routing
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.routing import Candidate
from jobs.providers.base import Provider
from jobs.request.generation import JobRequest
from jobs.ringer import Ringer
from jobs.settings import Settings
from jobs.store.database import Database
from jobs.store.due import is_due
from jobs.store.step_table import NOTIFY, wake


def _as_it_is(seconds: float) -> float:
    return seconds


@dataclass(kw_only=True)
class Core:
    """Built once per process by an entry point and handed down; tests hand down others."""

    settings: Settings
    providers: Mapping[str, Provider]
    database: Database
    ringer: Ringer
    jitter: Callable[[float], float] = _as_it_is

    @property
    def rules(self) -> Rules:
        return Rules(self.settings, self.providers, self.remaining, self.jitter)

    def candidates(self, request: JobRequest) -> list[Candidate]:
        """The gateways that the client would take and that have a key here. Raises BadRequest."""
        return routing.candidates(request, self.providers, self.settings.accounts, self.settings.daily_usd)

    def remaining(self, case: Case) -> list[str]:
        """The gateways still open to a job, best first."""
        return routing.left(case, self.providers, self.settings)

    def ring_for(self, case: Case, *, notices: int = 0) -> None:
        """Ring for a job that a committed write has left due, and for the notices that it wrote.

        `case` is the row as written; `notices`, how many the job had before.
        """
        if case.job.notices > notices:
            self.ringer.ring(NOTIFY.name, case.job.id)
        if is_due(case.job, now=case.job.updated_at):
            self.ringer.ring(wake(case.job.state, news=case.has_news).name, case.job.id)
