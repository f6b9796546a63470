"""GET /v1/costs?format=csv: the account as a spreadsheet reads it."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from api_orders import Orders
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.store.database import Database

pytestmark = pytest.mark.both_databases

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


def sheet(api: FlaskClient, **query: str) -> str:
    answer = api.get("/v1/costs", query_string={**MARCH, "format": "csv", **query})
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
    return answer.get_data().decode("utf-8")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_it_is_a_line_of_heads_and_a_line_for_each_sum(api: FlaskClient, orders: Orders) -> None:
    for usd in (0.1, 0.2):
        orders.add("2026-03-03", "charged", estimated_usd=usd, estimated_credits=usd)
    orders.add("2026-03-02", "held", provider="apiframe", estimated_credits=1e15)
    assert sheet(api) == (
        "day,provider,line,attempts,usd,credits,unpriced\r\n"
        "2026-03-03,evolink,charged,2,0.3,0.3,0\r\n"
        "2026-03-02,apiframe,held,1,0,1000000000000000,1\r\n"
    )


def test_it_is_kept_under_a_name_that_tells_its_days(api: FlaskClient) -> None:
    answer = api.get("/v1/costs", query_string={**MARCH, "format": "csv"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="rushes-costs-2026-03-01-2026-03-31.csv"'
    assert answer.get_data().count(b"\r\n") == 1  # the heads stand there without a single order


def test_the_rows_are_those_of_the_json(api: FlaskClient, orders: Orders, database: Database) -> None:
    key_id, _ = api_keys.create(database, 'the "snow" team, 2nd')
    for batch, project in (("monday", "a,b"), (None, "two\nlines"), ("monday", None)):
        metadata = {} if project is None else {"project": project}
        columns = {"batch": batch, "api_key_id": key_id, "metadata": metadata}
        orders.add("2026-03-03", "charged", estimated_usd=0.123456, of_job=columns)
    by = "key,batch,metadata.project"
    told = api.get("/v1/costs", query_string={**MARCH, "by": by, "format": "json"}).get_json()["data"]
    rows = read(sheet(api, by=by))
    assert list(rows[0])[:4] == ["key", "key_name", "batch", "metadata.project"]
    assert {row["key_name"] for row in rows} == {'the "snow" team, 2nd'}
    assert [(row["batch"], row["metadata.project"]) for row in rows] == [
        (each["batch"] or "", (each["metadata"]["project"] or "").replace("\n", "\\n")) for each in told
    ]
    assert [Decimal(row["usd"]) for row in rows] == [Decimal(str(each["usd"])) for each in told]
    assert {row["credits"] for row in rows} == {""}  # of several gateways


@pytest.mark.parametrize("word", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1", "\t=1", " =1", "\u200b=1", "\n=1"])
def test_words_of_clients_are_no_formulas(api: FlaskClient, orders: Orders, database: Database, word: str) -> None:
    key_id, _ = api_keys.create(database, word)
    columns = {"batch": word, "api_key_id": key_id, "metadata": {"project": word}}
    orders.add("2026-03-03", "charged", estimated_usd=1.0, of_job=columns)
    (row,) = read(sheet(api, by="batch,key,metadata.project"))
    texts = [row["batch"], row["key_name"], row["metadata.project"]]
    assert [text for text in texts if text.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))] == []
    assert {text[-len(word.strip("\u200b\n\t ")) :] for text in texts} == {word.strip("\u200b\n\t ")}


def test_other_words_stand_as_they_are_and_no_two_look_alike(api: FlaskClient, orders: Orders) -> None:
    words = ["-1", "'-1", "''-1", "a=b", "\u00e9t\u00e9", "1.10"]
    for word in words:
        orders.add("2026-03-03", "charged", estimated_usd=1.0, of_job={"batch": word})
    told = {row["batch"] for row in read(sheet(api, by="batch"))}
    assert told == {"'-1", "''-1", "'''-1", "a=b", "\u00e9t\u00e9", "1.10"}


def test_nothing_in_it_acts_on_a_terminal(api: FlaskClient, orders: Orders) -> None:
    orders.add("2026-03-03", "charged", estimated_usd=1.0, of_job={"metadata": {"project": "\x1b[31mred\r"}})
    text = sheet(api, by="metadata.project")
    assert "\\x1b[31mred" in text
    assert "\x1b" not in text
    assert text.count("\r") == 2
