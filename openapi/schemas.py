"""The schemas: requests and answers from the types of `messages`, and one `Refusal` from those of `errors`."""

from typing import Any

import msgspec

from openapi import refusals
from sms_login import errors
from sms_login.errors import Refusal
from sms_login.http import bodies, messages, parameters
from sms_login.otp.delivery import SmsStatus
from sms_login.otp.login import LoggedIn
from sms_login.otp.send import CodeSent
from sms_login.sessions.proofs import Proven
from sms_login.sessions.service import SignedIn, UserInfo

Schema = dict[str, Any]

# One answer each: a login with a token, which apps of 2020 send, is described in words.
ANSWERS: dict[type[messages.Message], type[Any]] = {
    messages.GetSms: CodeSent,
    messages.GetSmsStatus: SmsStatus,
    messages.Login: LoggedIn,
    messages.Verify: Proven,
    messages.Refresh: SignedIn,
    messages.Logout: messages.Done,
    messages.GetUserInfo: UserInfo,
    messages.SetNickname: UserInfo,
    messages.ChangePhone: LoggedIn,
    messages.DeleteAccount: messages.Done,
    messages.SmsReceipt: messages.Received,
    messages.Health: messages.Healthy,
    messages.Jwks: messages.KeySet,
}
BARE = {messages.SmsReceipt: messages.Received, messages.Jwks: messages.KeySet}  # answers without the envelope
_RECEIPTS: Schema = {
    "description": "as document 382/59178 of Tencent Cloud shows them; an unreadable one is skipped",
    "type": "array",
    "items": {"type": "object"},
    "maxItems": 100,
}
_OF = {str: {"type": "string"}, int: {"type": "integer", "minimum": 0}}


def ref(name: str) -> Schema:
    """Return the reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def tag(kind: type[messages.Message]) -> str:
    """Return the value of `method` for this message."""
    return str(kind.__struct_config__.tag)


def answer_name(kind: type[messages.Message]) -> str:
    """Return the name of the schema of a method's whole answer."""
    return BARE[kind].__name__ if kind in BARE else f"{kind.__name__}Answer"


def ecma(pattern: str) -> str:
    r"""Return a pattern for JSON Schema, whose ^ and $ mean \A and \Z of Python."""
    return "^" + pattern.removeprefix(r"\A").removesuffix(r"\Z") + "$"


def build() -> dict[str, Schema]:
    """Return all schemas by name."""
    answers = dict.fromkeys(ANSWERS.values())
    _, found = msgspec.json.schema_components([*ANSWERS, *answers], ref_template=ref("{name}")["$ref"])
    requests = {f"{kind.__name__}Request": _request(kind, found[kind.__name__]) for kind in ANSWERS}
    requests["SmsReceiptRequest"] = _RECEIPTS
    schemas = {name: schema for name, schema in requests.items() if schema.get("properties", True)}
    schemas |= {kind.__name__: _answer(found[kind.__name__]) for kind in answers}
    schemas |= {answer_name(kind): _success(kind) for kind in ANSWERS if kind not in BARE}
    return {**schemas, "Refusal": _refusal()}


def _request(kind: type[messages.Message], found: Schema) -> Schema:
    """Describe a body. It lacks what the path and the header Authorization have: the method and the token."""
    properties = {
        name: _parameter(name, schema)
        for name, schema in found["properties"].items()
        if name not in {"method", "token"}
    }
    required = ["phone", "code"] if kind is messages.Login else [*found["required"]]
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in required if name in properties],
        "maxProperties": bodies.MAX_FIELDS,
    }


def _parameter(name: str, schema: Schema) -> Schema:
    """Describe a parameter; null counts as absent, so an optional one has the type of its value alone."""
    value = next(part for part in schema.get("anyOf", [schema]) if part != {"type": "null"})
    if "pattern" in value:
        value = {**value, "pattern": ecma(value["pattern"])}
    return {"description": parameters.MUST_BE[name][0], **_field(value)}


def _answer(found: Schema) -> Schema:
    """Describe an answer: fields with a default are always sent, and those without a value never."""
    properties = {name: _field(schema) for name, schema in found["properties"].items()}
    sent = [name for name, schema in found["properties"].items() if name in found["required"] or "default" in schema]
    return {"description": found["description"], "type": "object", "properties": properties, "required": sent}


def _field(schema: Schema) -> Schema:
    """Describe a field; one that may be null has two types, which more generators know than anyOf.

    A choice of words is any text, so that an older app can read a word that is new.
    """
    parts = schema.get("anyOf", [schema])
    types = [part.get("type", "string") for part in parts]
    words = [word for part in parts for word in part.get("enum", [])]
    field = {key: value for key, value in schema.items() if key not in {"default", "anyOf", "enum"}}
    field["type"] = types if "anyOf" in schema else types[0]
    return {**field, "description": f"one of {', '.join(words)}"} if words else field


def _success(kind: type[messages.Message]) -> Schema:
    """Describe a success. Its number has bounds: a constant would become a text in Kotlin."""
    number = {"type": "integer", "minimum": 0, "maximum": 0}
    name = {"type": "string", "const": "Ok" if ANSWERS[kind] is CodeSent else "Success"}
    return _envelope(number, name, ref(ANSWERS[kind].__name__))


def _refusal() -> Schema:
    """Describe every refusal. `codeStr` is any text, so that an older app can read a refusal that is new."""
    data = {name: _OF[type(value)] for example in refusals.DATA.values() for name, value in example.items()}
    number = {"type": "integer", "maximum": -1}
    name = {"description": "tells refusals apart", "type": "string"}
    schema = _envelope(number, name, {"type": "object", "properties": data})
    wait = {"description": "in seconds, if waiting helps", "type": "integer", "minimum": 1}
    return {**schema, "properties": {**schema["properties"], "retryAfter": wait}}


def _envelope(number: Schema, name: Schema, data: Schema) -> Schema:
    properties = {
        "errorCode": number,
        "codeStr": name,
        "errorMessage": {"description": "for a person", "type": "string"},
        "requestId": {"description": "identifies the request in the log", "type": "string"},
        "data": data,
    }
    return {"type": "object", "properties": properties, "required": [*properties]}


def example_of(kind: type[Refusal]) -> dict[str, Any]:
    """Return the answer that a caller with `Accept-Language: en` gets."""
    refusal = parameters.malformed("code") if kind is errors.InvalidParam else kind()
    envelope = {
        "errorCode": kind.number,
        "codeStr": kind.name,
        "errorMessage": refusal.message("en"),
        "requestId": "24a3ec13-0d8d-4ac4-a8a9-1f7d6b1c9f3e",
        "data": refusals.DATA.get(kind, {}),
    }
    wait = (refusals.WAIT | refusals.MAY_WAIT).get(kind)
    return envelope if wait is None else {**envelope, "retryAfter": wait}
