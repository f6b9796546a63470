"""The OpenAPI document: what the views say of themselves, and what holds of every one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from flask import Response

from jobs.request.schema import METADATA_VALUE_LENGTH
from rushes.api.edge import request_ids
from rushes.api.edge.answers import answer
from rushes.api.edge.operations import BODIES, NAMES
from rushes.api.edge.problems import MEDIA_TYPE, ProblemApi

Json = dict[str, Any]


class InPath(NamedTuple):
    """What a part of a path stands for."""

    said: str
    example: str


ABOUT = """\
Ask for videos, watch them being made, and fetch them from your bucket.

Requests are strict: a field or parameter that is not known is refused. Answers are open: new fields may come at any
time. Times are ISO 8601 in UTC. Every error is a problem (RFC 9457) with a stable `code`; docs/errors.md has all of
them.
"""
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`rk_…`), made by `rushes keys create NAME`. GET needs the scope read, the rest write;"
    " what administers the service needs admin.",
}
PATHS = {
    "job_id": InPath("The job's id.", "job_01K8Z3V0QWERTYUIOPASDFGHJK"),
    "number": InPath("The order's number, from 1.", "1"),
    "name": InPath("The gateway's name.", "evolink"),
    "batch": InPath("The batch's name.", "scenes.jsonl"),
    "notice_id": InPath("The notice's id.", "ntc_01K8Z3V0QWERTYUIOPASDFGHJK"),
    "key_id": InPath("The API key's id.", "key_01K8Z3V0QWERTYUIOPASDFGHJK"),
    "callback_id": InPath("The callback's id.", "cbk_123"),
}
HEADERS = {
    "X-Request-Id": "The request's id: the one that was sent, or a new one.",
    "RateLimit": 'Requests that the key has left, and seconds until it has all of them again: `"key";r=2999;t=60`.',
    "RateLimit-Policy": 'How many requests a key has, in how many seconds: `"key";q=3000;w=60`.',
    "Retry-After": "Seconds after which to ask again.",
    "WWW-Authenticate": "How to send the key.",
    "ETag": "A weak validator, for If-None-Match. A new place in line alone makes no new one.",
    "Location": "Where it is.",
    "Link": 'The next page, if there is one: `<…>; rel="next"`.',
    "Idempotency-Replayed": "true: the key had made this job before.",
}
SENT: dict[str, Json] = {
    "X-Request-Id": {
        "description": "An id of yours for this request; it comes back, and stands in problems and in the log.",
        "schema": {"type": "string", "pattern": f"^{request_ids.OURS}$"},
    },
    "Idempotency-Key": {
        "description": "Makes it safe to send again: the same key and body give the same job. One key, quoted or not."
        " Remembered for a week, unless the operator says otherwise.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*$"},
        "example": "scene-12-take-1",
    },
    "If-None-Match": {
        "description": "The ETag of the answer before: 304 while nothing has changed.",
        "schema": {"type": "string"},
        "example": 'W/"7"',
    },
}
ON_EVERY_ANSWER = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
# Beside those that views name: which answers may come to every request, and the headers that they bear.
DOOR: dict[str, tuple[str, tuple[str, ...]]] = {
    "401": ("unauthorized: no key, or one that is unknown or revoked", ("X-Request-Id", "WWW-Authenticate")),
    "403": ("forbidden: the key's scope is too small", (*ON_EVERY_ANSWER, "WWW-Authenticate")),
    "422": ("invalid_request: `errors` has each field or parameter", ON_EVERY_ANSWER),
    "429": (
        "rate_limited: the key has used up its requests of this minute; too_many_wrong_keys: of this address",
        (*ON_EVERY_ANSWER, "Retry-After"),
    ),
    "500": ("internal_error: a fault of ours", ON_EVERY_ANSWER),
    "503": ("database_unavailable, disk_full or bucket_unavailable", (*ON_EVERY_ANSWER, "Retry-After")),
}
OF_BODIES = {
    "400": "bad_request: the body is no JSON",
    "413": "too_large: the body",
    "415": "unsupported_media_type: send application/json",
}
# What single operations say and take: the status, and its headers.
SAID = {
    **{("get", path, "200"): ("Link",) for path in ("/v1/jobs", "/v1/notices", "/v1/callbacks")},
    ("get", "/v1/jobs/{job_id}", "200"): ("ETag", "Retry-After"),
    ("get", "/v1/jobs/{job_id}", "304"): ("ETag", "Retry-After"),
    ("get", "/v1/jobs/{job_id}/video", "302"): ("Location",),
    ("get", "/v1/jobs/{job_id}/poster", "302"): ("Location",),
    ("post", "/v1/jobs", "202"): ("Location", "Idempotency-Replayed"),
}
# What else an answer can be than JSON.
ALSO: dict[tuple[str, str, str], Json] = {
    ("get", "/v1/costs", "200"): {"text/csv": {"schema": {"type": "string"}}},
}
TAKEN = {
    ("post", "/v1/jobs"): ("Idempotency-Key",),
    ("get", "/v1/jobs/{job_id}"): ("If-None-Match",),
}

NOTHING: tuple[Any, ...] = (None, [], {})  # defaults that say nothing

# Members of answers that are left out where there is nothing to tell; all others are null then.
NOT_ALWAYS = {
    "TakenMedia": ("reference_voice",),
    "Problem": ("detail", "request_id", "errors"),
    "CostSum": ("provider", "day", "key", "key_name", "batch", "metadata"),
    "Considered": ("seconds", "credits", "usd", "exact", "misfits", "obstacle"),
}

# Parameters whose names are the caller's own, which no field of a schema can say.
BY_ENTRY = {
    "metadata": {
        "style": "form",
        "explode": True,
        "schema": {
            "type": "object",
            "patternProperties": {r"^metadata\.": {"type": "string", "maxLength": METADATA_VALUE_LENGTH}},
            "additionalProperties": False,
        },
        "example": {"metadata.scene": "12"},
    }
}


class DescribedApi(ProblemApi):
    """The API with its description; ask for that once all views are registered."""

    _document: Json | None = None

    def document(self) -> Json:
        """The whole OpenAPI document, made once."""
        if self._document is None:
            self._document = _finished(self.spec.to_dict())
        return self._document

    def _openapi_json(self) -> Response:
        return answer(self.document())


def _finished(document: Json) -> Json:
    """The views' document with all that holds of every view. Changes and returns it."""
    document["info"]["description"] = ABOUT
    document["servers"] = [{"url": "/", "description": "The installation that serves this document."}]
    document["security"] = [{"bearer": []}]
    parts = document["components"]
    parts["securitySchemes"] = {"bearer": BEARER}
    parts["headers"] = {name: {"description": said, "schema": {"type": "string"}} for name, said in HEADERS.items()}
    parts["parameters"] = {
        name: {"name": name, "in": "header", "required": False, **about} for name, about in SENT.items()
    }
    parts["responses"] = {
        **{status: _problem(said, headers) for status, (said, headers) in DOOR.items()},
        **{status: _problem(said, ON_EVERY_ANSWER) for status, said in OF_BODIES.items()},
    }
    parts["schemas"].pop("PaginationMetadata", None)  # flask-smorest's, of its own way to page
    _require(document)
    for path, item in document["paths"].items():
        for parameter in item.pop("parameters", []):
            about = PATHS[parameter["name"]]
            described = {**parameter, "description": about.said, "example": about.example}
            item.setdefault("parameters", []).append(described)
        for method, operation in item.items():
            if method != "parameters":
                _finish(path, method, operation)
    return document


def _sent(document: Json) -> set[str]:
    """The schemas of what is sent, and not answered."""
    schemas, sent = document["components"]["schemas"], set[str]()
    operations = (about for item in document["paths"].values() for name, about in item.items() if name != "parameters")
    new = _named([operation.get("requestBody") for operation in operations])
    while new - sent:
        sent |= new
        new = _named([schemas[name] for name in sent])
    return sent


def _require(document: Json) -> None:
    """Say of every object that is answered that all of its members are there, null where there is nothing to tell.

    What is sent may lack every member that has a default. It is told in words: to some generators a member with a
    `default` is one that must be there.
    """
    sent = _sent(document)
    for name, schema in document["components"]["schemas"].items():
        left_out, members = NOT_ALWAYS.get(name, ()), schema.get("properties", {})
        if name not in sent and members:
            schema["required"] = [member for member in members if member not in left_out]
        for about in members.values() if name in sent else ():
            if (default := about.pop("default", None)) not in NOTHING:
                about["description"] = f"{about['description']} Default: {json.dumps(default)}."


def _named(part: Any) -> set[str]:
    """The schemas that a part of the document refers to."""
    return set(re.findall(r"'#/components/schemas/(\w+)'", str(part)))


def _finish(path: str, method: str, operation: Json) -> None:
    answers = {status: _own(said) for status, said in operation["responses"].items() if "$ref" not in said}
    shared = [*DOOR, *(OF_BODIES if "requestBody" in operation else ())]
    answers |= {status: {"$ref": f"#/components/responses/{status}"} for status in shared}
    for status, said in answers.items():
        for name in SAID.get((method, path, status), ()):
            said["headers"][name] = {"$ref": f"#/components/headers/{name}"}
        said.get("content", {}).update(ALSO.get((method, path, status), {}))
    operation["responses"] = dict(sorted(answers.items()))
    operation["operationId"] = NAMES[method, path]
    if examples := BODIES.get(NAMES[method, path]):
        (content,) = operation["requestBody"]["content"].values()
        content["examples"] = {name: {"summary": name, "value": value} for name, value in examples.items()}
    given = operation.setdefault("parameters", [])
    for parameter in given:
        parameter.update(BY_ENTRY.get(parameter["name"], {}))
    taken = [*TAKEN.get((method, path), ()), "X-Request-Id"]
    given.extend({"$ref": f"#/components/parameters/{name}"} for name in taken)


def _own(said: Json) -> Json:
    """An answer of a view's own, with the headers that all of them bear."""
    return {**said, "headers": _headers(ON_EVERY_ANSWER)}


def _problem(said: str, headers: Iterable[str]) -> Json:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": said, "content": content, "headers": _headers(headers)}


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
