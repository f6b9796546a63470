"""What is counted of a job on its way, and how the counts of several processes come together at /metrics."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import requests
from alerting import RULES, Scrape, scrape
from flask import Flask
from flask.testing import FlaskClient
from served import serve_app
from workshop import Workshop, serve_receiver

from jobs.intake import api_keys
from jobs.machine.states import State
from jobs.measures import BY_NAME, Kind
from jobs.steps import archiving
from jobs.store import tallied
from jobs.store.step_table import NOTIFY, SUBMIT, TRANSFER
from jobs.worker import dispatch
from jobs.worker.sweep import Sweeper
from rushes.app import create_app
from rushes.local import procfile
from rushes.local.ports import free_ports
from storage.errors import BucketUnavailable

ROOT = Path(__file__).parents[3]
RUSHES = Path(sys.executable).with_name("rushes")
PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy" / "grafana" / "rushes.json").read_text("utf-8"))["panels"]
GIVEN = {"$__rate_interval": "5m", "$provider": "evolink"}  # what Grafana fills in
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OF_PROMETHEUS = {"up"}
OF_ALL = {"job", "instance", "le"}


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop]) -> Workshop:
    return make_workshop(notice_secrets=SECRET, poll_interval_s=3600, retry_first_s=0.05)


@pytest.fixture
def app(workshop: Workshop) -> Iterator[Flask]:
    app = create_app(workshop.settings, ringer=workshop.bells)
    yield app
    app.extensions["rushes.close"]()


@pytest.fixture
def client(app: Flask, workshop: Workshop) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_keys.create(workshop.database, 'prometheus')[1]}"
    return client


def value(of: Scrape, name: str, **labels: str) -> float:
    """The sum of all samples that have these labels."""
    found = of.get(name, {})
    return sum(value for has, value in found.items() if labels.items() <= dict(has).items())


@pytest.fixture
def made(workshop: Workshop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Scrape:
    """After a job that was called back, copied at the second try, and told of."""
    listener = Flask("pipeline")
    listener.add_url_rule("/", view_func=lambda: "", methods=["POST"])
    pipeline, receiver = serve_app(listener), serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        job_id = workshop.create(provider="evolink", notify_url=pipeline.url)
        dispatch.guarded(SUBMIT, job_id, workshop.resources)
        workshop.await_(lambda: (TRANSFER.name, job_id) in workshop.bells.rung, "the callback", job_id=job_id)
        with monkeypatch.context() as patched:
            patched.setattr(archiving, "publish", _away)
            dispatch.guarded(TRANSFER, job_id, workshop.resources)
        workshop.until(job_id, State.ARCHIVED)
        dispatch.guarded(NOTIFY, job_id, workshop.resources)
        Sweeper(workshop.resources).once()
    finally:
        pipeline.close()
        receiver.close()
    tallied.add(workshop.database)
    return scrape(client)


def _away(*_: Any, **__: Any) -> None:
    raise BucketUnavailable("PUT: 503")


def test_a_jobs_whole_way_is_counted(made: Scrape) -> None:
    of = {"provider": "evolink"}
    assert value(made, "rushes_jobs", state="archived", **of) == 1
    assert value(made, "rushes_orders_total", **of) == 1
    assert value(made, "rushes_order_ends_total", outcome="delivered", **of) == 1
    assert value(made, "rushes_order_ends_total", outcome="finished", **of) == 1
    moves = ("claim", "accept", "finish", "store")
    assert [value(made, "rushes_job_moves_total", event=event, **of) for event in moves] == [1, 1, 1, 1]
    assert value(made, "rushes_job_seconds_count", state="archived") == 1
    assert value(made, "rushes_step_seconds_count", step=SUBMIT.name) >= 1
    assert value(made, "rushes_step_seconds_count", step=TRANSFER.name) >= 2
    assert value(made, "rushes_gateway_request_seconds_count", lane="submit", result="2xx", **of) == 1
    assert value(made, "rushes_gateway_request_seconds_count", lane="query", result="2xx", **of) >= 1
    assert value(made, "rushes_callbacks_total", result="kept", **of) == 1
    assert value(made, "rushes_transfer_failures_total", error="BucketUnavailable", **of) == 1
    assert value(made, "rushes_transfer_seconds_count", **of) == 1
    assert value(made, "rushes_transfer_bytes_total", **of) > 1000
    assert value(made, "rushes_transfer_link_life_seconds_bucket", le="43200.0", **of) == 0  # it lives for a day
    assert value(made, "rushes_transfer_link_life_seconds_count", **of) == 1
    assert value(made, "rushes_notice_seconds_count", result="delivered") == 1
    assert value(made, "rushes_sweep_seconds_count") == 1
    assert value(made, "rushes_query_budget_per_second", **of) == 5


def test_every_number_that_dashboard_and_alerts_ask_for_is_there_with_its_labels(
    made: Scrape, client: FlaskClient
) -> None:
    text = client.get("/metrics").get_data(as_text=True)
    told = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert {measure.name: str(measure.kind) for measure in BY_NAME.values()} == told
    for name, samples in made.items():
        for labels in samples:
            assert {label for label, _ in labels} <= {*_labels_of(name), *OF_ALL}, name
    asked = {query for query, _ in _queries()}
    assert asked
    for query, shown in _queries():
        for name, labels in _asked(promql_parser.parse(query)):
            if name not in OF_PROMETHEUS:
                assert labels <= {*_labels_of(name), *OF_ALL}, query
        names = {name for name, _ in _asked(promql_parser.parse(query))}
        assert shown <= {label for name in names for label in (*_labels_of(name), *OF_ALL)}, query


def test_every_number_stands_on_the_dashboard() -> None:
    queries = " ".join(target["expr"] for panel in PANELS for target in panel.get("targets", []))
    shown = set(re.findall(r"rushes_\w+", queries))
    suffixes = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    missing = [m.name for m in BY_NAME.values() if not {m.name + s for s in suffixes.get(m.kind, ("",))} & shown]
    # When a rest began is for the alert; what a day may cost stands in the share of it.
    assert missing == ["rushes_gateway_rest_since_timestamp_seconds"]


def test_every_panel_of_the_dashboard_says_what_it_shows_and_none_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert [target["refId"] for target in panel["targets"]] == list("ABCDE")[: len(panel["targets"])]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.both_databases
def test_what_two_processes_did_is_summed_at_metrics(workshop: Workshop, client: FlaskClient) -> None:
    config = workshop.bucket.config
    keys = {
        "AWS_ACCESS_KEY_ID": config.access_key,
        "AWS_SECRET_ACCESS_KEY": config.secret_key,
        "AWS_REGION": "us-east-1",
    }
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RUSHES_"))}
    env = {**plain, **workshop.env, **{name: str(value) for name, value in keys.items()}}
    for _ in range(2):
        workshop.create(provider="evolink")
        done = subprocess.run([RUSHES, "sweep", "--once"], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    found = scrape(client)
    assert value(found, "rushes_orders_total", provider="evolink") == 2
    assert value(found, "rushes_gateway_request_seconds_count", lane="submit", result="2xx") == 2
    assert value(found, "rushes_gateway_request_seconds_bucket", lane="submit", le="+Inf") == 2


@pytest.mark.both_databases
def test_what_two_web_processes_answered_is_summed_once_they_have_ended(
    workshop: Workshop, client: FlaskClient
) -> None:
    with ExitStack() as stack:
        for port, times in zip(free_ports(2), (3, 4), strict=True):
            commands = procfile.parse((ROOT / "Procfile").read_text(encoding="utf-8"), {"PORT": str(port)})
            program, *arguments = commands["web"]
            web = subprocess.Popen(
                [RUSHES.with_name(program), *arguments],
                env={"PATH": os.environ["PATH"], **workshop.env, "RUSHES_SWEEP_INTERVAL_S": "3600"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(web.wait, 20)
            stack.callback(web.terminate)
            workshop.await_(lambda port=port: _answers(port, "/livez"), "it is there", within_s=40)
            for _ in range(times):
                assert _answers(port, "/openapi.json") is False  # it wants a key
    found = scrape(client)
    asked = {"method": "GET", "route": "/openapi.json", "status": "4xx"}
    assert value(found, "rushes_http_request_seconds_count", **asked) == 7


def _answers(port: int, path: str) -> bool | None:
    """Whether it is 200; None: nobody answers there."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == requests.codes.ok
    except (requests.ConnectionError, requests.Timeout):
        return None


def _queries() -> Iterator[tuple[str, set[str]]]:
    """What is asked by rules and panels, and the labels that the answers are shown by."""
    for rule in RULES:
        yield rule["expr"], set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    for target in (target for panel in PANELS for target in panel.get("targets", [])):
        query = target["expr"]
        for name, given in GIVEN.items():
            query = query.replace(name, given)
        yield query, set(re.findall(r"{{(\w+)}}", target["legendFormat"]))


def _asked(node: Any, by: frozenset[str] = frozenset()) -> Iterator[tuple[str, set[str]]]:
    """Every metric of a query, and the labels that it is chosen, summed or matched by."""
    kind = type(node).__name__
    if kind == "VectorSelector":
        yield node.name, {matcher.name for matcher in node.matchers.matchers} | by
    elif kind == "MatrixSelector":
        yield from _asked(node.vector_selector, by)
    elif kind == "Call":
        for argument in node.args:
            yield from _asked(argument, by)
    elif kind == "AggregateExpr":
        yield from _asked(node.expr, by | set(node.modifier.labels if node.modifier else ()))
    elif kind == "BinaryExpr":
        matching = node.modifier and node.modifier.matching
        for side in (node.lhs, node.rhs):
            yield from _asked(side, by | set(matching.labels if matching else ()))
    else:
        assert kind in ("NumberLiteral", "StringLiteral"), kind


def _labels_of(sample: str) -> tuple[str, ...]:
    """The labels of the measure that a sample belongs to."""
    if sample in OF_PROMETHEUS:
        return ()
    known = BY_NAME.get(sample) or BY_NAME[re.sub(r"_(bucket|count|sum)$", "", sample)]
    return known.labels
