"""Where private addresses are closed, a stand-in's links lead to the stand-in itself, and nobody else's lead inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, redirect, request
from served import Served, serve_app
from werkzeug.wrappers import Response
from workshop import Workshop

from jobs.machine.case import Case
from jobs.machine.states import State
from jobs.providers.client import ProviderClient
from jobs.providers.registry import PROVIDERS
from jobs.store import tables
from storage.keys import aside_key
from storage.outbound.guard import guarded_session

REAL = "evolink"
STAND_INS = tuple(name for name in PROVIDERS if name != REAL)


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop], ca_file: str) -> Workshop:
    made = make_workshop(allow_private_addresses=0, stand_ins=",".join(STAND_INS))
    made.resources.session.close()
    made.resources.session = guarded_session(allow_private=False)
    made.resources.client = _Client(ca_file=ca_file)
    return made


class _Client(ProviderClient):
    """Asks the real gateway over plain http too, as nobody else may: its certificate is not what is tried here."""

    def send(self, provider: Any, account: Any, request: Any, **more: Any) -> Any:
        return super().send(provider, self._let_through(account), request, **more)

    def ask(self, provider: Any, account: Any, request: Any, **more: Any) -> Any:
        return super().ask(provider, self._let_through(account), request, **more)

    def resolve(self, account: Any, **more: Any) -> Any:
        return super().resolve(self._let_through(account), **more)

    @staticmethod
    def _let_through(account: Any) -> Any:
        return replace(account, is_stand_in=True) if account.provider == REAL else account


@pytest.fixture
def elsewhere(sandbox: Any) -> Iterator[Served]:
    """Another server of this machine: each of its paths leads to the same path of the stand-ins."""
    app = Flask("elsewhere")

    @app.get("/<path:path>")
    def lead_on(path: str) -> Response:
        app.config["ASKED"] = True
        return redirect(f"{sandbox.url}/{path}?{request.query_string.decode()}")

    served = serve_app(app)
    served.app = app  # type: ignore[attr-defined]
    yield served
    served.close()


def forbidden(workshop: Workshop, job_id: str) -> Case:
    """The job, once it is told that its link may not be followed."""

    def told() -> Case | None:
        workshop.sweep()
        case = workshop.case(job_id)
        return case if case.job.flagged == "link_forbidden" else None

    found: Case = workshop.await_(told, "its link is forbidden", job_id=job_id)
    return found


@pytest.mark.parametrize("provider", STAND_INS)
def test_a_stand_ins_film_is_archived(workshop: Workshop, provider: str) -> None:
    workshop.until(workshop.create(provider=provider), State.ARCHIVED)


def test_a_real_gateway_beside_it_gets_nobody_to_look_inside(workshop: Workshop, sandbox: Any) -> None:
    job_id = workshop.create(provider=REAL)
    assert forbidden(workshop, job_id).job.state is State.ARCHIVING
    assert sandbox.tasks(REAL)[0]["link_hits"]["count"] == 0


@pytest.mark.parametrize("at_home", [False, True], ids=["elsewhere", "by a redirect"])
def test_a_stand_ins_link_leads_to_the_stand_in_alone(
    workshop: Workshop, sandbox: Any, elsewhere: Served, at_home: bool
) -> None:
    job_id = workshop.create(provider="apiframe")
    workshop.until(job_id, State.ARCHIVING)
    with workshop.database.write() as db:
        link = sa.func.replace(tables.attempts.c.link, sandbox.url, elsewhere.url)
        db.execute(sa.update(tables.attempts).where(tables.attempts.c.job_id == job_id).values(link=link))
    if at_home:  # the stand-in is there now, and sends us on
        accounts = dict(workshop.settings.accounts)
        accounts["apiframe"] = replace(accounts["apiframe"], base_url=f"{elsewhere.url}/apiframe")
        workshop.resources.settings = replace(workshop.settings, accounts=accounts)
        forbidden(workshop, job_id)
    else:  # its gateway is asked for another one, which leads home
        workshop.until(job_id, State.ARCHIVED)
    assert elsewhere.app.config.get("ASKED", False) is at_home  # type: ignore[attr-defined]
    assert bool(sandbox.tasks("apiframe")[0]["link_hits"]["count"]) is not at_home


def test_a_film_kept_aside_comes_from_a_bucket_of_our_own_wherever_that_is(workshop: Workshop, sandbox: Any) -> None:
    home = workshop.until(workshop.create(provider="apiframe"), State.ARCHIVED)
    sandbox.fault("apiframe", "link_life", seconds=0)
    job_id = workshop.create(provider="apiframe")
    attempt = workshop.until(job_id, State.ARCHIVING).attempts[1]
    config = workshop.bucket.config
    workshop.bucket._client.copy_object(
        Bucket=config.bucket,
        Key=aside_key(config.prefix, attempt.provider, attempt.task_id or ""),
        CopySource={"Bucket": config.bucket, "Key": home.job.archive_key},
    )
    workshop.until(job_id, State.ARCHIVED)
