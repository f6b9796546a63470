"""Our words for what goes wrong, with their meanings: the tables that docs/errors.md is made from."""

from __future__ import annotations

from typing import NamedTuple

from jobs.machine.held_jobs import ASKS
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
    "no_link": Meaning(
        "The gateway called the task finished, and gave no link that can be used while one could live.",
        "it asks for a link once more; a new order is paid twice",
    ),
    "bad_video": Meaning("What the link held was no video that plays, until the link died.", "it is paid twice"),
    "bucket_unavailable": Meaning("The bucket could not be written to until the link died.", "it is paid twice"),
    "disk_full": Meaning(
        "The disk of the transfer process had no room for the video until its link died.", "it is paid twice"
    ),
    "key_conflict": Meaning(
        "A stranger's object stands at the job's key; nothing was overwritten.", "no, while it is there"
    ),
}

# `waiting.code` of a job, `obstacle.code` of a gateway.
IN_LINE = "in_line"
OWN_TROUBLE = "own_trouble"
TAKES_TURNS = "slow"  # it ends with others' orders
WAITS = {
    IN_LINE: Meaning("No worker has looked at the job yet.", "nothing"),
    "rate_limited": Meaning("The gateway asked for a pause.", "nothing"),
    "insufficient_credits": Meaning("The gateway has no credit left; its key rests.", "buy credit"),
    "unauthorized": Meaning("The gateway refused the key; it rests.", "mend the key"),
    "full": Meaning("The key has `RUSHES_MAX_IN_FLIGHT` tasks at the gateway.", "nothing, or raise it"),
    "over_budget": Meaning("The order would pass the gateway's budget of the day.", "nothing, or raise it"),
    "no_answer": Meaning(
        "Orders to the gateway were lost; no more go there until one that tries it is answered.",
        "nothing; look at the gateway's own status page",
    ),
    "unconfirmed": Meaning(
        "The gateway owes answers to `RUSHES_MAX_UNCONFIRMED` orders; no more are risked until it answers.",
        "nothing, or `rushes providers resume NAME` once it is well",
    ),
    "unreachable": Meaning(
        "No connection to the gateway can be made, or its name cannot be resolved. Nothing was sent.",
        "look at the network, and at its base URL",
    ),
    OWN_TROUBLE: Meaning(
        "Something on this machine kept the order from being sent; `reason` says what.", "look at this machine"
    ),
    "no_network": Meaning("Not one of several gateways can be reached from here.", "look at this machine's network"),
    "by_hand": Meaning("Somebody let the gateway rest.", "`rushes providers resume NAME`"),
    TAKES_TURNS: Meaning("As many orders as may be are on their way to the gateway, or busy with it.", "nothing"),
    ASKS: Meaning(
        "The gateway has yet to answer about a task that a callback or a person named for an earlier order.",
        "nothing; look at the gateway's own status page if it stays silent",
    ),
    "no_gateway": Meaning("No gateway that the job may go to has a key and fits any more.", "set a key again"),
}

# `needs_person` of a job.
FLAGS = {
    "out_of_credit": Meaning("A gateway of its route has no credit left.", "buy credit; the job goes on by itself"),
    "key_refused": Meaning("A gateway of its route refused the key.", "mend the key; the job goes on by itself"),
    "no_gateway": Meaning("No gateway that it may go to has a key and fits any more.", "set a key again"),
    "uncertain_money": Meaning(
        "It failed, and may have been charged.", "ask the gateway, by time and prompt, and say what it says"
    ),
    "absurd_cost": Meaning(
        "A gateway tells a cost of more than ten times what was expected; the estimate counts meanwhile.",
        "ask the gateway, and say what it says; once somebody settles the order as charged, the cost counts",
    ),
    "foreign_task": Meaning("It was archived from a task that turned out to be another order's.", "look at the video"),
    "other_length": Meaning(
        "The archived film is longer or shorter than what was ordered, by more than a second and more than a fifth.",
        "look at the video; a gateway that does so often charges for what it does not make",
    ),
    "contested_task": Meaning(
        "Callbacks told the same task to orders of two jobs, or two tasks to one order; nobody can tell whose it is.",
        "look it up at the gateway by prompt and time, and name it for its order",
    ),
    "unknown_attempt": Meaning(
        "A callback tells of an order beside the known one of its number: a backup was put back, and both were made.",
        "look for the other task at its gateway; the job's events name it",
    ),
    "no_link": Meaning(
        "The gateway calls the task finished, and gives no link that can be used.",
        "look at the task at the gateway; a link that comes in time is taken",
    ),
    "link_forbidden": Meaning(
        "The video's link leads where none may lead, or is too long to be asked for. Each try asks for another one.",
        "look at the job's events for why, and fetch the video at the gateway",
    ),
    "bucket_refuses": Meaning(
        "The store refuses the video: our key may not put it, a policy or a quota stands against it, or it wants other"
        " settings. The copy is tried until the link dies.",
        "run `rushes doctor`, which names what mends it; so do the job's events, beside the store's words",
    ),
    "disk_full": Meaning(
        "The disk below the data folder of the transfer process has no room for the video. The copy is tried until the"
        " link dies.",
        "make room there, or let `RUSHES_DATA_DIR` name a larger disk; `rushes doctor` run there says how much is free",
    ),
    "unproven_film": Meaning(
        "The proof refused the film; what came is kept aside, and tries for better bytes go on while the link lives.",
        "look at what is kept; if you want it as it is, accept it",
    ),
    "film_not_kept": Meaning(
        "The proof refused the film, and among what is kept aside is no room for it: it is lost when its link dies.",
        "accept or delete what is kept, or raise `RUSHES_MAX_UNPROVEN_BYTES`: the next try keeps it then; "
        "`rushes doctor` says how full it is",
    ),
    "link_denied": Meaning(
        "The link answers 401 or 403, and so does a fresh one: it wants the gateway's key, or the video is gone.",
        "fetch the video at the gateway while its link lives, and tell the gateway; a link that opens is taken",
    ),
    "unknown_word": Meaning(
        "The gateway says of the task what none of its pages documents.", "look at the task at the gateway"
    ),
    "overdue_day": Meaning(
        "The task is a day late, and its gateway has not called it failed.", "look at the task at the gateway"
    ),
    "troubled": Meaning(
        "Its step failed several times in a row: its gateway, the host of its link or the bucket does not answer, or"
        " something here is wrong. It is tried on.",
        "look at what it waits for, its events and the log",
    ),
    "holder_died": Meaning(
        "The process that worked on it died, three times in a row; the job is left alone for an hour, or half of what "
        "its link has left.",
        "look at the log for what ended the process, memory for one; a retry of the job takes it up at once",
    ),
    "raises": Meaning("Its row makes a step raise before it begins.", "a bug: look at the log, and report it"),
}

# `data[].reason` of what needs a person, beside the flags of jobs.
REASONS = {
    "unconfirmed": Meaning(
        "The answer to an order was lost. It settles itself if a callback comes in time.",
        "look for the task at the gateway, by time and prompt, and say what you found",
    ),
    "gateway_rests": Meaning(
        "A gateway does not answer, cannot be reached, or was told to rest: no orders go there; its line says why.",
        "unless by hand: look at its status page and at the network; `rushes providers resume NAME` ends the rest",
    ),
    "gateway_drifts": Meaning(
        "A gateway answered what none of its pages documents, within the last day: a status word, or a shape.",
        "look at its pages and at the job's events; if it has changed, the next jobs will meet the same",
    ),
    "link_dying": Meaning(
        "A video could not be copied so far, and its link dies soon.", "look at the bucket and at the job's events"
    ),
    "paid_not_delivered": Meaning(
        "A gateway made a video and charged it, and the job has ended without it.",
        "fetch it by its link while that lives, or ask for the money, and say when it is back",
    ),
    "notice_given_up": Meaning(
        "Notices of a job reached nobody, in as many tries as the timetable has.",
        "mend the receiver or its address, and send them again; what they tell is on the job",
    ),
    "unknown_job": Meaning(
        "A callback speaks of a job that this database does not know: a backup was put back.",
        "look for the task at the gateway; its video was paid for",
    ),
    **FLAGS,
}

# `findings[].code` of `rushes audit`; what to do once `--repair` has done what it can.
FINDINGS = {
    "live_without_alarm": Meaning("A live job has neither an alarm nor a holder.", "`--repair` sets its alarm"),
    "open_attempt_without_alarm": Meaning(
        "A job has ended with an order that is still open, and has no alarm.", "`--repair` sets its alarm"
    ),
    "history_mismatch": Meaning(
        "A job's history does not end in its state.", "somebody wrote to the database: look at its events"
    ),
    "impossible_money": Meaning(
        "An order's money is where it cannot be after what became of the order.", "ask the gateway, by its task"
    ),
    "spending_mismatch": Meaning(
        "What a gateway's day counts is not what its orders come to.", "`--repair` counts again"
    ),
    "missing_object": Meaning(
        "A job is archived, and its video is not in the bucket.", "look for an older version in the bucket, or a copy"
    ),
    "wrong_size": Meaning("A video's length is not the one on its job.", "as for a missing one"),
    "wrong_checksum": Meaning("A video's SHA-256 is not the one on its job.", "as for a missing one"),
    "foreign_object": Meaning("At a job's key stands an object that is not the job's.", "move it elsewhere"),
    "object_not_adopted": Meaning(
        "A job's video is in the bucket, and the job is not archived.", "`--repair` lets it be adopted, where it may be"
    ),
    "object_without_job": Meaning(
        "The bucket holds an object of a job that the database does not know.",
        "`--repair` builds the job again from video and sidecar; what lacks one of them is yours to judge",
    ),
    "missing_sidecar": Meaning("A video's sidecar is missing.", "`--repair` writes it again"),
    "missing_poster": Meaning("A video's poster is missing.", "`--repair` makes it again from the video"),
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
