"""The OpenAPI document. Limits, patterns, names and numbers come from the types; this module adds the prose."""

import json
from collections.abc import Iterable
from typing import Any

from openapi import examples, refusals, schemas
from sms_login import __version__
from sms_login.errors import HttpMethodNotAllowed, OriginNotAllowed, Refusal
from sms_login.http import key_set, messages
from sms_login.http.cors import Origins

Part = dict[str, Any]

_ABOUT = """\
Sign people in with an SMS code. There is one URL; `method` selects the operation. Send parameters in a JSON body, a
form, or the query string, also with POST; the body overrides the query string. A parameter that is null or empty
counts as absent, and an unknown one is ignored, whatever its type. Times are in seconds. A body is UTF-8 and has at
most 16 KiB. A proxy or the platform may refuse a much longer body, or a URL that is too long, in another format.

`phone` and `code` may be sent as people type and paste them: white space, dashes and invisible characters are dropped,
and digits of every script count; in `phone` also dots, slashes, brackets and a leading `tel:`. A `phone` may be a JSON
integer, a `code` only a string.

Every answer except the key set of `jwks`, which is also at `/.well-known/jwks.json`, has the same envelope. `errorCode`
is 0 on success; tell refusals apart by `codeStr`. `x-refusals` of a request lists the refusals it can get. Verbs other
than GET, HEAD, POST and OPTIONS are answered with 405 and `HttpMethodNotAllowed`."""
_STATUS = {
    400: "The request is malformed.",
    401: "A code or a token is not valid.",
    403: "Not allowed.",
    404: "There is no such user.",
    405: "Neither GET nor POST.",
    429: "A limit is reached.",
    500: "A bug, or a wrong setting.",
    502: "SendSms refused, for a reason that the operator must fix.",
    503: "Try again later, with the same `Idempotency-Key`.",
    504: "SendSms gave no clear answer. If the SMS arrives, its code works with `data.sessionId`.",
}
# The extra headers of an answer to a page of ALLOWED_ORIGINS, taken from the function itself.
_PAGE = "https://app.example.com"
_TO_PAGES = Origins(frozenset({_PAGE})).check({"origin": _PAGE}, preflight=False)
_TO_PREFLIGHTS = Origins(frozenset({_PAGE})).check({"origin": _PAGE}, preflight=True)
_HEADERS: dict[str, Part] = {
    **{name: {"schema": {"const": value}} for name, value in _TO_PREFLIGHTS.items()},
    "Cache-Control": {"required": True, "schema": {"const": "no-store"}},
    "Retry-After": {
        "description": "In seconds, like `retryAfter` of the body.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Allow": {"required": True, "schema": {"const": "GET, HEAD, POST, OPTIONS"}},
    "Access-Control-Allow-Origin": {
        "description": "The page's origin, if it is in ALLOWED_ORIGINS; the other headers for pages come with it.",
        "schema": {"type": "string"},
    },
}
_OF_THE_KEY_SET: dict[str, Part] = {
    "Cache-Control": {
        "required": True,
        "description": "`no-store`, except for the key set in answer to a GET without a body.",
        "schema": {"enum": ["no-store", f"public, max-age={key_set.LIFETIME}"]},
    },
    "ETag": {
        "description": "Only if the answer may be cached; a GET whose `If-None-Match` has it is answered with 304.",
        "schema": {"type": "string"},
    },
}
_PARAMETERS = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes it safe to repeat `getSms` and `login`: a random one per tap of the button.",
        "schema": {"type": "string", "pattern": schemas.ecma(messages.IDEMPOTENCY_KEY)},
        "example": "0b8ac2f3-d1e0-4a55-9a5b-12273adb6f8e",
    },
    "Accept-Language": {
        "name": "Accept-Language",
        "in": "header",
        "description": "`errorMessage` is Chinese if the first language is Chinese or there is none, else English.",
        "schema": {"type": "string"},
        "example": "en",
    },
}
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


def as_json() -> str:
    """Return the text of docs/openapi.json."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def build() -> Part:
    """Return the whole document."""
    licence = {"name": "MIT", "identifier": "MIT"}
    responses = {"200": _ok(), **{str(status): _refused(status) for status in _STATUS}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "sms-login", "version": __version__, "description": _ABOUT, "license": licence},
        "servers": [{"url": "https://login.example.com", "description": "the URL of your deployment"}],
        "security": [{}, {"token": []}],
        "paths": {"/": _paths()},
        "components": {
            "schemas": schemas.build(),
            "responses": responses,
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "`token`, unless it is among the parameters.",
                }
            },
        },
    }


def _paths() -> Part:
    headers = [_ref("parameters", name) for name in _PARAMETERS]
    responses = {str(status): _ref("responses", str(status)) for status in [200, *_STATUS]}
    del responses["405"]  # the answer to other verbs
    sent = {name: {"value": examples.request(name)} for name in examples.ALL}
    content = {kind: {"schema": schemas.ref("Request"), "examples": sent} for kind in (_JSON, _FORM)}
    # Each parameter of a request becomes one of the query string.
    query = {
        "name": "parameters",
        "in": "query",
        "required": True,
        "style": "form",
        "explode": True,
        "schema": schemas.ref("Request"),
        "examples": sent,
    }
    return {
        "post": {
            "operationId": "call",
            "summary": "Call a method",
            "parameters": headers,
            "requestBody": {"required": True, "content": content},
            "responses": responses,
        },
        "get": {
            "operationId": "callByQueryString",
            "summary": "Call a method by the query string",
            "parameters": [query, *headers],
            "responses": responses,
        },
        "options": {
            "operationId": "preflight",
            "summary": "Ask whether a web page may call",
            "security": [],
            "responses": {
                "204": _preflight(),
                "403": _refused(OriginNotAllowed.status, OriginNotAllowed),
                "500": _ref("responses", "500"),
            },
        },
    }


def _ref(where: str, name: str) -> Part:
    return {"$ref": f"#/components/{where}/{name}"}


def _ok() -> Part:
    answers = ["KeySet" if kind is messages.Jwks else f"{kind.__name__}Answer" for kind in schemas.ANSWERS]
    content = {
        "schema": {"anyOf": [schemas.ref(name) for name in answers]},
        "examples": {name: {"value": examples.answer(name)} for name in examples.ALL},
    }
    return {"description": "Success.", "headers": {**_headers(), **_OF_THE_KEY_SET}, "content": {_JSON: content}}


def _refused(status: int, *only: type[Refusal]) -> Part:
    kinds = only or [kind for kind in Refusal.__subclasses__() if kind.status == status]
    content = {
        "schema": {"oneOf": [schemas.ref(kind.__name__) for kind in kinds]},
        "examples": {kind.name: {"value": schemas.example_of(kind)} for kind in kinds},
    }
    headers = _headers()
    if any(kind in refusals.WAIT | refusals.MAY_WAIT for kind in kinds):
        headers["Retry-After"] = _ref("headers", "Retry-After")
    if all(kind in refusals.WAIT for kind in kinds):
        headers["Retry-After"] = {**_HEADERS["Retry-After"], "required": True}
    if HttpMethodNotAllowed in kinds:
        headers["Allow"] = _ref("headers", "Allow")
    return {"description": _STATUS[status], "headers": headers, "content": {_JSON: content}}


def _preflight() -> Part:
    text = "The browser reads from the headers whether the page may call."
    return {"description": text, "headers": _headers(_TO_PREFLIGHTS)}


def _headers(to_pages: Iterable[str] = _TO_PAGES) -> Part:
    return {name: _ref("headers", name) for name in ("Cache-Control", *to_pages)}
