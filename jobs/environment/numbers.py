"""The settings that are numbers: their defaults, what they mean, and how they bear on one another."""

from __future__ import annotations

NUMBERS: dict[str, tuple[float, str]] = {
    "SUBMIT_DEADLINE_S": (60, "whole time that a submit may take"),
    "SUBMIT_LEASE_S": (90, "how long a submitting worker is believed to be alive; more than the deadline"),
    "QUERY_DEADLINE_S": (20, "whole time that a query may take"),
    "QUERY_LEASE_S": (45, "how long a querying worker is believed to be alive; more than the deadline"),
    "TRANSFER_DEADLINE_S": (900, "whole time that a download may take"),
    "TRANSFER_STALL_S": (30, "a download slower than 64 KiB/s over this time is given up"),
    "TRANSFER_LEASE_S": (90, "how long a transferring worker is believed to be alive; renewed every third of it"),
    "NOTICE_DEADLINE_S": (15, "whole time that a notice may take"),
    "NOTICE_LEASE_S": (30, "how long a notifying worker is believed to be alive; more than the deadline"),
    "SWEEP_INTERVAL_S": (10, "how often what is due is looked for"),
    "POLL_INTERVAL_S": (0, "seconds between queries of a running task; 0: each gateway's own advice"),
    "OVERDUE_POLL_S": (60, "seconds between queries of an overdue task"),
    "LATE_POLL_S": (300, "seconds between queries once a task is an hour old"),
    "EXPECTED_S": (300, "after this a generation is overdue; an edit after twice this"),
    "UNCONFIRMED_WINDOW_S": (
        900,
        "how long a lost answer is waited for where no callback can come, and a film for whose it is",
    ),
    "RESUBMIT_AFTER_S": (900, "how long after a lost answer `on_unconfirmed: resubmit` buys again"),
    "RETRY_FIRST_S": (10, "first pause after a trouble of our own; doubles"),
    "RETRY_LONGEST_S": (3600, "longest pause after troubles of our own"),
    "INPUT_QUEUE_S": (600, "a presigned link to input media must outlive the gateway's expected time by this"),
    "START_WITHIN_S": (86_400, "a job that no gateway has accepted by then fails as not_started"),
    "NOTICE_UNIT_S": (1, "scale of the notice timetable (5 s, 1 m, 5 m, ... 24 h)"),
    "RESEND_UNIT_S": (60, "scale of the timetable for re-sends under an idempotency key (1, 5, 30, 60 ... minutes)"),
    "LIFE_S": (0, "life of tasks and links in seconds; 0: each gateway's own"),
    "MAX_IN_FLIGHT": (50, "accepted jobs at a time per gateway key"),
    "MAX_UNCONFIRMED": (5, "orders of a gateway key without an answer, on their way or lost, until no more are risked"),
    "MAX_ATTEMPTS": (2, "accepted attempts per job"),
    "WORKER_SLOTS": (32, "threads of the worker process"),
    "TRANSFER_SLOTS": (8, "threads of the transfer process"),
    "NOTIFY_SLOTS": (8, "threads of the notify process"),
    "API_REQUESTS_PER_MIN": (3000, "requests a minute and API key, counted by each web process"),
    "MAX_BODY_BYTES": (65_536, "largest callback body"),
    "MAX_INBOX_ROWS": (32, "kept callbacks per attempt; of more, the task ids"),
    "MAX_VIDEO_BYTES": (2 * 2**30, "largest video"),
    "MAX_UNPROVEN_BYTES": (
        20 * 2**30,
        "films that the proof refused are kept aside while together they are no larger",
    ),
    "KEEP_CALLBACKS_D": (30, "days after which `rushes db prune` deletes kept callbacks"),
    "KEEP_HISTORY_D": (180, "days after a job's end after which `rushes db prune` deletes its events and notices"),
    "PACK_HISTORY_D": (
        1,
        "days after a job's end after which `rushes db prune` packs its history into one row; `/v1/events` tells of it "
        "until then",
    ),
    "KEEP_IDEMPOTENCY_KEYS_D": (7, "days after which `rushes db prune` deletes an idempotency key"),
    "KEEP_ASIDE_D": (30, "days after which `rushes db prune` deletes a film that is kept aside"),
}
INTEGERS = frozenset({"MAX_IN_FLIGHT", "MAX_UNCONFIRMED", "MAX_ATTEMPTS", "WORKER_SLOTS", "TRANSFER_SLOTS",
                      "NOTIFY_SLOTS", "API_REQUESTS_PER_MIN", "MAX_BODY_BYTES", "MAX_INBOX_ROWS",
                      "MAX_VIDEO_BYTES", "MAX_UNPROVEN_BYTES"})  # fmt: skip
MAY_BE_ZERO = frozenset({"POLL_INTERVAL_S", "LIFE_S"})
LONGER_THAN = [
    ("SUBMIT_LEASE_S", "SUBMIT_DEADLINE_S"),
    ("QUERY_LEASE_S", "QUERY_DEADLINE_S"),
    ("NOTICE_LEASE_S", "NOTICE_DEADLINE_S"),
]
GOING = {
    f"{step}_LEASE_S": f"{step}_HOLD_S" for step in ("SUBMIT", "QUERY", "TRANSFER", "NOTICE")
}  # new name → old one
STALL_BYTES_PER_S = 64 * 1024  # a download that is slower stalls: see TRANSFER_STALL_S
