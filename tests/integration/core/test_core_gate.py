"""Whatever stands in a gateway's answer, a link's or an object's head: the job ends, and a finished film comes home."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from altered import AlteredSandbox
from persons import say
from proving import prove
from served import Served
from test_core_callbacks import callback_url
from workshop import RUN, Ahead, Workshop

from jobs.intake import changes
from jobs.machine.case import Case
from jobs.machine.flags import TROUBLES_FLAGGED
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.reports import attention, attention_items
from jobs.store import history, spending, tables
from jobs.upkeep.balance import Finding
from jobs.upkeep.repair import repair
from storage.keys import sidecar_key

EVERY = pytest.mark.parametrize(
    "provider", ["easyrouter", *(prove(name) for name in ("aivideoapi", "apiframe", "gravitex", "evolink"))]
)
COST = {"easyrouter": "quota", "apiframe": "creditCost"}
WRITTEN = r"no \u0000 \ud800 \"quoted\" " + "x" * 3000  # as JSON has it
LINK = re.compile(rb'"(http://[^"]+/files/[^"]+|http://[^"]+\.mp4[^"]*)"')


@pytest.fixture
def altered(sandbox: Any) -> Iterator[AlteredSandbox]:
    server = AlteredSandbox(sandbox.url)
    yield server
    server.close()


@pytest.fixture
def make_altered(make_workshop: Callable[..., Workshop], altered: AlteredSandbox) -> Callable[..., Workshop]:
    """A workshop whose gateways answer as the test rewrites them."""
    return lambda **numbers: make_workshop(**altered.settings, **numbers)


def lines(workshop: Workshop, job_id: str, event: str) -> list[Any]:
    with workshop.database.read() as db:
        return [line["detail"] for line in history.of_job(db, job_id) if line["event"] == event]


def reasons(workshop: Workshop, job_id: str) -> list[str]:
    """What the attention list says of a job."""
    with workshop.database.read() as db:
        looking = attention_items.Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        return [item.reason for item in attention.items(db, looking) if item.job_id == job_id]


def spent(workshop: Workshop, case: Case) -> float:
    made = case.attempts[1]
    with workshop.database.read() as db:
        return spending.spent_usd(db, made.provider, made.day)


def told(name: str, value: str) -> Callable[[bytes], bytes]:
    """A rewriting that puts this in place of a member's value, or beside the status where there is none."""
    member = f'"{name}":{value}'.encode()

    def rewrite(body: bytes) -> bytes:
        there = re.compile(rb'"%s"\s*:\s*(null|true|false|-?[\d.]+|"[^"]*")' % name.encode())
        if there.search(body):
            return there.sub(lambda _: member, body)
        return re.sub(rb'("status"\s*:)', lambda found: member + b"," + found[1], body, count=1)

    return rewrite


@pytest.mark.both_databases
class TestCosts:
    @pytest.mark.parametrize("cost", ["1e13", prove("4700000000000000000"), prove("9" * 20), "1e308"])
    @pytest.mark.parametrize("provider", COST)
    def test_an_absurd_one_is_kept_and_flagged_and_the_estimate_counts(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, cost: str
    ) -> None:
        workshop: Workshop = make_altered(apiframe_usd_per_credit=0.005)
        altered.rewrite = told(COST[provider], cost)
        case = workshop.until(workshop.create(provider=provider), State.ARCHIVED)
        made = case.attempts[1]
        assert made.reported_credits == float(cost)
        assert made.standing is Standing.CHARGED
        assert spent(workshop, case) == made.estimated_usd
        assert case.job.flagged == "absurd_cost"
        assert reasons(workshop, case.job.id) == ["absurd_cost"]

    @pytest.mark.parametrize(("word", "usd"), [(Settled.CHARGED, 50.0), (Settled.NOT_CHARGED, 0.0)])
    def test_what_a_person_says_of_an_absurd_one_counts_and_answers_the_question(
        self, make_altered: Any, altered: AlteredSandbox, word: Settled, usd: float
    ) -> None:
        workshop: Workshop = make_altered(apiframe_usd_per_credit=0.005)
        altered.rewrite = told(COST["apiframe"], "10000")
        case = workshop.until(workshop.create(provider="apiframe"), State.ARCHIVED)
        assert spent(workshop, case) == case.attempts[1].estimated_usd
        assert say(workshop, case.job.id, word).job.flagged is None
        assert spent(workshop, case) == usd
        assert reasons(workshop, case.job.id) == []

    @pytest.mark.parametrize("cost", ["1e400", *map(prove, ("9" * 500, "NaN", "-Infinity", "-5", '"free"', "true"))])
    @pytest.mark.parametrize("provider", COST)
    def test_one_that_is_no_amount_is_told_and_the_estimate_counts(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, cost: str
    ) -> None:
        workshop: Workshop = make_altered(apiframe_usd_per_credit=0.005)
        altered.rewrite = told(COST[provider], cost)
        case = workshop.until(workshop.create(provider=provider), State.ARCHIVED)
        made = case.attempts[1]
        assert (made.reported_credits, made.reported_usd, case.job.flagged) == (None, None, None)
        assert spent(workshop, case) == made.estimated_usd
        [said] = lines(workshop, case.job.id, "cost_not_kept")
        assert said["reason"] == "it is no amount of money"
        assert said["told"]


@pytest.mark.both_databases
class TestIds:
    @pytest.mark.parametrize(
        "named", ['"任务-1"', *map(prove, ('" t 1 "', '"50%25"', '"tâche/1?#"')), "123456789012345678901234"]
    )
    @EVERY
    def test_any_that_can_be_kept_is_asked_about_and_stored_as_it_came(
        self, make_altered: Any, altered: AlteredSandbox, sandbox: Any, provider: str, named: str
    ) -> None:
        workshop: Workshop = make_altered()
        task_id = str(json.loads(named))
        altered.rewrite = lambda body: rename(body)

        def rename(body: bytes) -> bytes:
            for task in sandbox.tasks(provider):
                altered.renamed[task_id] = task["task_id"]
                body = body.replace(f'"{task["task_id"]}"'.encode(), named.encode())
            return body

        job_id = workshop.create(provider=provider)
        case = workshop.until(job_id, State.ARCHIVED)
        assert case.attempts[1].task_id == task_id
        stored = workshop.bucket.head(case.job.archive_key)
        assert stored is not None
        assert stored.metadata["rushes-task"].isascii()
        with workshop.database.write() as db:  # the row is behind: the next try finds the object and takes it for ours
            behind = {"state": State.ARCHIVING, "alarm_at": workshop.database.clock(db), "ended_at": None}
            db.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(**behind))
        assert workshop.until(job_id, State.ARCHIVED, State.FAILED).job.state is State.ARCHIVED

    @pytest.mark.parametrize(
        "named", [f'"{"x" * 300}"', '"t\\u0000"', *map(prove, ('"t\\n1"', '"\\ud800"', "true", "1.5"))]
    )
    @EVERY
    def test_one_that_cannot_be_kept_is_told_and_the_job_ends(
        self, make_altered: Any, altered: AlteredSandbox, sandbox: Any, provider: str, named: str
    ) -> None:
        workshop: Workshop = make_altered(unconfirmed_window_s=0.2, resend_unit_s=3600)

        def rename(body: bytes) -> bytes:
            for task in sandbox.tasks(provider):
                body = body.replace(f'"{task["task_id"]}"'.encode(), named.encode())
            return body

        altered.rewrite = rename
        case = workshop.until(workshop.create(provider=provider), State.FAILED)
        assert case.job.error_code == "submit_unconfirmed"
        [said] = lines(workshop, case.job.id, "answer_lost")
        assert "the task's id cannot be kept: " in said["reason"]


@pytest.mark.both_databases
class TestWords:
    @EVERY
    def test_a_failed_tasks_reason_may_hold_anything(
        self, make_altered: Any, altered: AlteredSandbox, sandbox: Any, provider: str
    ) -> None:
        workshop: Workshop = make_altered(max_attempts=1)
        sandbox.fault(provider, "fail", retryable=False)
        altered.rewrite = lambda body: re.sub(
            rb'("(?:message|fail_reason|error)":\s*)"[^"]+"', lambda found: found[1] + f'"{WRITTEN}"'.encode(), body
        )
        case = workshop.until(workshop.create(provider=provider), State.FAILED)
        assert case.job.error_message is not None
        assert case.job.error_message.startswith('no � � "quoted" xxx')
        assert len(case.job.error_message) <= 2000

    @pytest.mark.parametrize("word", ['"odd \\u0000\\ud800"', f'"{"w" * 400}"'])
    @EVERY
    def test_an_unknown_status_word_is_kept_once_and_the_job_goes_on(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, word: str
    ) -> None:
        workshop: Workshop = make_altered()
        job_id = workshop.create(provider=provider)
        workshop.until(job_id, State.GENERATING)
        altered.rewrite = lambda body: re.sub(rb'("status":\s*)"[^"]+"', lambda x: x[1] + word.encode(), body)
        workshop.await_(lambda: workshop.sweep() and lines(workshop, job_id, "unknown_word"), "the word", job_id=job_id)
        for _ in range(3):
            workshop.sweep()
        assert len(lines(workshop, job_id, "unknown_word")) == 1
        altered.rewrite = lambda body: body
        workshop.until(job_id, State.ARCHIVED)

    @pytest.mark.parametrize("word", ["7", "null", '""', None])
    @EVERY
    def test_a_status_that_is_no_word_stands_for_a_person_at_first_sight_and_moves_nothing(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, word: str | None
    ) -> None:
        workshop: Workshop = make_altered(retry_first_s=0.05)
        job_id = workshop.create(provider=provider)
        workshop.until(job_id, State.GENERATING)
        there = re.compile(rb'"status":\s*"[^"]+"')
        altered.rewrite = lambda body: there.sub(b'"x": 1' if word is None else f'"status": {word}'.encode(), body)
        workshop.await_(lambda: workshop.sweep() and reasons(workshop, job_id), "a line", job_id=job_id)
        assert (reasons(workshop, job_id), workshop.state(job_id)) == (["unknown_word"], State.GENERATING)
        assert workshop.case(job_id).attempts[1].answered_at is None  # nothing was said that could end a task's life
        assert workshop.case(job_id).job.troubles < TROUBLES_FLAGGED
        altered.rewrite = lambda body: body
        assert workshop.until(job_id, State.ARCHIVED).job.flagged is None

    @EVERY
    def test_odd_values_beside_the_link_cost_no_film(
        self, make_altered: Any, altered: AlteredSandbox, provider: str
    ) -> None:
        workshop: Workshop = make_altered()
        odd = rb'{"odd": ["\u0000", "\ud800", NaN, 1e999, %s], "progress": 1e999, ' % (b"9" * 5000)
        strange = b'"text": "\xe9, two\nlines", '
        altered.rewrite = lambda body: b"\xef\xbb\xbf" + body.replace(b"{", odd + strange, 1)
        workshop.until(workshop.create(provider=provider), State.ARCHIVED)

    def test_a_nul_in_a_dead_links_content_type_keeps_no_job_from_ending(
        self, make_altered: Any, altered: AlteredSandbox
    ) -> None:
        workshop: Workshop = make_altered(life_s=1, retry_first_s=0.05)
        altered.pages["/page"] = ("text/\0html", b"<html>no film, and longer than eight bytes</html>")
        altered.rewrite = lambda body: LINK.sub(f'"{altered.url}/page"'.encode(), body)
        case = workshop.until(workshop.create(provider="evolink"), State.FAILED)
        assert case.job.error_code == "bad_video"
        assert "text/�html" in str(case.job.error_message)


class TestLinks:
    @pytest.mark.parametrize(
        "change", ['"\\r\\n{}\\n"', '" {} "', '{{"url": "{}"}}'], ids=["line ends", "blanks", "an object"]
    )
    @EVERY
    def test_one_with_blanks_around_it_or_in_an_object_is_used(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, change: str
    ) -> None:
        workshop: Workshop = make_altered()
        altered.rewrite = lambda body: LINK.sub(lambda x: change.format(x[1].decode()).encode(), body)
        case = workshop.until(workshop.create(provider=provider), State.ARCHIVED)
        assert case.attempts[1].link is not None
        assert case.attempts[1].link.startswith("http://127.0.0.1:")

    def test_one_with_a_blank_inside_is_quoted_and_used(self, make_altered: Any, altered: AlteredSandbox) -> None:
        workshop: Workshop = make_altered()

        def rewrite(body: bytes) -> bytes:
            if found := LINK.search(body):
                altered.pages["/a%20b.mp4"] = ("video/mp4", requests.get(found[1].decode(), timeout=5).content)
            return LINK.sub(f'"{altered.url}/a b.mp4"'.encode(), body)

        altered.rewrite = rewrite
        case = workshop.until(workshop.create(provider="gravitex"), State.ARCHIVED)
        assert case.attempts[1].link == f"{altered.url}/a%20b.mp4"

    @pytest.mark.parametrize(
        ("link", "shown"),
        [("/film/v.mp4?Signature=topsecret", "/film/v.mp4?…"), (f"https://h.example/{'x' * 9000}", None)],
        ids=["no host", "too long to keep"],
    )
    @EVERY
    def test_why_one_cannot_be_used_is_told_and_a_better_one_is_taken(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, link: str, shown: str | None
    ) -> None:
        workshop: Workshop = make_altered()
        altered.rewrite = lambda body: LINK.sub(f'"{link}"'.encode(), body)
        job_id = workshop.create(provider=provider)

        def is_told() -> Any:
            workshop.sweep()
            return [said for said in lines(workshop, job_id, "gateway_said") if said["word"] == "link_forbidden"]

        [said] = workshop.await_(is_told, "the link is told", job_id=job_id)
        assert workshop.case(job_id).attempts[1].last_word == "link_forbidden"
        assert said["reason"].startswith("it is ")
        assert said["told"] == (shown or link[:500])
        assert "topsecret" not in json.dumps(said)
        altered.rewrite = lambda body: body
        workshop.until(job_id, State.ARCHIVED)

    @pytest.mark.parametrize(
        "link",
        [
            "https://me:secret@example.com/v.mp4",
            "https://example.com:8443/v.mp4",
        ],
        ids=["user", "port"],
    )
    def test_one_that_is_forbidden_wants_a_person_at_first_sight(
        self, make_altered: Any, altered: AlteredSandbox, link: str
    ) -> None:
        workshop: Workshop = make_altered(retry_first_s=0.05)
        altered.rewrite = lambda body: LINK.sub(f'"{link}"'.encode(), body)
        job_id = workshop.create(provider="evolink")
        workshop.until(job_id, State.ARCHIVING)
        workshop.resources.settings = replace(workshop.settings, allow_private_addresses=False)  # as in production
        RUN["jobs.transfer"](job_id, workshop.resources)
        case = workshop.case(job_id)
        assert (case.job.state, case.job.flagged) == (State.ARCHIVING, "link_forbidden")
        assert reasons(workshop, job_id) == ["link_forbidden"]
        assert case.attempts[1].link == link
        assert "secret" not in json.dumps(lines(workshop, job_id, "transfer_trouble"))

    @pytest.mark.parametrize("provider", ["easyrouter", prove("evolink")])
    @pytest.mark.parametrize("is_over", [False, True], ids=["waits", "retried"])
    def test_one_that_is_forbidden_is_asked_for_anew_by_itself_and_by_a_retry(
        self, make_altered: Any, altered: AlteredSandbox, provider: str, is_over: bool
    ) -> None:
        """Its gateway may give another link at any time, and not every one calls back to say so."""
        workshop: Workshop = make_altered(retry_first_s=0.05)
        link = "https://me:secret@example.com/v.mp4"
        altered.rewrite = lambda body: LINK.sub(f'"{link}"'.encode(), body)
        job_id = workshop.create(provider=provider)
        workshop.until(job_id, State.ARCHIVING)
        RUN["jobs.transfer"](job_id, workshop.resources)
        assert workshop.case(job_id).job.flagged == "link_forbidden"
        if is_over:
            Ahead(workshop).leap(3 * 86_400)
            ended = workshop.until(job_id, State.FAILED)
            assert (ended.job.error_code, ended.job.flagged) == ("link_forbidden", "link_forbidden")
            changes.retry(job_id, workshop.core)
        altered.rewrite = lambda body: body
        assert list(workshop.until(job_id, State.ARCHIVED).attempts) == [1]


class TestCallbacks:
    @pytest.mark.parametrize(
        "beside",
        [b'"error": "\\u0000 \\ud800 \xe9"', b'"creditCost": 1e400', b'"odd": ' + b"9" * 5000, b'"odd": NaN'],
        ids=["words", "beyond", "digits", "nan"],
    )
    def test_odd_values_in_one_do_not_hide_the_task_that_it_names(
        self, workshop: Workshop, receiver: Served, sandbox: Any, beside: bytes
    ) -> None:
        sandbox.fault("evolink", "lose_answer", how="reset")
        sandbox.fault("evolink", "lose_callback")
        job_id = workshop.create(provider="evolink")
        RUN["jobs.submit"](job_id, workshop.resources)
        assert workshop.state(job_id) is State.UNCONFIRMED
        [task] = sandbox.tasks("evolink")
        body = b'\xef\xbb\xbf{"status": "completed", "id": "%s", %s}' % (task["task_id"].encode(), beside)
        assert requests.post(callback_url(workshop, job_id, "evolink"), data=body, timeout=5).status_code == 200
        with workshop.database.read() as db:
            assert db.execute(sa.select(tables.inbox.c.body)).scalar_one() == body
        case = workshop.until(job_id, State.ARCHIVED)
        assert case.attempts[1].adopted


class TestObjects:
    @pytest.mark.parametrize(
        "odd",
        [
            {"rushes-attempt": "first"},
            {"rushes-attempt": "9" * 30},
            {"rushes-sha256": "0" * 65},
            {"rushes-size": "9999999999999x1"},
            {"rushes-duration-s": "nan"},
            {"rushes-fps": ""},
            {"rushes-task": "%FF"},
        ],
        ids=lambda odd: "-".join(odd),
    )
    def test_one_that_bears_the_jobs_id_and_nonsense_is_a_strangers(
        self, workshop: Workshop, sandbox: Any, odd: dict[str, str]
    ) -> None:
        job_id = workshop.create(provider="evolink")
        case = workshop.until(job_id, State.ARCHIVING)
        said = {"rushes-job": job_id, "rushes-attempt": "1", "rushes-task": str(case.attempts[1].task_id)}
        said |= {"rushes-sha256": "0" * 64, "rushes-duration-s": "2.000", "rushes-size": "64x36", "rushes-fps": "24.0"}
        workshop.bucket._client.put_object(
            Bucket=workshop.bucket.config.bucket, Key=case.job.archive_key, Body=b"x", Metadata={**said, **odd}
        )
        case = workshop.until(job_id, State.FAILED)
        assert case.job.error_code == "key_conflict"
        assert case.attempts[1].outcome is AttemptOutcome.UNDELIVERED

    @pytest.mark.both_databases
    @pytest.mark.parametrize(
        ("odd", "built"),
        [
            ({"mode": "x" * 30}, False),
            ({"created_at": "2026-11-28T12:00:00"}, False),
            ({"metadata": {"shot": "\0"}}, False),
            ({"attempts": {"number": 10**12}}, False),
            ({"attempts": {"task_id": "x" * 300}}, True),
            ({"attempts": {"cost": {"reported_usd": -1}}}, True),
            ({"request": {"on_unconfirmed": "x" * 30}}, True),
        ],
        ids=lambda row: json.dumps(row)[:30] if isinstance(row, dict) else "",
    )
    def test_a_sidecar_with_what_no_row_can_hold_builds_a_whole_job_or_none(
        self, workshop: Workshop, sandbox: Any, odd: dict[str, Any], built: bool
    ) -> None:
        job_id = workshop.create(provider="evolink")
        key = workshop.until(job_id, State.ARCHIVED).job.archive_key
        said = json.loads(b"".join(workshop.bucket.open(sidecar_key(key))))
        workshop.bucket.put_small(sidecar_key(key), json.dumps(merged(said, odd)).encode(), "application/json")
        with workshop.database.write() as db:
            for table in (tables.events, tables.attempts):
                db.execute(sa.delete(table).where(table.c.job_id == job_id))
            db.execute(sa.delete(tables.jobs).where(tables.jobs.c.id == job_id))
        found = Finding("object_without_job", "", job_id, key)
        assert (repair(found, workshop.resources) is not None) is built


def merged(value: Any, odd: Any) -> Any:
    """A JSON value with some members replaced, in every element where there is a list of them."""
    if isinstance(value, list):
        return [merged(inner, odd) for inner in value]
    if not (isinstance(value, dict) and isinstance(odd, dict)):
        return odd
    return {**value, **{name: merged(value.get(name), inner) for name, inner in odd.items()}}
