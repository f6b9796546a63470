"""One thing for a person, as a value, and the command that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.machine import flags
from jobs.machine.rows import AttemptOutcome
from jobs.providers.base import Provider
from jobs.settings import Settings

MOST = 1000  # of each reason; more would not be read, and a metric must not read a whole table
# reason → the command that answers it, of which a person chooses what they found; for all others, the job's history
COMMANDS = {
    "unconfirmed": "rushes jobs settle {job_id} --attempt {attempt} (--task-id T | --not-made)",
    "uncertain_money": "rushes jobs settle {job_id} --attempt {attempt} (--charged | --not-charged)",
    "absurd_cost": "rushes jobs settle {job_id} --attempt {attempt} (--charged | --not-charged)",
    "paid_not_delivered": "rushes jobs settle {job_id} --attempt {attempt} --not-charged",
    **dict.fromkeys(("link_dying", "bucket_refuses", "disk_full", "film_not_kept"), "rushes doctor"),
    **dict.fromkeys(("foreign_task", "other_length"), "rushes videos link {job_id}"),
    "unproven_film": "rushes videos accept {job_id}",
    "contested_task": "rushes jobs settle {job_id} --attempt {attempt} --task-id {task_id}",
    "unknown_job": "rushes callbacks list --job {job_id}",
    "unknown_attempt": "rushes callbacks list --job {job_id}",
    "notice_given_up": "rushes notices replay --all-failed --job {job_id}",
    flags.HOLDER_DIED: "rushes jobs retry {job_id}",
    **dict.fromkeys(("no_gateway", "gateway_drifts"), "rushes providers"),
    **dict.fromkeys(("gateway_rests", "out_of_credit", "key_refused"), "rushes providers resume {provider}"),
}
OF_A_LOST_ORDER = (
    "rushes jobs settle {job_id} --attempt {attempt} (--task-id T | --not-made | --charged | --not-charged)"
)
# A job that failed of it asks its gateway for a link once more; one that lives does so by itself.
OF_A_FAILED_JOB = dict.fromkeys(("no_link", "link_forbidden"), "rushes jobs retry {job_id}")
HISTORY = "rushes jobs show {job_id}"


@dataclass(frozen=True)
class Item:
    """One thing for a person. `reason`: see error_codes.REASONS. `until`: when it settles itself, or is lost.

    What they need for looking at the gateway: the order's number, time and task, the key's fingerprint (`account`), the
    beginning of the prompt, the link where there is one. `outcome` is the order's.
    """

    reason: str
    detail: str
    job_id: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    attempt: int | None = None
    ordered_at: datetime | None = None
    task_id: str | None = None
    account: str | None = None
    prompt: str | None = None
    link: str | None = None
    outcome: str | None = None

    @property
    def command(self) -> str:
        """The command that answers it; where none does yet, the one that shows more."""
        template = COMMANDS.get(self.reason, HISTORY)
        if self.reason == "uncertain_money" and self.task_id is None:
            template = OF_A_LOST_ORDER
        elif self.reason == "paid_not_delivered" and self.link is None:
            template = COMMANDS["uncertain_money"]
        elif self.outcome == AttemptOutcome.UNDELIVERED:
            template = OF_A_FAILED_JOB.get(self.reason, template)
        elif self.reason == "absurd_cost" and self.outcome == AttemptOutcome.OPEN:
            template = HISTORY  # what became of its money can be said once it is closed
        return template.format(job_id=self.job_id, attempt=self.attempt, provider=self.provider, task_id=self.task_id)


@dataclass(frozen=True)
class Looking:
    """What the list rests on beside the rows."""

    settings: Settings
    providers: Mapping[str, Provider]
    now: datetime
