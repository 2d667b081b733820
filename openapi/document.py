"""The OpenAPI document. Limits, patterns, names and numbers come from the types; this module adds the prose."""

import json
import re
from typing import Any

from openapi import examples, refusals, schemas
from sms_login import __version__
from sms_login.errors import Refusal
from sms_login.http import key_set, messages, parameters

Part = dict[str, Any]
Method = type[messages.Message]

_ABOUT = """\
Sign people in with an SMS code: `getSms`, then `login`. Send parameters as JSON. A parameter that is null or empty
counts as absent, and an unknown one is ignored, whatever its type. Times are in seconds. A body is UTF-8 and has at
most 16 KiB.

`phone` and `code` may be sent as people type and paste them: white space, dashes and invisible characters are dropped,
and digits of every script count; in `phone` also dots, slashes, brackets and a leading `tel:`.

Every answer has the same envelope, except the key set and the success of `smsReceipt`. `errorCode` is 0 on success;
tell refusals apart by `codeStr`. `errorMessage` is Chinese if the first language of `Accept-Language` is Chinese or
there is none, else English. A proxy or the platform may refuse a request in another format, as when a URL is too long.

All methods also have one URL: `POST /` with `method` among the parameters, which may be JSON, a form or the query
string; the token too may be a parameter. A parameter of the body overrides that of the query string, and `method`
overrides the path. An unknown one is answered with 400 and `UnknownMethod`, and a verb other than GET, POST and OPTIONS
with 405 and `HttpMethodNotAllowed`; HEAD is for `health` and `jwks` only."""
# The groups of a reader's menu, in the order of a login.
_TAGS: dict[str, tuple[str, dict[Method, str]]] = {
    "Sign in": (
        "A code by SMS, and a login or a proof with it.",
        {
            messages.GetSms: "Keep `sessionId` until the login. With it, the same code is sent again, once "
            "`resendAfter` is over, for the same `purpose` and `detail`. After `SendUnknown` the SMS may arrive: its "
            "code works with `data.sessionId`. With `channel` `voice`, a call to a number of +86 reads the code aloud.",
            messages.GetSmsStatus: "Ask every two seconds or so while the person waits; some carriers never answer. "
            "`reason` is null unless it failed, `at` is null until there is a receipt.",
            messages.Login: "With `token` instead of `code`, as apps of 2020 send it, the answer has only the user "
            "and that token: it is still valid.",
            messages.Verify: "`proof` is a JWT, for the service that has to know it (docs/purposes.md). Under another "
            "`purpose` than that of the `getSms` the code does not exist, and with another `detail` it is wrong.",
        },
    ),
    "Session": (
        "Staying signed in, and signing out.",
        {
            messages.Refresh: "Keep both. Run one refresh at a time: reuse of a refresh token later than 10 seconds "
            "after its first use ends the session.",
            messages.Logout: "",
        },
    ),
    "User": (
        "The signed-in user.",
        {
            messages.GetUserInfo: "",
            messages.SetNickname: "",
            messages.ChangePhone: "`phone` is the new number, and `code` and `sessionId` are of a `getSms` to it. "
            "`proof` is of a `verify` of the present number. Both codes have the purpose `changePhone`.",
            messages.DeleteAccount: "A fresh code proves their identity: request it with `getSms`.",
        },
    ),
    "Service": (
        "For operators, and for services that verify tokens.",
        {
            messages.SmsReceipt: "For Tencent Cloud alone. Without the envelope; it sends receipts again after 503.",
            messages.Health: "",
            messages.Jwks: "Without the envelope.",
        },
    ),
}
_OF_THE_KEY_SET: dict[str, Part] = {
    "Cache-Control": {"schema": {"type": "string", "const": f"public, max-age={key_set.LIFETIME}"}},
    "ETag": {"description": "A GET whose `If-None-Match` has it is answered with 304.", "schema": {"type": "string"}},
}
_PATHS = {messages.Health: ("get", "/health"), messages.Jwks: ("get", "/.well-known/jwks.json")}
_TOKEN: list[Part] = [{"token": []}]
_SECURITY: dict[Method, list[Part]] = {
    messages.GetUserInfo: _TOKEN,
    messages.SetNickname: _TOKEN,
    messages.ChangePhone: _TOKEN,
    messages.DeleteAccount: _TOKEN,
    messages.Logout: [{}, *_TOKEN],
}
_REPEATABLE = {messages.GetSms, messages.Login, messages.Verify, messages.ChangePhone}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes it safe to repeat the request: a random one per tap of the button.",
    "schema": {"type": "string", "pattern": schemas.ecma(parameters.IDEMPOTENCY_KEY)},
    "example": "0b8ac2f3-d1e0-4a55-9a5b-12273adb6f8e",
}
_RECEIPT_KEY = {
    "name": "key",
    "in": "query",
    "description": parameters.MUST_BE["key"][0],
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    "example": examples.RECEIPT_KEY,
}
_RETRY_AFTER = {
    "description": "In seconds, like `retryAfter` of the body.",
    "schema": {"type": "integer", "minimum": 1},
}
_SERVERS = [
    {"url": "http://127.0.0.1:9000", "description": "`make run`, on your own machine"},
    {
        "url": "https://{host}",
        "description": "your deployment",
        "variables": {"host": {"default": "login.example.com"}},
    },
]


def as_json() -> str:
    """Return the text of docs/openapi.json."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def build() -> Part:
    """Return the whole document."""
    info = {
        "title": "sms-login",
        "version": __version__,
        "description": _ABOUT,
        "license": {"name": "MIT", "identifier": "MIT"},
        "contact": {"name": "sms-login", "url": "https://github.com/sms-login/sms-login"},
    }
    paths = {}
    for name, (_, notes) in _TAGS.items():
        for kind, note in notes.items():
            verb, path = _PATHS.get(kind, ("post", f"/{schemas.tag(kind)}"))
            paths[path] = {verb: _operation(kind, name, note)}
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": _SERVERS,
        "tags": [{"name": name, "description": about} for name, (about, _) in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.build(),
            "parameters": {"Idempotency-Key": _IDEMPOTENCY_KEY},
            "headers": {"Retry-After": _RETRY_AFTER},
            "examples": {
                kind.name: {"summary": _first_line(kind), "value": schemas.example_of(kind)}
                for kind in Refusal.__subclasses__()
                if kind not in refusals.NO_METHOD
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "`token` of a login",
                }
            },
        },
    }


def _operation(kind: Method, group: str, note: str) -> Part:
    name, does = schemas.tag(kind), re.split("[;.]", _first_line(kind))[0]
    operation: Part = {
        "operationId": name,
        "tags": [group],
        "summary": f"{name}: {does[0].lower()}{does[1:]}",
        "description": f"{does}. {note}".strip(),
        "security": _SECURITY.get(kind, []),
    }
    if kind in _REPEATABLE:
        operation["parameters"] = [_ref("parameters", "Idempotency-Key")]
    if kind is messages.SmsReceipt:
        operation["parameters"] = [_RECEIPT_KEY]
    bodies = {name: {"value": body} for name in examples.ALL if (body := examples.body(name, kind))}
    if bodies:
        content = {"schema": schemas.ref(f"{kind.__name__}Request"), "examples": bodies}
        operation["requestBody"] = {"required": kind is not messages.Logout, "content": {"application/json": content}}
    return {**operation, "responses": _responses(kind)}


def _responses(kind: Method) -> Part:
    answers = {name: {"value": examples.answer(name)} for name, (sent, _) in examples.ALL.items() if type(sent) is kind}
    content = {"schema": schemas.ref(schemas.answer_name(kind)), "examples": answers}
    responses: Part = {"200": {"description": "Success.", "content": {"application/json": content}}}
    if kind is messages.Jwks:
        responses["200"]["headers"] = _OF_THE_KEY_SET
    kinds = [*refusals.BY_METHOD[kind], *refusals.ALWAYS]
    for status in sorted({refusal.status for refusal in kinds}):
        responses[str(status)] = _refused([refusal for refusal in kinds if refusal.status == status])
    return responses


def _refused(kinds: list[type[Refusal]]) -> Part:
    content = {
        "schema": schemas.ref("Refusal"),
        "examples": {kind.name: _ref("examples", kind.name) for kind in kinds},
    }
    response: Part = {
        "description": ", ".join(f"`{kind.name}`" for kind in kinds),
        "content": {"application/json": content},
    }
    if any(kind in refusals.WAIT | refusals.MAY_WAIT for kind in kinds):
        response["headers"] = {"Retry-After": _ref("headers", "Retry-After")}
    return response


def _ref(where: str, name: str) -> Part:
    return {"$ref": f"#/components/{where}/{name}"}


def _first_line(kind: type[Any]) -> str:
    return str(kind.__doc__).splitlines()[0]
