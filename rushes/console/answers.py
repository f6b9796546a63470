"""What answers a line of what needs a person: the command that the API names for it, as a form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rushes.console.offers import ACCEPT, COPY, TAKE_UP, Offer, settle

# What can be found out, by the option of `rushes jobs settle` that says it.
FOUND = {
    "--task-id": "task_id",
    "--not-made": "not_made",
    "--charged": "charged",
    "--not-charged": "not_charged",
}
RESUME = "Its rests end, and one order tries whether it is well."
SEND = "Every notice of this job that was given up goes out once more."
# Commands that only show more of the job, whose page is linked anyhow.
LOOKS = ("rushes jobs show ", "rushes videos link ")


def answer(item: Mapping[str, Any]) -> Offer | None:
    """None: no form of ours answers it; `command` says what does, or `elsewhere`."""
    command, job = str(item["command"]), {"job_id": item["job_id"]}
    match command.split()[1:3]:
        case ["jobs", "settle"]:
            found = tuple(FOUND[option] for option in re.findall(r"--[a-z-]+", command) if option in FOUND)
            return settle(item["job_id"], item["attempt"], found, item["task_id"])
        case ["jobs", "retry"] if item["reason"] == "holder_died":
            return Offer("retry", "Take up again", TAKE_UP, job)
        case ["jobs", "retry"]:
            return Offer("retry", "Copy again", COPY, job)
        case ["videos", "accept"]:
            return Offer("accept", "Accept the film", ACCEPT.format(reason=item["detail"].partition(";")[0]), job)
        case ["notices", "replay"]:
            return Offer("resend_failed", "Send again", SEND, job)
        case ["providers", "resume"]:
            return Offer("resume", f"Resume {item['provider']}", RESUME, {"name": item["provider"]})
    return None


def command(item: Mapping[str, Any]) -> str | None:
    """What answers it on a command line; None: to look at the job."""
    said = str(item["command"])
    return None if said.startswith(LOOKS) else said
