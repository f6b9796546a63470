"""A form for a new job: what each gateway can do in a mode, where an order would go, at what price, and the order."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from jobs.request.generation import Mode
from rushes import provider_words
from rushes.console import quotes, request_form
from rushes.console.door import Door
from rushes.console.quotes import Quote
from rushes.console.request_form import Typed
from rushes.console.service import Refused

NOTHING = {"tone": "bad", "text": "Nothing was ordered.", "more": "What is wrong stands beside each field."}
AGAIN = "This form has made a job already. Order once more, and what stands here becomes another one."
AGREE = "Look at the price, and order again."


def add(routes: Blueprint, door: Door) -> None:
    """`/console/new`, and `/console/jobs/<id>/again`, the same form filled with a job's request."""

    @routes.get("/new")
    def new() -> ResponseReturnValue:
        return _page(MultiDict({"mode": request.args.get("mode", Mode.TEXT.value)}), said=door.said())

    @routes.get("/jobs/<job_id>/again")
    def again(job_id: str) -> ResponseReturnValue:
        taken = g.service.get(f"/v1/jobs/{job_id}")["request"]
        return _priced(request_form.typed_as(taken), like=job_id)

    @routes.post("/new")
    def submit() -> ResponseReturnValue:
        """Order what the form says, at the price that it showed; else show the form as it is, with what it would be."""
        typed = request.form
        if typed.get("do") != "order":
            return _priced(typed)
        once = {"Idempotency-Key": typed.get("idempotency_key", "")}
        try:
            quote = _dry_run(typed, once)
            if quote.made is None and quote.price != typed.get("agreed"):
                return _page(typed, quote=quote, said={"tone": "warn", "text": f"{quote.answer} {AGREE}"})
            made = g.service.post("/v1/jobs", request_form.body(typed), headers=once).data
        except Refused as refusal:
            return _refused(typed, refusal)
        return _to(door, made["id"], quote)

    @routes.post("/new/quote")
    def quote() -> ResponseReturnValue:
        """Where an order would go: the form asks while somebody types."""
        found, refused = _quoted(request.form)
        return render_template("console/quote.html", quote=found, refused=refused)


def _to(door: Door, job_id: str, quote: Quote) -> Response:
    told = "Ordered already: this is the job." if quote.made else f"Ordered: {quote.answer}"
    return door.say(redirect(url_for("console.job", job_id=job_id), 303), {"tone": "good", "text": told})


def _refused(typed: Typed, refusal: Refused) -> ResponseReturnValue:
    """The form as it was typed, with why. One whose key has bought something gets another key."""
    if refusal.status == 403:
        raise refusal
    if refusal.code != "idempotency_key_reused":
        return _page(typed, refused=refusal, said=NOTHING), refusal.status
    anew: Typed = MultiDict(typed)
    anew.pop("idempotency_key")
    found, _ = _quoted(anew)
    return _page(anew, quote=found, said={"tone": "warn", "text": AGAIN}), 409


def _priced(typed: Typed, like: str | None = None) -> str:
    """The form, with what the API says of it, where the visitor may ask."""
    found, refused = _quoted(typed) if g.visitor.may_order else (None, None)
    return _page(typed, quote=found, refused=refused, like=like)


def _quoted(typed: Typed) -> tuple[Quote | None, Refused | None]:
    try:
        return _dry_run(typed, {}), None
    except Refused as refusal:
        if refusal.status == 403:
            raise
        return None, refusal


def _dry_run(typed: Typed, headers: Mapping[str, str]) -> Quote:
    """Raises Refused."""
    body, query = request_form.body(typed), {"dry_run": "true"}
    return quotes.read(g.service.ask("POST", "/v1/jobs", query=query, body=body, headers=headers).data)


def _page(
    typed: Typed,
    *,
    quote: Quote | None = None,
    refused: Refused | None = None,
    said: Mapping[str, Any] | None = None,
    like: str | None = None,
) -> str:
    gateways = [each for each in g.service.get("/v1/providers")["data"] if each["configured"]]
    mode = request_form.mode_of(typed)
    serving = [each for each in gateways if mode.value in each["modes"]]
    return render_template(
        "console/new.html",
        said=said,
        like=like,
        typed=typed,
        modes=[each.value for each in Mode],
        mode=mode.value,
        about=request_form.about,
        inputs=request_form.inputs(typed, serving),
        links=request_form.links(typed),
        kinds=request_form.kinds(typed),
        entries=request_form.entries(typed),
        choices=request_form.choices(typed, gateways),
        when_lost=request_form.WHEN_LOST,
        takes_voices=any(each["modes"][mode.value]["voices"] != "none" for each in serving),
        names=[each["name"] for each in gateways],
        abilities={each["name"]: provider_words.ability(each["modes"][mode.value], each) for each in serving},
        others=[each["name"] for each in gateways if each not in serving],
        once=typed.get("idempotency_key") or f"console-{secrets.token_hex(12)}",
        quote=quote,
        refused=refused,
        errors=refused.errors if refused else {},
    )
