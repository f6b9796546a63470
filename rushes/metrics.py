"""Metrics for Prometheus: `/metrics`, with an API key. What is looked at now, and what all processes have counted.

Every number is the whole service's, whichever process is asked: one is enough to be scraped, on however many hosts.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from jobs import measures, tallies
from jobs.broker import QUEUES
from jobs.measures import Kind, Measure
from jobs.reports import gauges
from jobs.reports.gauges import EndedJobs, Sample
from jobs.ringer import Ringer
from jobs.store import tallied
from jobs.store.core import Core
from rushes.api.edge.problems import NotInstalled

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Sums = Mapping[tuple[str, ...], Mapping[str, float]]  # by labels, and then by part


def blueprint(core: Core) -> Blueprint:
    routes = Blueprint("metrics", __name__)
    ended = EndedJobs()

    @routes.get("/metrics")
    def show() -> Response:
        try:
            from prometheus_client import CollectorRegistry
            from prometheus_client.exposition import choose_encoder
        except ImportError:
            raise NotInstalled("Metrics need the extra `metrics`: install rushes[metrics].") from None
        with core.database.read() as db:
            looked, sums = list(gauges.read(db, core, ended)), tallied.read(db)
        samples = itertools.chain(looked, _bells(core.ringer))  # not with a connection in hand
        registry = CollectorRegistry()
        registry.register(_Read(list(_families(samples, sums))))
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return routes


def _bells(ringer: Ringer) -> Iterator[Sample]:
    """How many messages wait in each queue. Once the broker does not answer it is asked no more."""
    for queue, task in {queue: task for task, queue in QUEUES.items()}.items():
        waiting = ringer.waiting(task)
        if waiting is None:
            return
        yield Sample(measures.BELLS_WAITING, (queue,), waiting)


class _Read:
    """What was read, as prometheus_client wants it."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def _families(samples: Iterable[Sample], sums: Mapping[str, Sums]) -> Iterator[Metric]:
    """One for each measure, also where it has no value yet: whoever looks sees what there is."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    found: dict[Measure, dict[tuple[str, ...], float]] = defaultdict(dict)
    for measure, labels, value in samples:
        found[measure][labels] = value
    for measure in measures.ALL:
        counted = {labels: parts for labels, parts in sums.get(measure.name, {}).items() if _fits(measure, labels)}
        if measure.kind is Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(measure.name, measure.says, labels=measure.labels)
            for labels, parts in counted.items():
                histogram.add_metric(labels, _cumulated(measure, parts), sum_value=parts.get(tallies.SUM, 0))
            yield histogram
            continue
        values = found[measure] | {labels: parts.get(tallies.WHOLE, 0) for labels, parts in counted.items()}
        kind = CounterMetricFamily if measure.kind is Kind.COUNTER else GaugeMetricFamily
        family = kind(measure.name, measure.says, labels=measure.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        yield family


def _fits(measure: Measure, labels: tuple[str, ...]) -> bool:
    """Another version may have counted under other labels."""
    return len(labels) == len(measure.labels)


def _cumulated(measure: Measure, parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Prometheus's buckets: how many were at most as large as each bound, also those that another version has had."""
    bounds = {str(float(bound)) for bound in measure.bounds} | (parts.keys() - {tallies.SUM})
    in_order = [*sorted(bounds - {tallies.NO_BOUND}, key=float), tallies.NO_BOUND]
    totals = itertools.accumulate(parts.get(bound, 0) for bound in in_order)
    return list(zip(in_order, totals, strict=True))
