"""A gateway whose answers have changed: it is counted and told at the first job, and what can be read is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from altered import AlteredSandbox
from proving import prove
from test_core_callbacks import callback_url
from test_core_gate import altered, make_altered  # noqa: F401 - fixtures
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.reports import attention, attention_items
from jobs.store import unknown_words

Answer = dict[str, Any]


def evolink(change: Callable[[Answer], Any]) -> Callable[[bytes], bytes]:
    """Rewrites what is said of a finished task, and nothing else."""

    def rewrite(body: bytes) -> bytes:
        said = json.loads(body)
        return json.dumps(change(said)).encode() if said.get("status") == "completed" else body

    return rewrite


def easyrouter(change: Callable[[Answer], Any]) -> Callable[[bytes], bytes]:
    """The same for the gateway whose successes have the shape of its errors."""

    def rewrite(body: bytes) -> bytes:
        said = json.loads(body)
        return json.dumps(change(said)).encode() if said.get("data", {}).get("status") == "SUCCESS" else body

    return rewrite


def flat(body: bytes) -> bytes:
    """EasyRouter's other form, its words those of the first: as one build of new-api answers."""
    task = json.loads(body).get("data")
    if not task:
        return body
    return json.dumps({"id": task["task_id"]} | {k: v for k, v in task.items() if k != "data"}).encode()


OTHER = "(an answer of another shape)"
DRIFTS: dict[str, tuple[str, Callable[[bytes], bytes], str, str | None]] = {
    "lost its link": (
        "evolink",
        evolink(lambda said: {k: v for k, v in said.items() if k != "results"}),
        "(finished without a link)",
        "no_link",
    ),
    "a new word": ("evolink", evolink(lambda said: said | {"status": "ready"}), "ready", "unknown_word"),
    "no status": ("evolink", evolink(lambda said: said | {"status": None}), "(no status)", "unknown_word"),
    "a list": ("evolink", evolink(lambda said: [said]), OTHER, "unknown_word"),
    "wrapped": ("evolink", evolink(lambda said: {"data": said}), "(no status)", "unknown_word"),
    "no id": (
        "evolink",
        evolink(lambda said: {k: v for k, v in said.items() if k != "id"}),
        "(an answer that names no task)",
        "unknown_word",
    ),
    "a list in it": ("easyrouter", easyrouter(lambda said: said | {"data": [said["data"]]}), OTHER, "unknown_word"),
    "nothing": ("evolink", evolink(lambda said: None), OTHER, "unknown_word"),
    "nothing in it": ("easyrouter", easyrouter(lambda said: said | {"data": None}), OTHER, "unknown_word"),
    "another success": ("easyrouter", easyrouter(lambda said: said | {"code": "ok"}), OTHER, "unknown_word"),
    "a number for success": ("easyrouter", easyrouter(lambda said: said | {"code": 200}), OTHER, "unknown_word"),
    "an error as a success": (
        "easyrouter",
        easyrouter(lambda said: {"code": "system_error", "message": "busy", "data": None}),
        OTHER,
        "unknown_word",
    ),
    "a relative link": (
        "evolink",
        evolink(lambda said: said | {"results": ["/files/1.mp4"]}),
        "(finished with a link that cannot be used)",
        "link_forbidden",
    ),
}


def seen(workshop: Workshop) -> dict[str, int]:
    with workshop.database.read() as db:
        return {word: times for words in unknown_words.seen(db).values() for word, times in words.items()}


def told(workshop: Workshop) -> list[tuple[str, str | None]]:
    with workshop.database.read() as db:
        looking = attention_items.Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        return [(item.reason, item.provider) for item in attention.items(db, looking)]


SLOWLY = ("nothing", "nothing in it", "a number for success", "an error as a success")  # more of the same


@pytest.mark.parametrize("drift", [prove(drift) if drift in SLOWLY else drift for drift in DRIFTS])
def test_a_drift_is_counted_and_told_at_the_first_job(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
    drift: str,
) -> None:
    provider, altered.rewrite, counted, flag = DRIFTS[drift]
    workshop = make_altered(retry_first_s=0.05)
    job_id = workshop.create(provider=provider)
    workshop.await_(lambda: workshop.sweep() and seen(workshop), "a count", job_id=job_id)
    assert seen(workshop) == {counted: 1}
    assert set(told(workshop)) == {("gateway_drifts", provider), (flag, provider)}
    altered.rewrite = lambda body: body
    workshop.until(job_id, State.ARCHIVED)
    assert told(workshop) == [("gateway_drifts", provider)], "it is told for a day"


def test_a_page_that_says_failed_and_names_no_task_has_nothing_ordered_anew(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
    sandbox: Any,
) -> None:
    """Believed, its word would buy a second video beside the first, which goes on."""
    page = {"status": "failed", "error": {"code": "service_error", "message": "We are back soon"}}
    workshop = make_altered(retry_first_s=0.05)
    job_id = workshop.create(provider=["evolink", "aivideoapi"])
    RUN["jobs.submit"](job_id, workshop.resources)
    altered.rewrite = lambda body: json.dumps(page).encode()
    workshop.await_(lambda: workshop.sweep() and seen(workshop), "a count", job_id=job_id)
    assert seen(workshop) == {"(an answer that names no task)": 1}
    altered.rewrite = lambda body: body
    case = workshop.until(job_id, State.ARCHIVED)
    assert (list(case.attempts), len(sandbox.tasks("evolink")), sandbox.tasks("aivideoapi")) == ([1], 1, [])


ANOTHER_SHAPE = '{"id": "event-1", "event": "task.completed", "data": {"id": "%s", "state": "done"}}'


def test_a_callback_of_another_shape_is_counted_once_and_the_order_that_it_names_comes_home(
    workshop: Workshop, receiver: Any, sandbox: Any
) -> None:
    """It may be all that will ever be heard of an order whose answer was lost."""
    sandbox.fault("evolink", "lose_answer", how="reset")
    sandbox.fault("evolink", "lose_callback")
    job_id = workshop.create(provider="evolink")
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED
    [task] = sandbox.tasks("evolink")
    for _ in range(2):  # EvoLink tries again
        body = (ANOTHER_SHAPE % task["task_id"]).encode()
        assert requests.post(callback_url(workshop, job_id, "evolink"), data=body, timeout=5).status_code == 400
    assert requests.post(callback_url(workshop, job_id, "evolink"), data=b"[]", timeout=5).status_code == 400
    assert seen(workshop) == {"(a callback of another shape)": 1}
    assert ("gateway_drifts", "evolink") in told(workshop)
    assert workshop.history(job_id).count("unknown_shape") == 1
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].adopted


def test_a_forged_callback_counts_as_no_drift(workshop: Workshop, receiver: Any, sandbox: Any) -> None:
    job_id = workshop.create(provider="evolink")
    forged = callback_url(workshop, job_id, "evolink")[:-4] + "AAAA"
    assert requests.post(forged, data=b"[]", timeout=5).status_code == 404
    assert seen(workshop) == {}


def test_an_accepted_order_without_an_id_is_counted_and_told(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
) -> None:
    altered.rewrite = lambda body: b'{"task": {"identifier": 7}}'
    workshop = make_altered()
    workshop.until(workshop.create(provider="gravitex"), State.UNCONFIRMED)
    assert list(seen(workshop)) == ["(an accepted order without a task's id)"]
    assert {reason for reason, _ in told(workshop)} == {"gateway_drifts", "unconfirmed"}


def test_a_refusal_of_another_shape_is_lost_and_counted_and_told(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
) -> None:
    workshop = make_altered()
    for refusal in ((403, b'{"errors": [{"title": "Forbidden"}]}'), (403, b"<html>Forbidden</html>")):
        altered.refusal = refusal
        job_id = workshop.create(provider="evolink")
        RUN["jobs.submit"](job_id, workshop.resources)
        assert workshop.state(job_id) is State.UNCONFIRMED
    assert seen(workshop) == {"(a refusal of another shape)": 1}, "a page says nothing of the gateway"
    assert ("gateway_drifts", "evolink") in told(workshop)


@pytest.mark.parametrize(
    ("provider", "change"),
    [
        ("evolink", evolink(lambda said: said | {"results": {"url": said["results"][0]}})),
        ("evolink", evolink(lambda said: said | {"results": [{"video_url": said["results"][0]}]})),
        ("easyrouter", flat),
    ],
    ids=["results in an object", "objects in a list", "a flat body"],
)
def test_a_changed_answer_that_can_be_read_brings_the_film_home(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
    provider: str,
    change: Callable[[bytes], bytes],
) -> None:
    altered.rewrite = change
    workshop = make_altered()
    workshop.until(workshop.create(provider=provider), State.ARCHIVED)
