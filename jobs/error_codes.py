"""Our words for what goes wrong, with their meanings: the tables that docs/errors.md is made from."""

from __future__ import annotations

from typing import NamedTuple

from jobs.providers.capabilities import Why


class Meaning(NamedTuple):
    """What a code says, and what can be done: for an error, whether trying again can help."""

    said: str
    then: str


# `error.code` of a job, and of the attempt that it rests on.
ERRORS = {
    "content_refused": Meaning("The gateway's moderation refused the prompt, an input or the result.", "no; change it"),
    "invalid_request": Meaning("The gateway refused the request itself, an input file for example.", "no; change it"),
    "insufficient_credits": Meaning("The gateway gave the task up for lack of credit.", "yes, once there is credit"),
    "unauthorized": Meaning("The gateway gave the task up over its key.", "yes, once the key is mended"),
    "rate_limited": Meaning("The gateway gave the task up because it had too many.", "yes, later"),
    "provider_unavailable": Meaning("The gateway or the model behind it had a trouble of its own.", "yes"),
    "generation_failed": Meaning("The model made no video, for a reason of its own.", "perhaps; `retryable` says"),
    "not_started": Meaning("No gateway accepted the job within its `start_within_s`.", "yes"),
    "submit_unconfirmed": Meaning(
        "The answer to the order was lost, and no word of it came while one could.", "it may be paid twice"
    ),
    "task_expired": Meaning("The gateway gave no last word while the task could exist.", "it may be paid twice"),
    "link_expired": Meaning("The video was made and charged; its link died before it was copied.", "it is paid twice"),
    "link_forbidden": Meaning("The video's link led where none may lead, until it died.", "it is paid twice"),
    "bad_video": Meaning("What the link held was no video that plays, until the link died.", "it is paid twice"),
    "bucket_unavailable": Meaning("The bucket could not be written to until the link died.", "it is paid twice"),
    "key_conflict": Meaning(
        "A stranger's object stands at the job's key; nothing was overwritten.", "no, while it is there"
    ),
}

# `waiting.code` of a job, `obstacle.code` of a gateway.
WAITS = {
    "rate_limited": Meaning("The gateway asked for a pause.", "nothing"),
    "insufficient_credits": Meaning("The gateway has no credit left; its key rests.", "buy credit"),
    "unauthorized": Meaning("The gateway refused the key; it rests.", "mend the key"),
    "full": Meaning("The key has `RUSHES_MAX_IN_FLIGHT` tasks at the gateway.", "nothing, or raise it"),
    "over_budget": Meaning("The order would pass the gateway's budget of the day.", "nothing, or raise it"),
    "unreachable": Meaning("The gateway's name cannot be resolved.", "look at the network"),
    "slow": Meaning("The worker's threads for this gateway are all busy.", "nothing"),
    "no_gateway": Meaning("No gateway that the job may go to has a key and fits any more.", "set a key again"),
    "unknown_attempt": Meaning("A callback speaks of an order that this database does not know.", "see `needs_person`"),
}

# `needs_person` of a job.
FLAGS = {
    "out_of_credit": Meaning("A gateway of its route has no credit left.", "buy credit; the job goes on by itself"),
    "key_refused": Meaning("A gateway of its route refused the key.", "mend the key; the job goes on by itself"),
    "no_gateway": Meaning("No gateway that it may go to has a key and fits any more.", "set a key again"),
    "uncertain_money": Meaning("It failed, and may have been charged.", "ask the gateway, by time and request"),
    "foreign_task": Meaning("It was archived from a task that turned out to be another order's.", "look at the video"),
    "unknown_attempt": Meaning(
        "A callback speaks of an order that this database does not know: a backup was put back.",
        "look for the task at the gateway before it is bought again",
    ),
    "troubled": Meaning("Its step failed on our side several times in a row.", "look at its events and the log"),
    "raises": Meaning("Its row makes a step raise before it begins.", "a bug: look at the log, and report it"),
}

# `misfits[].why` of a gateway that was considered.
MISFITS: dict[str, Meaning] = {
    Why.LIMIT: Meaning("The gateway would refuse it.", "change the request"),
    Why.ALTERED: Meaning("The gateway would cut or drop it in silence.", "change the request"),
    Why.NO_FIELD: Meaning("Nothing in the gateway's request can say it.", "change the request"),
    Why.UNDOCUMENTED: Meaning("Its pages do not promise it; it may work.", "the operator can turn it on"),
    Why.UNPRICED: Meaning(
        "It has a daily budget, and the price is not known or more than the budget.",
        "the operator names a price, or more",
    ),
}
