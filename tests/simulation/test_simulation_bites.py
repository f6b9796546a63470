"""The simulator finds what each protection is there against: without it, a rule breaks within a few seeds."""

from __future__ import annotations

import pytest
from sim_mutants import PROTECTIONS, without
from sim_run import simulate

MOST_SEEDS, OF_RARE = 250, 750
# What it takes many seeds, or a whole fleet, to miss. The model finds the second one's lack as well.
RARELY_MISSED = {
    "an adopted task is no older than its order",
    "a due submit whose byte may have left is unconfirmed",
    "a route leads past a gateway that rests",
    "an order that was not sent goes elsewhere",
    "the mark compares the version",
    "a job that is held by news says so",
    "one alone probes",
    "what left before a rest began counts for nothing",
    "a person's word about the money yields to a new word of the gateway's",
    "lane and room are judged in the claim",
    "a rest is kept",
    "a film shows its owner by what was asked for alone",
    "a film waits for the other orders that may have made it",
    "a contested film is kept aside",
    "an accepted film is put only where nothing stands",
    "what callbacks tell of is asked about in turn",
    "a task's end needs an answer after it, or an hour of tries",
    "an order from the future is not sent again under its key",
    "no task id is borne twice",
    "one order more begins the next rest",
    "news is written on its own attempt",
    "a lost order is asked about with each key",
    "a wish to cancel waits for what is asked about",
    "a task that two orders were told is struck from neither",
    "what was learnt of a task is written on that one alone",
    "what is known of a task goes with it",
    "a task's owner is sought under every key",
    "an order asks about the other tasks that it was told",
    "an answer to the free question names what was asked about",
    "where no gateway can be reached it is the network",
    "one gateway that rests for another reason hides no missing network",
    "a gateway that was silent is asked again",
    "the mark compares the holder",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "protection", [pytest.param(p, marks=pytest.mark.prove if p in RARELY_MISSED else ()) for p in PROTECTIONS]
)
def test_a_rule_breaks_without_the_protection_that(protection: str) -> None:
    most = OF_RARE if protection in RARELY_MISSED else MOST_SEEDS
    with without(protection) as lack:
        for seed in range(most):
            if (
                found := simulate(seed, only=lack.faults, fleet=lack.fleet, crowded=lack.crowded).violation
            ) is not None:
                print(f"{protection}: seed {seed} breaks {found.rule}")  # noqa: T201 - `pytest -rP` shows it
                return
    pytest.fail(f"{most} seeds are well without the protection that {protection}")
