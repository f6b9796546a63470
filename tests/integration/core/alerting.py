"""Prometheus as far as deploy/alerts.yml needs it: two scrapes of a service, and which rules hold at the second one.

`for` is passed over: what holds now, and goes on, fires once that time is over. Between the scrapes lies the range of
every rate, whatever a rule says; but that of a day reaches back before the first one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[3]
RANGE_S, DAY = 300, timedelta(days=1)
Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Scrape = Mapping[str, Vector]  # by the samples' names
JOB: Labels = frozenset({("job", "rushes")})  # which Prometheus adds to all that it scrapes

RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
COMPARE = {">": operator.gt, "<": operator.lt, "==": operator.eq}
AGGREGATE: dict[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min, "count": len}
MATCH: dict[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": operator.eq,
    "MatchOp.NotEqual": operator.ne,
    "MatchOp.Re": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "MatchOp.NotRe": lambda value, pattern: re.fullmatch(pattern, value) is None,
}


def scrape(service: FlaskClient) -> Scrape:
    """What Prometheus has after a scrape: the samples, and whether there was an answer."""
    answer = service.get("/metrics")
    found: dict[str, Vector] = {"up": {JOB: float(answer.status_code == 200)}}
    if answer.status_code == 200:
        for family in text_string_to_metric_families(answer.get_data(as_text=True)):
            for sample in family.samples:
                found.setdefault(sample.name, {})[_labels(sample.labels) | JOB] = sample.value
    return found


def firing(before: Scrape, after: Scrape) -> dict[str, list[dict[str, str]]]:
    """The alerts that hold now, each with the labels of what it holds for."""
    held = {rule["alert"]: _value(promql_parser.parse(rule["expr"]), before, after) for rule in RULES}
    return {alert: [dict(labels - JOB) for labels in vector] for alert, vector in held.items() if vector}


def _labels(labels: Mapping[str, str]) -> Labels:
    return frozenset((name, value) for name, value in labels.items() if value)  # an empty one is none


def _value(node: Any, before: Scrape, after: Scrape) -> Any:
    """A vector, or a number."""
    kind = type(node).__name__
    if kind == "NumberLiteral":
        return node.val
    if kind == "ParenExpr":
        return _value(node.expr, before, after)
    if kind == "VectorSelector":
        return _select(node, after)
    if kind == "Call":
        assert node.func.name in ("rate", "increase"), node.prettify()
        of = node.args[0]
        then, now = (_select(of.vector_selector, each) for each in ({} if of.range >= DAY else before, after))
        grown = {labels: value - then.get(labels, 0) for labels, value in now.items()}
        return {labels: value / RANGE_S for labels, value in grown.items()} if node.func.name == "rate" else grown
    if kind == "AggregateExpr":
        names = set(node.modifier.labels) if node.modifier else set()
        groups: dict[Labels, list[float]] = {}
        for labels, value in _value(node.expr, before, after).items():
            groups.setdefault(_only(labels, names), []).append(value)
        return {labels: AGGREGATE[str(node.op)](values) for labels, values in groups.items()}
    assert kind == "BinaryExpr", node.prettify()
    return _both(node, _value(node.lhs, before, after), _value(node.rhs, before, after))


def _both(node: Any, left: Any, right: Any) -> Any:
    sign = str(node.op)
    if sign in COMPARE:
        return {labels: value for labels, value in left.items() if COMPARE[sign](value, right)}
    modifier = node.modifier
    on = set(modifier.matching.labels) if modifier and modifier.matching else None

    def key(labels: Labels) -> Labels:
        return labels if on is None else _only(labels, on)

    theirs = {key(labels): value for labels, value in right.items()}
    if sign == "/":
        return {labels: value / theirs[key(labels)] for labels, value in left.items() if theirs.get(key(labels))}
    if sign in ("and", "unless"):
        return {labels: value for labels, value in left.items() if (key(labels) in theirs) == (sign == "and")}
    assert sign == "or", node.prettify()
    return right | left


def _select(selector: Any, of: Scrape) -> Vector:
    def fits(labels: Labels) -> bool:
        values = dict(labels)
        return all(MATCH[str(m.op)](values.get(m.name, ""), m.value) for m in selector.matchers.matchers)

    return {labels: value for labels, value in of.get(selector.name, {}).items() if fits(labels)}


def _only(labels: Labels, names: set[str]) -> Labels:
    return frozenset(label for label in labels if label[0] in names)
