"""serverless.yml in the subset of YAML that the CLI's reader and ours understand alike."""

import re
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """Refuses a repeated key, as the CLI does, and reads `yes`, `on`, `0200` and `1:00` as text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own signature
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if other := [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:str"]:
            raise yaml.constructor.ConstructorError(None, None, "a key is not text", other[0].start_mark)
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"{min(twice)} is repeated", node.start_mark)
        return super().construct_mapping(node, deep)

    def refuse_date(self, node: Any) -> Any:
        """Raise the error for a date, which the CLI would not deploy as text."""
        raise yaml.constructor.ConstructorError(None, None, "a date must be in quotes", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.refuse_date)
_AMBIGUOUS = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag not in _AMBIGUOUS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?[0-9]+\.[0-9]+\Z"), list("-0123456789"))


def read(text: str) -> Any:
    """Return the contents of a file. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
