"""What is measured: each number's name, kind, labels and meaning. `/metrics` and its page are made of this.

Values of labels are few and ours (gateways, states, steps, codes, routes): never an id, a link or anybody's words.
Nothing here needs a library of Prometheus: whoever counts may run without the extra `metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    GAUGE = "gauge"  # as it stands now
    COUNTER = "counter"  # only grows, over all processes and restarts
    HISTOGRAM = "histogram"  # how many were at most as large as each of its bounds, and their sum


@dataclass(frozen=True)
class Measure:
    """One number. `bounds`: of a histogram's buckets, without the last, which has no bound."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800)
_LIVES_S = (0, 60, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_JOBS_S = (15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)


def _gauge(name: str, says: str, *labels: str) -> Measure:
    return Measure(name, Kind.GAUGE, says, labels)


def _counter(name: str, says: str, *labels: str) -> Measure:
    return Measure(name, Kind.COUNTER, says, labels)


def _histogram(name: str, says: str, *labels: str, bounds: tuple[float, ...]) -> Measure:
    return Measure(name, Kind.HISTOGRAM, says, labels, bounds)


# Read from the rows, and from the broker, whenever somebody asks.
JOBS = _gauge(
    "rushes_jobs",
    "Jobs, by state and by the gateway of their last order. Where many have ended, these are counted less often.",
    "state",
    "provider",
)
NEEDS_PERSON = _gauge(
    "rushes_needs_person", "What needs a person, by reason; at most 1000 of each are counted.", "reason"
)
REST_S = _gauge(
    "rushes_gateway_rest_seconds",
    "Seconds that a gateway's lane still rests; 0: its rest is over, and one order or question is to try it.",
    "provider",
    "lane",
    "reason",
)
REST_SINCE = _gauge(
    "rushes_gateway_rest_since_timestamp_seconds",
    "When the first of its rests in a row began, as a Unix time.",
    "provider",
    "lane",
    "reason",
)
HELD_UP = _gauge("rushes_jobs_held_up", "Queued jobs that wait for a gateway.", "provider")
OLDEST_DUE_S = _gauge("rushes_oldest_due_seconds", "How long the oldest due job has waited.")
QUEUE_AGE_S = _gauge("rushes_queue_age_seconds", "Seconds since the oldest queued job was asked for; 0: none is.")
BELLS_WAITING = _gauge(
    "rushes_bells_waiting", "Messages that wait in a queue of the broker; absent while it does not answer.", "queue"
)
SWEEP_AGE_S = _gauge("rushes_sweep_age_seconds", "Seconds since a sweep last looked.")
PROCESS_AGE_S = _gauge(
    "rushes_process_age_seconds", "Seconds since a process of this role last said that it lives.", "role"
)
IN_FLIGHT = _gauge("rushes_orders_in_flight", "Orders that a gateway may be working on.", "provider")
UNANSWERED = _gauge(
    "rushes_orders_unanswered", "Orders whose answer is not known, since its last acceptance.", "provider"
)
TODAY_USD = _gauge(
    "rushes_today_usd",
    "US dollars of today's orders (UTC), by what became of the money; unknown prices are left out.",
    "provider",
    "line",
)
TODAY_ORDERS = _gauge("rushes_today_orders", "Today's orders (UTC), by what became of the money.", "provider", "line")
BUDGET_USD = _gauge("rushes_budget_usd", "What a day may cost, where it is limited.", "provider")
QUERY_BUDGET = _gauge(
    "rushes_query_budget_per_second", "Questions that a gateway's key may be asked a second.", "provider"
)
LINK_LIFE_LEFT_S = _gauge(
    "rushes_link_life_left_seconds",
    "Seconds that the link still lives that dies first, of films that are not copied yet; below 0: it is dead.",
)
CALLBACK_LOSS = _gauge(
    "rushes_callback_loss_ratio",
    "Callbacks that have not come, of those of orders whose end was heard in the last 24 hours.",
    "provider",
)
UNKNOWN_ANSWERS = _counter(
    "rushes_gateway_unknown_answers_total",
    "Tasks whose gateway answered what none of its pages documents: a status word, or (in brackets) a shape.",
    "provider",
    "what",
)

# Tallied where it happens, and written by each process every `RUSHES_SWEEP_INTERVAL_S`.
MOVES = _counter(
    "rushes_job_moves_total",
    "Moves of jobs from state to state: what happened, and the state after it. `lose` is an order without an answer.",
    "event",
    "state",
    "provider",
)
JOBS_FAILED = _counter("rushes_jobs_failed_total", "Jobs that have failed, by their error code.", "code", "provider")
JOB_S = _histogram(
    "rushes_job_seconds", "From the request to the job's end, by the state it ended in.", "state", bounds=_JOBS_S
)
ORDERS = _counter("rushes_orders_total", "Orders that were begun.", "provider")
ORDER_ENDS = _counter("rushes_order_ends_total", "Orders that came to an end, by what it was.", "provider", "outcome")
STEP_S = _histogram(
    "rushes_step_seconds",
    "How long a step worked on a row, also where there was nothing to do.",
    "step",
    bounds=_LONG_S,
)
STEP_FAILURES = _counter("rushes_step_failures_total", "Steps that raised, or found the database away.", "step")
GATEWAY_S = _histogram(
    "rushes_gateway_request_seconds",
    "Requests to gateways, orders (`submit`) and questions (`query`): how long until an answer, or until there is none."
    " `result` is a class of statuses, `lost` (sent, without an answer) or `not_sent`.",
    "provider",
    "lane",
    "result",
    bounds=_QUICK_S,
)
CALLBACKS = _counter(
    "rushes_callbacks_total",
    "Callbacks, by what became of them: `kept`, `unreadable` (kept as well), `again` (its like is kept), `over_limit`,"
    " `unknown_job`, or refused: `bad_url`, `too_large`, `too_many`, `cut_off`, `database`.",
    "provider",
    "result",
)
CALLBACK_DELAY_S = _histogram(
    "rushes_callback_delay_seconds",
    "From the end of a task, where its callback tells that, until the callback was kept; by two clocks, 0 at least.",
    "provider",
    bounds=_LONG_S,
)
TRANSFER_S = _histogram(
    "rushes_transfer_seconds", "How long the try took that archived a film.", "provider", bounds=_LONG_S
)
TRANSFER_BYTES = _counter("rushes_transfer_bytes_total", "Bytes of films that were archived.", "provider")
TRANSFER_FAILURES = _counter(
    "rushes_transfer_failures_total", "Tries at archiving that failed, by what stopped them.", "provider", "error"
)
TRANSFER_LIFE_S = _histogram(
    "rushes_transfer_link_life_seconds",
    "How long a film's link had still to live when the try began that archived it.",
    "provider",
    bounds=_LIVES_S,
)
NOTICE_S = _histogram(
    "rushes_notice_seconds",
    "Tries at sending a notice: how long each took. `result` is `delivered`, a class of statuses, or `unanswered`.",
    "result",
    bounds=_QUICK_S,
)
SWEEP_S = _histogram("rushes_sweep_seconds", "How long a look of the sweep took.", bounds=_QUICK_S)
HTTP_S = _histogram(
    "rushes_http_request_seconds",
    "Requests to the API and to the receiver; one that waits for a job (`?wait=`) lasts as long as it waits.",
    "method",
    "route",
    "status",
    bounds=_QUICK_S,
)

ALL: tuple[Measure, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Measure))
BY_NAME = {measure.name: measure for measure in ALL}


def status_class(status: int) -> str:
    """How HTTP statuses are told apart: `2xx`, `4xx` and so on."""
    return f"{status // 100}xx"
