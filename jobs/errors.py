"""What can go wrong in this room: one base, one level below it. The class tells the caller what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice


class JobsError(Exception):
    """Base of this room's errors."""


MOST_FIELDS, LONGEST_FIELD = 20, 100
MOST_SENTENCES, LONGEST_SENTENCE = 5, 300


class BadRequest(JobsError):
    """The client's mistake. `fields` maps a dotted path (`media.0.url`) to a list of sentences.

    Of thousands of faults the first few are told, and how many there are more; of long ones the beginning.
    """

    def __init__(self, fields: Mapping[str, Sequence[str]]):
        self.fields = {
            _beginning(name, LONGEST_FIELD): [_beginning(each, LONGEST_SENTENCE) for each in said[:MOST_SENTENCES]]
            for name, said in islice(fields.items(), MOST_FIELDS)
        }
        told = [f"{name}: {' '.join(said)}" for name, said in sorted(self.fields.items())]
        if (more := len(fields) - MOST_FIELDS) > 0:
            told.append(f"and {more:,} more like these")
        super().__init__("; ".join(told))


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


class IdempotencyKeyReused(JobsError):
    """The same Idempotency-Key came with another body."""


class StoreUnfit(JobsError):
    """The store refuses what a transfer does, so that no video could be archived. The message says what to do."""


class NoWayOut(JobsError):
    """A proxy is the only way to gateways or their links, and we use none: nothing may be ordered from here."""


class UnknownJob(JobsError):
    """No job has this id."""


class UnknownOrder(JobsError):
    """The job has no order of this number."""


class UnknownKey(JobsError):
    """No live API key has this id."""


class UnknownNotice(JobsError):
    """No notice has this id."""


class UnknownBatch(JobsError):
    """No job belongs to a batch of this name."""


class UnknownCallback(JobsError):
    """No kept callback has this id."""


class NothingOpen(JobsError):
    """A job has ended, and nothing of it is open: no news can matter to it."""


class TooLate(JobsError):
    """A job can no longer be cancelled."""


class NotFailed(JobsError):
    """Only a failed job can be tried again."""


class MayBePaid(JobsError):
    """Another order may pay a second time; the client has to say that it accepts that."""


class NothingLeft(JobsError):
    """No gateway could come to another answer."""


class UnderWay(JobsError):
    """A worker is at the order just now: ask again in a moment."""


class TaskKnown(JobsError):
    """The order's task is known: nobody needs to name it, and it was made."""


class TaskTaken(JobsError):
    """The task is another order's."""


class NotLost(JobsError):
    """It is known whether the order was made: its answer was not lost."""


class NothingKept(JobsError):
    """No film of the job is kept aside that a person could take in place of the proof."""


class NotClosed(JobsError):
    """The order has no last word yet, so nobody can say what became of its money."""


class BalanceUnknown(JobsError):
    """A gateway did not tell its balance, or not in a way that can be read. The message says what to do."""


class BadReport(JobsError):
    """A gateway's answer or callback cannot be read. The job does not move."""


class NoStatus(BadReport):
    """It can be read, but for its status: where the word for it belongs there is none."""


class IllegalTransition(JobsError):
    """Our own mistake: the table has no such move."""


class BadSettings(JobsError):
    """The start stops: `faults` holds one line per variable."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults
