"""The keys and types of serverless.yml.

After the published description of the component scf (github.com/serverless-components/tencent-scf, docs/configure.md
and serverless.component.yml), cloud.tencent.com/document/product/1154/43228 for the trigger http, and, for what is
newer, the types in tencent-component-toolkit 2.27.6. What a login has no use for is left out: it is unknown here.
"""

import re
from typing import Any, NamedTuple

from deploy.env import UNSET

PYTHON = "Python3.10"  # what make build compiles for, and the newest that there is


class Required(NamedTuple):
    """A key that must be there."""

    spec: Any


_TEXT = re.compile(r"(?s).+")
_NAME = re.compile(r"[A-Za-z][\w-]{0,58}[A-Za-z0-9]")
_MEMORY = frozenset({64, *range(128, 3073, 128)})  # MB
_HTTP = {
    "name": _TEXT,
    "enable": bool,
    "qualifier": _TEXT,
    "authType": Required(frozenset({"NONE", "CAM"})),
    "netConfig": Required({"enableIntranet": Required(bool), "enableExtranet": Required(bool)}),
    "corsConfig": {
        "enable": bool,
        "credentials": bool,
        "maxAge": range(86401),
        **{name: [_TEXT] for name in ("origins", "methods", "headers", "exposeHeaders")},
    },
}
_INPUTS = {
    "name": Required(_NAME),
    "description": _TEXT,
    "namespace": _NAME,
    "region": Required(re.compile(r"[a-z]+(-[a-z]+)+")),
    "role": Required(_NAME),
    "enableRoleAuth": bool,
    "runtime": Required(frozenset({PYTHON})),
    "memorySize": Required(_MEMORY),
    "timeout": Required(range(1, 901)),  # s
    "initTimeout": Required(range(1, 301)),  # s
    "src": Required({"src": Required(_TEXT), "exclude": [_TEXT]}),
    "environment": Required({"variables": Required({...: str})}),
    "vpcConfig": Required({"vpcId": Required(re.compile(r"vpc-\w+")), "subnetId": Required(re.compile(r"subnet-\w+"))}),
    "publicAccess": Required(bool),
    "eip": bool,
    "cls": {"logsetId": _TEXT, "topicId": _TEXT},
    "tags": {...: _TEXT},
    "layers": [{"name": Required(_TEXT), "version": Required(range(1, 10_000))}],
    "events": Required([{"http": {"parameters": Required(_HTTP)}}]),
}
_EVENT = {"type": Required(frozenset({"event"})), "handler": Required(frozenset({"index.main_handler"}))}
_WEB = {
    "type": Required(frozenset({"web"})),
    "instanceConcurrencyConfig": {"enable": bool, "dynamicEnabled": bool, "maxConcurrency": range(2, 101)},
}
_FILE = {"component": Required(frozenset({"scf"})), "name": Required(_NAME), "app": _NAME, "stage": _NAME, "org": _TEXT}


def problems(document: Any) -> list[str]:
    """Return what is wrong with a file whose references are resolved, each with its path and without its value."""
    given = document.get("inputs") if isinstance(document, dict) else None
    kind = given.get("type") if isinstance(given, dict) else None
    inputs = {**_INPUTS, **(_WEB if kind == "web" else _EVENT)}
    return _problems(document, {**_FILE, "inputs": Required(inputs)}, "")


def _problems(value: Any, spec: Any, path: str) -> list[str]:
    spec = spec.spec if isinstance(spec, Required) else spec
    if isinstance(spec, dict):
        return _of_mapping(value, spec, path)
    if isinstance(spec, list):
        if not isinstance(value, list) or not value:
            return [f"{path}: must be a list"]
        return [problem for i, each in enumerate(value) for problem in _problems(each, spec[0], f"{path}.{i}")]
    what = _mismatch(value, spec)
    return [f"{path}: must be {what}"] if what else []


def _of_mapping(value: Any, spec: dict[Any, Any], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path or 'the file'}: must be a mapping"]
    found = []
    for key, each in value.items():
        where = f"{path}.{key}".lstrip(".")
        known = spec.get(key, spec.get(...)) if isinstance(key, str) else None
        found += [f"{where}: unknown key"] if known is None else _problems(each, known, where)
    needed = [key for key, each in spec.items() if isinstance(each, Required)]
    return found + [f"{path}.{key}: is missing".lstrip(".") for key in needed if key not in value]


def _mismatch(value: Any, spec: Any) -> str:
    """Return what a value should be, or nothing where it is that; what is not set has been told by then."""
    if value == UNSET:
        return ""
    if value == "undefined":
        return "set: it is the text 'undefined'"
    if isinstance(spec, re.Pattern):
        fits = isinstance(value, str) and bool(spec.fullmatch(value))
        return "" if fits else ("a text" if spec is _TEXT else f"a text like {spec.pattern}")
    if isinstance(spec, range):
        return "" if type(value) is int and value in spec else f"a whole number from {spec[0]} to {spec[-1]}"
    if isinstance(spec, frozenset):
        fits = any(type(value) is type(each) and value == each for each in spec)
        return "" if fits else f"one of {', '.join(map(str, sorted(spec)))}"
    return "" if type(value) is spec else f"a {spec.__name__}"
