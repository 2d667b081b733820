"""The schemas: requests and answers from the types of `messages`, refusals from `errors`."""

from typing import Any

import msgspec

from openapi import refusals
from sms_login import errors
from sms_login.errors import Refusal
from sms_login.http import bodies, messages
from sms_login.otp.login import LoggedIn
from sms_login.otp.send import CodeSent
from sms_login.sessions.service import SignedIn, StillLoggedIn, UserInfo

Schema = dict[str, Any]

ANSWERS: dict[type[messages.Message], tuple[type[Any], ...]] = {
    messages.GetSms: (CodeSent,),
    messages.Login: (LoggedIn, StillLoggedIn),
    messages.Refresh: (SignedIn,),
    messages.Logout: (messages.Done,),
    messages.GetUserInfo: (UserInfo,),
    messages.SetNickname: (UserInfo,),
    messages.DeleteAccount: (messages.Done,),
    messages.Health: (messages.Healthy,),
    messages.Jwks: (messages.KeySet,),
}
_NULL = {"type": "null"}
# A form and a query string have no booleans, so the function accepts their text, in JSON too.
_SWITCH = {"type": "string", "pattern": "^([01]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
_BOOLEAN = {"anyOf": [{"type": "boolean"}, _SWITCH, {"enum": [0, 1]}]}


def ref(name: str) -> Schema:
    """Return the reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def tag(kind: type[messages.Message]) -> str:
    """Return the value of `method` for this message."""
    return str(kind.__struct_config__.tag)


def ecma(pattern: str) -> str:
    r"""Return a pattern for JSON Schema, whose ^ and $ mean \A and \Z of Python."""
    return "^" + pattern.removeprefix(r"\A").removesuffix(r"\Z") + "$"


def build() -> dict[str, Schema]:
    """Return all schemas by name."""
    answers = list(dict.fromkeys(answer for kinds in ANSWERS.values() for answer in kinds))
    _, found = msgspec.json.schema_components([*ANSWERS, *answers], ref_template=ref("{name}")["$ref"])
    schemas = {"Request": _any_request(), **{kind.__name__: _request(kind, found[kind.__name__]) for kind in ANSWERS}}
    schemas["Absent"] = {"description": "Counts as absent.", "enum": [None, ""]}
    schemas |= {kind.__name__: _answer(found[kind.__name__]) for kind in answers}
    schemas |= {f"{kind.__name__}Answer": _success(kind) for kind in ANSWERS if kind is not messages.Jwks}
    return schemas | {kind.__name__: _refusal(kind) for kind in Refusal.__subclasses__()}


def _any_request() -> Schema:
    mapping = {tag(kind): ref(kind.__name__)["$ref"] for kind in ANSWERS}
    variants = [ref(kind.__name__) for kind in ANSWERS]
    return {"oneOf": variants, "discriminator": {"propertyName": "method", "mapping": mapping}}


def _request(kind: type[messages.Message], found: Schema) -> Schema:
    """Describe a request. A token is never required: it may travel in the header."""
    required = [name for name in found["required"] if name != "token"]
    properties = {
        name: {"const": tag(kind)} if name == "method" else _parameter(name, schema, required=name in required)
        for name, schema in found["properties"].items()
    }
    refused = [refusal.name for refusal in (*refusals.BY_METHOD[kind], *refusals.ALWAYS)]
    return {
        "description": found["description"],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
        "maxProperties": bodies.MAX_FIELDS,
        "x-refusals": refused,
    }


def _parameter(name: str, schema: Schema, *, required: bool) -> Schema:
    kinds = [part for part in schema.get("anyOf", [schema]) if part != _NULL]
    value: Schema = _BOOLEAN if name == "everywhere" else dict(kinds[0])
    if "pattern" in value:
        value["pattern"] = ecma(value["pattern"])
    if required:
        return {"description": messages.MUST_BE[name][0], **value}
    return {"description": messages.MUST_BE[name][0], "anyOf": [*value.get("anyOf", [value]), ref("Absent")]}


def _answer(found: Schema) -> Schema:
    """Describe an answer: fields with a default are always sent."""
    properties = {name: _without_default(schema) for name, schema in found["properties"].items()}
    return {"description": found["description"], "type": "object", "properties": properties, "required": [*properties]}


def _without_default(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "default"}


def _success(kind: type[messages.Message]) -> Schema:
    data = [ref(answer.__name__) for answer in ANSWERS[kind]]
    name = "Ok" if ANSWERS[kind] == (CodeSent,) else "Success"
    return _envelope(f"To {tag(kind)}.", 0, name, data[0] if len(data) == 1 else {"anyOf": data})


def _refusal(kind: type[Refusal]) -> Schema:
    example = refusals.DATA.get(kind, {})
    of = {str: {"type": "string"}, int: {"type": "integer", "minimum": 0}}
    data: Schema = {"type": "object", "properties": {name: of[type(example[name])] for name in example}}
    schema = _envelope(str(kind.__doc__).splitlines()[0], kind.number, kind.name, {**data, "required": [*example]})
    if kind in refusals.WAIT | refusals.MAY_WAIT:
        schema["properties"]["retryAfter"] = {"description": "in seconds", "type": "integer", "minimum": 1}
    if kind in refusals.WAIT:
        schema["required"].append("retryAfter")
    return schema


def _envelope(description: str, number: int, name: str, data: Schema) -> Schema:
    properties = {
        "errorCode": {"const": number},
        "codeStr": {"const": name},
        "errorMessage": {"description": "for a person", "type": "string"},
        "requestId": {"description": "identifies the request in the log", "type": "string"},
        "data": data,
    }
    return {"description": description, "type": "object", "properties": properties, "required": [*properties]}


def example_of(kind: type[Refusal]) -> dict[str, Any]:
    """Return the answer that a caller with `Accept-Language: en` gets."""
    refusal = messages.malformed("code") if kind is errors.InvalidParam else kind()
    envelope = {
        "errorCode": kind.number,
        "codeStr": kind.name,
        "errorMessage": refusal.message("en"),
        "requestId": "24a3ec13-0d8d-4ac4-a8a9-1f7d6b1c9f3e",
        "data": refusals.DATA.get(kind, {}),
    }
    wait = (refusals.WAIT | refusals.MAY_WAIT).get(kind)
    return envelope if wait is None else {**envelope, "retryAfter": wait}
